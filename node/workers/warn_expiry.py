"""Warnings of expiry: once a day, some days before points expire."""

import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

import structlog

from node.services.program.expiry_notices import ExpiryNotices
from node.workers.expire_points import PAUSE_SECONDS
from protocol.errors import TallystickError

INTERVAL_SECONDS: Final = 5.0
STEP_BATCHES_MAX: Final = 16
"""How many commits one step makes before it lets the node stop, if it is to."""

_LOG: Final = structlog.get_logger()


class WarnExpiry:
    """Begins when the program's day changes, and at a start."""

    def __init__(self, notices: ExpiryNotices, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._notices = notices
        self._sleep = sleep
        self._day = ""
        self._batches: Iterator[int] = iter(())

    def step(self) -> None:
        """Make some of the warnings that are due today, if any are left."""
        today = self._notices.today()
        if today != self._day:
            self._day, self._batches = today, self._notices.warn(today)
        try:
            made = sum(map(self._made, islice(self._batches, STEP_BATCHES_MAX)))
        except TallystickError:
            # What was made stays made: the next step looks for the rest from the start of the day's.
            self._day = ""
            raise
        if made:
            _LOG.info("expiry_warned", day=today, notices=made)

    def _made(self, size: int) -> int:
        self._sleep(PAUSE_SECONDS)
        return size
