"""The ledger's clock: entry times strictly increase, whatever the wall clock does."""

from datetime import UTC, datetime, timedelta
from typing import Final

from protocol.fields import format_time, parse_time

_TICK: Final = timedelta(microseconds=1)
_SECOND_TICKS: Final = 1_000_000
_SECOND: Final = len("2026-01-31T12:00:00.")


class EntryTimes:
    """Gives out the times of one commit's entries: the wall time, or one microsecond after the last entry's."""

    def __init__(self, *, now: datetime, last: str) -> None:
        """Start at `now`, or just after the time text `last` when the wall clock is behind it."""
        self._next = now.astimezone(UTC)
        self._read()
        self.pass_by(last)

    def pass_by(self, time: str) -> None:
        """Go on just after the time text `time`, unless the next entry is later than that already."""
        if self._text <= time:
            self._next = parse_time(time) + _TICK
            self._read()

    def _read(self) -> None:
        self._micros = self._next.microsecond
        self._text = format_time(self._next)
        self._second = self._text[:_SECOND]

    def peek(self) -> str:
        """Return the time that the next entry will have."""
        return self._text

    def advance(self) -> None:
        """Move on after an entry was accepted."""
        # Formatting a whole time costs as much as judging half an entry, and within a second its head stays.
        self._micros += 1
        if self._micros < _SECOND_TICKS:
            self._text = f"{self._second}{self._micros:06}Z"
        else:
            self._next = self._next.replace(microsecond=_SECOND_TICKS - 1) + _TICK
            self._read()
