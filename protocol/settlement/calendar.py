"""When windows close: the agreement's calendar in UTC, as slots of equal length (specs/settlement.md)."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from protocol.agreement import WindowCalendar
from protocol.fields import later, parse_time

TIME_MIN: Final = "0001-01-01T00:00:00.000000Z"

_HOUR_SECONDS: Final = 3_600
_DAY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One stretch of the calendar, `starts_at` included, `ends_at` not; slot 0 is all time before the calendar."""

    index: int
    starts_at: str
    ends_at: str


def slot(calendar: WindowCalendar, index: int) -> Slot:
    """Return slot `index` of the calendar, from 0."""
    assert index >= 0, "slots are counted from 0"
    seconds = calendar.hours * _HOUR_SECONDS
    return Slot(
        index=index,
        starts_at=later(calendar.starts_at, seconds=(index - 1) * seconds) if index else TIME_MIN,
        ends_at=later(calendar.starts_at, seconds=index * seconds),
    )


def slot_at(calendar: WindowCalendar, time: str) -> Slot:
    """Return the slot in which `time` lies; `time` follows the grammar of times."""
    if time < calendar.starts_at:
        return slot(calendar, 0)
    passed = parse_time(time) - parse_time(calendar.starts_at)
    return slot(calendar, passed // timedelta(hours=calendar.hours) + 1)


def closes_at(calendar: WindowCalendar, *, opened_at: str) -> str:
    """Return when a window closes that opened at `opened_at`: at the end of the slot it opened in.

    A window that was closed early leaves the rest of its slot to the next one, so every slot's end closes a window.
    """
    return slot_at(calendar, opened_at).ends_at


def due_at(calendar: WindowCalendar, *, closed_at: str) -> str:
    """Return until when a window's balance is to be paid: `due_days` after its later close."""
    return later(closed_at, seconds=calendar.due_days * _DAY_SECONDS)
