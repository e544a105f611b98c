"""What a time zone's clocks do in the years ahead: the only place that asks the time zone database.

Entries carry what is found here, so that whoever replays them needs no database and no newer one says otherwise.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from protocol.errors import ProgramInvalid
from protocol.fields import format_time
from protocol.program import OFFSETS_MAX, UTC_ZONE, ZoneOffset

YEARS: Final = 40
"""How far ahead offsets are known; after that the last one goes on until the terms are set anew."""

_NO_PLACES: Final = frozenset({"Factory", "localtime"})
"""Names in the database that stand for no place: what a machine was set to, or nothing."""

_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)


def offsets_of(zone: str, *, since: datetime) -> tuple[ZoneOffset, ...]:
    """Return the offsets of `zone` from the year of `since` on, none for UTC, or raise `ProgramInvalid`."""
    if zone == UTC_ZONE:
        return ()
    return _offsets(zone, since.astimezone(UTC).year)


@lru_cache(maxsize=16)
def _offsets(zone: str, year: int) -> tuple[ZoneOffset, ...]:
    clock = _clock(zone)
    at = datetime(year, 1, 1, tzinfo=UTC)
    end = datetime(year + YEARS, 1, 1, tzinfo=UTC)
    found = [_offset(clock, at)]
    while at < end and len(found) < OFFSETS_MAX:
        following = at + _DAY
        if _seconds(clock, following) != found[-1].seconds:
            found.append(_offset(clock, _change(clock, at, following)))
        at = following
    return tuple(found)


def _clock(zone: str) -> ZoneInfo:
    try:
        if zone in available_timezones() - _NO_PLACES:
            return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ProgramInvalid(f"the time zone {zone} cannot be read: {error}") from error
    raise ProgramInvalid(f"{zone} is no time zone like Europe/Berlin")


def _change(clock: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Return the first second after `before` at which the offset of `after` holds."""
    offset = _seconds(clock, after)
    while after - before > _SECOND:
        middle = before + timedelta(seconds=int((after - before).total_seconds()) // 2)
        if _seconds(clock, middle) == offset:
            after = middle
        else:
            before = middle
    return after


def _offset(clock: ZoneInfo, at: datetime) -> ZoneOffset:
    return ZoneOffset(starts_at=format_time(at), seconds=_seconds(clock, at))


def _seconds(clock: ZoneInfo, at: datetime) -> int:
    offset = at.astimezone(clock).utcoffset()
    assert offset is not None, "a zone says its offset at every moment"
    return int(offset.total_seconds())
