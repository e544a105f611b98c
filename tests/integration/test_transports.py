"""One seeded day of conversions over all three transports: same outcomes, same balances, same settlement totals."""

from dataclasses import dataclass
from random import Random
from typing import Final

import pytest

from protocol.conversion import SourceState
from protocol.entries import ConversionCredited
from protocol.errors import Code
from protocol.fields import format_time, later
from protocol.identifiers import Alias, Id
from protocol.ledger import commands
from tests.support.documents import hex_16, uuid
from tests.support.ledger import holder
from tests.support.nodes import ANN, POINTS, Alliance, LocalNode, cancel, convert
from tests.support.transports import WAYS, joined

BOB: Final = holder("bob")
"""A member whose link the other brand has never issued."""

HOURS: Final = 4
ORDERS_PER_HOUR: Final = 12
SEED: Final = 20_260_301


@dataclass(frozen=True, slots=True)
class Totals:
    """What one ledger says about the conversions that it credited for the other."""

    count: int
    steps: int
    source_points: int
    destination_points: int
    value: int
    decisions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Day:
    """How a day ended."""

    outcomes: dict[Id, tuple[str, str | None]]
    balances: dict[str, list[tuple[object, ...]]]
    totals: tuple[Totals, Totals]


def totals_of(node: LocalNode) -> Totals:
    credited = [entry for entry in node.entries() if isinstance(entry, ConversionCredited)]
    return Totals(
        count=len(credited),
        steps=sum(entry.steps for entry in credited),
        source_points=sum(entry.source_points for entry in credited),
        destination_points=sum(entry.destination_points for entry in credited),
        value=sum(entry.value for entry in credited),
        decisions=tuple(entry.dec_seq for entry in credited),
    )


def welcome(nodes: Alliance) -> None:
    for node, partner in (nodes.pair, nodes.pair[::-1]):
        alias = Alias(hex_16(f"never issued by {partner.ledger}"))
        node.do(
            commands.OpenAccount(id=uuid("open bob"), account=BOB),
            commands.IssuePoints(id=uuid("issue bob"), account=BOB, amount=POINTS),
            commands.IssuePoints(id=uuid("issue ann more"), account=ANN, amount=10 * POINTS),
            commands.AcceptLink(id=uuid("accept bob"), account=BOB, partner=partner.ledger, alias=alias),
        )


def order(source: LocalNode, destination: LocalNode, *, name: str, random: Random) -> Id:
    conversion = convert(source, destination, name=name, amount=random.randrange(400, 1_200))
    if random.random() < 0.2:
        cancel(source, conversion)
    return conversion


def order_for_bob(source: LocalNode, destination: LocalNode, *, name: str) -> Id:
    accept_by = later(format_time(source.clock.now()), seconds=600)
    command = commands.OrderConversion(
        id=uuid(name), account=BOB, destination=destination.ledger, amount=400, accept_by=accept_by
    )
    source.do(command)
    return command.id


def live(nodes: Alliance, kind: str) -> Day:
    random, orders = Random(SEED), dict[Id, LocalNode]()
    welcome(nodes)
    for hour in range(HOURS):
        for number in range(ORDERS_PER_HOUR):
            source, destination = nodes.pair if random.random() < 0.6 else nodes.pair[::-1]
            orders[order(source, destination, name=f"hour {hour} order {number}", random=random)] = source
        source, destination = nodes.pair
        orders[order_for_bob(source, destination, name=f"hour {hour} bob")] = source
        WAYS[kind](nodes)
    balances = [(node.rows(), node) for node in nodes.nodes]
    return Day(
        outcomes={one: (node.outgoing(one).state, node.outgoing(one).reason) for one, node in orders.items()},
        balances={
            f"{node.ledger} {name}": sorted(rows[name], key=repr)
            for rows, node in balances
            for name in ("accounts", "balances", "decision_counters")
        },
        totals=(totals_of(nodes.nodes[0]), totals_of(nodes.nodes[1])),
    )


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Day]:
    found = {}
    for kind in WAYS:
        with joined(tmp_path_factory.mktemp("day") / kind, kind) as nodes:
            found[kind] = live(nodes, kind)
            for node in nodes.nodes:
                node.replay()
                assert node.reader.outbox_partners() == [], kind
    return found


def test_the_day_has_conversions_of_every_kind(days: dict[str, Day]) -> None:
    outcomes = list(days["https"].outcomes.values())
    assert len(outcomes) == HOURS * (ORDERS_PER_HOUR + 1)
    assert {state for state, _ in outcomes} == {SourceState.CAPTURED, SourceState.RELEASED}
    assert outcomes.count((SourceState.RELEASED, Code.LINK_UNKNOWN.value)) == HOURS


@pytest.mark.parametrize("kind", ["answers", "files"])
def test_every_conversion_ends_the_same(days: dict[str, Day], kind: str) -> None:
    assert days[kind].outcomes == days["https"].outcomes


@pytest.mark.parametrize("kind", ["answers", "files"])
def test_balances_and_settlement_totals_are_the_same(days: dict[str, Day], kind: str) -> None:
    assert days[kind].balances == days["https"].balances
    assert days[kind].totals == days["https"].totals


def test_both_directions_were_used(days: dict[str, Day]) -> None:
    assert all(totals.count > HOURS for totals in days["https"].totals)
