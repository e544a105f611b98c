"""The ledger's clock: entry times strictly increase, whatever the wall clock does."""

from datetime import UTC, datetime, timedelta

from protocol.fields import format_time, parse_time

_TICK = timedelta(microseconds=1)


class EntryTimes:
    """Gives out the times of one commit's entries: the wall time, or one microsecond after the last entry's."""

    def __init__(self, *, now: datetime, last: str) -> None:
        """Start at `now`, or just after the time text `last` when the wall clock is behind it."""
        self._next = now.astimezone(UTC)
        if last:
            self._next = max(self._next, parse_time(last) + _TICK)

    def peek(self) -> str:
        """Return the time that the next entry will have."""
        return format_time(self._next)

    def advance(self) -> None:
        """Move on after an entry was accepted."""
        self._next += _TICK
