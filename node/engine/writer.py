"""The writer's thread: a bounded queue in front of the engine, group commit without a fixed delay."""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final, TypeAlias, TypeVar, cast

import structlog

from node.engine.clock import ClockGuard
from node.engine.engine import Committed, Engine
from node.engine.gate import Gate
from node.engine.work import Work
from node.ports import Clock
from protocol.errors import TallystickError

_T = TypeVar("_T")
_Waiting: TypeAlias = "tuple[Work[object], Future[object]]"
_LOG: Final = structlog.get_logger()

QUEUE_WORKS_MAX: Final = 4_096
COMMIT_WORKS_MAX: Final = 1_024


class Busy(TallystickError):
    """The writer's queue is full: try again shortly."""

    code = "busy"


class Stopped(TallystickError):
    """The writer has stopped and takes no more work."""

    code = "stopped"


class WriterQueue:
    """Runs works on one thread; whatever waits while a commit is written goes into the next one together.

    While a jump of the wall clock is not confirmed, every work is refused with the code `clock`.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        """Prepare; nothing runs before `start`."""
        self._engine = engine
        self._guard = ClockGuard(clock)
        self._waiting: queue.Queue[_Waiting | None] = queue.Queue(QUEUE_WORKS_MAX)
        self._listeners: list[Callable[[Committed], None]] = []
        self._thread = threading.Thread(target=self._loop, name="writer", daemon=True)
        self._door = threading.Lock()
        self._closing = False
        self._failure: Exception | None = None

    @property
    def gate(self) -> Gate:
        """Return the gate before the log."""
        return self._engine.gate

    @property
    def failure(self) -> Exception | None:
        """Return why the last commit failed, or None when it did not."""
        return self._failure

    @property
    def waiting(self) -> int:
        """Return about how many works wait for the next commits."""
        return self._waiting.qsize()

    @property
    def clock_stopped(self) -> bool:
        """Return whether a jump of the wall clock waits for `confirm_clock`."""
        return self._guard.stopped

    def confirm_clock(self) -> None:
        """Believe the wall clock as it is now: an operator has looked at it."""
        self._guard.confirm()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def listen(self, listener: Callable[[Committed], None]) -> None:
        """Call `listener` on the writer's thread after each commit; it must be quick and must not raise."""
        self._listeners.append(listener)

    def submit(self, work: Work[_T]) -> "Future[_T]":
        """Queue `work`; the future carries its value or the error it raised. Raises `Busy` or `Stopped`."""
        future: Future[object] = Future()
        # Without the lock a work could be queued behind the mark that ends the thread, and wait for ever.
        with self._door:
            if self._closing:
                raise Stopped("the node is stopping")
            try:
                self._waiting.put_nowait((work, future))
            except queue.Full as error:
                raise Busy("too many requests are waiting to be written") from error
        return cast("Future[_T]", future)

    def close(self) -> None:
        """Finish what is queued and stop the thread; a second call does nothing."""
        with self._door:
            if self._closing:
                return
            self._closing = True
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()

    def _take(self) -> tuple[list[_Waiting], bool]:
        taken: list[_Waiting] = []
        item = self._waiting.get()
        while item is not None:
            # From here on nobody can cancel; a caller who has gone away before is not served.
            if item[1].set_running_or_notify_cancel():
                taken.append(item)
            if len(taken) == COMMIT_WORKS_MAX:
                return taken, True
            try:
                item = self._waiting.get_nowait()
            except queue.Empty:
                return taken, True
        return taken, False

    def _loop(self) -> None:
        going = True
        while going:
            taken, going = self._take()
            if taken:
                self._commit(taken)

    def _commit(self, taken: Sequence[_Waiting]) -> None:
        try:
            results, committed = self._engine.commit([work for work, _ in taken], self._guard.read())
        except Exception as failure:  # noqa: BLE001 - each caller is told; the thread must go on
            _LOG.error("commit_failed", works=len(taken), exc_info=failure)
            self._failure = failure
            for _, future in taken:
                future.set_exception(failure)
            return
        self._failure = None
        for (_, future), result in zip(taken, results, strict=True):
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
        for listener in self._listeners:
            self._tell(listener, committed)

    def _tell(self, listener: Callable[[Committed], None], committed: Committed) -> None:
        try:
            listener(committed)
        except Exception as bug:  # noqa: BLE001 - the commit is done, and the thread must go on
            _LOG.error("listener_failed", exc_info=bug)
