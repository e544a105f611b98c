"""Over random histories of two brands: no limit is ever passed, what is counted is what there is, points are conserved.

Orders, decisions, cancellations, force, refunds, payments and days come in any order; messages come late and twice.
"""

from typing import Final

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.agreement import Direction, InFlightLimits, MemberLimits, agreement_digest
from protocol.conversion import DestinationState, SourceState
from protocol.errors import Refusal
from protocol.identifiers import Account
from protocol.ledger import commands, names
from protocol.ledger.exposure import settle
from protocol.ledger.promotions import best_offer
from protocol.ledger.state import (
    BALANCES,
    EXPOSURE,
    IN,
    INCOMING,
    MEMBER_USE,
    OUT,
    OUTGOING,
    PROMOTION_USE,
    ExposureRecord,
    Way,
)
from protocol.ledger.view import Overlay
from protocol.messages import Body, Cancel, Fulfil, Prepare, Reject
from protocol.points import Step
from tests.property.invariants import check_invariants
from tests.support.documents import AURORA, BLUEBIRD, USD, agreement, direction, promotion, signed_agreement, uuid
from tests.support.ledger import MemoryLedger, Pair, holder, link, open_holder, order, pair_of, receive

CAP: Final = 40
FLIGHT_CONVERSIONS: Final = 4
FLIGHT_VALUE: Final = 25
FLIGHT: Final = InFlightLimits(conversions=FLIGHT_CONVERSIONS, value=FLIGHT_VALUE)
OUT_DAY: Final = 40
OUT_YEAR: Final = 90
IN_DAY: Final = 45
IN_YEAR: Final = 100
LIMITS: Final = MemberLimits(
    out_points_per_day=OUT_DAY, out_points_per_year=OUT_YEAR, in_points_per_day=IN_DAY, in_points_per_year=IN_YEAR
)
BEGIN: Final = "2026-03-01T00:00:00.000000Z"
BUDGET: Final = 60
OWED: Final = frozenset({SourceState.CAPTURED, SourceState.FORCED_OWED})
FRIEND: Final = holder("friend")
PRICE: Final = 2
STEP: Final = Step(source=4, destination=3)
SPRING: Final = Step(source=12, destination=12)

OPERATIONS: Final = st.lists(
    st.tuples(
        st.sampled_from(["order", "order", "order", "deliver", "deliver", "cancel", "force", "refund", "pay", "time"]),
        st.integers(0, 40),
        st.booleans(),
    ),
    max_size=60,
)


def pair() -> Pair:
    spring = promotion(
        starts_at="2026-03-01T00:00:00.000000Z",
        ends_at="2026-03-04T00:00:00.000000Z",
        step=SPRING,
        budget_points=BUDGET,
    )
    spring = msgspec.structs.replace(spring, price=PRICE)
    there = direction(
        step=STEP, price=PRICE, cap=CAP, in_flight=FLIGHT, member_limits=LIMITS,
        promotions=(spring,),
    )  # fmt: skip
    back = direction(BLUEBIRD, AURORA, step=Step(source=3, destination=2), price=PRICE, cap=CAP, in_flight=FLIGHT)
    made = pair_of(signed=signed_agreement(agreement(there=there, back=back)), points=2_000)
    friend = open_holder(made.source, "friend", points=2_000)
    link(made.source, made.destination, sender=friend, receiver=made.receiver)
    return made


class World:
    """Two ledgers and the bodies on their way."""

    def __init__(self) -> None:
        self.pair = pair()
        self.source, self.destination = self.pair.source, self.pair.destination
        self.bodies: list[Body] = []
        self.orders: list[str] = []
        self.paid = 0

    def play(self, operation: str, number: int, other: bool) -> None:
        acts = {
            "order": self.order,
            "deliver": self.deliver,
            "cancel": self.cancel,
            "force": self.force,
            "refund": self.refund,
            "pay": self.pay,
            "time": self.time,
        }
        try:
            acts[operation](number, other)
        except Refusal:
            return

    def order(self, number: int, other: bool) -> None:
        account = FRIEND if other else self.pair.sender
        self._ordered(self.source, account, number, None)

    def refund(self, number: int, _other: bool) -> None:
        self._ordered(self.destination, self.pair.receiver, 1 + number, self._old(number))

    def _ordered(self, ledger: MemoryLedger, account: Account, amount: int, refund_of: str | None) -> None:
        partner = self.destination if ledger is self.source else self.source
        name = f"order {len(self.orders)}"
        sealed = order(ledger, partner.name, account, amount, name=name, refund_of=refund_of)
        self.orders.append(name)
        self.bodies.append(ledger.body(sealed))

    def deliver(self, number: int, _other: bool) -> None:
        if self.bodies:
            self.arrive(self.bodies[-1 - number % len(self.bodies)])

    def arrive(self, body: Body) -> None:
        if isinstance(body, Prepare | Cancel):
            decider = self._named(body.destination)
            answer = decider.body(receive(decider, body))
            if answer not in self.bodies:
                self.bodies.append(answer)
        elif isinstance(body, Fulfil | Reject):
            receive(self._named(body.source), body)

    def _named(self, name: str) -> MemoryLedger:
        return self.source if name == self.source.name else self.destination

    def cancel(self, number: int, other: bool) -> None:
        ledger, conversion = self._ledger(other), uuid(self._old(number))
        command = commands.CancelConversion(id=names.cancel_id(conversion), conversion=conversion)
        self.bodies.append(ledger.body(ledger.execute(command)))

    def force(self, number: int, other: bool) -> None:
        conversion = uuid(self._old(number))
        command = commands.ForceRelease(id=uuid(f"force {conversion}"), conversion=conversion, reason="gone")
        self._ledger(other).execute(command)

    def _old(self, number: int) -> str:
        return self.orders[-1 - number % len(self.orders)] if self.orders else "nothing"

    def _ledger(self, other: bool) -> MemoryLedger:
        return self.destination if other else self.source

    def pay(self, number: int, _other: bool) -> None:
        """Settle some of what was captured at the source, at both ledgers."""
        rows = [row.value for _, row in self.source.state.rows(OUTGOING) if row.state in OWED]
        value = min(number, sum(rows) - self.paid)
        settle(self.source.state, BLUEBIRD.ledger, direction=OUT, value=value)
        settle(self.destination.state, AURORA.ledger, direction=IN, value=value)
        self.paid += value

    def time(self, number: int, _other: bool) -> None:
        for ledger in (self.source, self.destination):
            ledger.advance(seconds=number * 5, days=number // 35)

    def check(self) -> None:
        """Hold every limit and every count."""
        for ledger, way in ((self.source, OUT), (self.destination, OUT), (self.source, IN), (self.destination, IN)):
            found = exposure(ledger, way)
            assert found.open_value <= CAP
            assert found == counted(ledger, way, self.paid if (ledger is self.source) == (way == OUT) else 0)
            if way == OUT:
                assert found.conversions <= FLIGHT_CONVERSIONS
                assert found.value <= FLIGHT_VALUE
        for ledger in (self.source, self.destination):
            check_invariants(ledger.state, ledger.sealed)
            assert all(use.points <= BUDGET for _, use in ledger.state.rows(PROMOTION_USE))
            for (_, _, way), use in ledger.state.rows(MEMBER_USE):
                assert 0 <= use.day_points <= (OUT_DAY if way == OUT else IN_DAY)
                assert 0 <= use.year_points <= (OUT_YEAR if way == OUT else IN_YEAR)

    def finish(self) -> None:
        """Let every body arrive, the answers too, and hold what then must match."""
        for body in self.bodies:
            try:
                self.arrive(body)
            except Refusal:
                continue
        self.check()
        for ours, theirs in ((self.source, self.destination), (self.destination, self.source)):
            sent = dict(ours.state.rows(OUTGOING))
            for (_, _, conversion), row in theirs.state.rows(INCOMING):
                credited = row.state is DestinationState.CREDITED
                assert (sent[conversion].state in OWED) == credited
                assert sent[conversion].state is not SourceState.HELD
                assert (sent[conversion].refunded_steps == row.refunded_steps) or not credited
                assert row.refunded_steps <= row.steps
            assert money(ours, "payable/") == -money(theirs, "receivable/")
            assert money(ours, "contingent/") == 0


def exposure(ledger: MemoryLedger, way: Way) -> ExposureRecord:
    partner = BLUEBIRD.ledger if ledger.name == AURORA.ledger else AURORA.ledger
    return ledger.state.get(EXPOSURE, (partner, way)) or ExposureRecord()


def counted(ledger: MemoryLedger, way: Way, paid: int) -> ExposureRecord:
    """Return what is at stake, counted one by one."""
    if way == IN:
        posted = -money(ledger, "receivable/")
        return ExposureRecord(conversions=0, value=0, open_value=posted - paid)
    rows = [row for _, row in ledger.state.rows(OUTGOING)]
    held = [row.value for row in rows if row.state is SourceState.HELD]
    forced = [row.value for row in rows if row.state is SourceState.FORCED]
    owed = [row.value for row in rows if row.state in OWED]
    return ExposureRecord(conversions=len(held), value=sum(held), open_value=sum(held) + sum(forced) + sum(owed) - paid)


def money(ledger: MemoryLedger, prefix: str) -> int:
    rows = ledger.state.rows(BALANCES)
    return sum(row.amount for (account, asset), row in rows if asset == USD and account.startswith(prefix))


@settings(max_examples=60, deadline=None)
@given(OPERATIONS)
def test_no_history_passes_a_limit_or_loses_count(operations: list[tuple[str, int, bool]]) -> None:
    world = World()
    for operation, number, other in operations:
        world.play(operation, number, other)
        world.check()
    world.finish()


steps = st.builds(Step, source=st.integers(1, 50), destination=st.integers(1, 50))


@given(steps, st.integers(1, 500), st.integers(1, 500))
def test_splitting_a_conversion_never_yields_more(step: Step, first: int, second: int) -> None:
    assert gives(direction(step=step), first) + gives(direction(step=step), second) <= gives(
        direction(step=step), first + second
    )


@given(steps, steps, st.integers(1, 500))
def test_a_promotion_never_yields_less_than_the_own_step(own: Step, promoted: Step, amount: int) -> None:
    """And two orders can get more than one of both amounts: a promotion's step is per conversion."""
    spring = promotion(starts_at="2026-01-01T00:00:00.000000Z", step=promoted, budget_points=None)
    assert gives(direction(step=own, promotions=(spring,)), amount) >= gives(direction(step=own), amount)


def gives(terms: Direction, amount: int) -> int:
    view = Overlay(complete=True)
    cited = agreement_digest(agreement())
    try:
        offer = best_offer(view, cited, terms, amount=amount, at=BEGIN, life_seconds=0)
    except Refusal:
        return 0
    return offer.split.gives
