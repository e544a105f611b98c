"""What waits for the writer is bounded by works and by items, and orders hold up nobody else."""

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from node.engine.lanes import Lane, Waiting
from node.engine.work import Desk, Weighed
from protocol.ledger.view import Need, Overlay


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
    found = Lane(works_max=4, items_max=10)
    for work in works:
        assert put(found, work)
    return found


def put(lane: Lane, work: Light) -> bool:
    return lane.put(Waiting(work, Future()))


def test_works_are_counted() -> None:
    found = lane(Light(), Light(), Light(), Light())
    assert not put(found, Light())
    assert len(found.take(works=1, items=10)) == 1
    assert put(found, Light())
    assert len(found) == 4


def test_items_are_counted() -> None:
    found = lane(Heavy(6), Light())
    assert not put(found, Heavy(4))
    assert put(found, Heavy(3))
    assert not found.has_room(1)
    found.take(works=1, items=10)
    assert found.has_room(6)
    assert not found.has_room(7)


def test_one_alone_always_has_room() -> None:
    found = lane(Heavy(11))
    assert not found.has_room(1)
    assert [each.work for each in found.take(works=4, items=10)]
    assert found.has_room(1_000)


@pytest.mark.parametrize(("works", "items", "taken"), [(4, 10, 3), (2, 10, 2), (4, 8, 2), (4, 1, 1), (0, 10, 1)])
def test_what_is_taken_is_bounded_and_in_order(works: int, items: int, taken: int) -> None:
    waiting = [Heavy(5), Heavy(3), Heavy(2)]
    found = lane(*waiting)
    assert [each.work for each in found.take(works=works, items=items)] == waiting[:taken]
    assert len(found) == 3 - taken


def test_nothing_is_taken_of_nothing() -> None:
    assert not lane().take(works=1, items=1)
