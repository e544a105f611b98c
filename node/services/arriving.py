"""How results of the writer's thread reach an event loop: all that a commit has brought, in one wake-up.

A wake-up of a loop is a system call and a turn of the loop: for each of the works of a commit it took longer than the
rest of the answer.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeAlias, TypeVar, cast
from weakref import WeakKeyDictionary

_T = TypeVar("_T")
_Take: TypeAlias = "Callable[[Future[object]], None]"


class _Mailbox:
    """What has arrived for one loop and is not told yet."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._arrived: list[tuple[_Take, Future[object]]] = []

    def put(self, take: _Take, done: "Future[object]") -> None:
        """Keep a result for the loop's next turn, where `take` is given it; any thread may call this."""
        with self._lock:
            is_first = not self._arrived
            self._arrived.append((take, done))
        if is_first:
            self._wake()

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:
            # The loop has ended, and those who waited with it.
            self._arrived.clear()

    def _deliver(self) -> None:
        with self._lock:
            arrived, self._arrived = self._arrived, []
        for take, done in arrived:
            try:
                take(done)
            except Exception as bug:  # noqa: BLE001 - what befalls one of them is not to keep the others waiting
                self._loop.call_exception_handler({"message": "an answer was not told", "exception": bug})


_MAILBOXES: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, _Mailbox]] = WeakKeyDictionary()


def on_arrival(result: "Future[_T]", take: "Callable[[Future[_T]], None]") -> None:
    """Call `take` with a future of another thread once it is done, on the loop that runs here."""
    mailbox = _mailbox()
    result.add_done_callback(lambda done: mailbox.put(cast("_Take", take), cast("Future[object]", done)))


async def arrival(result: "Future[_T]") -> _T:
    """Return what a future of another thread brings, or raise it; whoever stops waiting does not undo the work."""
    awaited: asyncio.Future[_T] = asyncio.get_running_loop().create_future()

    def take(done: "Future[_T]") -> None:
        if awaited.done():
            return
        failure = done.exception()
        if failure is None:
            awaited.set_result(done.result())
        else:
            awaited.set_exception(failure)

    on_arrival(result, take)
    return await awaited


def _mailbox() -> _Mailbox:
    loop = asyncio.get_running_loop()
    mailbox = _MAILBOXES.get(loop)
    if mailbox is None:
        mailbox = _MAILBOXES[loop] = _Mailbox(loop)
    return mailbox
