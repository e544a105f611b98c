"""The clock guard: a wall clock that jumps is not believed until a person has looked at it."""

import threading
from datetime import datetime, timedelta
from typing import Final

from node.ports import Clock
from protocol.errors import Code, Refusal

JUMP_SECONDS_MAX: Final = 600


class ClockGuard:
    """Reads the wall clock and compares it, from one reading to the next, with one that never steps.

    A slow drift is followed. A jump of more than `JUMP_SECONDS_MAX`, either way, stops the reading until `confirm`:
    deadlines and days of points would be judged by a wrong clock, and entries' times never go back.
    """

    def __init__(self, clock: Clock) -> None:
        """Believe the clock as it is now."""
        self._clock = clock
        self._lock = threading.Lock()
        self._now, self._monotonic = clock.now(), clock.monotonic()
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Return whether a jump waits for `confirm`."""
        return self._stopped

    def read(self) -> datetime:
        """Return the wall time, or raise a `Refusal` with the code `clock` after a jump."""
        with self._lock:
            now, monotonic = self._clock.now(), self._clock.monotonic()
            jump = (now - self._now) - timedelta(seconds=monotonic - self._monotonic)
            if self._stopped or abs(jump) > timedelta(seconds=JUMP_SECONDS_MAX):
                self._stopped = True
                raise Refusal(Code.CLOCK, f"this node's clock has jumped by {jump}: an operator must confirm it")
            self._now, self._monotonic = now, monotonic
            return now

    def confirm(self) -> None:
        """Believe the clock as it is now."""
        with self._lock:
            self._now, self._monotonic = self._clock.now(), self._clock.monotonic()
            self._stopped = False
