"""The tables of an audit's working papers, each made once: for the page that people read, and as CSV for programs."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from protocol.audit.figures import RollForward
from protocol.audit.findings import Finding
from protocol.audit.open_items import ItemKind, OpenItem
from protocol.audit.papers import Papers, ProgrammePapers
from protocol.audit.registers import Register, RegisterRow
from protocol.identifiers import Asset


class Money(NamedTuple):
    """An amount in millionths of a currency's unit."""

    millionths: int


class Code(NamedTuple):
    """A digest, an id or a name that is compared letter by letter."""

    text: str


class Moment(NamedTuple):
    """An RFC 3339 time in UTC."""

    text: str


class Long(NamedTuple):
    """A text that may hold digests, so that it has to be broken anywhere."""

    text: str


Cell: TypeAlias = str | int | Money | Code | Moment | Long | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTable:
    """A table by the name of its CSV file; `title` is what people read above it."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


AGES: Final = ((0, "today"), (1, "1 to 7 days"), (8, "8 to 30 days"), (31, "31 to 90 days"), (91, "more than 90 days"))
"""The least age in days of each group of unsettled items, and what it is called."""

KINDS: Final[Mapping[ItemKind, str]] = {
    ItemKind.PENDING: "conversion not decided",
    ItemKind.UNBILLED: "not billed yet",
    ItemKind.DISPUTED: "in dispute",
    ItemKind.UNPAID: "agreed, not paid",
    ItemKind.ON_ITS_WAY: "money on its way",
    ItemKind.CARRIED: "carried forward",
}
_WORD_CHARACTERS: Final = 40
"""A reason that is longer holds a digest."""

TITLES: Final[Mapping[Register, str]] = {
    Register.ADJUSTMENTS: "Adjustments",
    Register.RATES: "Rates and terms",
    Register.KEYS: "Keys",
    Register.SUCCESSION: "Succession",
    Register.FORCED: "Forced releases and other overrides",
    Register.PROGRAM: "Terms, accounts and reviews",
    Register.LINKS: "Links that ended",
}


def tables_of(papers: Papers) -> tuple[PaperTable, ...]:
    """Return every table of the papers, in the order of the page."""
    return tuple(make(papers) for make in _MAKERS) + tuple(register_table(papers, each) for each in Register)


def exceptions(papers: Papers) -> PaperTable:
    """Return everything that is wrong, that could not be checked, or that partners were found to have done."""
    return PaperTable(
        name="exceptions",
        title="Exceptions",
        columns=("Verdict", "Where", "Place", "What", "Code"),
        rows=tuple(_exception_rows(papers)),
    )


def _exception_rows(papers: Papers) -> Iterator[tuple[Cell, ...]]:
    report = papers.report
    for log in report.logs:
        name = log.ledger or log.source
        yield from _finding_rows(name, log.findings, log.finding_count)
        yield from _finding_rows(f"{name}, against a partner", log.accusations, len(log.accusations))
    for pair in report.pairs:
        yield from _finding_rows(f"{pair.first} and {pair.second}", pair.findings, pair.finding_count)


def _finding_rows(where: str, findings: Sequence[Finding], count: int) -> Iterator[tuple[Cell, ...]]:
    for finding in findings:
        yield finding.verdict.value, where, Long(finding.place), Long(finding.detail), finding.code
    if count > len(findings):
        yield "", where, "", f"and {count - len(findings)} more", ""


def roll_forwards(papers: Papers) -> PaperTable:
    """Return the roll-forward of each programme, one a row."""
    columns = (
        "Ledger", "Points", "From", "As of", "Opening", "Issued", "Imported", "Converted in", "Redeemed",
        "Converted out", "Fees", "Expired", "Adjusted", "Closing", "Holders", "Log", "Size", "Root",
    )  # fmt: skip
    rows = tuple(_roll_row(papers, each) for each in papers.programmes)
    return PaperTable(name="roll_forward", title="Roll-forward", columns=columns, rows=rows)


def _roll_row(papers: Papers, programme: ProgrammePapers) -> tuple[Cell, ...]:
    head: tuple[Cell, ...] = (programme.ledger, programme.points, papers.since or "", papers.as_of)
    flows: tuple[Cell, ...] = tuple(map(int, flows_of(programme.roll_forward)))
    return (*head, *flows, Code(programme.log), programme.size, Code(programme.root))


def flows_of(rolled: RollForward) -> tuple[str, ...]:
    """Return the figures of a roll-forward in the order of the table's columns, from opening to holders."""
    return (
        rolled.opening, rolled.issued, rolled.imported, rolled.converted_in, rolled.redeemed, rolled.converted_out,
        rolled.fees, rolled.expired, rolled.adjusted, rolled.closing, rolled.holders,
    )  # fmt: skip


def trial_balances(papers: Papers) -> PaperTable:
    """Return the trial balance of each programme: credits are positive."""
    rows = tuple(
        (each.ledger, Code(line.account), line.asset, _amount(int(line.amount), line.asset, each.points))
        for each in papers.programmes
        for line in each.trial_balance
    )
    columns = ("Ledger", "Account", "Asset", "Balance")
    return PaperTable(name="trial_balance", title="Trial balance", columns=columns, rows=rows)


def _amount(amount: int, asset: Asset, points: Asset) -> Cell:
    return amount if asset == points else Money(amount)


def outstanding(papers: Papers) -> PaperTable:
    """Return the points outstanding at the end of each day."""
    rows = tuple(
        (each.ledger, each.points, day.day, int(day.points)) for each in papers.programmes for day in each.outstanding
    )
    columns = ("Ledger", "Points", "Day", "Outstanding")
    return PaperTable(name="outstanding", title="Points outstanding", columns=columns, rows=rows)


def conversions(papers: Papers) -> PaperTable:
    """Return the conversions of each pair, both ways, as the source has them."""
    rows = tuple(
        (
            each.source, each.destination, each.completed, each.returned, each.pending, int(each.source_points),
            int(each.destination_points), int(each.fee_points), Money(int(each.value)), each.currency,
        )
        for each in papers.conversions
    )  # fmt: skip
    columns = (
        "From", "To", "Completed", "Returned", "Pending", "Source points", "Destination points", "Fee points", "Value",
        "Currency",
    )  # fmt: skip
    return PaperTable(name="conversions", title="Conversions", columns=columns, rows=rows)


def net_positions(papers: Papers) -> PaperTable:
    """Return what each programme's accounts say that its partners owe it, beside its open items."""
    rows = tuple(
        (
            each.ledger, position.partner, position.currency, Money(int(position.payable)),
            Money(int(position.receivable)), Money(int(position.due)), Money(int(position.net)),
            Money(int(position.items)), Money(int(position.difference)),
        )
        for each in papers.programmes
        for position in each.positions
    )  # fmt: skip
    columns = (
        "Ledger", "Partner", "Currency", "Payable", "Receivable", "Due", "Partner owes, net", "By open items",
        "Difference",
    )  # fmt: skip
    return PaperTable(name="net_positions", title="Net positions by accounts", columns=columns, rows=rows)


def pair_positions(papers: Papers) -> PaperTable:
    """Return each pair's net position as both sides have it: the two are opposite where the halves match."""
    rows = tuple(
        (
            each.first, each.second, each.currency, Money(int(each.first_net)), Money(int(each.second_net)),
            "yes" if int(each.first_net) == -int(each.second_net) else "no",
        )
        for each in papers.pairs
    )  # fmt: skip
    columns = ("First", "Second", "Currency", "Second owes first", "First owes second", "Opposite")
    return PaperTable(name="pairs", title="Net positions by pair", columns=columns, rows=rows)


def ages(papers: Papers) -> PaperTable:
    """Return the unsettled items of each programme, counted and summed by age."""
    rows = tuple(row for each in papers.programmes for row in _age_rows(each.ledger, each.open_items))
    columns = ("Ledger", "Age", "Items", "Currency", "Owed by partners", "Owed to partners")
    return PaperTable(name="ages", title="Unsettled items by age", columns=columns, rows=rows)


def _age_rows(ledger: str, items: Iterable[OpenItem]) -> Iterator[tuple[Cell, ...]]:
    groups: dict[tuple[int, str], list[int]] = {}
    for item in items:
        age = max(least for least, _ in AGES if least <= max(item.age_days, 0))
        groups.setdefault((age, item.currency), []).append(int(item.value))
    names = dict(AGES)
    for (age, currency), values in sorted(groups.items(), reverse=True):
        owed = Money(sum(value for value in values if value > 0))
        owing = Money(-sum(value for value in values if value < 0))
        yield ledger, names[age], len(values), currency, owed, owing


def open_items(papers: Papers) -> PaperTable:
    """Return every unsettled item, the oldest of each programme first."""
    rows = tuple(
        (
            each.ledger, KINDS[item.kind], item.partner, Long(item.about), Moment(item.since), item.age_days,
            Money(int(item.value)), item.currency, item.points, Moment(item.due_at) if item.due_at else None,
        )
        for each in papers.programmes
        for item in each.open_items
    )  # fmt: skip
    columns = (
        "Ledger", "What", "Partner", "About", "Since", "Days", "Value (+ owed to the ledger)", "Currency", "Points",
        "Due",
    )  # fmt: skip
    return PaperTable(name="open_items", title="Unsettled items", columns=columns, rows=rows)


def waiting(papers: Papers) -> PaperTable:
    """Return what members of each programme wait for, the oldest first."""
    rows = tuple(
        (
            each.ledger, line.kind.value, Code(line.id), Code(line.account), line.about, line.points, str(line.seq),
            Moment(line.since), line.age_days, Moment(line.until) if line.until else None,
        )
        for each in papers.programmes
        for line in each.waiting
    )  # fmt: skip
    columns = (
        "Ledger", "What", "Id", "Account", "Recipient or screen", "Points on hold", "Entry", "Since", "Days", "Until",
    )  # fmt: skip
    return PaperTable(name="waiting", title="Transfers on offer and orders under review", columns=columns, rows=rows)


def links(papers: Papers) -> PaperTable:
    """Return how many links the members of each programme have with each partner."""
    rows = tuple(
        (each.ledger, line.partner, line.way.value, line.made, line.revoked, line.made - line.revoked)
        for each in papers.programmes
        for line in each.links
    )
    columns = ("Ledger", "Partner", "Here", "Made", "Ended", "Standing")
    return PaperTable(name="links", title="Links of members", columns=columns, rows=rows)


def register_table(papers: Papers, register: Register) -> PaperTable:
    """Return one register of all programmes."""
    rows = tuple(
        _register_row(each.ledger, row, each.points) for each in papers.programmes for row in each.registers[register]
    )
    columns: tuple[str, ...] = (
        "Ledger", "Entry", "Time", "Kind", "Partner", "About", "Who", "Why", "Amount", "Asset",
    )  # fmt: skip
    if not any(row[-1] for row in rows):
        # A register of what moves nothing has no amounts.
        columns, rows = columns[:-2], tuple(row[:-2] for row in rows)
    return PaperTable(name=f"register_{register.value}", title=TITLES[register], columns=columns, rows=rows)


def _register_row(ledger: str, row: RegisterRow, points: Asset) -> tuple[Cell, ...]:
    amount = None if row.amount is None or row.asset is None else _amount(int(row.amount), row.asset, points)
    why: Cell = Long(row.why) if len(row.why) > _WORD_CHARACTERS else row.why
    return (
        ledger, str(row.seq), Moment(row.time), row.kind, row.partner, Long(row.about), row.who, why, amount,
        row.asset,
    )  # fmt: skip


def appeals(papers: Papers) -> PaperTable:
    """Return the appeals of all programmes as they stood at the end of the day."""
    rows = tuple(
        (
            each.ledger, line.state, Code(line.appeal), Code(line.account), line.reason, Code(line.about or ""),
            str(line.opened_seq), Moment(line.opened_at), line.deadline,
            None if line.decided_seq is None else str(line.decided_seq), Code(line.adjustment or ""),
        )
        for each in papers.programmes
        for line in each.appeals
    )  # fmt: skip
    columns = (
        "Ledger", "State", "Appeal", "Account", "Reason", "About", "Entry", "Opened", "Deadline", "Decided by entry",
        "Adjustment",
    )  # fmt: skip
    return PaperTable(name="register_appeals", title="Appeals", columns=columns, rows=rows)


def cut_off(papers: Papers) -> PaperTable:
    """Return what happened on one side of the end of the day and was recorded on the other."""
    rows = tuple(
        (
            each.ledger, group.occurred_on, group.recorded_on,
            "recorded after" if group.recorded_on > group.occurred_on else "dated ahead",
            group.kind, group.count, str(group.first_seq), str(group.last_seq), int(group.points),
        )
        for each in papers.programmes
        for group in each.misdated
    )  # fmt: skip
    columns = (
        "Ledger", "Occurred on", "Recorded on", "Which", "Kind", "Entries", "First entry", "Last entry", "Points moved",
    )  # fmt: skip
    return PaperTable(name="cut_off", title="Cut-off", columns=columns, rows=rows)


def sample(papers: Papers) -> PaperTable:
    """Return the entries of the random sample, each with its proof."""
    rows = tuple(
        (each.ledger, str(row.seq), Long("; ".join(row.lines)), Code(row.leaf), Code(" ".join(row.proof)))
        for each in papers.programmes
        for row in each.sample
    )
    columns = ("Ledger", "Entry", "What it says", "Leaf hash", "Inclusion proof")
    return PaperTable(name="sample", title="Random sample", columns=columns, rows=rows)


_MAKERS: Final[tuple[Callable[[Papers], PaperTable], ...]] = (
    exceptions, roll_forwards, trial_balances, outstanding, conversions, pair_positions, net_positions, ages,
    open_items, waiting, links, appeals, cut_off, sample,
)  # fmt: skip
