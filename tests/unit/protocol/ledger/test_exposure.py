"""Caps, in-flight limits and members' limits, where they are decided; and what gives back what they took."""

import msgspec
import pytest

from protocol.agreement import Direction, InFlightLimits, MemberLimits, agreement_digest
from protocol.entries import ConversionRefused, Sealed
from protocol.errors import Code, Refusal
from protocol.ledger import commands, rules
from protocol.ledger.exposure import settle
from protocol.ledger.moment import Moment
from protocol.ledger.state import EXPOSURE, IN, MEMBER_USE, OUT, ExposureRecord, MemberUse, Way
from tests.support import windows
from tests.support.documents import (
    AURORA,
    BLUEBIRD,
    NO_MEMBER_LIMITS,
    agreement,
    direction,
    signed_agreement,
    uuid,
)
from tests.support.ledger import (
    MemoryLedger,
    Pair,
    ask_cancel,
    convert,
    force,
    link,
    open_holder,
    order,
    pair_of,
    receive,
    refused,
    replay,
    rows_of,
)

PRICE = 2_500_000


def pair_with(there: Direction) -> Pair:
    return pair_of(signed=signed_agreement(agreement(there=there)))


def limits(**given: int) -> MemberLimits:
    return msgspec.structs.replace(NO_MEMBER_LIMITS, **given)


def exposure(ledger: MemoryLedger, way: Way = OUT) -> ExposureRecord | None:
    partner = BLUEBIRD.ledger if ledger.name == AURORA.ledger else AURORA.ledger
    return ledger.state.get(EXPOSURE, (partner, way))


def held(pair: Pair, name: str, amount: int = 400) -> Sealed:
    return order(pair.source, BLUEBIRD.ledger, pair.sender, amount, name=name)


def decided(pair: Pair, sealed: Sealed) -> Sealed:
    return receive(pair.destination, pair.source.body(sealed))


def concluded(pair: Pair, sealed: Sealed) -> Sealed:
    return receive(pair.source, pair.destination.body(sealed))


def returned(pair: Pair, name: str) -> None:
    concluded(pair, receive(pair.destination, pair.source.body(ask_cancel(pair.source, name=name))))


def reason_of(sealed: Sealed) -> str:
    return sealed.entry.reason if isinstance(sealed.entry, ConversionRefused) else "credited"


def test_what_is_at_stake_grows_with_a_hold_and_stays_until_it_is_paid() -> None:
    pair = pair_of()
    first = held(pair, "first")
    assert exposure(pair.source) == ExposureRecord(conversions=1, value=PRICE, open_value=PRICE)
    credited = decided(pair, first)
    assert exposure(pair.destination, IN) == ExposureRecord(conversions=0, value=0, open_value=PRICE)
    concluded(pair, credited)
    assert exposure(pair.source) == ExposureRecord(conversions=0, value=0, open_value=PRICE)
    held(pair, "second", 800)
    assert exposure(pair.source) == ExposureRecord(conversions=1, value=2 * PRICE, open_value=3 * PRICE)
    returned(pair, "second")
    assert exposure(pair.source) == ExposureRecord(conversions=0, value=0, open_value=PRICE)
    for ledger, partner, way in ((pair.source, BLUEBIRD, OUT), (pair.destination, AURORA, IN)):
        settle(ledger.state, partner.ledger, direction=way, value=PRICE)
        assert exposure(ledger, way) == ExposureRecord()


@pytest.mark.parametrize("value", [-1, PRICE + 1])
def test_amount_mismatch_when_more_is_settled_than_is_open(value: int) -> None:
    pair = pair_of()
    held(pair, "first")
    with pytest.raises(Refusal) as caught:
        settle(pair.source.state, BLUEBIRD.ledger, direction=OUT, value=value)
    assert caught.value.code == Code.AMOUNT_MISMATCH


def test_in_flight_limit_of_conversions_is_free_again_after_the_decision() -> None:
    pair = pair_with(direction(in_flight=InFlightLimits(conversions=2, value=None)))
    first = held(pair, "first")
    held(pair, "second")
    with refused(Code.IN_FLIGHT_LIMIT, pair.source):
        held(pair, "third")
    concluded(pair, decided(pair, first))
    held(pair, "third")
    with refused(Code.IN_FLIGHT_LIMIT, pair.source):
        held(pair, "fourth")
    returned(pair, "second")
    held(pair, "fourth")


def test_in_flight_limit_of_value_to_the_millionth() -> None:
    pair = pair_with(direction(in_flight=InFlightLimits(conversions=None, value=2 * PRICE)))
    with refused(Code.IN_FLIGHT_LIMIT, pair.source):
        held(pair, "large", 1_200)
    held(pair, "small", 800)
    with refused(Code.IN_FLIGHT_LIMIT, pair.source):
        held(pair, "more")


def test_cap_reached_at_the_source_is_free_again_when_it_is_paid() -> None:
    pair = pair_with(direction(cap=2 * PRICE))
    concluded(pair, decided(pair, held(pair, "first", 800)))
    with refused(Code.CAP_REACHED, pair.source):
        held(pair, "second")
    settle(pair.source.state, BLUEBIRD.ledger, direction=OUT, value=PRICE)
    pair.source.state.take_changes()
    held(pair, "second")
    with refused(Code.CAP_REACHED, pair.source):
        held(pair, "third")


def test_cap_reached_at_the_destination_is_a_final_refusal() -> None:
    generous, strict = pair_of(), pair_with(direction(cap=PRICE))
    cited, bodies = agreement_digest(strict.signed.agreement), []
    for name in ("first", "second"):
        body = generous.source.body(held(generous, name))
        bodies.append(msgspec.structs.replace(body, agreement=cited))
    assert [reason_of(receive(strict.destination, body)) for body in bodies] == ["credited", Code.CAP_REACHED]
    settle(strict.destination.state, AURORA.ledger, direction=IN, value=PRICE)
    strict.destination.state.take_changes()
    assert reason_of(receive(strict.destination, bodies[1])) == Code.CAP_REACHED
    assert exposure(strict.destination, IN) == ExposureRecord()


def test_orders_of_one_commit_do_not_share_the_last_free_unit() -> None:
    """One overlay, nothing stored in between: the second and third order see what the first has reserved."""
    pair = pair_with(direction(cap=3 * PRICE))
    held(pair, "before", 800)
    view, codes = pair.source.state, []
    for name in ("one", "two", "three"):
        mark = view.savepoint()
        command = commands.OrderConversion(
            id=uuid(name),
            account=pair.sender,
            destination=BLUEBIRD.ledger,
            amount=400,
            accept_by="2026-03-01T12:10:00.000000Z",
        )
        moment = Moment(time=pair.source.wall, today=pair.source.wall[:10])
        try:
            entry = rules.decide(view, command, moment)
            rules.apply(view, pair.source.stamped(entry))
            pair.source.wall = "2026-03-01T12:00:01.000000Z"
            codes.append("held")
        except Refusal as refusal:
            view.rollback(mark)
            codes.append(refusal.code)
    assert codes == ["held", Code.CAP_REACHED, Code.CAP_REACHED]
    assert exposure(pair.source) == ExposureRecord(conversions=2, value=3 * PRICE, open_value=3 * PRICE)


def test_member_limit_of_what_is_sent_in_a_day_and_in_a_year() -> None:
    pair = pair_with(direction(member_limits=limits(out_points_per_day=800, out_points_per_year=1_200)))
    held(pair, "first")
    held(pair, "second")
    with refused(Code.MEMBER_LIMIT, pair.source):
        held(pair, "third")
    pair.source.advance(days=1)
    with refused(Code.MEMBER_LIMIT, pair.source):
        held(pair, "third", 800)
    held(pair, "third")
    with refused(Code.MEMBER_LIMIT, pair.source):
        held(pair, "fourth")
    pair.source.wall = "2027-01-01T00:00:00.000000Z"
    held(pair, "fourth", 800)


def test_member_limit_counts_each_account_and_gives_back_what_is_returned() -> None:
    pair = pair_with(direction(member_limits=limits(out_points_per_day=400)))
    friend = open_holder(pair.source, "friend", points=400)
    link(pair.source, pair.destination, sender=friend, receiver=pair.receiver)
    held(pair, "first")
    order(pair.source, BLUEBIRD.ledger, friend, 400, name="friend's")
    with refused(Code.MEMBER_LIMIT, pair.source):
        held(pair, "second")
    returned(pair, "first")
    held(pair, "second")


def test_what_is_returned_later_does_not_count_for_the_new_day_or_year() -> None:
    pair = pair_with(direction(member_limits=limits(out_points_per_day=400, out_points_per_year=800)))
    held(pair, "old")
    pair.source.advance(days=1)
    held(pair, "new")
    returned(pair, "old")
    key = (pair.sender, BLUEBIRD.ledger, OUT)
    assert pair.source.state.get(MEMBER_USE, key) == MemberUse(
        day="2026-03-02", day_points=400, year="2026", year_points=400
    )
    pair.source.wall = "2027-01-01T00:00:00.000000Z"
    held(pair, "next year")
    returned(pair, "new")
    assert pair.source.state.get(MEMBER_USE, key) == MemberUse(
        day="2027-01-01", day_points=400, year="2027", year_points=400
    )


def test_member_limit_of_what_is_received_is_the_destinations_refusal() -> None:
    pair = pair_with(direction(member_limits=limits(in_points_per_day=500, in_points_per_year=750)))
    assert reason_of(decided(pair, held(pair, "first", 800))) == "credited"
    assert reason_of(decided(pair, held(pair, "second"))) == Code.MEMBER_LIMIT
    for ledger in (pair.source, pair.destination):
        ledger.advance(days=1)
    assert reason_of(decided(pair, held(pair, "third"))) == "credited"
    assert reason_of(decided(pair, held(pair, "fourth"))) == Code.MEMBER_LIMIT
    assert pair.source.state.get(MEMBER_USE, (pair.sender, BLUEBIRD.ledger, OUT)) is None


def test_the_state_of_every_limit_follows_from_the_log() -> None:
    there = direction(
        cap=10 * PRICE,
        in_flight=InFlightLimits(conversions=5, value=9 * PRICE),
        member_limits=limits(out_points_per_day=4_000, in_points_per_year=3_000),
    )
    pair = pair_with(there)
    convert(pair.source, pair.destination, pair.sender, 800, name="first")
    decided(pair, held(pair, "second"))
    held(pair, "third")
    returned(pair, "third")
    held(pair, "fourth")
    force(pair.source, name="fourth")
    for ledger in (pair.source, pair.destination):
        assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_what_was_forced_and_what_was_refunded_is_settled_like_the_rest() -> None:
    pair = pair_of(points=100_000)
    convert(pair.source, pair.destination, pair.sender, 1_200, name="one")
    forced = held(pair, "forced", 800)
    force(pair.source, name="forced")
    concluded(pair, decided(pair, forced))
    back = order(pair.destination, AURORA.ledger, pair.receiver, 500, name="back", refund_of="one")
    receive(pair.destination, pair.source.body(receive(pair.source, pair.destination.body(back))))
    assert exposure(pair.source) == ExposureRecord(conversions=0, value=0, open_value=5 * PRICE)
    assert exposure(pair.source, IN) == ExposureRecord(conversions=0, value=0, open_value=2 * PRICE)
    windows.close_both(pair.source, pair.destination, 1)
    windows.agree(pair.source, pair.destination, 1)
    windows.settle(pair, 1)
    for ledger in (pair.source, pair.destination):
        assert exposure(ledger) == exposure(ledger, IN) == ExposureRecord()
        assert rows_of(replay(ledger)) == rows_of(ledger.state)
