"""The lanes in front of the writer: what waits is bounded, and orders never hold up what partners have sent.

Under more orders than can be written, whoever sends most has most of what is waiting. A partner's envelope among it
would wait as long, its sender would send it again, and conversions that are decided would look undecided.
"""

from collections import deque
from concurrent.futures import Future
from typing import NamedTuple

from node.engine.work import Weighed, Work


class Waiting(NamedTuple):
    """A work, the future of whoever waits for it, and since when it does, on the monotonic clock."""

    work: Work[object]
    future: "Future[object]"
    since: float


class Bounds(NamedTuple):
    """How many works may wait or go into a commit, and how many items of works."""

    works: int
    items: int


class Lane:
    """Works in the order in which they came; not safe to use from several threads at once."""

    def __init__(self, *, bounds: Bounds, commit: Bounds, seconds_max: float) -> None:
        """Hold no more than `bounds`; once the first has waited `seconds_max`, no more than goes into one `commit`."""
        self._bounds = bounds
        self._commit = commit
        self._seconds_max = seconds_max
        self._waiting: deque[Waiting] = deque()
        self._items = 0

    def __len__(self) -> int:
        """Return how many works wait."""
        return len(self._waiting)

    def has_room(self, items: int, *, now: float) -> bool:
        """Return whether a work of so many items may wait, too; where none waits, one may, of whatever size."""
        if not self._waiting:
            return True
        is_late = now - self._waiting[0].since > self._seconds_max
        works, most = self._commit if is_late else self._bounds
        return len(self._waiting) < works and self._items + items <= most

    def put(self, waiting: Waiting) -> bool:
        """Add a work, and return whether there was room for it."""
        items = _items_of(waiting.work)
        if not self.has_room(items, now=waiting.since):
            return False
        self._waiting.append(waiting)
        self._items += items
        return True

    def take(self, most: Bounds) -> list[Waiting]:
        """Remove and return the next works, `most` of them at most, and one at least if any waits."""
        taken: list[Waiting] = []
        items = most.items
        while self._waiting and len(taken) < max(1, most.works):
            items -= _items_of(self._waiting[0].work)
            if taken and items < 0:
                break
            each = self._waiting.popleft()
            self._items -= _items_of(each.work)
            taken.append(each)
        return taken


def _items_of(work: Work[object]) -> int:
    return work.items if isinstance(work, Weighed) else 1
