"""What two brands convert is conserved, after every step of any history: points by their steps, money to the millionth.

Orders, decisions, conclusions, cancellations and refunds come in any order, messages late and twice. Everything is read
off the two ledgers' accounts, and compared with the conversions that they know.
"""

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.agreement import Agreement, Fee
from protocol.conversion import DestinationState, SourceState
from protocol.errors import Refusal
from protocol.identifiers import Account, Id, partner_of
from protocol.ledger.state import ACCOUNTS, BALANCES, INCOMING, OUTGOING, IncomingRecord, OutgoingRecord
from protocol.messages import Body, Cancel, Fulfil, Prepare, Reject
from protocol.points import Step
from tests.support.documents import AURORA, BLUEBIRD, USD, agreement, direction, signed_agreement
from tests.support.ledger import MemoryLedger, ask_cancel, issue, order, pair_of, receive

START: Final = 500
NUMBERS: Final = st.integers(1, 9)
STEPS: Final = st.builds(Step, source=NUMBERS, destination=NUMBERS)
FEES: Final = st.builds(Fee, points_per_conversion=st.integers(0, 3), points_per_step=st.integers(0, 2))
OPERATIONS: Final = st.lists(
    st.tuples(
        st.sampled_from(["order", "order", "deliver", "deliver", "cancel", "refund"]),
        st.integers(0, 60),
        st.booleans(),
    ),
    max_size=40,
)


@st.composite
def terms(draw: st.DrawFn) -> Agreement:
    """Draw an agreement with any steps, prices and fees under which no round trip makes points."""
    there = draw(STEPS)
    back = Step(source=there.destination + draw(st.integers(0, 3)), destination=there.source)
    directions = (
        direction(*sides, step=step, price=draw(st.integers(0, 9)), fee=draw(FEES))
        for sides, step in (((AURORA, BLUEBIRD), there), ((BLUEBIRD, AURORA), back))
    )
    first, second = directions
    return agreement(there=first, back=second)


class History:
    """Two ledgers, and every body that was ever said."""

    def __init__(self, document: Agreement) -> None:
        pair = pair_of(signed=signed_agreement(document), points=START, needs=False)
        issue(pair.destination, pair.receiver, START)
        self.ledgers = (pair.source, pair.destination)
        self.members = (pair.sender, pair.receiver)
        self.document = document
        self.said: list[Body] = []
        self.orders: list[tuple[str, int]] = []

    def play(self, operation: str, number: int, other: bool) -> None:
        acts: Mapping[str, Callable[[int, int], None]] = {
            "order": self.order,
            "deliver": self.deliver,
            "cancel": self.cancel,
            "refund": self.refund,
        }
        try:
            acts[operation](number, int(other))
        except Refusal:
            return

    def order(self, number: int, side: int, *, refund_of: str | None = None) -> None:
        ours, theirs = self.ledgers[side], self.ledgers[1 - side]
        name = f"order {len(self.orders)}"
        sealed = order(ours, theirs.name, self.members[side], number, name=name, refund_of=refund_of)
        self.orders.append((name, side))
        self.said.append(ours.body(sealed))

    def refund(self, number: int, _side: int) -> None:
        if self.orders:
            original, side = self.orders[number % len(self.orders)]
            self.order(1 + number, 1 - side, refund_of=original)

    def cancel(self, number: int, _side: int) -> None:
        if self.orders:
            name, side = self.orders[number % len(self.orders)]
            self.said.append(self.ledgers[side].body(ask_cancel(self.ledgers[side], name=name)))

    def deliver(self, number: int, _side: int) -> None:
        if self.said:
            self.arrive(self.said[-1 - number % len(self.said)])

    def arrive(self, body: Body) -> None:
        assert isinstance(body, Prepare | Cancel | Fulfil | Reject)
        asking = isinstance(body, Prepare | Cancel)
        receiver = next(one for one in self.ledgers if one.name == (body.destination if asking else body.source))
        sealed = receive(receiver, body)
        if asking and receiver.body(sealed) not in self.said:
            self.said.append(receiver.body(sealed))

    def finish(self) -> None:
        """Let everything arrive, the answers too."""
        for body in self.said:
            try:
                self.arrive(body)
            except Refusal:
                continue

    def check(self) -> None:
        for source, destination in (self.ledgers, self.ledgers[::-1]):
            Way(source, destination, self.document).check()
        for ledger, member in zip(self.ledgers, self.members, strict=True):
            check_member(ledger, member)


class Way:
    """The conversions from one ledger to another, as each of them knows them."""

    def __init__(self, source: MemoryLedger, destination: MemoryLedger, document: Agreement) -> None:
        self.source, self.destination = source, destination
        self.sent: dict[Id, OutgoingRecord] = dict(source.state.rows(OUTGOING))
        rows = destination.state.rows(INCOMING)
        self.decided: dict[Id, IncomingRecord] = {key[2]: row for key, row in rows}
        self.document = document

    def of(self, *states: SourceState) -> list[OutgoingRecord]:
        return [row for row in self.sent.values() if row.state in states]

    def check(self) -> None:
        captured = self.of(SourceState.CAPTURED)
        credited = [self.sent[key] for key, row in self.decided.items() if row.state is DestinationState.CREDITED]
        # What is taken was credited, and what was given back was not.
        assert {row.prepare for row in captured} <= {row.prepare for row in credited}
        assert not {row.prepare for row in self.of(SourceState.RELEASED)} & {row.prepare for row in credited}
        ours, theirs = partner_of(self.destination.name), partner_of(self.source.name)
        assert balance(self.source, f"converted_out/{ours}") == total(row.source_points for row in captured)
        assert balance(self.destination, f"converted_in/{theirs}") == -total(row.destination_points for row in credited)
        # Money that one owes is what the other expects, but for what is on its way.
        payable = balance(self.source, f"payable/{ours}", money=True)
        receivable = balance(self.destination, f"receivable/{theirs}", money=True)
        waiting = [row for row in credited if row.state is SourceState.HELD]
        assert payable == total(row.value for row in captured)
        assert -receivable - payable == total(row.value for row in waiting)
        for row in credited:
            assert Fraction(row.destination_points, row.source_points) == self.ratio(row)

    def ratio(self, row: OutgoingRecord) -> Fraction:
        """Return what one point gives: by the direction's step, or back by that of the original."""
        there, back = (
            next(each.step for each in self.document.directions if each.source == ledger.name)
            for ledger in (self.source, self.destination)
        )
        if row.refund_of is None:
            return Fraction(there.destination, there.source)
        return Fraction(back.source, back.destination)


def total(amounts: Iterable[int]) -> int:
    return sum(amounts)


def balance(ledger: MemoryLedger, account: str, *, money: bool = False) -> int:
    record = ledger.state.get(BALANCES, (Account(account), USD if money else ledger.side.points))
    return record.amount if record else 0


def check_member(ledger: MemoryLedger, member: Account) -> None:
    """Hold that a member has what was issued and came in, less what went out and the fees; what is held is theirs."""
    record = ledger.state.get(ACCOUNTS, member)
    assert record is not None
    rows = [row for _, row in ledger.state.rows(OUTGOING)]
    held = [row for row in rows if row.state is SourceState.HELD]
    flows = sum(
        row.amount
        for (account, asset), row in ledger.state.rows(BALANCES)
        if asset == ledger.side.points and account.partition("/")[0] != "issuance"
    )
    assert record.posted == START - flows
    assert record.held == sum(row.source_points + row.fee_points for row in held)


@settings(max_examples=60, deadline=None)
@given(document=terms(), operations=OPERATIONS)
def test_points_and_money_of_a_pair_are_conserved(document: Agreement, operations: list[tuple[str, int, bool]]) -> None:
    history = History(document)
    for operation, number, other in operations:
        history.play(operation, number, other)
        history.check()
    history.finish()
    history.check()
    for ledger in history.ledgers:
        assert not [row for _, row in ledger.state.rows(OUTGOING) if row.state is SourceState.HELD]


def test_the_checks_see_a_decision_that_never_was() -> None:
    """A conclusion that no decision stands behind is caught by these very checks."""
    history = History(agreement())
    history.order(400, 0)
    history.deliver(0, 0)
    history.deliver(0, 0)
    history.check()
    key = next(key for key, _ in history.ledgers[1].state.rows(INCOMING))
    row = history.ledgers[1].state.get(INCOMING, key)
    assert row is not None
    history.ledgers[1].state.put(INCOMING, key, msgspec.structs.replace(row, state=DestinationState.REFUSED))
    with pytest.raises(AssertionError):
        history.check()
