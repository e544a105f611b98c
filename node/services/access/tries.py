"""How often somebody may be wrong: failures by name in a moving window, in memory."""

import threading
from collections import deque
from typing import Final

from node.ports import Clock
from node.services.refusals import NodeCode, NodeRefusal

NAMES_MAX: Final = 10_000
"""Names remembered at once; when there are more, the one that failed longest ago is forgotten."""


class Tries:
    """Counts failures; a restart forgets them, which gains a guesser of one in 6 × 10^11 nothing."""

    def __init__(self, clock: Clock, *, most: int, seconds: float) -> None:
        """Allow `most` failures of one name in `seconds`."""
        self._clock = clock
        self._most = most
        self._seconds = seconds
        self._failed: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def check(self, name: str) -> None:
        """Raise `consent_tries` when `name` has failed too often."""
        with self._lock:
            if len(self._recent(name)) >= self._most:
                raise NodeRefusal(NodeCode.CONSENT_TRIES, "too many codes were wrong; wait ten minutes")

    def fail(self, name: str) -> None:
        """Count a failure of `name`."""
        with self._lock:
            failed = self._recent(name)
            failed.append(self._clock.monotonic())
            # Put last what has failed last.
            self._failed.pop(name, None)
            self._failed[name] = failed
            while len(self._failed) > NAMES_MAX:
                self._failed.pop(next(iter(self._failed)))

    def _recent(self, name: str) -> "deque[float]":
        failed = self._failed.get(name, deque())
        while failed and self._clock.monotonic() - failed[0] >= self._seconds:
            failed.popleft()
        if not failed:
            self._failed.pop(name, None)
        return failed
