"""Expiry of points: once a day, posts the lots whose last day has passed, a little at a time."""

import time
from collections.abc import Callable
from typing import Final

import structlog

from node.ports import Clock
from node.services.program.expiry import STEP_LOTS_MAX, ExpiryService
from protocol.errors import Refusal

INTERVAL_SECONDS: Final = 1.0
STEPS_MAX: Final = 64
"""How many commits one step makes before it lets the node stop, if it is to."""

PAUSE_SECONDS: Final = 0.005
"""After each commit others' writes have the writer to themselves for as long as it took, and no less than this."""

LOTS_MIN: Final = 4
COMMIT_SECONDS: Final = 0.02
"""A commit that took longer has half as many lots after it: a slow machine makes others wait no longer."""

_LOG: Final = structlog.get_logger()


class ExpirePoints:
    """Begins when the program's day changes, and at a start; goes on where it was."""

    def __init__(self, expiry: ExpiryService, clock: Clock, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._expiry = expiry
        self._clock = clock
        self._sleep = sleep
        self._lots = STEP_LOTS_MAX
        self._day = ""
        self._after: str | None = None
        self._done = False

    def step(self) -> None:
        """Post some of what has expired before today, if anything is left of it."""
        today = self._expiry.today()
        if today != self._day:
            self._day, self._after, self._done = today, None, False
        for _ in range(STEPS_MAX):
            if self._done or not self._once():
                return

    def _once(self) -> bool:
        """Make one commit, and return whether it could be made."""
        begun = self._clock.monotonic()
        try:
            made = self._expiry.run(self._day, self._after, lots_max=self._lots)
        except Refusal as refusal:
            _LOG.info("points_not_expired", code=refusal.code)
            return False
        self._after, self._done = made.next, made.next is None
        if made.lots:
            _LOG.info("points_expired", day=self._day, lots=made.lots, points=made.points)
        if not self._done:
            self._rest(self._clock.monotonic() - begun)
        return True

    def _rest(self, seconds: float) -> None:
        """Leave the writer to others for as long as a commit took, and make the next one fit."""
        slower = seconds > COMMIT_SECONDS
        self._lots = max(LOTS_MIN, self._lots // 2) if slower else min(STEP_LOTS_MAX, self._lots * 2)
        self._sleep(max(PAUSE_SECONDS, seconds))
