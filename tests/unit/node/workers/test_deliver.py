"""Delivery on its threads, in real time: two nodes that convert both ways at once, while others order and ask."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node.ports import TransportFailed
from node.workers.deliver import Deliver
from protocol.conversion import SourceState
from protocol.fields import format_time
from protocol.identifiers import Id
from tests.support.documents import AURORA, BLUEBIRD
from tests.support.nodes import POINTS, Alliance, FakeClock, LocalNode, alliance, convert, make_alliance

SECONDS_MAX = 60
ORDERS = 10


class RealClock(FakeClock):
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Alliance]:
    sides, clock = (AURORA, BLUEBIRD), RealClock()
    make_alliance(tmp_path, sides, clock=clock)
    with alliance(tmp_path, sides, clock=clock) as nodes:
        yield nodes


@contextmanager
def delivering(node: LocalNode) -> Iterator[Deliver]:
    """Run a node's delivery as its process does."""
    deliver = Deliver(node.exchange, node.clock)
    stopping = threading.Event()

    def loop() -> None:
        while not stopping.is_set():
            deliver.step()
            deliver.wait(0.2)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield deliver
    finally:
        stopping.set()
        thread.join(SECONDS_MAX)
        deliver.close()


def await_captured(node: LocalNode, conversions: list[Id]) -> None:
    end = time.monotonic() + SECONDS_MAX
    while any(node.outgoing(one).state is SourceState.HELD for one in conversions):
        assert time.monotonic() < end, "the conversions do not end"
        time.sleep(0.01)
    assert {node.outgoing(one).state for one in conversions} == {SourceState.CAPTURED}


def test_conversions_both_ways_at_once_all_end(two: Alliance) -> None:
    first, second = two.pair
    made: dict[str, list[Id]] = {"there": [], "back": []}

    def order(source: LocalNode, destination: LocalNode, name: str, amount: int) -> None:
        made[name] += [convert(source, destination, name=f"{name} {each}", amount=amount) for each in range(ORDERS)]

    with ExitStack() as running:
        for node in two.nodes:
            running.enter_context(delivering(node))
        threads = [
            threading.Thread(target=order, args=(first, second, "there", 400)),
            threading.Thread(target=order, args=(second, first, "back", 250)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS_MAX)
        await_captured(first, made["there"])
        await_captured(second, made["back"])
    assert first.account().posted == POINTS + ORDERS * (360 - 400)
    assert second.account().posted == POINTS + ORDERS * (250 - 250)
    # At worst every word, with its acknowledgement, has its own request; nothing is said for ever.
    assert len(two.network.requests) <= 8 * ORDERS + 20
    for node in two.nodes:
        node.replay()


def test_a_partner_that_hangs_holds_up_nobody_else_and_is_asked_once(
    two: Alliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = two.pair
    asked, go = threading.Event(), threading.Event()
    calls = []

    def hang(url: str, parcel: bytes) -> bytes:
        calls.append(url)
        asked.set()
        assert go.wait(SECONDS_MAX)
        raise TransportFailed("no answer")

    monkeypatch.setattr(two.network, "exchange", hang)
    deliver = Deliver(first.exchange, first.clock)
    deliver.step()
    assert asked.wait(SECONDS_MAX)
    for _ in range(3):
        deliver.step()
    assert len(calls) == 1
    go.set()
    deliver.close()
    peer = first.exchange.peer(BLUEBIRD.ledger)
    assert (peer.sending, peer.failures, peer.last_failure) == (False, 1, "no answer")


@pytest.mark.parametrize("bug", [ValueError("a bug"), KeyError("another")])
def test_a_bug_in_sending_does_not_keep_a_partner_from_being_asked_again(
    two: Alliance, monkeypatch: pytest.MonkeyPatch, bug: Exception
) -> None:
    first, second = two.pair

    def fail(url: str, parcel: bytes) -> bytes:
        raise bug

    with monkeypatch.context() as patched:
        patched.setattr(two.network, "exchange", fail)
        assert first.deliver_due() == 1
    peer = first.exchange.peer(second.ledger)
    assert (peer.sending, peer.failures) == (False, 1)
    assert peer.due_in(first.clock.monotonic()) <= 0.2


def test_times_are_real_here(two: Alliance) -> None:
    assert two.nodes[0].entries()[0].time <= format_time(datetime.now(UTC))
