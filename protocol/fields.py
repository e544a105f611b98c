"""Field types that the documents share: the grammar of names, digests, times and dates as msgspec constraints.

The grammar of dates is the whole calendar, so that a time or date which was once read can always be reckoned with.
"""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final

from msgspec import Meta

from protocol.identifiers import (
    ASSET_PATTERN,
    DIGEST_PATTERN,
    HEX_16_PATTERN,
    HOLDER_PATTERN,
    LEDGER_PATTERN,
    UUID_PATTERN,
    Account,
    Alias,
    Asset,
    Digest,
    Id,
    Ledger,
    Network,
)
from protocol.limits import NAME_CHARACTERS_MAX, TEXT_CHARACTERS_MAX

_LEAP_YEAR: Final = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_DAYS_TO_28: Final = "(?:0[1-9]|1[0-9]|2[0-8])"
_MONTH_AND_DAY: Final = rf"(?:(?:0[1-9]|1[0-2])-{_DAYS_TO_28}|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
DATE_PATTERN: Final = rf"(?!0000)(?:[0-9]{{4}}-{_MONTH_AND_DAY}|{_LEAP_YEAR}-02-29)"
TIME_PATTERN: Final = rf"{DATE_PATTERN}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{{6}}Z"

DATE_MAX: Final = "9999-12-31"
TIME_MAX: Final = "9999-12-31T23:59:59.999999Z"

LedgerField = Annotated[Ledger, Meta(pattern=rf"^{LEDGER_PATTERN}\Z", max_length=NAME_CHARACTERS_MAX)]
NetworkField = Annotated[Network, Meta(pattern=rf"^{HEX_16_PATTERN}\Z")]
AliasField = Annotated[Alias, Meta(pattern=rf"^{HEX_16_PATTERN}\Z")]
NonceField = Annotated[str, Meta(pattern=rf"^{HEX_16_PATTERN}\Z")]
AssetField = Annotated[Asset, Meta(pattern=rf"^{ASSET_PATTERN}\Z")]
HolderField = Annotated[Account, Meta(pattern=rf"^{HOLDER_PATTERN}\Z")]
UuidField = Annotated[Id, Meta(pattern=rf"^{UUID_PATTERN}\Z")]
DigestField = Annotated[Digest, Meta(pattern=rf"^{DIGEST_PATTERN}\Z")]
TimeField = Annotated[str, Meta(pattern=rf"^{TIME_PATTERN}\Z")]
DateField = Annotated[str, Meta(pattern=rf"^{DATE_PATTERN}\Z")]
ReasonField = Annotated[str, Meta(pattern=r"^[a-z_]{1,64}\Z")]
TextField = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]+\Z", max_length=TEXT_CHARACTERS_MAX)]

_TIME: Final = re.compile(TIME_PATTERN)
_DATE: Final = re.compile(DATE_PATTERN)


def format_time(moment: datetime) -> str:
    """Return an aware `moment` as RFC 3339 in UTC with six decimals: fixed width, so text order is time order."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return f"{utc.isoformat(timespec='microseconds')}Z"


def parse_time(text: str) -> datetime:
    """Return the aware UTC moment of `text`, or raise ValueError."""
    if not _TIME.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a time like 2026-01-31T12:00:00.000000Z")
    return datetime.fromisoformat(text)


def parse_date(text: str) -> date:
    """Return the calendar date of `text`, or raise ValueError."""
    if not _DATE.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a date like 2026-01-31")
    return date.fromisoformat(text)


def later(text: str, *, seconds: int = 0, microseconds: int = 0) -> str:
    """Return the time `text` moved forward by whole seconds and microseconds; the calendar's last moment is the end."""
    try:
        moment = parse_time(text).replace(tzinfo=None) + timedelta(seconds=seconds, microseconds=microseconds)
        return f"{moment.isoformat(timespec='microseconds')}Z"
    except OverflowError:
        return TIME_MAX


def days_later(text: str, *, days: int) -> str:
    """Return the date `text` moved forward by whole days; the calendar's last day is the end."""
    try:
        return (parse_date(text) + timedelta(days=days)).isoformat()
    except OverflowError:
        return DATE_MAX
