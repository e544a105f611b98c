"""The lanes in front of the writer: what waits is bounded, and orders never hold up what partners have sent.

Under more orders than can be written, whoever sends most has most of what is waiting. A partner's envelope among it
would wait as long, its sender would send it again, and conversions that are decided would look undecided.
"""

from collections import deque
from concurrent.futures import Future
from typing import NamedTuple

from node.engine.work import Weighed, Work


class Waiting(NamedTuple):
    """A work, and the future of whoever waits for it."""

    work: Work[object]
    future: "Future[object]"


class Lane:
    """Works in the order in which they came; not safe to use from several threads at once."""

    def __init__(self, *, works_max: int, items_max: int) -> None:
        """Hold no more than so many works, and items of works."""
        self._works_max = works_max
        self._items_max = items_max
        self._waiting: deque[Waiting] = deque()
        self._items = 0

    def __len__(self) -> int:
        """Return how many works wait."""
        return len(self._waiting)

    def has_room(self, items: int) -> bool:
        """Return whether a work of so many items may wait, too; where none waits, one may, of whatever size."""
        fits = len(self._waiting) < self._works_max and self._items + items <= self._items_max
        return fits or not self._waiting

    def put(self, waiting: Waiting) -> bool:
        """Add a work, and return whether there was room for it."""
        items = _items_of(waiting.work)
        if not self.has_room(items):
            return False
        self._waiting.append(waiting)
        self._items += items
        return True

    def take(self, *, works: int, items: int) -> list[Waiting]:
        """Remove and return the next works: so many, of so many items, at most; one at least if any waits."""
        taken: list[Waiting] = []
        while self._waiting and len(taken) < max(1, works):
            items -= _items_of(self._waiting[0].work)
            if taken and items < 0:
                break
            each = self._waiting.popleft()
            self._items -= _items_of(each.work)
            taken.append(each)
        return taken


def _items_of(work: Work[object]) -> int:
    return work.items if isinstance(work, Weighed) else 1
