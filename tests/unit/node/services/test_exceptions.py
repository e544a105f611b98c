"""What an operator should look at in settlement: windows whose sides differ, and lines in dispute."""

from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

import msgspec

from node.engine.gate import Gate
from node.engine.work import Work
from node.services.context import Context
from node.services.operating.exceptions import Delivery, ExceptionsService, ExceptionView
from node.services.request_digest import RequestDigests
from node.store.database import Database
from protocol.errors import Code
from protocol.ledger.state import IN, LEDGER, ONLY, OUT
from protocol.statement import AdjustmentReason
from tests.support import windows
from tests.support.documents import (
    AURORA,
    BLUEBIRD,
    NO_MEMBER_LIMITS,
    USD,
    agreement,
    direction,
    signed_agreement,
    uuid,
)
from tests.support.keyrings import SeededRandomness, SideKeyring
from tests.support.ledger import MemoryLedger, convert, order, pair_of, receive
from tests.support.nodes import FakeClock
from tests.unit.node.store.recorder import write_log

_T = TypeVar("_T")


class NoWriter:
    """A writer that nothing is submitted to."""

    @property
    def gate(self) -> Gate:
        raise AssertionError("an operator's look passes no gate")

    def submit(self, work: Work[_T]) -> "Future[_T]":
        raise AssertionError(f"an operator's look writes nothing: {work!r}")

    def listen(self, listener: object) -> None:
        raise AssertionError(f"an operator's look waits for nothing: {listener!r}")


def exceptions_of(ledger: MemoryLedger, path: Path) -> list[ExceptionView]:
    """Return what the node that keeps the log of `ledger` tells its operator."""
    record = ledger.state.get(LEDGER, ONLY)
    assert record is not None
    path.mkdir(exist_ok=True)
    with Database.open(f"sqlite:///{path / 'store'}") as database:
        database.migrate()
        with database.writer() as writer:
            write_log(writer, ledger.sealed, side=ledger.side)
        context = Context(
            record=record,
            reader=database.reader(),
            writer=NoWriter(),
            keyring=SideKeyring(ledger.side),
            clock=FakeClock(),
            randomness=SeededRandomness("exceptions"),
            digests=RequestDigests(bytes(32)),
        )
        service = ExceptionsService(context, delivery_of=lambda _: Delivery(last_contact=None, last_failure=None))
        return list(service.all(older_than_seconds=600).exceptions)


def test_a_line_in_dispute_is_shown_with_its_value(tmp_path: Path) -> None:
    pair = pair_of(points=100_000)
    convert(pair.source, pair.destination, pair.sender, 1_200, name="one")
    line = windows.disputed(pair.source, pair.destination, OUT, 1)
    windows.dispute(pair.source, pair.destination, line, source=AURORA.ledger)
    (found,) = exceptions_of(pair.source, tmp_path)
    assert (found.kind, found.partner, found.window) == ("disputed", BLUEBIRD.ledger, 1)
    assert (found.conversion, found.reason, found.value, found.currency) == (
        uuid("one"),
        line.reason,
        7_500_000,
        USD,
    )
    assert found.to_do


def test_a_line_is_shown_until_a_statement_ends_its_dispute(tmp_path: Path) -> None:
    pair = pair_of(points=100_000)
    one, other = pair.source, pair.destination
    convert(one, other, pair.sender, 1_200, name="one")
    line = windows.disputed(one, other, OUT, 1)
    windows.take(other, one.body(windows.dispute(one, other, line, source=AURORA.ledger)))
    for number, ending in ((1, None), (2, None), (3, AdjustmentReason.UPHELD)):
        windows.close_both(one, other, number)
        adjusted = [windows.adjusted(line, ending, line.value)] if ending else []
        windows.agree(one, other, number, {one.name: adjusted})
        if ending is None:
            # The window itself is done with: nothing is due, and so it is confirmed.
            (found,) = exceptions_of(one, tmp_path / str(number))
            assert (found.kind, found.window, found.conversion) == ("disputed", 1, uuid("one"))
            assert (found.value, found.currency, found.reason) == (line.value, USD, line.reason)
    assert exceptions_of(one, tmp_path / "ended") == []


def test_a_window_whose_sides_differ_is_shown(tmp_path: Path) -> None:
    pair = pair_of(points=100_000)
    convert(pair.source, pair.destination, pair.sender, 1_200, name="one")
    prepare = pair.source.body(order(pair.source, BLUEBIRD.ledger, pair.sender, 400, name="unheard"))
    receive(pair.destination, prepare)
    windows.close_both(pair.source, pair.destination, 1)
    kinds = [(one.kind, one.window) for one in exceptions_of(pair.source, tmp_path)]
    assert kinds == [("mismatched", 1)]


def test_an_order_that_a_limit_returned_is_shown(tmp_path: Path) -> None:
    limits = msgspec.structs.replace(NO_MEMBER_LIMITS, in_points_per_day=500)
    pair = pair_of(signed=signed_agreement(agreement(there=direction(member_limits=limits))))
    for name in ("one", "two", "three"):
        convert(pair.source, pair.destination, pair.sender, 400, name=name)
    (found,) = exceptions_of(pair.source, tmp_path)
    assert (found.kind, found.conversion, found.reason) == ("over_limit", uuid("three"), Code.MEMBER_LIMIT)
    assert (found.points, found.value) == (400, 2_500_000)


def test_a_cap_of_which_four_fifths_are_taken_is_shown_before_anything_is_refused(tmp_path: Path) -> None:
    value = 2_500_000
    pair = pair_of(signed=signed_agreement(agreement(there=direction(cap=5 * value))))
    nodes = (pair.source, pair.destination)
    for count in range(1, 5):
        convert(*nodes, pair.sender, 400, name=f"number {count}")
        if count == 3:
            assert [exceptions_of(node, tmp_path / f"early-{place}") for place, node in enumerate(nodes)] == [[], []]
    for node, partner, way in zip(nodes, (BLUEBIRD, AURORA), (OUT, IN), strict=True):
        (found,) = exceptions_of(node, tmp_path / way)
        assert (found.kind, found.partner, found.reason) == ("near_cap", partner.ledger, way)
        assert (found.value, found.currency) == (4 * value, USD)
        assert "higher cap" in found.to_do
