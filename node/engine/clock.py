"""The clock guard: a wall clock that jumps is not believed until a person has looked at it."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from node.engine.work import Desk
from node.ports import Clock
from node.store.rows import PutSetting
from protocol.errors import Code, Refusal
from protocol.ledger.view import Need, Overlay

JUMP_SECONDS_MAX: Final = 600
CLOCK_SETTING: Final = "clock"
STOPPED: Final = "stopped"
_BELIEVED: Final = "believed"


class KeepClock:
    """A work that keeps whether a jump waits for a person: whoever writes the store next knows of it."""

    def __init__(self, *, stopped: bool) -> None:
        """Keep that the clock is `stopped`, or believed."""
        self._value = STOPPED if stopped else _BELIEVED

    def needs(self, _view: Overlay) -> Iterator[Need]:
        """Need nothing."""
        return iter(())

    def run(self, desk: Desk) -> None:
        """Write it."""
        desk.stage(PutSetting(CLOCK_SETTING, self._value))


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
    def believed(self) -> datetime:
        """Return the wall time that was believed last."""
        return self._now

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
                raise Refusal(Code.CLOCK, f"this node's clock has jumped{_by(jump)}: an operator must confirm it")
            self._now, self._monotonic = now, monotonic
            return now

    def stop(self) -> None:
        """Let a jump of before wait for `confirm`."""
        with self._lock:
            self._stopped = True

    def confirm(self) -> None:
        """Believe the clock as it is now."""
        with self._lock:
            self._now, self._monotonic = self._clock.now(), self._clock.monotonic()
            self._stopped = False


def _by(jump: timedelta) -> str:
    """Say how far it was; nobody knows of a jump before a start."""
    return f" by {jump}" if abs(jump) > timedelta(seconds=JUMP_SECONDS_MAX) else ""
