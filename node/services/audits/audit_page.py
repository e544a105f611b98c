"""An audit's working papers as one HTML page that loads nothing: exceptions first, made for the screen and for A4."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from itertools import groupby
from operator import itemgetter
from shlex import quote
from typing import Final

from node.services.audits import audit_tables as made
from node.services.audits.audit_plot import plot
from node.services.audits.audit_tables import Cell, Code, Long, Moment, Money, PaperTable
from protocol.audit.appeals import OVERDUE
from protocol.audit.explain import money
from protocol.audit.figures import RollForward, TrialLine
from protocol.audit.findings import Verdict
from protocol.audit.open_items import ItemKind
from protocol.audit.papers import Papers, ProgrammePapers
from protocol.audit.registers import Register
from protocol.audit.report import LogReport

ROWS_MAX: Final = 400
"""Rows of a table that the page shows; the CSV file has all."""

OLD_DAYS: Final = 30
LEDGER: Final = "Ledger"
_SECONDS_CHARACTERS: Final = 19

_SECTIONS: Final = (
    ("exceptions", "Exceptions"),
    ("programmes", "Programmes"),
    ("pairs", "Conversions and net positions"),
    ("open", "Unsettled items"),
    ("registers", "Registers"),
    ("cut-off", "Cut-off"),
    ("sample", "Random sample"),
    ("again", "How to check this again"),
)


def page(papers: Papers) -> str:
    """Return the papers as a page."""
    names = ", ".join(each.ledger for each in papers.programmes) or "no ledger could be replayed"
    title = f"Audit report as of {papers.as_of}: {names}"
    bodies = (
        _exceptions(papers), _programmes(papers), _pairs(papers), _open(papers), _registers(papers), _cut_off(papers),
        _sample(papers), _again(papers),
    )  # fmt: skip
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{_style()}</style></head>",
        "<body>",
        *_head(papers),
    ]
    for number, ((anchor, heading), body) in enumerate(zip(_SECTIONS, bodies, strict=True), 1):
        parts += [f'<section id="{anchor}"><h2>{number}. {heading}</h2>', *body, "</section>"]
    return "\n".join([*parts, "</body></html>"]) + "\n"


@cache
def _style() -> str:
    return files("node.services.audits").joinpath("audit_page.css").read_text(encoding="utf-8")


def _head(papers: Papers) -> Iterator[str]:
    verdict = papers.verdict.value
    yield "<h1>Audit report</h1>"
    yield f"<p>As of the end of <b>{papers.as_of}</b>, all times in UTC. Verdict: "
    yield f'<span class="verdict {verdict}">{verdict}</span></p>'
    rows = [_summary_row(log) for log in papers.report.logs]
    columns = ("Ledger", "Verdict", "Entries", "Signed root", "How its key is known", "Cosigned by")
    yield _table(columns, rows)
    links = "".join(f'<li><a href="#{anchor}">{heading}</a></li>' for anchor, heading in _SECTIONS)
    yield f"<nav><ol>{links}</ol></nav>"


def _summary_row(log: LogReport) -> tuple[Cell, ...]:
    witnesses = ", ".join(dict.fromkeys((*log.witnesses, *log.cosigners))) or "none"
    name = log.ledger or log.source
    return name, log.verdict.value, log.size, Code(log.root or ""), _anchor_text(log), witnesses


def _anchor_text(log: LogReport) -> str:
    known = []
    if log.key_given:
        known.append("given to the auditor")
    if log.anchors:
        partners = sorted({anchor.partner for anchor in log.anchors})
        known.append(f"in agreements signed by {', '.join(partners)}")
    return "; ".join(known) or "only by its own genesis"


def _exceptions(papers: Papers) -> Iterator[str]:
    found = made.exceptions(papers)
    if found.rows:
        yield _paper(found)
    else:
        yield "<p>None. Every entry was hashed and judged, every signed root follows from the entries, and every "
        yield "conversion that two of these ledgers share stands in both, alike.</p>"
    looks = list(_looks(papers))
    if looks:
        yield "<h3>Nothing wrong, but to be looked at</h3>"
        yield f'<ul class="look">{"".join(f"<li>{escape(each)}</li>" for each in looks)}</ul>'


def _looks(papers: Papers) -> Iterator[str]:
    for name in papers.report.unmatched:
        yield f"Conversions with {name} were not matched: its log was not given."
    for name in papers.report.absent:
        yield f"A key of {name} was given, and none of these logs is that ledger's: the audit is incomplete."
    for log in papers.report.logs:
        if log.ledger and not log.key_given and not log.anchors:
            yield f"{log.ledger}: nothing but its own genesis says that its key is the brand's."
    for each in papers.programmes:
        forced = len(each.registers[Register.FORCED])
        late = sum(group.count for group in each.misdated)
        old = sum(item.age_days > OLD_DAYS and item.kind is not ItemKind.CARRIED for item in each.open_items)
        overdue = sum(line.state == OVERDUE for line in each.appeals)
        unexplained = [position for position in each.positions if position.difference != "0"]
        for count, what in (
            (overdue, "appeals that nobody decided by their deadline (section 5)"),
            (forced, "forced releases or other overrides (section 5)"),
            (late, "entries on the other side of the cut-off (section 6)"),
            (old, f"unsettled items older than {OLD_DAYS} days (section 4)"),
            (len(unexplained), "net positions that the open items do not explain (section 3)"),
        ):
            if count:
                yield f"{each.ledger}: {count:,} {what}."
    for pair in papers.pairs:
        if int(pair.first_net) != -int(pair.second_net):
            yield f"{pair.first} and {pair.second} state different net positions in {pair.currency} on that day."


def _programmes(papers: Papers) -> Iterator[str]:
    verdicts = {log.ledger: log.verdict for log in papers.report.logs}
    for each in papers.programmes:
        yield f"<h3>{escape(each.ledger)} ({escape(each.points)})</h3>"
        yield f"<p>Up to the end of {papers.as_of}, {escape(each.log)} had {each.size:,} entries under the root "
        held = verdicts[each.ledger] is Verdict.HELD
        tied = "from which its signed checkpoint follows" if held else "but its log did not hold: see the exceptions"
        yield f"<code>{each.root}</code>, {tied}.</p>"
        yield _roll(each.roll_forward, papers.since)
        yield "<p><b>Points outstanding</b> (the axis begins where it says)</p>"
        yield plot(each.outstanding, points=each.points)
        yield _trial(each)
        yield from _story(papers, each)


def _roll(rolled: RollForward, since: str | None) -> str:
    signs = ("", "+ ", "+ ", "+ ", "− ", "− ", "− ", "− ", "± ", "= ", "")
    names = (
        f"Opening, {'before ' + since if since else 'the empty ledger'}", "Issued", "Imported", "Converted in",
        "Redeemed", "Converted out", "Fees", "Expired", "Adjusted", "Closing", "Holders' balances",
    )  # fmt: skip
    rows = [(sign + name, int(value)) for sign, name, value in zip(signs, names, made.flows_of(rolled), strict=True)]
    return _table((f"Roll-forward of {rolled.points}", "Points"), rows, facts=True, sums=(9,))


def _trial(programme: ProgrammePapers) -> str:
    rows: list[tuple[Cell, ...]] = []
    sums = []
    for asset in sorted({line.asset for line in programme.trial_balance}, key=lambda a: (a != programme.points, a)):
        lines = [line for line in programme.trial_balance if line.asset == asset and line.amount != "0"]
        rows += [(Code(line.account), asset, *_sides(line, programme)) for line in lines]
        sums.append(len(rows))
        rows.append((f"All lines in {asset}", asset, *(_total(lines, sign, programme) for sign in (-1, 1))))
    columns = ("Trial balance", "Asset", "Debit", "Credit")
    return _table(columns, rows, facts=True, sums=sums, numbers=(2, 3))


def _total(lines: Iterable[TrialLine], sign: int, programme: ProgrammePapers) -> Cell:
    """Return the sum of all debits, for -1, or of all credits in one asset: the two are alike."""
    total, points = 0, True
    for line in lines:
        total += max(sign * int(line.amount), 0)
        points = line.asset == programme.points
    return total if points else Money(total)


def _sides(line: TrialLine, programme: ProgrammePapers) -> tuple[Cell, Cell]:
    amount = abs(int(line.amount))
    shown: Cell = amount if line.asset == programme.points else Money(amount)
    return (shown, "") if int(line.amount) < 0 else ("", shown)


def _story(papers: Papers, programme: ProgrammePapers) -> Iterator[str]:
    """Yield what became of the ledger's logs."""
    for log in papers.report.logs:
        if log.ledger == programme.ledger and log.successions:
            yield "<p><b>Successions</b></p>"
            for each in log.successions:
                yield f"<p>{escape(each.log)} succeeds {escape(each.predecessor)}: {each.restored:,} entries restored, "
                yield f"{each.lost:,} lost, of which {each.recovered:,} stand again.</p>"


def _pairs(papers: Papers) -> Iterator[str]:
    yield from map(_titled, (made.conversions(papers), made.pair_positions(papers)))
    yield "<p>Payable, receivable and due are balances of accounts, credits above zero. The open items of section 4 "
    yield "must explain them: a difference is a matter for the auditor.</p>"
    yield _titled(made.net_positions(papers))


def _open(papers: Papers) -> Iterator[str]:
    yield "<p>An item's value is above zero where the partner owes it to the ledger, below where the ledger owes it. "
    yield "Conversions that are not decided, and money on its way, are in no balance.</p>"
    yield from map(_titled, (made.ages(papers), made.open_items(papers), made.waiting(papers)))


def _registers(papers: Papers) -> Iterator[str]:
    yield "<p>A log names no person. An operator's act is the programme's, and gives its reason in one word; what both "
    yield "parties signed is both parties'.</p>"
    for register in Register:
        yield _titled(made.register_table(papers, register))
    yield _titled(made.links(papers))
    yield _titled(made.appeals(papers))


def _cut_off(papers: Papers) -> Iterator[str]:
    yield f"<p>What occurred on or before {papers.as_of} and was recorded after it, or the other way round, by the "
    yield "business day that each entry names and the day, in UTC, on which it was recorded.</p>"
    yield _titled(made.cut_off(papers))


def _sample(papers: Papers) -> Iterator[str]:
    seed = f"<code>{escape(papers.seed)}</code>"
    fetched = any(row.lines for each in papers.programmes for row in each.sample)
    how = (
        "fetched again and proved to be in the tree" if fetched else "proved to be in the tree; no log was read for it"
    )
    yield f"<p>Drawn by the seed {seed} and the root of that day; each entry was {how}. "
    yield "The proof is the list of hashes from the leaf to the root.</p>"
    yield _titled(made.sample(papers))


def _again(papers: Papers) -> Iterator[str]:
    places = " ".join(quote(log.source) for log in papers.report.logs)
    yield "<p>Nobody has to believe this page. The same figures come from the same logs by</p>"
    since = f" --from {papers.since}" if papers.since else ""
    seed = f"--sample-seed {quote(papers.seed)}"
    command = f"tallystick audit {places} --as-of {papers.as_of}{since} {seed} --report FILE.html"
    yield f"<p><code>{escape(command)}</code></p>"
    yield "<p>and every sampled entry by <code>tallystick verify RECEIPT --vkey KEY</code>, without any server.</p>"


def _titled(table: PaperTable) -> str:
    shown = _paper(table) if table.rows else '<p class="soft">None.</p>'
    return f"<h3>{escape(table.title)}</h3>\n{shown}"


def _paper(table: PaperTable) -> str:
    if table.columns[0] == LEDGER:
        shown = _grouped(table)
    else:
        shown = _table(table.columns, table.rows[:ROWS_MAX], name=table.name)
    if len(table.rows) <= ROWS_MAX:
        return shown
    more = len(table.rows) - ROWS_MAX
    return f'{shown}\n<p class="soft">and {more:,} more rows, all of them in {table.name}.csv (--csv DIR)</p>'


def _table(
    columns: Sequence[str],
    rows: Sequence[tuple[Cell, ...]],
    *,
    name: str = "",
    facts: bool = False,
    sums: Iterable[int] = (),
    numbers: Sequence[int] = (),
) -> str:
    """Return a table; a column of numbers stands at the right. `sums` are rows that sum up others."""
    right = _numeric(columns, rows) | {*numbers}
    marked = set(sums)
    lines = [_row(row, right, is_sum=number in marked) for number, row in enumerate(rows)]
    return _whole(name, _heads(columns, right), [lines], kind="facts" if facts else "paper")


def _grouped(table: PaperTable) -> str:
    """Return a table whose first column, the ledger, stands above the rows of each instead."""
    columns, rows = table.columns[1:], table.rows[:ROWS_MAX]
    right = _numeric(columns, [row[1:] for row in rows])
    groups = []
    for ledger, found in groupby(rows, key=itemgetter(0)):
        head = f'<tr><th colspan="{len(columns)}" scope="rowgroup">{_cell(ledger)}</th></tr>'
        groups.append([head, *(_row(row[1:], right) for row in found)])
    return _whole(table.name, _heads(columns, right), groups, kind="paper")


def _numeric(columns: Sequence[str], rows: Sequence[tuple[Cell, ...]]) -> set[int]:
    return {at for at in range(len(columns)) if any(isinstance(row[at], int | Money) for row in rows)}


def _heads(columns: Sequence[str], right: set[int]) -> str:
    return "".join(f'<th scope="col"{_class(at in right)}>{escape(each)}</th>' for at, each in enumerate(columns))


def _row(row: tuple[Cell, ...], right: set[int], *, is_sum: bool = False) -> str:
    cells = "".join(f"<td{_class(at in right, cell)}>{_cell(cell)}</td>" for at, cell in enumerate(row))
    return f'<tr class="sum">{cells}</tr>' if is_sum else f"<tr>{cells}</tr>"


def _whole(name: str, heads: str, groups: Iterable[Sequence[str]], *, kind: str) -> str:
    label = f' id="table-{name}"' if name else ""
    bodies = "".join("<tbody>" + "\n".join(lines) + "</tbody>" for lines in groups)
    return f'<div class="wide"><table{label} class="{kind}"><thead><tr>{heads}</tr></thead>\n{bodies}</table></div>'


def _class(is_number: bool, cell: Cell = None) -> str:  # noqa: FBT001 - one of two looks
    if is_number:
        return ' class="number"'
    if isinstance(cell, Moment):
        return ' class="time"'
    return ' class="long"' if isinstance(cell, Long) else ""


def _cell(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case Money(millionths):
            return money(millionths)
        case Code(text):
            return f"<code>{escape(text)}</code>"
        case Moment(text):
            day, _, time = escape(text[:_SECONDS_CHARACTERS]).partition("T")
            return f"<span>{day}</span> <span>{time}</span>"
        case int():
            return f"{cell:,}".replace("-", "−")
        case _:
            text = cell.text if isinstance(cell, Long) else cell
            # A long name may be broken where its parts meet, not within a word.
            return escape(text).replace("/", "/<wbr>").replace("_", "_<wbr>")
