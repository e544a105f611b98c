"""What a service returns at once for what it has handed to the writer: an answer that comes with the commit."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar, cast

from node.services.arriving import arrival, on_arrival

_A = TypeVar("_A")
_B = TypeVar("_B")
_T = TypeVar("_T")


class Pending(Generic[_T]):
    """An answer that exists once the commit that it reports is durable: awaited by routes, or waited for."""

    def __init__(self, future: "Future[_A]", finish: Callable[[_A], _T]) -> None:
        """Make the answer by `finish` out of what `future` brings, on the thread or task that asks for it."""
        self._future = cast("Future[object]", future)
        self._finish = cast("Callable[[object], _T]", finish)

    def then(self, finish: Callable[[_T], _B]) -> "Pending[_B]":
        """Return what `finish` makes of the answer."""
        first = self._finish
        return Pending(self._future, lambda found: finish(first(found)))

    def result(self, timeout: float | None = None) -> _T:
        """Wait for the answer and return it, or raise what the work raised."""
        return self._finish(self._future.result(timeout))

    def tell(self, told: "Callable[[Callable[[], _T]], None]") -> None:
        """Call `told` on the loop that runs here once there is an answer, with what returns it, or raises a refusal."""
        finish = self._finish
        # A future keeps what it has called: were this answer part of that, the two would keep each other.
        on_arrival(self._future, lambda done: told(lambda: finish(done.result())))

    async def wait(self) -> _T:
        """Return the answer without holding up the event loop; a caller that goes away does not undo the work."""
        return self._finish(await arrival(self._future))
