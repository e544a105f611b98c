"""What the tests of the exchange say to a node and look for in it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
import pytest

from node.engine.work import Desk
from node.store.errors import StoreFailed
from node.store.rows import CommitRecord, Write
from protocol.fields import format_time, later
from protocol.identifiers import Alias
from protocol.ledger.view import Need, Overlay
from protocol.messages import Cancel, Error, Fulfil, Prepare, Query, Reject
from tests.support.documents import AURORA, BLUEBIRD, NETWORK, digest_of_body, hex_16, prepare, uuid
from tests.support.nodes import POINTS, LocalNode

ALIAS: Final = Alias(hex_16(f"{BLUEBIRD.ledger} {AURORA.ledger}"))
"""By which AURORA knows ann's account at BLUEBIRD."""

SECONDS_MAX: Final = 60
Word = Prepare | Cancel | Query | Fulfil | Reject | Error


def asked(node: LocalNode, *, name: str = "conversion", steps: int = 2) -> Prepare:
    """Return a PREPARE of AURORA that `node`, BLUEBIRD's, can credit."""
    ((cited, _),) = node.reader.agreements(AURORA.ledger)
    now = format_time(node.clock.now())
    return prepare(
        conversion=uuid(name), steps=steps, alias=ALIAS, created_at=now, accept_by=later(now, seconds=60), cited=cited
    )


def non_decision(about: Word, reason: str) -> Error:
    """Return the ERROR that `about` leads to."""
    return Error(
        network=NETWORK,
        source=about.source,
        destination=about.destination,
        id=about.id,
        about=digest_of_body(about),
        reason=str(reason),
    )


def turned(body: Word) -> Word:
    """Return `body` about a conversion from BLUEBIRD to AURORA."""
    return msgspec.structs.replace(body, source=BLUEBIRD.ledger, destination=AURORA.ledger)


def gained(node: LocalNode) -> int:
    """Return the points that ann has got by conversions."""
    return node.account().posted - POINTS


def taken_in(node: LocalNode, parcel: bytes) -> int:
    """Let `node` take a parcel in, and return how many frames it applied."""
    return node.exchange.receive(parcel)[1].result(SECONDS_MAX)


def fail_once(node: LocalNode, monkeypatch: pytest.MonkeyPatch, *, done: bool, of: type[Write] | None = None) -> None:
    """Let the next commit, or the next with a write `of` a kind, report a failure, whether it was done or not."""
    commit = node.store.commit

    def failing(record: CommitRecord) -> None:
        fails = of is None or any(isinstance(write, of) for write in record.writes)
        if fails:
            monkeypatch.setattr(node.store, "commit", commit)
        if done or not fails:
            commit(record)
        if fails:
            raise StoreFailed("the connection was lost")

    monkeypatch.setattr(node.store, "commit", failing)


class _Holding:
    """A work that takes its time."""

    def __init__(self) -> None:
        self.running, self.go = threading.Event(), threading.Event()

    def needs(self, _view: Overlay) -> Iterator[Need]:
        return iter(())

    def run(self, _desk: Desk) -> None:
        self.running.set()
        assert self.go.wait(SECONDS_MAX)


@contextmanager
def writer_held(node: LocalNode) -> Iterator[None]:
    """Keep the writer busy, so that what is submitted meanwhile goes into one commit."""
    holding = _Holding()
    done = node.writer.submit(holding)
    assert holding.running.wait(SECONDS_MAX)
    try:
        yield
    finally:
        holding.go.set()
        done.result(SECONDS_MAX)
