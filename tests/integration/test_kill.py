"""Nodes killed at every step of a conversion and started again: it ends credited and captured, or refused and released.

Each case is named by the side that dies, the point at which it does, and the passing of that point since the order.
"""

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal

import httpx
import pytest

from protocol.conversion import SourceState
from protocol.identifiers import Id
from tests.support.crashing_node import ARMED, SECONDS_MAX, Kill, NodeProcess, Nursery, poll, stop_all
from tests.support.documents import uuid
from tests.support.nodes import ANN
from tests.support.processes import Brand, Pair, await_end, begin, check_ledgers, is_in_touch, order

pytestmark = pytest.mark.integration

CONVERSIONS: Final = [uuid(f"conversion {number}") for number in range(4)]
PATIENCE_SECONDS: Final = 3
"""How long after an order a node may take to be killed, before another order is given."""

Flavour = Literal["plain", "cancelled", "refused"]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Return two node directories that are ready to convert, for each test to copy."""
    return begin(tmp_path_factory.mktemp("begun"))


@pytest.fixture
def pair(begun: Pair, tmp_path: Path) -> Pair:
    """Return a copy of the two directories."""
    return begun.copied(tmp_path)


SOURCE_POINTS: Final = [
    Kill("commit.before"),
    Kill("commit.after"),
    Kill("send.before"),
    Kill("send.after"),
    Kill("intake.before"),
    Kill("commit.before", 2),
    Kill("commit.after", 2),
    Kill("send.before", 2),
    Kill("send.after", 2),
]
DESTINATION_POINTS: Final = [
    Kill("intake.before"),
    Kill("commit.before"),
    Kill("commit.after"),
    Kill("answer.before"),
    Kill("answer.after"),
    Kill("intake.before", 2),
    Kill("commit.before", 2),
    Kill("commit.after", 2),
    Kill("answer.after", 2),
]
DECIDING_POINTS: Final = [Kill("commit.before"), Kill("commit.after"), Kill("answer.after")]


@dataclass(frozen=True, slots=True)
class Case:
    """What becomes of the conversion but for the kill, who is killed, and where."""

    flavour: Flavour
    side: Literal["source", "destination"]
    kill: Kill

    def __str__(self) -> str:
        return f"{self.flavour}-{self.side}-{self.kill.point}-{self.kill.count}"


CASES: Final = [
    *(Case("plain", "source", kill) for kill in SOURCE_POINTS),
    *(Case("plain", "destination", kill) for kill in DESTINATION_POINTS),
    *(Case("cancelled", "source", kill) for kill in SOURCE_POINTS[:7]),
    *(Case("cancelled", "destination", kill) for kill in DESTINATION_POINTS[:5]),
    *(Case("refused", "source", kill) for kill in SOURCE_POINTS[4:7]),
    *(Case("refused", "destination", kill) for kill in DECIDING_POINTS),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_killed_node_comes_back_and_the_conversion_ends(pair: Pair, forked: Nursery, case: Case) -> None:
    victim = int(case.side == "destination")
    processes = [
        forked.start(brand.directory, port=brand.port, kill=case.kill if place == victim else None)
        for place, brand in enumerate(pair.brands)
    ]
    for process, brand in zip(processes, pair.brands, strict=True):
        process.wait_until_ready()
        poll(partial(is_in_touch, brand), "the HELLOs to be answered")
    if case.flavour == "refused":
        _close_account(pair.destination)
    ordered = _order_until_killed(pair.source, processes[victim], case.flavour)
    processes[victim] = forked.start(pair.brands[victim].directory, port=pair.brands[victim].port)
    processes[victim].wait_until_ready()
    poll(partial(is_in_touch, pair.brands[victim]), "the HELLOs to be answered")
    _order(pair.source, ordered[-1], case.flavour)
    ends = {conversion: await_end(pair.source, conversion) for conversion in ordered}
    stop_all(processes)
    check_ledgers(pair, ends)
    if case.flavour != "cancelled":
        assert {*ends.values()} == {SourceState.CAPTURED if case.flavour == "plain" else SourceState.RELEASED}


@pytest.mark.parametrize("victim", ["source", "destination"])
@pytest.mark.parametrize("point", ["commit.before", "commit.after", "send.before"])
def test_a_node_killed_at_its_start_starts_all_the_same(pair: Pair, forked: Nursery, victim: str, point: str) -> None:
    brand = pair.brands[victim == "destination"]
    (brand.directory / ARMED).touch()
    killed = forked.start(brand.directory, port=brand.port, kill=Kill(point))
    assert killed.is_killed_within(SECONDS_MAX)
    processes = [forked.start(each.directory, port=each.port) for each in pair.brands]
    for process, each in zip(processes, pair.brands, strict=True):
        process.wait_until_ready()
        poll(partial(is_in_touch, each), "the HELLOs to be answered")
    _order(pair.source, CONVERSIONS[0], "plain")
    end = await_end(pair.source, CONVERSIONS[0])
    assert end is SourceState.CAPTURED
    stop_all(processes)
    check_ledgers(pair, {CONVERSIONS[0]: end})


def _order_until_killed(source: Brand, victim: NodeProcess, flavour: Flavour) -> list[Id]:
    """Order a conversion, and another one should the nodes have got past the point on another way than usual."""
    victim.arm()
    for number, conversion in enumerate(CONVERSIONS, 1):
        _order(source, conversion, flavour)
        if victim.is_killed_within(PATIENCE_SECONDS):
            return list(CONVERSIONS[:number])
    raise AssertionError("the point was never passed")


def _close_account(brand: Brand) -> None:
    brand.client.post(f"/v1/accounts/{ANN}/close", json={"id": uuid("close ann")}).raise_for_status()


def _order(brand: Brand, conversion: Id, flavour: Flavour) -> None:
    """Order a conversion, and ask for its end, as a client does who repeats what was not answered."""
    if order(brand, conversion) is None or flavour != "cancelled":
        return
    with suppress(httpx.TransportError):
        answer = brand.client.post(f"/v1/conversions/{conversion}/cancel")
        assert answer.status_code in {202, 409}, answer.text
