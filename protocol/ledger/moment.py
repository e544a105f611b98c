"""When a command is decided: the commit's time, and the business day it falls on."""

from functools import lru_cache

import msgspec

from protocol.entries import Entry
from protocol.errors import Code, Refusal
from protocol.fields import days_later, parse_date, parse_time
from protocol.ledger.command import Command
from protocol.ledger.program_state import ProgramRecord
from protocol.program import day_of


class Moment(msgspec.Struct, frozen=True, gc=False):
    """`time` is RFC 3339 in UTC with microseconds; `today` the program's calendar day."""

    time: str
    today: str


def occurred(command: Command, moment: Moment) -> str:
    """Return the business day of `command`: its own, or today."""
    if command.occurred_on is None:
        return moment.today
    check_day(command.occurred_on)
    return command.occurred_on


def check_day(text: str) -> None:
    """Refuse a command's text that is not a calendar day; the days of an entry are days by its format."""
    try:
        parse_date(text)
    except ValueError as error:
        raise Refusal(Code.DATE_INVALID, str(error)) from error


def check_time(text: str) -> None:
    """Refuse a command's text that is not a time; the times of an entry are times by its format."""
    try:
        parse_time(text)
    except ValueError as error:
        raise Refusal(Code.DATE_INVALID, str(error)) from error


@lru_cache(maxsize=1024)
def _day_after(text: str) -> str:
    return days_later(text, days=1)


def check_occurred(entry: Entry, program: ProgramRecord | None) -> None:
    """Refuse an entry dated after the day on which it is recorded: in the program's time zone, or in the earliest."""
    if program is not None and program.terms.offsets:
        last = day_of(program.terms, entry.time)
    else:
        last = entry.time[:10]
        if entry.occurred_on <= last:
            return
        last = _day_after(last)
    if entry.occurred_on > last:
        raise Refusal(Code.DATE_INVALID, f"{entry.occurred_on} lies in the future")


def check_recent(entry: Entry) -> None:
    """Refuse an entry dated before the day on which it is recorded, in the latest time zone."""
    if _day_after(entry.occurred_on) < entry.time[:10]:
        raise Refusal(Code.DATE_INVALID, f"{entry.occurred_on} is not the day of {entry.time}")
