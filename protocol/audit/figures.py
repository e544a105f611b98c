"""The figures of one log: the roll-forward of its points, its trial balance, conversions and money by partner.

They are summed from the postings of the entries, apart from the balances that the rules keep, and then compared with
those. Totals have no bound, so a report states them as decimal text.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final

import msgspec

from protocol.audit.conversions import ConversionBook, Decided, Sent
from protocol.audit.findings import FindingCode, Findings
from protocol.audit.liability import LiabilityLine
from protocol.identifiers import HOLDER_KINDS, Account, Asset, Ledger, Partner, partner_of
from protocol.ledger.state import ACCOUNTS, BALANCES, HOLDS, LOTS
from protocol.ledger.view import Overlay

FIGURES: Final = "figures"
MONEY_ACCOUNTS: Final = (
    "payable", "receivable", "due", "paid", "conversion_cost", "conversion_income", "loss", "contingent",
)  # fmt: skip


HOLDER_LINES: Final = {kind: f"{kind}/*" for kind in HOLDER_KINDS}
"""The lines of the trial balance on which holders stand, by their kinds: one line a kind."""


class _Figure(msgspec.Struct, frozen=True, kw_only=True):
    pass


class RollForward(_Figure, frozen=True, kw_only=True):
    """Points in the hands of holders: the opening, what came, what went, and the closing that follows."""

    points: Asset
    opening: str
    issued: str
    imported: str = "0"
    converted_in: str
    redeemed: str
    converted_out: str
    fees: str
    expired: str
    adjusted: str
    closing: str
    holders: str


class TrialLine(_Figure, frozen=True, kw_only=True):
    """The balance of one account in one asset, credits positive; holders are one line a kind, as `member/*`."""

    account: str
    asset: Asset
    amount: str


class MoneyLine(_Figure, frozen=True, kw_only=True):
    """The balance of one of a partner's money accounts, in millionths, credits positive."""

    partner: Partner
    account: str
    currency: Asset
    amount: str


class ReasonCount(_Figure, frozen=True, kw_only=True):
    """How many conversions were returned for one reason."""

    reason: str
    count: int


class ConversionFigures(_Figure, frozen=True, kw_only=True):
    """The conversions with one partner's ledger in one direction, by where they stand; sums are of the completed."""

    partner: Ledger
    direction: str
    completed: int
    pending: int
    returned: tuple[ReasonCount, ...]
    source_points: str
    destination_points: str
    value: str


class Figures(_Figure, frozen=True, kw_only=True):
    """All figures of one log."""

    roll_forward: RollForward
    trial_balance: tuple[TrialLine, ...]
    money: tuple[MoneyLine, ...]
    conversions: tuple[ConversionFigures, ...]
    liability: tuple[LiabilityLine, ...] = ()


class Tally:
    """The sums of the postings of a log, by line of the trial balance and asset."""

    __slots__ = ("totals",)

    def __init__(self) -> None:
        """Start at zero."""
        self.totals: defaultdict[tuple[str, Asset], int] = defaultdict(int)

    def check(self, view: Overlay, findings: Findings) -> None:
        """Compare the sums with each other and with the balances that the rules keep."""
        for asset in sorted({asset for _, asset in self.totals}):
            total = sum(amount for (_, each), amount in self.totals.items() if each == asset)
            if total:
                findings.broken(FindingCode.FIGURES_DIFFER, FIGURES, f"all balances in {asset} sum to {total}, not 0")
        kept = {(str(account), asset): record.amount for (account, asset), record in view.rows(BALANCES)}
        summed = {key: amount for key, amount in self.totals.items() if not _is_holder_line(key[0])}
        for key in sorted(kept.keys() | summed.keys()):
            if kept.get(key, 0) != summed.get(key, 0):
                text = f"entries post {summed.get(key, 0)}, the ledger keeps {kept.get(key, 0)} {key[1]}"
                findings.broken(FindingCode.FIGURES_DIFFER, f"account {key[0]}", text)
        self._check_holders(view, findings)

    def _check_holders(self, view: Overlay, findings: Findings) -> None:
        posted = sum([record.posted for _, record in view.rows(ACCOUNTS)])
        in_lots = sum([lot.remaining for _, lot in view.rows(LOTS)])
        held = sum([hold.remaining for _, hold in view.rows(HOLDS)])
        if not self.holders == posted == in_lots + held:
            text = f"holders were credited {self.holders}, have {posted}, in lots {in_lots} and on hold {held}"
            findings.broken(FindingCode.FIGURES_DIFFER, FIGURES, text)

    @property
    def holders(self) -> int:
        """Return the points in the hands of holders."""
        return sum(amount for (line, _), amount in self.totals.items() if _is_holder_line(line))

    def flow(self, points: Asset, *accounts: str) -> int:
        """Return what `accounts`, and those below them, hold of `points`; negative for what they gave."""
        return sum(
            amount
            for (line, asset), amount in self.totals.items()
            if asset == points and line.partition("/")[0] in accounts
        )


def figures_of(
    tally: Tally, book: ConversionBook, *, points: Asset, liability: tuple[LiabilityLine, ...] = ()
) -> Figures:
    """Return the figures of a log whose points are `points`."""
    return Figures(
        roll_forward=roll_forward(tally, points),
        trial_balance=trial_balance(tally),
        money=tuple(money_lines(tally)),
        conversions=tuple(_conversion_figures(book)),
        liability=liability,
    )


def roll_forward(tally: Tally, points: Asset, *, before: Tally | None = None) -> RollForward:
    """Return how the points outstanding came about, from what there was `before` on, or from the empty ledger on."""

    def flow(account: str) -> int:
        return tally.flow(points, account) - (before.flow(points, account) if before else 0)

    opening = before.holders if before else 0
    issued, converted_in, adjusted = -flow("issuance"), -flow("converted_in"), -flow("adjustment")
    redeemed, converted_out, imported = flow("redemption"), flow("converted_out"), -flow("opening")
    fees, expired = flow("fees"), flow("breakage")
    closing = opening + issued + imported + converted_in - redeemed - converted_out - fees - expired + adjusted
    return RollForward(
        points=points,
        opening=str(opening),
        issued=str(issued),
        imported=str(imported),
        converted_in=str(converted_in),
        redeemed=str(redeemed),
        converted_out=str(converted_out),
        fees=str(fees),
        expired=str(expired),
        adjusted=str(adjusted),
        closing=str(closing),
        holders=str(tally.holders),
    )


def check_roll_forward(rolled: RollForward, findings: Findings) -> None:
    """Compare the closing that follows from the flows with the sum of the holders' balances."""
    if rolled.closing != rolled.holders:
        text = f"the flows lead to {rolled.closing} {rolled.points}, holders have {rolled.holders}"
        findings.broken(FindingCode.FIGURES_DIFFER, FIGURES, text)


def line_of(account: Account) -> str:
    """Return the line of the trial balance on which `account` stands; holders are one line a kind."""
    return HOLDER_LINES.get(account.partition("/")[0], account)


def _is_holder_line(line: str) -> bool:
    return line.endswith("/*")


def trial_balance(tally: Tally) -> tuple[TrialLine, ...]:
    """Return the sum of every account, holders as one line a kind."""
    lines = sorted(tally.totals.items())
    return tuple(TrialLine(account=account, asset=asset, amount=str(amount)) for (account, asset), amount in lines)


def money_lines(tally: Tally) -> Iterable[MoneyLine]:
    """Yield the balances of the money accounts of each partner."""
    for (account, asset), amount in sorted(tally.totals.items()):
        kind, _, partner = account.partition("/")
        if kind in MONEY_ACCOUNTS and partner:
            yield MoneyLine(partner=Partner(partner), account=kind, currency=asset, amount=str(amount))


def _conversion_figures(book: ConversionBook) -> Iterable[ConversionFigures]:
    for ledger in sorted(book.sent):
        yield _outgoing(ledger, list(book.sent[ledger].values()))
    for ledger in sorted(book.decided):
        yield _incoming(ledger, list(book.decided[ledger].values()))


def _outgoing(partner: Ledger, sent: list[Sent]) -> ConversionFigures:
    completed = [each.terms for each in sent if each.decision and each.decision.credited]
    reasons = [each.decision.reason for each in sent if each.decision and not each.decision.credited]
    return ConversionFigures(
        partner=partner,
        direction="out",
        completed=len(completed),
        pending=len(sent) - len(completed) - len(reasons),
        returned=_counted(reasons),
        source_points=str(sum(terms.source_points for terms in completed)),
        destination_points=str(sum(terms.destination_points for terms in completed)),
        value=str(sum(terms.value for terms in completed)),
    )


def _incoming(partner: Ledger, decided: list[Decided]) -> ConversionFigures:
    completed = [each.terms for each in decided if each.terms]
    return ConversionFigures(
        partner=partner,
        direction="in",
        completed=len(completed),
        pending=0,
        returned=_counted(each.reason for each in decided if not each.terms),
        source_points=str(sum(terms.source_points for terms in completed)),
        destination_points=str(sum(terms.destination_points for terms in completed)),
        value=str(sum(terms.value for terms in completed)),
    )


def _counted(reasons: Iterable[str | None]) -> tuple[ReasonCount, ...]:
    counts = Counter(reason or "" for reason in reasons)
    return tuple(ReasonCount(reason=reason, count=count) for reason, count in sorted(counts.items()))


def partner_line(figures: ConversionFigures) -> str:
    """Return the conversions with one partner as a person reads them."""
    reasons = ", ".join(f"{each.reason} {each.count}" for each in figures.returned)
    returned = sum(each.count for each in figures.returned)
    where = "to" if figures.direction == "out" else "from"
    return (
        f"conversions {where} {partner_of(figures.partner)}: {figures.completed} completed, "
        f"{figures.pending} pending, {returned} returned" + (f" ({reasons})" if reasons else "")
    )
