"""What a pair's week comes to, from both ledgers' entries and from the statements, each counted apart."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from protocol.statement import Bill, Statement
from scripts.alliance.brands import Brand
from tests.support import recount
from tests.support.recount import Balances, Entry, Line, Place
from tests.support.week import Week
from tests.support.week_members import PEOPLE, POINTS
from tests.support.week_terms import FIRST, Pair


@dataclass(frozen=True, kw_only=True, repr=False)
class Settled:
    """One pair after the week: its statements by window, every line by where it stands, and both logs."""

    pair: Pair
    statements: Sequence[Statement]
    lines: Mapping[Place, Line]
    entries: Mapping[Brand, Sequence[Entry]]

    @property
    def parties(self) -> tuple[str, str]:
        """Return the names of both ledgers."""
        return self.pair[0].ledger, self.pair[1].ledger

    def partner(self, brand: Brand) -> Brand:
        """Return the other brand of the pair."""
        return self.pair[1] if brand is self.pair[0] else self.pair[0]

    def lines_of(self, source: Brand, window: int | None = None) -> list[Line]:
        """Return the lines out of one ledger, in one window or in all."""
        return [line for line in self.lines.values() if line.source == source.ledger and window in {None, line.window}]

    def decided(self) -> dict[Place, Line]:
        """Return the same lines as those who decided them have them."""
        found = chain.from_iterable(
            recount.lines_decided(self.entries[brand], brand.ledger).items() for brand in self.pair
        )
        return {place: line for place, line in found if {line.source, line.destination} == set(self.parties)}

    def bills(self, source: Brand) -> list[Bill]:
        """Return the bills of conversions out of one ledger, by window."""
        bills = chain.from_iterable(statement.directions for statement in self.statements)
        return [bill for bill in bills if bill.source == source.ledger]

    # --- Sums of one direction, in millionths.

    def value(self, source: Brand) -> int:
        """Return what all conversions out of one ledger are worth, by both ledgers' entries."""
        return sum(line.value for line in self.lines_of(source))

    def billed(self, source: Brand) -> int:
        """Return what the statements bill for conversions out of one ledger."""
        return sum(billed_by(bill, window) for window, bill in enumerate(self.bills(source), 1))

    def in_dispute(self, source: Brand) -> int:
        """Return what the last statement leaves in dispute."""
        return sum(line.value for line in self.bills(source)[-1].disputed)

    def given_up(self, source: Brand) -> int:
        """Return what will not be billed of lines whose dispute ended, and what was billed and given back."""
        destination = self.partner(source).ledger
        lost = 0
        for line in chain.from_iterable(bill.adjustments for bill in self.bills(source)):
            whole = self.lines[source.ledger, destination, line.dec_seq].value
            lost += -line.value if line.value < 0 else whole - line.value
        return lost

    def paid(self) -> int:
        """Return what the first party has paid the second, less what came back the other way, by both ledgers' books.

        Of payments of one window the last one counts, and only if its payee has confirmed it.
        """
        minor_unit, total = FIRST[self.pair].minor_unit, 0
        for sign, payer in zip((1, -1), self.pair, strict=True):
            payee = self.partner(payer)
            made = {
                entry.window: int(entry.minor_units) * minor_unit
                for entry in recount.of_kind(self.entries[payer], "payment_made")
                if entry.partner == payee.ledger
            }
            arrived = {
                entry.window
                for entry in recount.of_kind(self.entries[payee], "payment_confirmed")
                if entry.partner == payer.ledger
            }
            assert made.keys() == arrived
            total += sign * sum(made.values())
        return total


def billed_by(bill: Bill, window: int) -> int:
    """Return what one bill adds to the balance, in millionths."""
    withheld = sum(line.value for line in bill.disputed if line.window == window)
    return int(bill.totals.value) - withheld + sum(line.value for line in bill.adjustments)


def settled_of(week: Week, pair: Pair, entries: Mapping[Brand, Sequence[Entry]]) -> Settled:
    """Return what is known of one pair."""
    first, second = pair
    sent = [recount.lines_sent(entries[brand], brand.ledger).items() for brand in pair]
    parties = {first.ledger, second.ledger}
    return Settled(
        pair=pair,
        statements=[week.signed(row.digest, first).statement for row in week.statements(first, second)],
        lines={place: line for place, line in chain.from_iterable(sent) if {line.source, line.destination} == parties},
        entries={brand: entries[brand] for brand in pair},
    )


def name_of(partner: Brand) -> str:
    """Return how accounts name a partner: its ledger without the generation."""
    return partner.ledger.removesuffix(".1")


def expected_balances(brand: Brand, pairs: Iterable[Settled]) -> Balances:
    """Return what a brand's structural and money accounts must hold after the week; all others must be empty."""
    sums: defaultdict[tuple[str, str], int] = defaultdict(int)
    sums["issuance", brand.points] = -PEOPLE * POINTS
    for pair in pairs:
        if brand in pair.pair:
            _add_pair(sums, brand, pair)
    return {key: amount for key, amount in sums.items() if amount}


def _add_pair(sums: defaultdict[tuple[str, str], int], brand: Brand, pair: Settled) -> None:
    partner = pair.partner(brand)
    name, currency = name_of(partner), FIRST[pair.pair].currency
    ours, theirs = pair.lines_of(brand), pair.lines_of(partner)
    sums["fees", brand.points] += sum(line.fee_points for line in ours)
    sums[f"converted_out/{name}", brand.points] = sum(line.source_points for line in ours)
    sums[f"converted_in/{name}", brand.points] = -sum(line.destination_points for line in theirs)
    sign = 1 if brand is pair.pair[0] else -1
    sums[f"payable/{name}", currency] = pair.in_dispute(brand)
    sums[f"receivable/{name}", currency] = -pair.in_dispute(partner)
    sums[f"due/{name}", currency] = sign * int(pair.statements[-1].carry)
    sums[f"paid/{name}", currency] = sign * pair.paid()
    sums[f"conversion_cost/{name}", currency] = pair.given_up(brand) - pair.value(brand)
    sums[f"conversion_income/{name}", currency] = pair.value(partner) - pair.given_up(partner)
