"""Whatever two ledgers did, wherever one of their logs was cut: no conversion diverges, no point is made or lost."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.conversion import DestinationState, SourceState
from protocol.entries import body_of
from protocol.errors import Refusal
from protocol.identifiers import Account, partner_of
from protocol.ledger.state import ACCOUNTS, BALANCES, INCOMING, OUTGOING
from protocol.messages import Fulfil, Prepare, Reject
from tests.support.documents import USD
from tests.support.ledger import (
    MemoryLedger,
    Pair,
    ask_cancel,
    command_of,
    issue,
    order,
    pair_of,
    receive,
)
from tests.support.recovering import check
from tests.support.succession import recovered

HEARD_BEFORE = ("id_reused", "conversion_decided", "conversion_unknown")
"""What a decision meets that was taken in before, or is about an order that nobody outside has heard of."""

ACTS = ("convert", "back", "decide", "order", "cancel", "issue", "late")
Story = Sequence[tuple[str, int]]


def lived(story: Story) -> Pair:
    """Return two ledgers after `story`: acts with a number of steps."""
    pair = pair_of(points=50_000)
    issue(pair.destination, pair.receiver, 50_000)
    for number, (act, steps) in enumerate(story):
        _live(pair, act, steps, name=f"{number}")
    return pair


def _live(pair: Pair, act: str, steps: int, *, name: str) -> None:
    one, other = pair.source, pair.destination
    if act == "issue":
        issue(one, pair.sender, steps)
        issue(other, pair.receiver, steps)
        return
    if act == "back":
        asked = other.body(order(other, one.name, pair.receiver, 250 * steps, name=name))
        receive(other, one.body(receive(one, asked)))
        return
    held = order(one, other.name, pair.sender, 400 * steps, name=name)
    if act == "order":
        return
    if act == "late":
        other.wall = max(other.wall, held.entry.time)
        other.advance(days=1)
        one.wall = other.wall
    wish = one.body(ask_cancel(one, name=name)) if act == "cancel" else None
    decided = receive(other, one.body(held) if wish is None else wish)
    if act != "decide":
        receive(one, other.body(decided))


def talk(one: MemoryLedger, other: MemoryLedger) -> None:
    """Let both ledgers say again whatever still stands, until nothing is undecided."""
    for sender, receiver in ((one, other), (other, one), (one, other)):
        for sealed in list(sender.sealed):
            body = body_of(sealed, ledger=sender.name)
            if isinstance(body, Prepare | Fulfil | Reject):
                _hear(receiver, body)


def _hear(receiver: MemoryLedger, body: Prepare | Fulfil | Reject) -> None:
    if isinstance(body, Prepare):
        record = receiver.state.get(INCOMING, (body.network, body.source, body.id))
        if record is not None:
            return
    try:
        receiver.execute(command_of(body))
    except Refusal as refusal:
        if refusal.code not in HEARD_BEFORE:
            raise


def money(ledger: MemoryLedger, kind: str, partner: MemoryLedger) -> int:
    record = ledger.state.get(BALANCES, (Account(f"{kind}/{partner_of(partner.name)}"), USD))
    return record.amount if record else 0


def agree_on_every_conversion(one: MemoryLedger, other: MemoryLedger) -> None:
    """Hold that what one has sent, the other has decided alike, to the millionth."""
    for key, sent in one.state.rows(OUTGOING):
        decided = other.state.get(INCOMING, (sent.network, one.name, key))
        credited = decided is not None and decided.state is DestinationState.CREDITED
        assert (sent.state is SourceState.CAPTURED) == credited, key
        assert decided is None or decided.prepare == sent.prepare
    for (_, source, key), decided in other.state.rows(INCOMING):
        if source == one.name and decided.state is DestinationState.CREDITED:
            assert one.state.get(OUTGOING, key) is not None
    assert money(one, "payable", other) == -money(other, "receivable", one)


def everything(ledger: MemoryLedger) -> int:
    """Return the sum of all balances in points."""
    own = sum(record.posted for _, record in ledger.state.rows(ACCOUNTS))
    return own + sum(record.amount for key, record in ledger.state.rows(BALANCES) if key[1] == ledger.side.points)


@settings(max_examples=60, deadline=None)
@given(
    story=st.lists(st.tuples(st.sampled_from(ACTS), st.integers(1, 9)), min_size=1, max_size=9),
    cut=st.integers(0, 60),
    brand=st.sampled_from(("source", "destination")),
)
def test_no_conversion_diverges_and_no_point_is_made_or_lost(story: Story, cut: int, brand: str) -> None:
    pair = lived(story)
    lost, partner = (pair.source, pair.destination) if brand == "source" else (pair.destination, pair.source)
    ledger = recovered(lost, 3 + cut % (len(lost.sealed) - 3), partner)
    talk(ledger, partner)
    check(ledger)
    for one, other in ((ledger, partner), (partner, ledger)):
        agree_on_every_conversion(one, other)
        assert everything(one) == 0
    assert all(record.state is not SourceState.HELD for _, record in ledger.state.rows(OUTGOING))


@settings(max_examples=30, deadline=None)
@given(
    story=st.lists(st.tuples(st.sampled_from(ACTS), st.integers(1, 9)), min_size=2, max_size=8),
    cuts=st.tuples(st.integers(0, 40), st.integers(0, 40)),
)
def test_a_ledger_that_is_put_back_twice_comes_back_twice(story: Story, cuts: tuple[int, int]) -> None:
    pair = lived(story)
    first = 3 + cuts[0] % (len(pair.source.sealed) - 3)
    once = recovered(pair.source, first, pair.destination)
    second = first + 1 + cuts[1] % (len(once.sealed) - first - 1)
    twice = recovered(once, second, pair.destination)
    talk(twice, pair.destination)
    check(twice)
    agree_on_every_conversion(twice, pair.destination)
