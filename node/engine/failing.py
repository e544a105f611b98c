"""What the log says of commits that fail: each way at once, then from time to time how many, and when they are over.

While a database is away a node refuses hundreds in a second, and a line for each would fill the disk.
"""

from math import inf
from typing import Final

import structlog

from node.ports import Clock

QUIET_SECONDS: Final = 10.0
"""What is said is said again no sooner, also of a store that fails and works by turns."""

_LOG: Final = structlog.get_logger()


class FailingCommits:
    """Is told of each commit that fails, and of each that is written; one thread at a time."""

    def __init__(self, clock: Clock) -> None:
        """Begin with none."""
        self._clock = clock
        self._said: dict[tuple[type[Exception], str | None], float] = {}
        self._said_over = -inf
        self._began = 0.0
        self._count = self._unsaid = 0

    def failed(self, failure: Exception, *, works: int) -> None:
        """Say so, with how many failed since that was said last, unless just now one has failed in the same way."""
        now, way = self._clock.monotonic(), (type(failure), getattr(failure, "code", None))
        if not self._count:
            self._began = now
        self._count += 1
        self._unsaid += 1
        if now - self._said.get(way, -inf) >= QUIET_SECONDS:
            _LOG.error("commit_failed", works=works, commits=self._unsaid, exc_info=failure)
            self._said[way], self._unsaid = now, 0

    def over(self) -> None:
        """Say how many have failed, and for how long, where any has: one was written again."""
        if not self._count:
            return
        now = self._clock.monotonic()
        if now - self._said_over >= QUIET_SECONDS:
            self._tell("commits_again", now)
            self._said_over = now

    def end(self) -> None:
        """Say how many have failed until the end, where any has: none is written any more."""
        if self._count:
            self._tell("commits_ended", self._clock.monotonic())

    def _tell(self, event: str, now: float) -> None:
        _LOG.warning(event, failed=self._count, seconds=round(now - self._began, 3))
        self._count = self._unsaid = 0
