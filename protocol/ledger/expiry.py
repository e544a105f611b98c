"""Last days: calendar arithmetic alone (specs/expiry.md §2). Days are text, whose order is that of the calendar.

A month later is the same day of the next month, or that month's last day where it is shorter. The calendar ends with
the year 9999, and so does everything that would come later.
"""

from bisect import bisect_left
from calendar import monthrange
from datetime import date
from functools import lru_cache
from typing import Final, TypeAlias

from protocol.fields import DATE_MAX
from protocol.program import ExpiryRule

Clock: TypeAlias = str
"""How a rolling lot follows the clock: `24-month` is 24 months after the last activity, to the end of that month."""

CLOCK_PATTERN: Final = "[1-9][0-9]{0,3}-(?:none|month|quarter|year)"

_MONTHS: Final = 12
_YEAR_MAX: Final = 9_999
_ROUNDING_MONTHS: Final = {"none": 0, "month": 1, "quarter": 3, "year": _MONTHS}


def months_later(day: str, *, months: int) -> str:
    """Return the day that many months after `day`, clipped to the end of a shorter month."""
    year, month, number = int(day[:4]), int(day[5:7]), int(day[8:])
    years, place = divmod(month - 1 + months, _MONTHS)
    if year + years > _YEAR_MAX:
        return DATE_MAX
    return _day(year + years, place + 1, min(number, _length(year + years, place + 1)))


def end_of(day: str, *, round_to: str) -> str:
    """Return the last day of the `month`, `quarter` or `year` that `day` lies in, or with `none` the day itself."""
    size = _ROUNDING_MONTHS[round_to]
    if not size:
        return day
    year, month = int(day[:4]), int(day[5:7])
    last = -(-month // size) * size
    return _day(year, last, _length(year, last))


@lru_cache(maxsize=4_096)
def last_day(since: str, *, months: int, round_to: str) -> str:
    """Return the last day of what lasts `months` from `since` on."""
    return end_of(months_later(since, months=months), round_to=round_to)


def fixed_last_day(rule: ExpiryRule, earned_on: str) -> str | None:
    """Return the last day that `rule` gives to points by the day on which they were earned, or None."""
    if rule.kind != "fixed":
        return None
    return last_day(earned_on, months=rule.months, round_to=rule.round_to)


def clock_of(rule: ExpiryRule) -> Clock | None:
    """Return how points under `rule` follow their account's clock, or None where they do not."""
    return f"{rule.months}-{rule.round_to}" if rule.kind == "rolling" else None


def clock_ends_on(clock: Clock, active_on: str) -> str:
    """Return the last day of points that follow `clock` in an account whose last activity was on `active_on`."""
    months, _, round_to = clock.partition("-")
    return last_day(active_on, months=int(months), round_to=round_to)


def idle_since(clock: Clock, as_of: str) -> str | None:
    """Return the latest day of last activity with which `clock` has run out before `as_of`, or None."""
    end = date.fromisoformat(as_of).toordinal()
    place = bisect_left(
        range(1, end), as_of, key=lambda number: clock_ends_on(clock, date.fromordinal(number).isoformat())
    )
    return date.fromordinal(place).isoformat() if place else None


def _length(year: int, month: int) -> int:
    return monthrange(year, month)[1]


def _day(year: int, month: int, number: int) -> str:
    return f"{year:04}-{month:02}-{number:02}"
