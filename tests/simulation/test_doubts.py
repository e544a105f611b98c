"""What the simulator knows of ledgers that go on without words: it is in their logs, whoever was told of it."""

from random import Random

import pytest

from node.engine.work import CommandWork
from node.services.partners.succession import SucceedRequest
from protocol.identifiers import Id, Ledger
from protocol.ledger import commands
from protocol.ledger.state import LEDGER, ONLY, PARTNERS
from scripts.simulation.alliance import MEMBERS, make_places
from scripts.simulation.checker import Checker
from scripts.simulation.network import Network
from scripts.simulation.place import Place
from scripts.simulation.treaties import Post
from scripts.simulation.world import Weather, World

SUCCESSION, ISSUE = (Id(f"00000000-0000-4000-8000-00000000000{number}") for number in (1, 2))


@pytest.fixture
def world() -> World:
    return World(Random(1), Weather())


@pytest.fixture
def places(world: World) -> list[Place]:
    """Return three nodes that run; the first one's keeps old copies of its store."""
    made = make_places(world)
    made[0].disk.copies_max = 2
    return made


@pytest.fixture
def checker(world: World, places: list[Place]) -> Checker:
    checker = Checker(world, places)
    Post(world, places, Network(world, places, checker))
    for place in places:
        place.start()
    return checker


def talk(world: World, places: list[Place], rounds: int) -> None:
    for _ in range(rounds):
        for place in places:
            place.deliver()
            place.work()
        world.seconds += 1


def go_on_without_anybody(place: Place, checker: Checker) -> None:
    """Put the first copy back, and open the next log while nobody answers; its process ends after the commit."""
    place.crash()
    place.disk.state = place.disk.copies[0]
    checker.restored([place])
    place.start()
    place.doom = "commit.after"
    record = place.disk.state.row(LEDGER, ONLY)
    assert record is not None
    with place.process():
        request = SucceedRequest(id=SUCCESSION, without=record.partners, reason="no_answer")
        place.running.node.succession.succeed(request).result()
    assert not place.is_up


def log_known_to(place: Place, partner: Ledger) -> str:
    record = place.disk.state.row(PARTNERS, partner)
    assert record is not None
    return record.log


def test_words_are_waived_though_nobody_was_told_so_and_the_partners_hear_of_the_log(
    world: World, places: list[Place], checker: Checker
) -> None:
    place, *others = places
    talk(world, places, 2)
    for other in others:
        other.crash()
    command = commands.IssuePoints(id=ISSUE, account=MEMBERS[0].account, amount=1)
    place.running.writer.submit(CommandWork([command])).result()
    place.work()
    go_on_without_anybody(place, checker)
    checker.check()
    assert checker.doubts.risked == {frozenset((place.ledger, other.ledger)) for other in others}
    for each in places:
        each.start()
    assert checker.doubts.unheard() == [
        f"{place.ledger} has not told {other.ledger} of its log" for other in sorted(others, key=lambda one: one.ledger)
    ]
    talk(world, places, 30)
    checker.check()
    assert checker.doubts.unheard() == []
    assert {log_known_to(other, place.ledger) for other in others} == {f"{place.ledger[:-1]}2"}
