"""The terms of a program: its day, how points expire, what kinds of accounts may do, limits, transfers, screens.

They stand in the log (`program_set`): an auditor judges each entry by the terms of its time (specs/program.md).
No rule needs a time zone database: the terms carry the offsets of their zone for the years ahead.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import lru_cache
from itertools import pairwise
from operator import attrgetter
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from protocol.encoding import Codec
from protocol.errors import ProgramInvalid
from protocol.fields import LedgerField, TimeField, parse_time
from protocol.identifiers import Account
from protocol.points import Amount, Natural

UTC_ZONE: Final = "UTC"
OFFSETS_MAX: Final = 256
LIMITS_MAX: Final = 64
SCREENS_MAX: Final = 16
MONTH_DAYS_MIN: Final = 28
"""No number of months is shorter than so many days each."""

TERMS_BYTES_MAX: Final = 49_152
"""Terms leave room for the rest of the entry that carries them."""

HolderKind: TypeAlias = Literal["member", "employee", "supplier"]

Activity: TypeAlias = Literal["earn", "redeem", "transfer_out", "transfer_in", "convert_out", "convert_in"]
"""What an account does with points, as limits count it."""

EARN: Final[Activity] = "earn"
REDEEM: Final[Activity] = "redeem"
TRANSFER_OUT: Final[Activity] = "transfer_out"
TRANSFER_IN: Final[Activity] = "transfer_in"
CONVERT_OUT: Final[Activity] = "convert_out"
CONVERT_IN: Final[Activity] = "convert_in"

CONVERSIONS: Final = (CONVERT_OUT, CONVERT_IN)


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the terms."""


class ZoneOffset(_Part, frozen=True, kw_only=True):
    """From `starts_at` on the program's clocks are `seconds` ahead of UTC."""

    starts_at: TimeField
    seconds: Annotated[int, Meta(ge=-64_800, le=64_800)]


class ExpiryRule(_Part, frozen=True, kw_only=True):
    """When points expire: `never`; `fixed`, months after they were earned; `rolling`, after the last activity.

    The last day moves to the end of its month, quarter or year if `round_to` says so.
    """

    kind: Literal["never", "fixed", "rolling"] = "never"
    months: Annotated[int, Meta(ge=0, le=1_200)] = 0
    round_to: Literal["none", "month", "quarter", "year"] = "none"


class Limit(_Part, frozen=True, kw_only=True):
    """At most `most` points, or times, of one activity, in one transaction, a day or a year of the program.

    `scope` says who shares it: each account by itself, all accounts of a kind, all conversions with each partner (or
    with `partner` alone), or the whole program.
    """

    activity: Activity
    scope: Literal["account", "kind", "partner", "program"]
    per: Literal["transaction", "day", "year"]
    measure: Literal["points", "count"]
    most: Natural
    partner: LedgerField | None = None


Limits: TypeAlias = Annotated[tuple[Limit, ...], Meta(max_length=LIMITS_MAX)]


class KindPolicy(_Part, frozen=True, kw_only=True):
    """What accounts of a kind may do, and limits that only they have."""

    kind: HolderKind
    may_earn: bool = True
    may_redeem: bool = True
    may_convert: bool = True
    may_transfer: bool = True
    limits: Limits = ()

    @property
    def activities(self) -> frozenset[Activity]:
        """Return what accounts of the kind may do."""
        allowed: list[Activity] = []
        allowed += [EARN] if self.may_earn else []
        allowed += [REDEEM] if self.may_redeem else []
        allowed += CONVERSIONS if self.may_convert else []
        allowed += [TRANSFER_OUT, TRANSFER_IN] if self.may_transfer else []
        return frozenset(allowed)


class TransferTerms(_Part, frozen=True, kw_only=True):
    """What a transfer between members costs and waits for.

    The fee, in points beside those transferred, is rounded down. A recipient who has accepted nothing of this sender
    yet can accept only after `cooling_off_hours`. Above `review_above` points, a person looks at an offer first.
    """

    minimum: Amount = 1
    fee_per_transfer: Natural = 0
    fee_per_mille: Annotated[int, Meta(ge=0, le=1_000)] = 0
    accept_within_hours: Annotated[int, Meta(ge=1, le=8_784)] = 72
    cooling_off_hours: Annotated[int, Meta(ge=0, le=8_784)] = 0
    review_above: Amount | None = None

    def fee(self, amount: int) -> int:
        """Return what the sender of `amount` points pays beside them."""
        return self.fee_per_transfer + amount * self.fee_per_mille // 1_000


class LinkTerms(_Part, frozen=True, kw_only=True):
    """How soon after a link with a partner was made `large_from` points, or more, can be converted over it."""

    cooling_off_hours: Annotated[int, Meta(ge=0, le=8_784)] = 0
    large_from: Amount = 1


class Screen(_Part, frozen=True, kw_only=True):
    """A screen: more than `most` in `window_minutes` puts an order up for review.

    `velocity` counts an account's orders, `device` and `address` the accounts behind one device or client address.
    """

    name: Literal["velocity", "device", "address"]
    activity: Literal["transfer", "conversion", "any"] = "any"
    window_minutes: Annotated[int, Meta(ge=1, le=43_200)]
    most: Amount


class ProgramTerms(_Part, frozen=True, kw_only=True):
    """All terms of a program; those of a program that never set any are `DEFAULT_TERMS`."""

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    time_zone: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_+/-]{1,64}\Z")] = UTC_ZONE
    offsets: Annotated[tuple[ZoneOffset, ...], Meta(max_length=OFFSETS_MAX)] = ()
    expiry: ExpiryRule = ExpiryRule()
    pending_days: Annotated[int, Meta(ge=0, le=3_660)] = 0
    four_eyes: bool = False
    kinds: Annotated[tuple[KindPolicy, ...], Meta(max_length=3)] = ()
    limits: Limits = ()
    transfers: TransferTerms = TransferTerms()
    links: LinkTerms = LinkTerms()
    screens: Annotated[tuple[Screen, ...], Meta(max_length=SCREENS_MAX)] = ()

    def policy(self, account: Account) -> KindPolicy | None:
        """Return the policy of the kind that `account` is of, or None where the terms say nothing about it."""
        kind = account.partition("/")[0]
        return next((each for each in self.kinds if each.kind == kind), None)


DEFAULT_TERMS: Final = ProgramTerms()

_STARTS_AT: Final = attrgetter("starts_at")
_CODEC: Final = Codec(msgspec.json.Decoder(ProgramTerms), error=ProgramInvalid, bytes_max=TERMS_BYTES_MAX)


def encode_terms(terms: ProgramTerms) -> bytes:
    """Return the canonical bytes of `terms`, or raise `ProgramInvalid` where they are too many."""
    return _CODEC.encode(terms)


def decode_terms(data: bytes) -> ProgramTerms:
    """Return the terms in canonical `data`, checked, or raise `ProgramInvalid`."""
    terms = _CODEC.decode(data)
    check_terms(terms)
    return terms


def read_terms(data: bytes) -> ProgramTerms:
    """Return the terms that a person wrote as JSON, in any order and with what is left out as its default, or raise.

    Nothing is checked that needs the zone's offsets: whoever enters the terms completes and checks them.
    """
    if len(data) > TERMS_BYTES_MAX:
        raise ProgramInvalid(f"longer than {TERMS_BYTES_MAX} bytes")
    return _CODEC.read_back(data)


def check_terms(terms: ProgramTerms) -> None:
    """Raise `ProgramInvalid` unless the parts of `terms` make sense together (specs/program.md §1)."""
    encode_terms(terms)
    for text in (*_offset_faults(terms), *_expiry_faults(terms), *_kind_faults(terms), *_limit_faults(terms)):
        raise ProgramInvalid(text)


def _offset_faults(terms: ProgramTerms) -> Iterator[str]:
    if (terms.time_zone == UTC_ZONE) is not (not terms.offsets):
        yield "the offsets are those of a time zone other than UTC"
    if any(before.starts_at >= after.starts_at for before, after in pairwise(terms.offsets)):
        yield "each offset begins after the one before it"


def _expiry_faults(terms: ProgramTerms) -> Iterator[str]:
    expiry = terms.expiry
    if (expiry.kind == "never") is not (expiry.months == 0):
        yield "points expire after whole months, or never"
    if expiry.kind == "never" and expiry.round_to != "none":
        yield "a day that never comes has no end of its month"
    if expiry.kind == "fixed" and terms.pending_days > expiry.months * MONTH_DAYS_MIN:
        yield f"points are pending for at most {MONTH_DAYS_MIN} days for each month that they last"


def _kind_faults(terms: ProgramTerms) -> Iterator[str]:
    if len({policy.kind for policy in terms.kinds}) < len(terms.kinds):
        yield "a kind of account has one policy"
    for policy in terms.kinds:
        if any(limit.scope != "account" for limit in policy.limits):
            yield "the limits of a kind's policy are those of each account"
        yield from _faults_of(policy.limits)


def _limit_faults(terms: ProgramTerms) -> Iterator[str]:
    return _faults_of(terms.limits)


def _faults_of(limits: Sequence[Limit]) -> Iterator[str]:
    names = [(each.activity, each.scope, each.per, each.measure, each.partner) for each in limits]
    if len(set(names)) < len(names):
        yield "two limits are of the same"
    for limit in limits:
        if limit.per == "transaction" and limit.measure == "count":
            yield "a transaction counts once: it is limited in points"
        if limit.scope == "partner" and limit.activity not in CONVERSIONS:
            yield "only conversions have a partner"
        if limit.partner is not None and limit.scope != "partner":
            yield "a partner is named where the limit is that of a partner"


def day_of(terms: ProgramTerms, time: str) -> str:
    """Return the calendar day of the program at `time`, RFC 3339 in UTC: a function of the terms alone."""
    if not terms.offsets:
        return time[:10]
    return _day_at(time[:19], _offset_at(terms.offsets, time))


def offset_at(terms: ProgramTerms, time: str) -> int:
    """Return how many seconds the program's clocks are ahead of UTC at `time`."""
    return _offset_at(terms.offsets, time) if terms.offsets else 0


def _offset_at(offsets: tuple[ZoneOffset, ...], time: str) -> int:
    """Return the offset in seconds that holds at `time`; before the first, that one holds, too."""
    place = bisect_right(offsets, time, key=_STARTS_AT) - 1
    return offsets[max(place, 0)].seconds


@lru_cache(maxsize=1_024)
def _day_at(second: str, offset: int) -> str:
    try:
        return (parse_time(f"{second}.000000Z") + timedelta(seconds=offset)).date().isoformat()
    except OverflowError:
        return second[:10]
