"""What is at stake with a partner, and what members and promotions have used up: reserved where it is decided.

The source reserves when it holds, the destination when it credits, in that very transaction, and gives back what did
not come about. Commands of one commit see each other's reservations, so that no two of them take the same last unit.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from protocol.agreement import Direction
from protocol.conversion import SourceState
from protocol.entries import ConversionCredited, ConversionHeld
from protocol.errors import Code, Refusal
from protocol.identifiers import Account, Id, Ledger
from protocol.ledger.limiting import Use, count, reserve
from protocol.ledger.postings import is_holder
from protocol.ledger.promotions import named_promotion, use_promotion
from protocol.ledger.state import (
    AGREEMENTS,
    EXPOSURE,
    IN,
    MEMBER_USE,
    OUT,
    PROMOTION_USE,
    ExposureRecord,
    MemberUse,
    OutgoingRecord,
    Way,
)
from protocol.ledger.view import Need, View, need
from protocol.messages import Prepare
from protocol.program import CONVERT_IN, CONVERT_OUT

_DAY: Final = slice(10)
_YEAR: Final = slice(4)


def use_out(account: Account, terms: Prepare | ConversionHeld) -> Use:
    """Return what the program's own limits count of an order."""
    return Use(activity=CONVERT_OUT, account=account, points=terms.source_points, partner=terms.destination)


def use_in(account: Account, terms: Prepare | ConversionCredited) -> Use:
    """Return what the program's own limits count of a credit."""
    return Use(activity=CONVERT_IN, account=account, points=terms.destination_points, partner=terms.source)


def needs_out(account: Account, partner: Ledger) -> Iterator[Need]:
    """Name what an order reserves, its promotion apart."""
    yield need(EXPOSURE, (partner, OUT))
    yield need(MEMBER_USE, (account, partner, OUT))


def needs_return(record: OutgoingRecord, source: Ledger) -> Iterator[Need]:
    """Name what the conclusion of a conversion out of `source`, this ledger, gives back."""
    yield need(AGREEMENTS, record.agreement)
    yield from needs_out(record.account, record.destination)
    if record.promotion is not None and record.refund_of is None:
        yield need(PROMOTION_USE, (record.agreement, source, record.promotion))


def reserve_out(view: View, entry: ConversionHeld, direction: Direction) -> None:
    """Reserve what an order puts at stake, or refuse: in flight, cap, the promotion's budget, the member's limits."""
    before = _exposure(view, entry.destination, OUT)
    after = ExposureRecord(
        conversions=before.conversions + 1,
        value=before.value + entry.value,
        open_value=before.open_value + entry.value,
    )
    flight = direction.in_flight
    if flight.conversions is not None and after.conversions > flight.conversions:
        raise Refusal(Code.IN_FLIGHT_LIMIT, f"{before.conversions} conversions are undecided, as many as may be")
    if flight.value is not None and after.value > flight.value:
        raise Refusal(Code.IN_FLIGHT_LIMIT, f"undecided conversions may be worth {flight.value} millionths together")
    _check_cap(after, direction)
    view.put(EXPOSURE, (entry.destination, OUT), after)
    if entry.refund_of is None:
        _use_promotion(view, entry, direction)
        limits = direction.member_limits
        _use_member(
            view,
            (entry.account, entry.destination, OUT),
            entry.source_points,
            at=entry.time,
            limits=(limits.out_points_per_day, limits.out_points_per_year),
        )
        reserve(view, use_out(entry.account, entry), at=entry.time, key=Id(entry.conversion))


def reserve_in(view: View, entry: ConversionCredited, direction: Direction, account: Account) -> None:
    """Reserve what a credit puts at stake, or refuse: the cap, its promotion's budget, the member's limits."""
    before = _exposure(view, entry.source, IN)
    after = msgspec.structs.replace(before, open_value=before.open_value + entry.value)
    _check_cap(after, direction)
    view.put(EXPOSURE, (entry.source, IN), after)
    if entry.refund_of is None:
        _use_promotion(view, entry, direction)
        limits = direction.member_limits
        _use_member(
            view,
            (account, entry.source, IN),
            entry.destination_points,
            at=entry.time,
            limits=(limits.in_points_per_day, limits.in_points_per_year),
        )
        reserve(view, use_in(account, entry), at=entry.time)


def count_out(view: View, prepare: Prepare, direction: Direction, account: Account) -> None:
    """Count what an order that was made before, and is recovered, puts at stake: limits were kept when it was made."""
    before = _exposure(view, prepare.destination, OUT)
    after = ExposureRecord(
        conversions=before.conversions + 1,
        value=before.value + prepare.value,
        open_value=before.open_value + prepare.value,
    )
    view.put(EXPOSURE, (prepare.destination, OUT), after)
    if prepare.refund_of is None:
        limits = direction.member_limits
        limited = (limits.out_points_per_day, limits.out_points_per_year) != (None, None)
        _count_promotion(view, prepare, direction)
        _count_member(
            view,
            (account, prepare.destination, OUT),
            prepare.source_points,
            at=prepare.created_at,
            limited=limited and is_holder(account),
        )
        if is_holder(account):
            count(view, use_out(account, prepare), at=prepare.created_at, key=prepare.id)


def count_in(view: View, prepare: Prepare, direction: Direction, account: Account, *, at: str) -> None:
    """Count what a credit that was decided before, at `at`, and is recovered puts at stake."""
    before = _exposure(view, prepare.source, IN)
    after = msgspec.structs.replace(before, open_value=before.open_value + prepare.value)
    view.put(EXPOSURE, (prepare.source, IN), after)
    if prepare.refund_of is None:
        limits = direction.member_limits
        limited = (limits.in_points_per_day, limits.in_points_per_year) != (None, None)
        _count_promotion(view, prepare, direction)
        _count_member(
            view,
            (account, prepare.source, IN),
            prepare.destination_points,
            at=at,
            limited=limited and is_holder(account),
        )
        if is_holder(account):
            count(view, use_in(account, prepare), at=at)


def _count_promotion(view: View, prepare: Prepare, direction: Direction) -> None:
    if prepare.promotion is not None:
        key = (prepare.agreement, direction.source, prepare.promotion)
        use_promotion(view, key, prepare.destination_points, budget=None)


def _count_member(view: View, key: tuple[Account, Ledger, Way], points: int, *, at: str, limited: bool) -> None:
    if limited:
        view.put(MEMBER_USE, key, _used(view, key, points, at=at))


def give_back(view: View, record: OutgoingRecord, *, source: Ledger, after: SourceState) -> None:
    """Free what `record`, as it was, no longer puts at stake in the state `after` that it comes to.

    A decision ends the flight, and so does force. What is credited stays open until it is paid; what the operator has
    forced may have been credited: its value and its promotion stay reserved until the destination's word.
    """
    exposure = _exposure(view, record.destination, OUT)
    if record.state is SourceState.HELD:
        exposure = msgspec.structs.replace(
            exposure, conversions=exposure.conversions - 1, value=exposure.value - record.value
        )
        if after is not SourceState.CAPTURED:
            _return_member(view, record, source)
    if after in {SourceState.RELEASED, SourceState.FORCED_CLEARED}:
        exposure = msgspec.structs.replace(exposure, open_value=exposure.open_value - record.value)
        if record.promotion is not None and record.refund_of is None:
            promotion = (record.agreement, source, record.promotion)
            use_promotion(view, promotion, -record.destination_points, budget=None)
    view.put(EXPOSURE, (record.destination, OUT), exposure)


def settle(view: View, partner: Ledger, *, direction: Way, value: int) -> None:
    """Free `value` millionths of conversions to (`out`) or from (`in`) `partner` that are paid and confirmed."""
    record = _exposure(view, partner, direction)
    if not 0 <= value <= record.open_value:
        raise Refusal(Code.AMOUNT_MISMATCH, f"{record.open_value} millionths are open, {value} cannot be settled")
    view.put(EXPOSURE, (partner, direction), msgspec.structs.replace(record, open_value=record.open_value - value))


def _exposure(view: View, partner: Ledger, direction: Way) -> ExposureRecord:
    return view.get(EXPOSURE, (partner, direction)) or ExposureRecord()


def _check_cap(after: ExposureRecord, direction: Direction) -> None:
    if direction.cap is not None and after.open_value > direction.cap:
        raise Refusal(Code.CAP_REACHED, f"{after.open_value} millionths would be open, the cap is {direction.cap}")


def _use_promotion(view: View, entry: ConversionHeld | ConversionCredited, direction: Direction) -> None:
    if entry.promotion is None:
        return
    budget = named_promotion(direction, entry.promotion).budget_points
    key = (entry.agreement, direction.source, entry.promotion)
    use_promotion(view, key, entry.destination_points, budget=budget)


def _use_member(
    view: View, key: tuple[Account, Ledger, Way], points: int, *, at: str, limits: tuple[int | None, int | None]
) -> None:
    if limits == (None, None):
        return
    after = _used(view, key, points, at=at)
    for used, limit, period in zip((after.day_points, after.year_points), limits, ("day", "year"), strict=True):
        if limit is not None and used > limit:
            raise Refusal(Code.MEMBER_LIMIT, f"{limit - used + points} points are left of the member's {period}")
    view.put(MEMBER_USE, key, after)


def _used(view: View, key: tuple[Account, Ledger, Way], points: int, *, at: str) -> MemberUse:
    """Return an account's use with `points` more at `at`: what is recovered can be of a day before the latest."""
    day, year = at[_DAY], at[_YEAR]
    use = view.get(MEMBER_USE, key) or MemberUse(day=day, day_points=0, year=year, year_points=0)
    return MemberUse(
        day=max(day, use.day),
        day_points=points * (day >= use.day) + use.day_points * (use.day >= day),
        year=max(year, use.year),
        year_points=points * (year >= use.year) + use.year_points * (use.year >= year),
    )


def _return_member(view: View, record: OutgoingRecord, source: Ledger) -> None:
    agreement = view.get(AGREEMENTS, record.agreement)
    assert agreement is not None, "a conversion's agreement exists"
    limits = agreement.signed.agreement.direction(source).member_limits
    if not is_holder(record.account) or record.refund_of is not None:
        return
    if (limits.out_points_per_day, limits.out_points_per_year) == (None, None):
        return
    key: tuple[Account, Ledger, Way] = (record.account, record.destination, OUT)
    use = view.get(MEMBER_USE, key)
    assert use is not None, "what an order used is counted"
    same_day, same_year = use.day == record.held_at[_DAY], use.year == record.held_at[_YEAR]
    after = msgspec.structs.replace(
        use,
        day_points=use.day_points - record.source_points * same_day,
        year_points=use.year_points - record.source_points * same_year,
    )
    view.put(MEMBER_USE, key, after)
