"""What waits for the writer is bounded by works and by items, and orders hold up nobody else."""

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from node.engine.lanes import Bounds, Lane, Waiting
from node.engine.work import Desk, Weighed
from protocol.ledger.view import Need, Overlay

SECONDS = 0.5


class Light:
    """Counts as one."""

    def needs(self, _view: Overlay) -> Iterator[Need]:
        return iter(())

    def run(self, _desk: Desk) -> None:
        """Do nothing."""


class Heavy(Light, Weighed):
    """Counts as many."""

    def __init__(self, items: int) -> None:
        self._items = items

    @property
    def items(self) -> int:
        return self._items


def lane(*works: Light) -> Lane:
    found = Lane(bounds=Bounds(4, 10), commit=Bounds(2, 5), seconds_max=SECONDS)
    for work in works:
        assert put(found, work)
    return found


def put(lane: Lane, work: Light, *, at: float = 0.0) -> bool:
    return lane.put(Waiting(work, Future(), at))


def has_room(lane: Lane, items: int, *, at: float = 0.0) -> bool:
    return lane.has_room(items, now=at)


def test_works_are_counted() -> None:
    found = lane(Light(), Light(), Light(), Light())
    assert not put(found, Light())
    assert len(found.take(Bounds(1, 10))) == 1
    assert put(found, Light())
    assert len(found) == 4


def test_items_are_counted() -> None:
    found = lane(Heavy(6), Light())
    assert not put(found, Heavy(4))
    assert put(found, Heavy(3))
    assert not has_room(found, 1)
    found.take(Bounds(1, 10))
    assert has_room(found, 6)
    assert not has_room(found, 7)


def test_one_alone_always_has_room() -> None:
    found = lane(Heavy(11))
    assert not has_room(found, 1)
    assert [each.work for each in found.take(Bounds(4, 10))]
    assert has_room(found, 1_000)


@pytest.mark.parametrize(("works", "items", "taken"), [(4, 10, 3), (2, 10, 2), (4, 8, 2), (4, 1, 1), (0, 10, 1)])
def test_what_is_taken_is_bounded_and_in_order(works: int, items: int, taken: int) -> None:
    waiting = [Heavy(5), Heavy(3), Heavy(2)]
    found = lane(*waiting)
    assert [each.work for each in found.take(Bounds(works, items))] == waiting[:taken]
    assert len(found) == 3 - taken


def test_nothing_is_taken_of_nothing() -> None:
    assert not lane().take(Bounds(1, 1))


def test_where_the_first_has_waited_long_no_more_waits_than_goes_into_a_commit() -> None:
    found = lane(Light())
    assert has_room(found, 9, at=SECONDS)
    late = 2 * SECONDS
    assert has_room(found, 4, at=late)
    assert not has_room(found, 5, at=late)
    assert put(found, Light(), at=late)
    assert not put(found, Light(), at=late)
    found.take(Bounds(1, 10))
    # The first of those that wait now has just come.
    assert has_room(found, 9, at=late)
