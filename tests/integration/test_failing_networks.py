"""The failure cases of a conversion that are about networks and clocks: 3, 6 and 8 to 12 of specs/failures.md.

Real nodes over real sockets; wires between them lose, repeat, keep back and cut what they carry.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

import pytest

from node.store.database import Database
from protocol.agreement import Agreement, InFlightLimits
from protocol.conversion import SourceState
from protocol.entries import ConversionCredited, ConversionRefused
from protocol.envelope import decode_parcel
from protocol.errors import Code
from protocol.fields import later
from protocol.identifiers import Alias, Id
from protocol.ledger.state import ACCOUNTS, OUTGOING
from protocol.messages import Body, Fulfil, Prepare, Reject, decode_body
from tests.support.crashing_node import Nursery, World, poll
from tests.support.documents import (
    AURORA,
    BLUEBIRD,
    agreement,
    cancel,
    digest_of_body,
    direction,
    hex_16,
    prepare,
    uuid,
)
from tests.support.nodes import ANN, LONG_AGO, WINDOWS
from tests.support.processes import (
    GIVEN,
    USED,
    Brand,
    Nodes,
    Pair,
    RemoteNode,
    await_end,
    begin,
    check_ledgers,
    nodes_of,
    now,
    order,
    order_body,
    state_of,
)
from tests.support.puppet import Puppet
from tests.support.wire import Fate, Wire, wire_to

pytestmark = pytest.mark.integration

ONE: Final = uuid("one")
IN_FLIGHT_MAX: Final = 3
DAYS_SECONDS: Final = 3 * 86_400
SHORT_SECONDS: Final = 1
"""How long the destination has to decide an order that is to come too late."""


def terms() -> Agreement:
    """Return an agreement under which at most three conversions may be undecided."""
    there = direction(in_flight=InFlightLimits(conversions=IN_FLIGHT_MAX, value=None))
    return agreement(there=there, valid_from=LONG_AGO, windows=WINDOWS)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return begin(tmp_path_factory.mktemp("begun"), document=terms())


@pytest.fixture
def pair(begun: Pair, tmp_path: Path) -> Pair:
    return begun.copied(tmp_path)


@dataclass(frozen=True, slots=True)
class Wired:
    """A pair, its processes, and the wires on which they dial each other."""

    pair: Pair
    nodes: Nodes
    there: Wire
    back: Wire

    def cut(self, *, cut: bool = True) -> None:
        """Cut both wires, or mend them."""
        self.there.is_cut = self.back.is_cut = cut


@pytest.fixture
def wired(pair: Pair, forked: Nursery) -> Iterator[Wired]:
    source, destination = pair.brands
    with ExitStack() as stack:
        there = stack.enter_context(wire_to(destination.url))
        back = stack.enter_context(wire_to(source.url))
        source.set_partner_url(destination, there.url)
        destination.set_partner_url(source, back.url)
        made = Wired(pair, stack.enter_context(nodes_of(pair, forked)), there, back)
        made.nodes.start(source, destination)
        made.nodes.meet()
        yield made


def decisions(brand: Brand) -> list[ConversionCredited | ConversionRefused]:
    return [entry for entry in brand.entries() if isinstance(entry, ConversionCredited | ConversionRefused)]


def close_account(brand: Brand) -> None:
    brand.client.post(f"/v1/accounts/{ANN}/close", json={"id": uuid("close ann")}).raise_for_status()


def await_decision(brand: Brand) -> None:
    """Return once the brand has decided something."""
    poll(lambda: bool(decisions(brand)) or None, "a decision")


def held_points(brand: Brand) -> int:
    with Database.open(brand.database) as database:
        record = database.reader().record(ACCOUNTS, ANN)
    assert record is not None
    return record.held


def answered_words(wire: Wire) -> list[bytes]:
    """Return every decision that has come over a wire as an answer, heard or not."""
    parcels = [decode_parcel(data) for data in wire.answers if data.startswith(b'{"bodies"')]
    bodies = [body for parcel in parcels for body in parcel.bodies]
    return [body for body in bodies if isinstance(decode_body(body), Fulfil | Reject)]


def test_case_3_a_prepare_that_is_lost_late_and_repeated_is_decided_once(wired: Wired) -> None:
    wired.there.plan(Fate.LOSE_REQUEST, Fate.LATE, Fate.TWICE)
    order(wired.pair.source, ONE)
    assert await_end(wired.pair.source, ONE) is SourceState.CAPTURED
    assert wired.there.planned == 0
    # What was kept back arrives after what came later.
    (late,) = wired.there.release()
    assert late.startswith(b'{"bodies"')
    words = answered_words(wired.there)
    assert len(words) >= 2
    assert len(set(words)) == 1
    assert len(decisions(wired.pair.destination)) == 1
    wired.nodes.stop()
    assert [kind for kind, _ in wired.pair.destination.said(ONE)] == ["fulfil"]
    check_ledgers(wired.pair, {ONE: SourceState.CAPTURED})


@pytest.mark.parametrize("refused", [False, True])
def test_case_6_a_decision_that_is_lost_is_said_again_and_counts_once(wired: Wired, *, refused: bool) -> None:
    if refused:
        close_account(wired.pair.destination)
    wired.back.plan(Fate.LOSE_REQUEST, Fate.TWICE)
    wired.there.plan(Fate.LOSE_ANSWER, Fate.LOSE_ANSWER, Fate.TWICE)
    order(wired.pair.source, ONE)
    end = SourceState.RELEASED if refused else SourceState.CAPTURED
    assert await_end(wired.pair.source, ONE) is end
    poll(lambda: (not wired.pair.destination.wants_answers()) or None, "the decision to be acknowledged")
    wired.nodes.stop()
    assert len(wired.pair.destination.said(ONE)) == len(decisions(wired.pair.destination)) == 1
    check_ledgers(wired.pair, {ONE: end})


def test_case_6_a_fulfil_that_comes_after_the_deadline_counts(wired: Wired) -> None:
    wired.back.is_cut = True
    wired.there.plan(Fate.LOSE_ANSWER)
    order(wired.pair.source, ONE, accept_within_seconds=SHORT_SECONDS)
    await_decision(wired.pair.destination)
    wired.cut()
    time.sleep(2 * SHORT_SECONDS)
    assert state_of(wired.pair.source, ONE) == "pending"
    wired.cut(cut=False)
    assert await_end(wired.pair.source, ONE) is SourceState.CAPTURED
    wired.nodes.stop()
    check_ledgers(wired.pair, {ONE: SourceState.CAPTURED})


def test_case_8_a_prepare_that_comes_after_the_deadline_meets_a_tombstone(wired: Wired) -> None:
    wired.cut()
    order(wired.pair.source, ONE, accept_within_seconds=SHORT_SECONDS)
    time.sleep(2 * SHORT_SECONDS)
    assert held_points(wired.pair.source) == USED
    wired.cut(cut=False)
    assert await_end(wired.pair.source, ONE) is SourceState.RELEASED
    wired.nodes.stop()
    (tombstone,) = decisions(wired.pair.destination)
    assert isinstance(tombstone, ConversionRefused)
    assert tombstone.reason == Code.EXPIRED
    check_ledgers(wired.pair, {ONE: SourceState.RELEASED})


def prepare_for(pair: Pair, name: str) -> Prepare:
    """Return a PREPARE of AURORA, played by hand, that BLUEBIRD's node can credit."""
    with Database.open(pair.destination.database) as database:
        ((cited, _),) = database.reader().agreements(AURORA.ledger)
    created = now()
    return prepare(
        conversion=uuid(name),
        steps=2,
        cited=cited,
        alias=Alias(hex_16(f"{BLUEBIRD.ledger} {AURORA.ledger}")),
        created_at=created,
        accept_by=later(created, seconds=60),
    )


@pytest.fixture
def puppet(pair: Pair, forked: Nursery) -> Iterator[Puppet]:
    """Yield AURORA, played by hand over the socket of BLUEBIRD's real node."""
    with nodes_of(pair, forked) as nodes:
        nodes.start(pair.destination)
        played = Puppet(pair.source.side, RemoteNode(pair.destination))
        played.greet()
        yield played
        nodes.stop()


def test_case_9_a_prepare_that_its_cancel_overtook_is_refused(pair: Pair, puppet: Puppet) -> None:
    body = prepare_for(pair, "one")
    (answer,) = puppet.say(cancel(body))
    assert isinstance(answer, Reject)
    assert (answer.reason, answer.prepare) == (Code.CANCELLED, digest_of_body(body))
    assert puppet.say(body) == [answer]
    (tombstone,) = decisions(pair.destination)
    assert isinstance(tombstone, ConversionRefused)
    shown = pair.destination.client.get(f"/v1/accounts/{ANN}").raise_for_status().json()
    assert shown["posted"] == 0


def test_case_10_what_the_destination_decides_first_is_what_both_sides_get(pair: Pair, puppet: Puppet) -> None:
    random = Random(10)
    asked = [prepare_for(pair, f"race {number}") for number in range(10)]
    cancelled_first = [random.random() < 1 / 2 for _ in asked]
    answers: list[Body] = []
    for body, cancel_first in zip(asked, cancelled_first, strict=True):
        for word in (cancel(body), body) if cancel_first else (body, cancel(body)):
            answers += puppet.say(word)
    told = {answer.id: type(answer) for answer in answers if isinstance(answer, Fulfil | Reject)}
    assert [told[body.id] is Reject for body in asked] == cancelled_first
    made = {entry.conversion: type(entry) for entry in decisions(pair.destination)}
    assert [made[body.id] is ConversionRefused for body in asked] == cancelled_first
    shown = pair.destination.client.get(f"/v1/accounts/{ANN}").raise_for_status().json()
    assert shown["posted"] == GIVEN * cancelled_first.count(False)


def test_case_10_orders_that_are_cancelled_while_they_are_under_way_end_alike_on_both_sides(wired: Wired) -> None:
    random = Random(10)
    wired.there.plan(*random.choices([Fate.PASS, Fate.LOSE_REQUEST, Fate.LOSE_ANSWER, Fate.TWICE], k=20))
    ends = {}
    with ThreadPoolExecutor(IN_FLIGHT_MAX) as pool:
        for batch in range(3):
            ordered = [uuid(f"race {batch} {number}") for number in range(IN_FLIGHT_MAX)]
            for conversion in ordered:
                order(wired.pair.source, conversion)
            list(pool.map(partial(ask_cancel, wired.pair.source), ordered))
            ends.update({conversion: await_end(wired.pair.source, conversion) for conversion in ordered})
    wired.nodes.stop()
    check_ledgers(wired.pair, ends)


def ask_cancel(brand: Brand, conversion: Id) -> None:
    answer = brand.client.post(f"/v1/conversions/{conversion}/cancel")
    assert answer.status_code in {202, 409}, answer.text


def exceptions(brand: Brand) -> dict[str, int]:
    """Return how much an operator has to look at, by kind."""
    rows = brand.client.get("/v1/exceptions").raise_for_status().json()["exceptions"]
    kinds = [row["kind"] for row in rows]
    return {kind: kinds.count(kind) for kind in kinds}


def test_case_11_a_network_that_is_cut_for_days_holds_back_new_orders_and_loses_nobody_anything(wired: Wired) -> None:
    source, destination = wired.pair.brands
    conversions = [uuid(f"cut {number}") for number in range(IN_FLIGHT_MAX)]
    wired.back.is_cut = True
    wired.there.plan(Fate.LOSE_ANSWER)
    order(source, conversions[0])
    await_decision(destination)
    wired.cut()
    for conversion in conversions[1:]:
        order(source, conversion)
    refused = source.client.post("/v1/conversions", json=order_body(ONE))
    assert (refused.status_code, refused.json()["code"]) == (409, Code.IN_FLIGHT_LIMIT)
    wired.nodes.stop()
    wired.nodes.start(source, destination, world=World(ahead_seconds=DAYS_SECONDS))
    assert {state_of(source, conversion) for conversion in conversions} == {"pending"}
    assert held_points(source) == IN_FLIGHT_MAX * USED
    poll(lambda: "waiting_for_partner" in exceptions(source) or None, "the operator to be told")
    assert exceptions(source)["stuck"] == IN_FLIGHT_MAX
    wired.cut(cut=False)
    ends = {conversion: await_end(source, conversion) for conversion in conversions}
    # What was credited before the cut is taken, days later; what was not had come too late.
    assert [*ends.values()] == [SourceState.CAPTURED, SourceState.RELEASED, SourceState.RELEASED]
    order(source, ONE)
    ends[ONE] = await_end(source, ONE)
    assert ends[ONE] is SourceState.CAPTURED
    wired.nodes.stop()
    check_ledgers(wired.pair, ends)


@pytest.mark.parametrize(
    ("source_ahead", "destination_ahead", "reason"),
    [
        pytest.param(0, 3_600, Code.EXPIRED, id="the destination's is fast"),
        pytest.param(3_600, 0, Code.CLOCK, id="the source's is fast"),
        pytest.param(200, 0, None, id="the source's is a little fast"),
        pytest.param(0, 200, None, id="the destination's is a little fast"),
        # What a ledger has entered is never later than its clock, whatever the machine's says.
        pytest.param(0, -3_600, None, id="the destination's went back"),
    ],
)
def test_case_12_clocks_that_differ_refuse_early_at_worst_and_the_ledgers_agree(
    pair: Pair, forked: Nursery, *, source_ahead: int, destination_ahead: int, reason: Code | None
) -> None:
    end = SourceState.CAPTURED if reason is None else SourceState.RELEASED
    with nodes_of(pair, forked) as nodes:
        nodes.start(pair.source, world=World(ahead_seconds=source_ahead))
        nodes.start(pair.destination, world=World(ahead_seconds=destination_ahead))
        nodes.meet()
        order(pair.source, ONE, accept_within_seconds=600)
        assert await_end(pair.source, ONE) is end
        nodes.stop()
    check_ledgers(pair, {ONE: end})
    with Database.open(pair.source.database) as database:
        record = database.reader().record(OUTGOING, ONE)
    assert record is not None
    assert record.reason == reason
