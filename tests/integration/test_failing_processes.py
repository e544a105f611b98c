"""The failure cases of a conversion that are about processes and disks: 1, 2, 4, 5, 7 and 29 of specs/failures.md.

Real nodes over real sockets; what is left on disk is looked at while a node is down.
"""

import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from protocol.conversion import SourceState
from protocol.entries import ConversionCaptured, ConversionCredited, ConversionHeld, ConversionRefused
from scripts.alliance.process import HOST
from tests.support.crashing_node import SECONDS_MAX, Kill, Nursery, World, poll
from tests.support.documents import uuid
from tests.support.nodes import ANN
from tests.support.processes import (
    DATABASE,
    Brand,
    Nodes,
    Pair,
    await_end,
    begin,
    check_ledgers,
    nodes_of,
    order,
    order_body,
    state_of,
)

pytestmark = pytest.mark.integration

ONE: Final = uuid("one")
TWO: Final = uuid("two")
FILE_BYTES_MAX: Final = 300_000
"""Less than a store's files come to in a few dozen commits."""

ORDERS_MAX: Final = 200


HANGING_SECONDS_MAX: Final = 15.0
"""Half as long as a partner's silence is borne otherwise."""


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return begin(tmp_path_factory.mktemp("begun"), witnesses=False)


@pytest.fixture
def pair(begun: Pair, tmp_path: Path) -> Pair:
    return begun.copied(tmp_path)


@pytest.fixture
def nodes(pair: Pair, forked: Nursery) -> Iterator[Nodes]:
    with nodes_of(pair, forked) as lent:
        yield lent


def kinds(brand: Brand, *wanted: type[object]) -> list[type[object]]:
    """Return the kinds of a log's entries on disk, those among `wanted`."""
    return [type(entry) for entry in brand.entries() if isinstance(entry, wanted)]


def decisions(brand: Brand) -> list[type[object]]:
    return kinds(brand, ConversionCredited, ConversionRefused)


def start_to_kill(nodes: Nodes, pair: Pair, victim: Brand, kill: Kill) -> None:
    other = pair.destination if victim is pair.source else pair.source
    nodes.start(other)
    nodes.start(victim, world=World(kill=kill))
    nodes.meet()


def close_account(brand: Brand) -> None:
    brand.client.post(f"/v1/accounts/{ANN}/close", json={"id": uuid("close ann")}).raise_for_status()


def test_case_1_a_source_killed_before_it_holds_has_done_nothing_and_the_order_is_repeated(
    pair: Pair, nodes: Nodes
) -> None:
    start_to_kill(nodes, pair, pair.source, Kill("commit.before"))
    nodes.arm(pair.source)
    assert order(pair.source, ONE) is None
    nodes.await_kill(pair.source)
    assert kinds(pair.source, ConversionHeld) == []
    nodes.start(pair.source)
    assert pair.source.client.get(f"/v1/conversions/{ONE}").status_code == 404
    first, again = order(pair.source, ONE), order(pair.source, ONE)
    assert first == again
    assert first is not None
    assert await_end(pair.source, ONE) is SourceState.CAPTURED
    nodes.stop()
    check_ledgers(pair, {ONE: SourceState.CAPTURED})


@pytest.mark.parametrize("point", ["commit.after", "send.before"])
def test_case_2_a_source_killed_before_it_sends_keeps_the_hold_and_sends_when_it_is_back(
    pair: Pair, nodes: Nodes, point: str
) -> None:
    start_to_kill(nodes, pair, pair.source, Kill(point))
    nodes.arm(pair.source)
    order(pair.source, ONE)
    nodes.await_kill(pair.source)
    assert kinds(pair.source, ConversionHeld) == [ConversionHeld]
    assert [kind for kind, _ in pair.source.said(ONE)] == ["prepare"]
    assert pair.source.wants_answers()
    assert decisions(pair.destination) == []
    nodes.start(pair.source)
    # Nobody asks again: what was promised goes out by itself.
    assert await_end(pair.source, ONE) is SourceState.CAPTURED
    nodes.stop()
    check_ledgers(pair, {ONE: SourceState.CAPTURED})


def test_case_4_a_destination_killed_before_its_decision_is_durable_has_decided_nothing(
    pair: Pair, nodes: Nodes
) -> None:
    start_to_kill(nodes, pair, pair.destination, Kill("commit.before"))
    nodes.arm(pair.destination)
    assert order(pair.source, ONE) is not None
    nodes.await_kill(pair.destination)
    assert (decisions(pair.destination), pair.destination.said(ONE)) == ([], [])
    assert state_of(pair.source, ONE) == "pending"
    nodes.start(pair.destination)
    assert await_end(pair.source, ONE) is SourceState.CAPTURED
    nodes.stop()
    check_ledgers(pair, {ONE: SourceState.CAPTURED})


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("point", ["commit.after", "answer.before", "answer.after"])
def test_case_5_a_destination_killed_after_its_decision_says_the_same_bytes_when_it_is_back(
    pair: Pair, nodes: Nodes, point: str, *, refused: bool
) -> None:
    start_to_kill(nodes, pair, pair.destination, Kill(point))
    if refused:
        close_account(pair.destination)
    nodes.arm(pair.destination)
    assert order(pair.source, ONE) is not None
    nodes.await_kill(pair.destination)
    assert decisions(pair.destination) == [ConversionRefused if refused else ConversionCredited]
    said = pair.destination.said(ONE)
    assert [kind for kind, _ in said] == ["reject" if refused else "fulfil"]
    assert state_of(pair.source, ONE) == "pending"
    nodes.start(pair.destination)
    end = SourceState.RELEASED if refused else SourceState.CAPTURED
    assert await_end(pair.source, ONE) is end
    nodes.stop()
    assert pair.destination.said(ONE) == said
    check_ledgers(pair, {ONE: end})


@pytest.mark.parametrize(("point", "concluded"), [("commit.before", 0), ("commit.after", 1)])
def test_case_7_a_source_killed_around_its_conclusion_concludes_once(
    pair: Pair, nodes: Nodes, point: str, concluded: int
) -> None:
    start_to_kill(nodes, pair, pair.source, Kill(point, 2))
    nodes.arm(pair.source)
    order(pair.source, ONE)
    nodes.await_kill(pair.source)
    assert len(kinds(pair.source, ConversionCaptured)) == concluded
    assert decisions(pair.destination) == [ConversionCredited]
    assert pair.destination.wants_answers()
    nodes.start(pair.source)
    assert await_end(pair.source, ONE) is SourceState.CAPTURED
    poll(lambda: (not pair.destination.wants_answers()) or None, "the conclusion to be acknowledged")
    nodes.stop()
    assert len(kinds(pair.source, ConversionCaptured)) == 1
    check_ledgers(pair, {ONE: SourceState.CAPTURED})


def test_case_29_a_source_whose_disk_is_full_refuses_and_loses_nothing(pair: Pair, nodes: Nodes) -> None:
    nodes.start(pair.destination)
    nodes.start(pair.source, world=World(file_bytes_max=FILE_BYTES_MAX))
    nodes.meet()
    answers = fill(pair.source)
    assert answers[-1].status_code in {503, 507}
    assert answers[-1].json()["code"] in {"store_failed", "store_full"}
    done = [each for each in answers[:-1] if each.status_code == 201]
    lost = {"id": uuid(f"issue {len(answers) - 1}"), "type": "issue", "account": ANN, "amount": 1}
    nodes.stop()
    nodes.start(*pair.brands)
    nodes.meet()
    shown = pair.source.client.get(f"/v1/accounts/{ANN}").raise_for_status().json()
    # All that was answered is there, and nothing of what was not.
    assert shown["posted"] == 10_000 + len(done)
    pair.source.client.post("/v1/transactions", json=lost).raise_for_status()
    pair.source.client.post(
        "/v1/transactions", json={"id": uuid("back"), "type": "redeem", "account": ANN, "amount": len(done) + 1}
    ).raise_for_status()
    order(pair.source, ONE)
    assert await_end(pair.source, ONE) is SourceState.CAPTURED
    nodes.stop()
    check_ledgers(pair, {ONE: SourceState.CAPTURED})


def fill(brand: Brand) -> list[httpx.Response]:
    """Give ann points, one at a time, until the node refuses; return all answers."""
    answers: list[httpx.Response] = []
    while len(answers) < ORDERS_MAX:
        body = {"id": uuid(f"issue {len(answers)}"), "type": "issue", "account": ANN, "amount": 1}
        answers.append(brand.client.post("/v1/transactions", json=body))
        if not answers[-1].is_success:
            return answers
    raise AssertionError("the disk never was full")


def test_case_29_a_destination_whose_disk_is_full_decides_nothing_until_it_has_room(pair: Pair, nodes: Nodes) -> None:
    nodes.start(pair.source)
    nodes.start(pair.destination, world=World(file_bytes_max=FILE_BYTES_MAX))
    nodes.meet()
    spent = len(fill(pair.destination)) - 1
    assert order(pair.source, ONE) is not None
    poll(
        lambda: "store_failed" in failure_of(pair.source) or "store_full" in failure_of(pair.source) or None,
        "a refusal",
    )
    assert state_of(pair.source, ONE) == "pending"
    nodes.stop(pair.destination)
    assert decisions(pair.destination) == []
    nodes.start(pair.destination)
    assert await_end(pair.source, ONE) is SourceState.CAPTURED
    back = {"id": uuid("back"), "type": "redeem", "account": ANN, "amount": spent}
    pair.destination.client.post("/v1/transactions", json=back).raise_for_status()
    nodes.stop()
    check_ledgers(pair, {ONE: SourceState.CAPTURED})


def failure_of(brand: Brand) -> str:
    """Return why nothing can be delivered to the partner, as the operator is told."""
    shown = brand.client.get("/v1/exceptions").raise_for_status().json()["exceptions"]
    return " ".join(str(row["reason"]) for row in shown if row["kind"] == "waiting_for_partner")


@pytest.mark.parametrize("victim", [0, 1])
def test_case_29_a_write_that_was_torn_is_as_if_it_had_never_begun(pair: Pair, nodes: Nodes, victim: int) -> None:
    brand = pair.brands[victim]
    start_to_kill(nodes, pair, brand, Kill("commit.after"))
    nodes.arm(brand)
    order(pair.source, ONE)
    nodes.await_kill(brand)
    with (brand.directory / f"{DATABASE}-wal").open("ab") as log:
        log.write(bytes(range(256)) * 11)
    nodes.start(brand)
    assert await_end(pair.source, ONE) is SourceState.CAPTURED
    nodes.stop()
    check_ledgers(pair, {ONE: SourceState.CAPTURED})


def test_case_29_a_store_whose_chain_does_not_fit_is_not_served(pair: Pair, nodes: Nodes, forked: Nursery) -> None:
    with sqlite3.connect(pair.source.directory / DATABASE) as store:
        store.execute("UPDATE entries SET leaf = zeroblob(32) WHERE seq = (SELECT max(seq) FROM entries)")
    store.close()
    process = forked.start(pair.source.directory, port=pair.source.port)
    assert process.exit_status() == 1
    assert "StoreCorrupt" in process.log()
    with pytest.raises(httpx.ConnectError):
        pair.source.client.post("/v1/conversions", json=order_body(TWO))


def test_a_partner_that_hangs_holds_no_stop_up(pair: Pair, nodes: Nodes) -> None:
    with socket.create_server((HOST, 0)) as hanging:
        pair.source.set_partner_url(pair.destination, f"http://{HOST}:{hanging.getsockname()[1]}")
        nodes.start(pair.source)
        hanging.settimeout(SECONDS_MAX)
        connection, _ = hanging.accept()
        with connection:
            assert connection.recv(1)
            begun = time.monotonic()
            nodes.stop(pair.source)
            assert time.monotonic() - begun < HANGING_SECONDS_MAX
