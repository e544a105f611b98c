"""What one ledger has to settle with each partner, as its entries have it: lines, statements, disputes, payments.

Reckoned anew from the lines of each window, and compared with what the statements say and the accounts hold.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from protocol.entries import AnyEntry, ConversionCaptured, ConversionCredited, ConversionHeld
from protocol.identifiers import Account, Asset, Id, Ledger, partner_of
from protocol.ledger.state import IN, OUT, Way
from protocol.messages import Close, PaymentAdvice, Receipt, StatementSigned
from protocol.recovery_entries import Recovered
from protocol.statement import Bill, Statement, statement_digest
from protocol.window_entries import (
    PaymentConfirmed,
    PaymentMade,
    PaymentReturned,
    ReceiptReceived,
    StatementAgreed,
    WindowClosed,
    WindowCloseReceived,
)
from scripts.simulation.invariants import Invariant
from scripts.simulation.stakes import Require, Stakes


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedLine:
    """A credited conversion as it is billed."""

    id: Id
    window: int
    source_points: int
    destination_points: int
    fee_points: int
    value: int


@dataclass(slots=True)
class Moved:
    """What one statement takes out of a direction: billed, written off, and free at its confirmation."""

    billed: int = 0
    written_off: int = 0
    settles: int = 0


@dataclass(slots=True)
class Relation:
    """All that is settled with one partner.

    `closed` are windows that either side has closed; `posted` those whose payment has left, or arrived, here.
    """

    lines: dict[Way, dict[int, BookedLine]] = field(default_factory=lambda: {OUT: {}, IN: {}})
    disputed: dict[Way, dict[Id, int]] = field(default_factory=lambda: {OUT: {}, IN: {}})
    billed: set[tuple[Way, Id]] = field(default_factory=set)
    closed: set[int] = field(default_factory=set)
    statements: dict[int, Statement] = field(default_factory=dict)
    moved: dict[int, dict[Way, Moved]] = field(default_factory=dict)
    posted: set[int] = field(default_factory=set)
    confirmed: set[int] = field(default_factory=set)
    due: int = 0
    paid: int = 0

    @property
    def unsettled(self) -> list[int]:
        """Return the windows that either side has closed and that are not confirmed."""
        return sorted(self.closed - self.confirmed)

    def gone(self, way: Way) -> int:
        """Return what statements have taken out of payable (`out`) or receivable (`in`)."""
        return sum(moved[way].billed + moved[way].written_off for moved in self.moved.values())

    def open_value(self, way: Way) -> int:
        """Return the value of the lines that no statement has billed or written off."""
        return sum(line.value for line in self.lines[way].values()) - self.gone(way)


class Relations:
    """Follows one ledger's settlement with all partners."""

    def __init__(self, ledger: Ledger, stakes: Stakes, require: Require) -> None:
        self._ledger = ledger
        self._stakes = stakes
        self._require = require
        self._relations: dict[Ledger, Relation] = {}

    def relation(self, partner: Ledger) -> Relation:
        """Return what is settled with one partner."""
        return self._relations.setdefault(partner, Relation())

    def items(self) -> Iterator[tuple[Ledger, Relation]]:
        """Yield every partner with whom there was something to settle."""
        yield from self._relations.items()

    def captured(self, entry: ConversionCaptured, held: ConversionHeld) -> None:
        """Enter a line of this ledger's own conversions."""
        self._enter(held.destination, OUT, entry, held)

    def credited(self, entry: ConversionCredited) -> None:
        """Enter a line of a partner's conversions."""
        self._enter(entry.source, IN, entry, entry)

    def take(self, entry: AnyEntry) -> None:
        """Follow an entry about a window."""
        match entry:
            case WindowClosed() | WindowCloseReceived():
                self.relation(entry.partner).closed.add(entry.window)
            case StatementAgreed():
                self._agree(entry.partner, entry.window, entry.signed.statement)
            case PaymentMade():
                self._pay(entry.partner, entry.window)
            case PaymentReturned():
                self._pay(entry.partner, entry.window, back=True)
            case PaymentConfirmed():
                self._pay(entry.partner, entry.window)
                self._confirm(entry.partner, entry.window)
            case ReceiptReceived():
                self._confirm(entry.partner, entry.window)
            case _:
                return

    def compare(self, money: Counter[tuple[Account, Asset]]) -> None:
        """Raise unless the balances `money` are what was reckoned here."""
        for partner, relation in self._relations.items():
            wanted = {
                "payable": relation.open_value(OUT),
                "receivable": -relation.open_value(IN),
                "due": relation.due,
                "paid": relation.paid,
            }
            name = partner_of(partner)
            found = {kind: sum(money[key] for key in money if key[0] == f"{kind}/{name}") for kind in wanted}
            self._require(found == wanted, Invariant.DUE, f"with {partner} there is {found}, and should be {wanted}")

    def _enter(
        self,
        partner: Ledger,
        way: Way,
        decided: ConversionCaptured | ConversionCredited,
        terms: ConversionHeld | ConversionCredited,
    ) -> None:
        lines = self.relation(partner).lines[way]
        self._require(
            decided.dec_seq not in lines, Invariant.LINE_DIFFERS, f"{partner} has two lines {way} {decided.dec_seq}"
        )
        lines[decided.dec_seq] = BookedLine(
            id=Id(decided.conversion),
            window=decided.window,
            source_points=terms.source_points,
            destination_points=terms.destination_points,
            fee_points=terms.fee_points,
            value=terms.value,
        )

    def recovered(self, entry: Recovered) -> None:
        """Follow a word about a window that stands again."""
        body, partner = entry.body, entry.partner
        match body:
            case Close():
                self.relation(partner).closed.add(body.window)
            case StatementSigned() if len(body.signed.signatures) == len(body.signed.statement.parties):
                self._agree(partner, body.window, body.signed.statement)
            case PaymentAdvice() if body.window not in self.relation(partner).posted:
                self._pay(partner, body.window)
            case Receipt():
                self._pay(partner, body.window)
                self._confirm(partner, body.window)
            case _:
                return

    def _agree(self, partner: Ledger, window: int, statement: Statement) -> None:
        relation = self.relation(partner)
        before = relation.statements.get(window - 1)
        follows = (len(relation.statements) + 1, statement_digest(before) if before else None)
        self._require(
            (window, statement.previous) == follows, Invariant.BILLED_OTHERWISE, f"statement {window} follows another"
        )
        moved = {OUT: Moved(), IN: Moved()}
        for bill in statement.directions:
            way = OUT if bill.source == self._ledger else IN
            moved[way] = self._bill(relation, way, bill, window)
        relation.statements[window] = statement
        relation.moved[window] = moved
        relation.due += moved[OUT].billed - moved[IN].billed
        self._check_due(partner, relation)
        if statement.payer is None:
            self._confirm(partner, window)

    def _bill(self, relation: Relation, way: Way, bill: Bill, window: int) -> Moved:
        totals = bill.totals
        lines = [line for line in relation.lines[way].values() if line.window == window]
        stated = (totals.count, totals.source_points, totals.destination_points, totals.fee_points, totals.value)
        sums = (
            str(sum(getattr(line, name) for line in lines))
            for name in ("source_points", "destination_points", "fee_points", "value")
        )
        open_before, now_open = relation.disputed[way], {line.id: line.value for line in bill.disputed}
        listed = {line.id for line in bill.disputed if line.window < window} | {line.id for line in bill.adjustments}
        self._require(
            stated == (len(lines), *sums) and listed == open_before.keys(),
            Invariant.BILLED_OTHERWISE,
            f"statement {window} does not bill the {len(lines)} lines {way} and {len(open_before)} open disputes",
        )
        whole = [line for line in lines if line.id not in now_open]
        for conversion in (*(line.id for line in whole), *(line.id for line in bill.adjustments if line.value)):
            self._require(
                (way, conversion) not in relation.billed, Invariant.BILLED_TWICE, f"{conversion} is billed once more"
            )
            relation.billed.add((way, conversion))
        relation.disputed[way] = now_open
        ended = sum(open_before[line.id] for line in bill.adjustments)
        adjusted = sum(line.value for line in bill.adjustments)
        billed = sum(line.value for line in whole)
        return Moved(billed=billed + adjusted, written_off=ended - adjusted, settles=billed + ended)

    def _pay(self, partner: Ledger, window: int, *, back: bool = False) -> None:
        """Let money leave the payer or arrive at the payee; or come back to the payer."""
        relation = self.relation(partner)
        statement = relation.statements[window]
        amount = statement.amount if (statement.payer == self._ledger) != back else -statement.amount
        relation.due -= amount
        relation.paid += amount
        relation.posted ^= {window}
        self._check_due(partner, relation)

    def _confirm(self, partner: Ledger, window: int) -> None:
        relation = self.relation(partner)
        relation.confirmed.add(window)
        for way, moved in relation.moved[window].items():
            self._stakes.settled(partner, way, moved.settles)

    def _check_due(self, partner: Ledger, relation: Relation) -> None:
        """Raise unless what is due is the carry and what is still to be paid: nothing is rounded away."""
        last = relation.statements[max(relation.statements)]
        unpaid = sum(
            statement.amount if statement.payer == self._ledger else -statement.amount
            for window, statement in relation.statements.items()
            if window not in relation.posted and statement.payer is not None
        )
        wanted = unpaid + int(last.carry) * (1 if self._ledger == last.parties[0] else -1)
        self._require(relation.due == wanted, Invariant.DUE, f"{relation.due} is due with {partner}, not {wanted}")
