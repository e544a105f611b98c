"""The writer's thread: bounded lanes in front of the engine, group commit without a fixed delay."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime
from typing import Final, TypeVar, cast

import structlog

from node.engine.clock import ClockGuard, KeepClock
from node.engine.engine import Committed, Engine
from node.engine.failing import FailingCommits
from node.engine.gate import Gate
from node.engine.lanes import Bounds, Lane, Waiting
from node.engine.work import Foremost, Work
from node.ports import Clock
from protocol.errors import Refusal, TallystickError

_T = TypeVar("_T")
_LOG: Final = structlog.get_logger()

QUEUE_WORKS_MAX: Final = 2_048
"""How many orders may wait, and how many works that go before them."""

QUEUE_ITEMS_MAX: Final = 16_384
"""How many entries all that waits in a lane may write: about a second's work, so that nobody waits much longer."""

QUEUE_SECONDS_MAX: Final = 0.5
"""Once the first of a lane has waited for so long, no more is taken than the next commit can do."""

COMMIT_WORKS_MAX: Final = 1_024
COMMIT_ITEMS_MAX: Final = 2_048
"""More in one commit would be written hardly faster, and everybody in it would wait for all of it."""

FOREMOST_SHARE: Final = 4
"""What goes before orders has one part in so many of a commit at most, so that orders go on, too."""


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
        self._kept_stopped = False
        self._clock = clock
        self._orders, self._foremost = _lane(), _lane()
        self._listeners: list[Callable[[Committed], None]] = []
        self._thread = threading.Thread(target=self._loop, name="writer", daemon=True)
        self._door = threading.Condition(threading.Lock())
        self._closing = False
        self._failure: Exception | None = None
        self._failing = FailingCommits(clock)
        self._commits = 0

    @property
    def commits(self) -> int:
        """Return how many commits have ended, also those that failed: before any of their works is answered."""
        return self._commits

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
        return len(self._orders) + len(self._foremost)

    def has_room(self, items: int) -> bool:
        """Return whether orders of so many entries would be taken now."""
        return self._orders.has_room(items, now=self._clock.monotonic())

    @property
    def clock_stopped(self) -> bool:
        """Return whether a jump of the wall clock waits for `confirm_clock`."""
        return self._guard.stopped

    def stop_clock(self) -> None:
        """Refuse works until `confirm_clock`: the store says that a jump waits for it."""
        self._kept_stopped = True
        self._guard.stop()

    def confirm_clock(self) -> None:
        """Believe the wall clock as it is now: an operator has looked at it."""
        self._guard.confirm()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def listen(self, listener: Callable[[Committed], None]) -> None:
        """Call `listener` on the writer's thread after each commit, before its works are answered.

        It must be quick and must not raise.
        """
        self._listeners.append(listener)

    def submit(self, work: Work[_T]) -> "Future[_T]":
        """Queue `work`; the future carries its value or the error it raised. Raises `Busy` or `Stopped`."""
        future: Future[object] = Future()
        lane = self._foremost if isinstance(work, Foremost) else self._orders
        with self._door:
            if self._closing:
                raise Stopped("the node is stopping")
            if not lane.put(Waiting(work, future, self._clock.monotonic())):
                raise Busy("too many requests are waiting to be written")
            self._door.notify()
        return cast("Future[_T]", future)

    def close(self) -> None:
        """Finish what is queued and stop the thread; a second call does nothing."""
        with self._door:
            if self._closing:
                return
            self._closing = True
            self._door.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _take(self) -> list[Waiting]:
        """Wait, and return what goes into the next commit: nothing once all is done and the queue was closed."""
        with self._door:
            while not self.waiting and not self._closing:
                self._door.wait()
            share = Bounds(COMMIT_WORKS_MAX // FOREMOST_SHARE, COMMIT_ITEMS_MAX // FOREMOST_SHARE)
            taken = self._foremost.take(share)
            return taken + self._orders.take(Bounds(COMMIT_WORKS_MAX - len(taken), COMMIT_ITEMS_MAX))

    def _loop(self) -> None:
        while taken := self._take():
            # From here on nobody can cancel; a caller who has gone away before is not served.
            wanted = [(work, future) for work, future, _ in taken if future.set_running_or_notify_cancel()]
            if wanted:
                self._commit(wanted)
        self._failing.end()

    def _commit(self, taken: "Sequence[tuple[Work[object], Future[object]]]") -> None:
        try:
            results, committed = self._engine.commit([work for work, _ in taken], self._time())
        except Exception as failure:  # noqa: BLE001 - each caller is told; the thread must go on
            self._failing.failed(failure, works=len(taken))
            self._failure = failure
            self._commits += 1
            for _, future in taken:
                future.set_exception(failure)
            return
        if committed.wrote:
            # What has nothing to write ends well on a full disk, too.
            self._failure = None
            self._failing.over()
        self._commits += 1
        # First, so that whoever is answered finds nothing remembered that this commit has changed, and delivery sets
        # out while the answers are made.
        for listener in self._listeners:
            self._tell(listener, committed)
        for (_, future), result in zip(taken, results, strict=True):
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _time(self) -> datetime:
        """Return the wall time, or raise a `Refusal` after a jump: what starts after this one refuses, too."""
        try:
            now = self._guard.read()
        except Refusal:
            with suppress(TallystickError):
                self._keep_clock(stopped=True)
            raise
        self._keep_clock(stopped=False)
        return now

    def _keep_clock(self, *, stopped: bool) -> None:
        if stopped != self._kept_stopped:
            self._engine.commit([KeepClock(stopped=stopped)], self._guard.believed)
            self._kept_stopped = stopped

    def _tell(self, listener: Callable[[Committed], None], committed: Committed) -> None:
        try:
            listener(committed)
        except Exception as bug:  # noqa: BLE001 - the commit is done, and the thread must go on
            _LOG.error("listener_failed", exc_info=bug)


def _lane() -> Lane:
    return Lane(
        bounds=Bounds(QUEUE_WORKS_MAX, QUEUE_ITEMS_MAX),
        commit=Bounds(COMMIT_WORKS_MAX, COMMIT_ITEMS_MAX),
        seconds_max=QUEUE_SECONDS_MAX,
    )
