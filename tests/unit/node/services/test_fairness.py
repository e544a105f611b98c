"""What one partner sends, or leaves waiting, holds up neither another partner nor those who order."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import cast

import pytest

from node.engine.work import Desk
from node.ports import Clock
from node.services.channel.exchange import Exchange
from node.services.channel.peer import POSTS_MAX
from node.services.channel.streams import FRAMES_AHEAD_MAX
from node.services.refusals import NodeRefusal
from node.workers.deliver import Deliver
from protocol.envelope import decode_parcel
from protocol.fields import format_time, later
from protocol.identifiers import Ledger
from protocol.ledger.commands import IssuePoints, OrderConversion
from protocol.ledger.view import Need, Overlay
from protocol.limits import ENVELOPE_FRAMES_MAX
from tests.support.documents import uuid
from tests.support.nodes import ANN, Alliance, FakeClock, LocalNode, convert

SECONDS_MAX = 60


class Standstill:
    """A work that keeps the writer until it is let go."""

    def __init__(self) -> None:
        self.begun, self.end = threading.Event(), threading.Event()

    def needs(self, _view: Overlay) -> Iterator[Need]:
        return iter(())

    def run(self, _desk: Desk) -> None:
        self.begun.set()
        self.end.wait(SECONDS_MAX)


@contextmanager
def at_a_standstill(node: LocalNode) -> Iterator[None]:
    """Keep the node's writer busy."""
    work = Standstill()
    done = node.writer.submit(work)
    work.begun.wait(SECONDS_MAX)
    try:
        yield
    finally:
        work.end.set()
        done.result(SECONDS_MAX)


def test_a_long_outbox_is_framed_a_bit_at_a_time_and_every_partner_gets_its_turn(three: Alliance) -> None:
    source, flooded, other = three.nodes
    three.talk()
    accept_by = later(format_time(source.clock.now()), seconds=600)
    orders = [
        OrderConversion(
            id=uuid(f"flood {number}"), account=ANN, destination=flooded.ledger, amount=800, accept_by=accept_by
        )
        for number in range(FRAMES_AHEAD_MAX + 10)
    ]
    source.do(IssuePoints(id=uuid("many points"), account=ANN, amount=10_000_000), *orders)
    alone = convert(source, other, name="alone")
    assert set(source.exchange.due(source.clock.monotonic())) == {flooded.ledger, other.ledger}
    assert len(source.exchange.peer(flooded.ledger).outgoing.frames) == FRAMES_AHEAD_MAX
    sent = decode_parcel(source.exchange.reply(other.ledger))
    assert [alone.encode() in body for body in sent.bodies] == [True]
    assert len(decode_parcel(source.exchange.reply(flooded.ledger)).bodies) == ENVELOPE_FRAMES_MAX


def test_one_partners_parcels_do_not_fill_the_writers_queue(three: Alliance) -> None:
    node, flooding, other = three.nodes
    three.talk()
    with at_a_standstill(node):
        posts = [node.exchange.receive(flooding.exchange.reply(node.ledger), posted=True) for _ in range(POSTS_MAX)]
        with pytest.raises(NodeRefusal) as refused:
            node.exchange.receive(flooding.exchange.reply(node.ledger), posted=True)
        assert refused.value.code == "busy"
        posts.append(node.exchange.receive(other.exchange.reply(node.ledger), posted=True))
        # What answers a post of our own is one, and never refused.
        posts.append(node.exchange.receive(flooding.exchange.reply(node.ledger)))
    assert [each.result(SECONDS_MAX) for _, each in posts] == [0] * len(posts)
    assert node.exchange.receive(flooding.exchange.reply(node.ledger), posted=True)[1].result(SECONDS_MAX) == 0


def test_a_parcel_that_cannot_be_taken_in_is_counted_no_longer(three: Alliance) -> None:
    node, sender, _ = three.nodes
    three.talk()
    node.writer.close()
    for _ in range(POSTS_MAX + 1):
        with pytest.raises(Exception, match="stopping"):
            node.exchange.receive(sender.exchange.reply(node.ledger), posted=True)
    assert node.exchange.peer(sender.ledger).posts == 0


class Hanging:
    """An exchange whose partners are all due; each but the last hangs until it is let go."""

    def __init__(self, count: int) -> None:
        self.ledgers = [Ledger(f"hanging{number}.example/main.1") for number in range(count)]
        self.let_go, self.reached = threading.Event(), threading.Event()
        self.begun: list[Ledger] = []

    def due(self, _now: float) -> list[Ledger]:
        return self.ledgers

    def begin(self, ledger: Ledger) -> None:
        self.begun.append(ledger)

    def deliver(self, ledger: Ledger) -> None:
        if ledger == self.ledgers[-1]:
            self.reached.set()
        else:
            self.let_go.wait(SECONDS_MAX)


def test_partners_that_hang_do_not_keep_another_waiting() -> None:
    hanging = Hanging(100)
    deliver = Deliver(cast("Exchange", hanging), cast("Clock", FakeClock()))
    try:
        with ThreadPoolExecutor(1) as one:
            one.submit(deliver.step).result(SECONDS_MAX)
        assert hanging.reached.wait(SECONDS_MAX)
        assert hanging.begun == hanging.ledgers
    finally:
        hanging.let_go.set()
        deliver.close()
