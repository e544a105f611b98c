"""The program's own limits, and what kinds of accounts may do: counted where entries are judged (specs/program.md §4).

A limit of a day or a year is reserved in the very entry that uses it, so that commands of one commit see each other's
use. What may not come about keeps a row of what it reserved, so that exactly that is given back, whatever the terms say
by then.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from protocol.errors import Code, Refusal
from protocol.fields import days_later
from protocol.identifiers import Account, Id, Ledger
from protocol.ledger.program_state import LIMIT_USE, PROGRAM, RESERVATIONS, LimitUse, ReservationRecord, Taken
from protocol.ledger.state import ONLY
from protocol.ledger.view import Need, Overlay, View, need
from protocol.program import (
    CONVERT_IN,
    CONVERT_OUT,
    EARN,
    REDEEM,
    TRANSFER_IN,
    TRANSFER_OUT,
    Activity,
    Limit,
    ProgramTerms,
    day_of,
)

_YEAR: Final = slice(4)
_UNITS: Final = {"points": "points", "count": "times"}
_WORDS: Final = {
    EARN: "earn",
    REDEEM: "redeem",
    TRANSFER_OUT: "transfer",
    TRANSFER_IN: "receive transfers",
    CONVERT_OUT: "convert",
    CONVERT_IN: "receive conversions",
}


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """What an account is about to do with `points`; a conversion has a `partner`."""

    activity: Activity
    account: Account
    points: int
    partner: Ledger | None = None


class LimitReached(Refusal):
    """A limit of the program refuses: `left` of it are free now, and more from the day `free_on`, if any brings it."""

    def __init__(self, limit: Limit, *, left: int, free_on: str | None) -> None:
        unit = _UNITS[limit.measure]
        text = f"{left} of {limit.most} {unit} are left of the limit {limit.activity} per {limit.per} ({limit.scope})"
        super().__init__(Code.LIMIT_REACHED, text + (f"; more from {free_on}" if free_on else ""))
        self.limit = limit
        self.left = left
        self.free_on = free_on


def needs_use(view: Overlay, use: Use) -> Iterator[Need]:
    """Name what limits count of a use: nothing, while the program has no terms of its own."""
    record = view.peek(PROGRAM, ONLY)
    if record is not None:
        for subject in _subjects(record.terms, use):
            yield need(LIMIT_USE, (subject, use.activity))


def needs_reservation(view: Overlay, key: Id) -> Iterator[Need]:
    """Name what was reserved under `key`, and what limits have counted of it."""
    if view.peek(PROGRAM, ONLY) is None:
        return
    yield need(RESERVATIONS, key)
    for taken in (view.peek(RESERVATIONS, key) or ReservationRecord()).taken:
        yield need(LIMIT_USE, (taken.subject, taken.activity))


def check_kind(view: View, account: Account, activity: Activity) -> None:
    """Refuse what accounts of this kind may not do."""
    record = view.get(PROGRAM, ONLY)
    policy = None if record is None else record.terms.policy(account)
    if policy is not None and activity not in policy.activities:
        raise Refusal(Code.KIND_NOT_ALLOWED, f"accounts of the kind {policy.kind} may not {_WORDS[activity]}")


def reserve(view: View, use: Use, *, at: str, key: Id | None = None) -> None:
    """Count a use at `at`, or refuse it: the kind, then each limit. Under `key` it can be given back."""
    record = view.get(PROGRAM, ONLY)
    if record is None:
        return
    check_kind(view, use.account, use.activity)
    for limit in _limits(record.terms, use):
        if limit.per == "transaction" and use.points > limit.most:
            raise LimitReached(limit, left=limit.most, free_on=None)
    taken = []
    for subject, limits in _subjects(record.terms, use).items():
        before = view.get(LIMIT_USE, (subject, use.activity))
        # Where the time zone was moved back, the day that had begun goes on.
        day = max(day_of(record.terms, at), before.day if before else "")
        after = _counted(before, day, points=use.points, count=1)
        for limit in limits:
            _check(limit, before, after, day=day)
        view.put(LIMIT_USE, (subject, use.activity), after)
        taken.append(Taken(subject=subject, activity=use.activity, day=day, points=use.points, count=1))
    if taken and key is not None:
        view.put(RESERVATIONS, key, ReservationRecord(taken=tuple(taken)))


def count(view: View, use: Use, *, at: str, key: Id | None = None) -> None:
    """Count a use that was allowed before, at `at`, and is recovered."""
    record = view.get(PROGRAM, ONLY)
    if record is None:
        return
    day = day_of(record.terms, at)
    taken = []
    for subject in _subjects(record.terms, use):
        after = _counted(view.get(LIMIT_USE, (subject, use.activity)), day, points=use.points, count=1)
        view.put(LIMIT_USE, (subject, use.activity), after)
        taken.append(Taken(subject=subject, activity=use.activity, day=day, points=use.points, count=1))
    if taken and key is not None:
        view.put(RESERVATIONS, key, ReservationRecord(taken=tuple(taken)))


def give_back(view: View, key: Id, *, points: int | None = None) -> None:
    """Free what was reserved under `key`: all of it, or `points` of a use that still counts as one."""
    if view.get(PROGRAM, ONLY) is None:
        return
    record = view.get(RESERVATIONS, key)
    if record is None:
        return
    left = []
    for taken in record.taken:
        back = taken if points is None else msgspec.structs.replace(taken, points=points, count=0)
        before = view.get(LIMIT_USE, (taken.subject, taken.activity))
        assert before is not None, "what was reserved is counted"
        view.put(LIMIT_USE, (taken.subject, taken.activity), _counted_back(before, back))
        if points is not None:
            left.append(msgspec.structs.replace(taken, points=taken.points - points))
    view.put(RESERVATIONS, key, ReservationRecord(taken=tuple(left)))


def _limits(terms: ProgramTerms, use: Use) -> Iterator[Limit]:
    """Yield the limits that bear on a use."""
    policy = terms.policy(use.account)
    for limit in (*terms.limits, *(policy.limits if policy else ())):
        if limit.activity == use.activity and limit.partner in {None, use.partner}:
            yield limit


def _subjects(terms: ProgramTerms, use: Use) -> dict[str, list[Limit]]:
    """Return the limits of days and years that bear on a use, by who shares them."""
    found: dict[str, list[Limit]] = {}
    for limit in _limits(terms, use):
        if limit.per != "transaction":
            found.setdefault(_subject(limit, use), []).append(limit)
    return found


def _subject(limit: Limit, use: Use) -> str:
    if limit.scope == "account":
        return use.account
    if limit.scope == "kind":
        return use.account.partition("/")[0]
    if limit.scope == "partner":
        assert use.partner is not None, "a limit of a partner is one of conversions"
        return use.partner
    return "program"


def _check(limit: Limit, before: LimitUse | None, after: LimitUse, *, day: str) -> None:
    used = after.used(limit)
    if used > limit.most:
        earlier = 0 if before is None else _counted(before, day, points=0, count=0).used(limit)
        raise LimitReached(limit, left=max(0, limit.most - earlier), free_on=_free_on(limit, day))


def _free_on(limit: Limit, day: str) -> str:
    return days_later(day, days=1) if limit.per == "day" else f"{int(day[_YEAR]) + 1:04}-01-01"


def _counted(before: LimitUse | None, day: str, *, points: int, count: int) -> LimitUse:
    """Return a use with more of it on `day`, which can be before the latest where it is recovered."""
    use = before or LimitUse(day=day, year=day[_YEAR])
    last, year = max(day, use.day), max(day[_YEAR], use.year)
    kept_day, kept_year = use.day == last, use.year == year
    now_day, now_year = day == last, day[_YEAR] == year
    return LimitUse(
        day=last,
        day_points=use.day_points * kept_day + points * now_day,
        day_count=use.day_count * kept_day + count * now_day,
        year=year,
        year_points=use.year_points * kept_year + points * now_year,
        year_count=use.year_count * kept_year + count * now_year,
    )


def _counted_back(use: LimitUse, back: Taken) -> LimitUse:
    same_day, same_year = use.day == back.day, use.year == back.day[_YEAR]
    return msgspec.structs.replace(
        use,
        day_points=use.day_points - back.points * same_day,
        day_count=use.day_count - back.count * same_day,
        year_points=use.year_points - back.points * same_year,
        year_count=use.year_count - back.count * same_year,
    )
