"""How results of the writer's thread reach an event loop: all that a commit has brought, in one wake-up.

A wake-up of a loop is a system call and a turn of the loop: for each of the works of a commit it took longer than the
rest of the answer.
"""

import asyncio
import threading
from concurrent.futures import Future
from typing import Final, TypeAlias, TypeVar, cast
from weakref import WeakKeyDictionary

_T = TypeVar("_T")
_Awaited: TypeAlias = "tuple[asyncio.Future[object], Future[object]]"


class _Mailbox:
    """What has arrived for one loop and is not told yet."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._arrived: list[_Awaited] = []

    def put(self, awaited: "asyncio.Future[object]", done: "Future[object]") -> None:
        """Keep a result for the loop's next turn; any thread may call this."""
        with self._lock:
            is_first = not self._arrived
            self._arrived.append((awaited, done))
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
        for awaited, done in arrived:
            if awaited.done():
                continue
            failure = done.exception()
            if failure is None:
                awaited.set_result(done.result())
            else:
                awaited.set_exception(failure)


_MAILBOXES: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, _Mailbox]] = WeakKeyDictionary()


async def arrival(result: "Future[_T]") -> _T:
    """Return what a future of another thread brings, or raise it; whoever stops waiting does not undo the work."""
    loop = asyncio.get_running_loop()
    mailbox = _MAILBOXES.get(loop)
    if mailbox is None:
        mailbox = _MAILBOXES[loop] = _Mailbox(loop)
    awaited: asyncio.Future[object] = loop.create_future()
    result.add_done_callback(lambda done: mailbox.put(awaited, cast("Future[object]", done)))
    return cast("_T", await awaited)
