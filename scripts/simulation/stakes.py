"""What is at stake with partners, as one ledger's entries have it: caps, flight, members' limits, budgets, refunds.

Reckoned anew, entry by entry, and held against the agreement that each conversion cites; then compared with the rows.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from protocol.agreement import Direction
from protocol.conversion import SourceState
from protocol.entries import AgreementEntered, ConversionCredited, ConversionHeld
from protocol.identifiers import Account, Asset, Id, Ledger, partner_of
from protocol.ledger.postings import is_holder
from protocol.ledger.state import EXPOSURE, IN, MEMBER_USE, OUT, PROMOTION_USE, Way
from scripts.simulation.invariants import Invariant
from scripts.simulation.store import State

Require: TypeAlias = Callable[[object, Invariant, str], None]
_Member: TypeAlias = tuple[Account, Ledger, Way, str]
_GIVEN_BACK: Final = (SourceState.RELEASED, SourceState.FORCED_CLEARED)


@dataclass(slots=True)
class Stake:
    """One direction with one partner: undecided conversions, their value, and all that is not yet settled."""

    conversions: int = 0
    value: int = 0
    open_value: int = 0


class Stakes:
    """Follows one ledger's conversions; `require` raises for what it is told does not hold."""

    def __init__(self, ledger: Ledger, require: Require) -> None:
        self._ledger = ledger
        self._require = require
        self._judging = True
        self._directions: dict[tuple[str, Ledger], Direction] = {}
        self._stakes: dict[tuple[Ledger, Way], Stake] = {}
        self._promoted: Counter[tuple[str, Ledger, str]] = Counter()
        self._members: Counter[_Member] = Counter()
        self._originals: dict[tuple[Ledger, Id], int] = {}
        self._refunded: Counter[tuple[Ledger, Id]] = Counter()
        self._contingent: Counter[Ledger] = Counter()
        self._lost: Counter[Ledger] = Counter()

    def agreed(self, entry: AgreementEntered) -> None:
        """Know the terms of an agreement by the digest that its entry is named for."""
        for direction in entry.signed.agreement.directions:
            self._directions[entry.id.partition("/")[2], direction.source] = direction

    def held(self, entry: ConversionHeld, *, again: bool = False) -> None:
        """Reserve what an order puts at stake at its source; one that stands `again` was judged when it was made."""
        self._judging = not again
        direction = self._directions[entry.agreement, self._ledger]
        stake = self._stakes.setdefault((entry.destination, OUT), Stake())
        stake.conversions += 1
        stake.value += entry.value
        self._open(entry, stake, direction)
        flight = direction.in_flight
        self._within(flight.conversions, stake.conversions, Invariant.IN_FLIGHT_PASSED, "conversions are undecided")
        self._within(flight.value, stake.value, Invariant.IN_FLIGHT_PASSED, "millionths are undecided")
        self._originals[self._ledger, Id(entry.conversion)] = entry.source_points
        if entry.refund_of is not None:
            self._refund((entry.destination, Id(entry.refund_of)), entry.source_points)
            return
        self._promote(entry, direction)
        limits = direction.member_limits
        if is_holder(entry.account):
            self._use(
                (entry.account, entry.destination, OUT),
                (entry.source_points, entry.time),
                limits=(limits.out_points_per_day, limits.out_points_per_year),
            )

    def credited(self, entry: ConversionCredited, *, again: Account | None = None) -> None:
        """Reserve what a credit puts at stake at its destination; `again` is whose it is where it stands again."""
        self._judging = again is None
        direction = self._directions[entry.agreement, entry.source]
        self._open(entry, self._stakes.setdefault((entry.source, IN), Stake()), direction)
        self._originals[entry.source, Id(entry.conversion)] = entry.destination_points
        if entry.refund_of is not None:
            self._refund((self._ledger, Id(entry.refund_of)), entry.destination_points)
            return
        self._promote(entry, direction)
        holder = next((posting.account for posting in entry.postings if is_holder(posting.account)), None)
        limits = direction.member_limits
        if holder is not None:
            self._use(
                (holder, entry.source, IN),
                (entry.destination_points, entry.time),
                limits=(limits.in_points_per_day, limits.in_points_per_year),
            )

    def concluded(self, entry: ConversionHeld, before: SourceState, after: SourceState) -> None:
        """Free what `entry` no longer puts at stake."""
        stake = self._stakes[entry.destination, OUT]
        if before is SourceState.HELD:
            stake.conversions -= 1
            stake.value -= entry.value
            if after is not SourceState.CAPTURED:
                self._unuse(entry)
        if after in _GIVEN_BACK:
            stake.open_value -= entry.value
            if entry.refund_of is not None:
                self._refunded[entry.destination, Id(entry.refund_of)] -= entry.source_points
            elif entry.promotion is not None:
                self._promoted[entry.agreement, self._ledger, entry.promotion] -= entry.destination_points
        self._contingent[entry.destination] += entry.value * (
            (after is SourceState.FORCED) - (before is SourceState.FORCED)
        )
        self._lost[entry.destination] += entry.value * (
            (after is SourceState.FORCED) - (after is SourceState.FORCED_CLEARED)
        )

    def settled(self, partner: Ledger, way: Way, value: int) -> None:
        """Free what is paid and confirmed."""
        self._stakes.setdefault((partner, way), Stake()).open_value -= value

    def compare(self, state: State, money: Counter[tuple[Account, Asset]]) -> None:
        """Raise unless the derived rows, and the balances `money`, are what was reckoned here."""
        exposure = {key: (row.conversions, row.value, row.open_value) for key, row in state.table(EXPOSURE).items()}
        reckoned = {key: (each.conversions, each.value, each.open_value) for key, each in self._stakes.items()}
        self._same("exposure", exposure, reckoned)
        self._same(
            "use of promotions", {key: row.points for key, row in state.table(PROMOTION_USE).items()}, self._promoted
        )
        for (account, partner, way), row in state.table(MEMBER_USE).items():
            found = (self._members[account, partner, way, row.day], self._members[account, partner, way, row.year])
            self._same("use by members", (row.day_points, row.year_points), found)
        for partner in self._contingent:
            name = partner_of(partner)
            amounts = [
                sum(money[key] for key in money if key[0] == f"{kind}/{name}") for kind in ("contingent", "loss")
            ]
            wanted = [self._contingent[partner], -self._lost[partner]]
            self._require(
                amounts == wanted,
                Invariant.CONTINGENT,
                f"contingent and loss with {partner} are {amounts}, not {wanted}",
            )

    def _open(self, entry: ConversionHeld | ConversionCredited, stake: Stake, direction: Direction) -> None:
        stake.open_value += entry.value
        self._within(direction.cap, stake.open_value, Invariant.CAP_PASSED, "millionths are undecided, owed or unpaid")

    def _promote(self, entry: ConversionHeld | ConversionCredited, direction: Direction) -> None:
        if entry.promotion is None:
            return
        key = (entry.agreement, direction.source, entry.promotion)
        self._promoted[key] += entry.destination_points
        (promotion,) = (each for each in direction.promotions if each.name == entry.promotion)
        self._within(
            promotion.budget_points,
            self._promoted[key],
            Invariant.BUDGET_PASSED,
            f"points of {entry.promotion} are given",
        )

    def _refund(self, original: tuple[Ledger, Id], points: int) -> None:
        self._refunded[original] += points
        self._within(
            self._originals.get(original, 0),
            self._refunded[original],
            Invariant.REFUNDED_TOO_MUCH,
            f"points of {original[1]} go back",
        )

    def _use(
        self,
        member: tuple[Account, Ledger, Way],
        used: tuple[int, str],
        *,
        limits: tuple[int | None, int | None],
    ) -> None:
        if limits == (None, None):
            return
        points, time = used
        for period, limit in zip((time[:10], time[:4]), limits, strict=True):
            self._members[*member, period] += points
            self._within(
                limit, self._members[*member, period], Invariant.MEMBER_LIMIT_PASSED, f"points {member[2]} in {period}"
            )

    def _unuse(self, entry: ConversionHeld) -> None:
        limits = self._directions[entry.agreement, self._ledger].member_limits
        if not is_holder(entry.account):
            return
        if entry.refund_of is None and (limits.out_points_per_day, limits.out_points_per_year) != (None, None):
            for period in (entry.time[:10], entry.time[:4]):
                self._members[entry.account, entry.destination, OUT, period] -= entry.source_points

    def _within(self, limit: int | None, amount: int, invariant: Invariant, what: str) -> None:
        holds = not self._judging or limit is None or amount <= limit
        self._require(holds, invariant, f"{amount} {what}, where {limit} may be")

    def _same(self, what: str, found: object, reckoned: object) -> None:
        self._require(found == reckoned, Invariant.RESERVED_OTHERWISE, f"the {what} is {found}, not {reckoned}")
