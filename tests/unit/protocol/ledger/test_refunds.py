"""A conversion goes back at its own step, to the account it came from, and never more of it than there was."""

import msgspec
import pytest

from protocol.agreement import Fee, InFlightLimits, agreement_digest
from protocol.entries import ConversionCredited, ConversionHeld, ConversionRefused, Sealed
from protocol.errors import Code
from protocol.ledger.state import BALANCES, INCOMING, OUTGOING, IncomingRecord, OutgoingRecord
from protocol.messages import Fulfil, Prepare
from protocol.points import Step
from tests.support.documents import (
    AURORA,
    BLUEBIRD,
    NETWORK,
    agreement,
    direction,
    promotion,
    signed_agreement,
    uuid,
)
from tests.support.ledger import (
    Pair,
    ask_cancel,
    convert,
    enter,
    force,
    give_notice,
    link,
    open_holder,
    order,
    pair_of,
    receive,
    refused,
    replay,
    rows_of,
)

FEE = Fee(points_per_conversion=5, points_per_step=2)


def completed(pair: Pair | None = None, amount: int = 1_200) -> Pair:
    """Return a pair whose conversion "original" of three steps is completed."""
    pair = pair or pair_of()
    convert(pair.source, pair.destination, pair.sender, amount, name="original")
    return pair


def refund(pair: Pair, amount: int = 250, *, name: str = "refund", refund_of: str = "original") -> Sealed:
    return order(pair.destination, AURORA.ledger, pair.receiver, amount, name=name, refund_of=refund_of)


def held(sealed: Sealed) -> ConversionHeld:
    assert isinstance(sealed.entry, ConversionHeld)
    return sealed.entry


def outcome(pair: Pair, sealed: Sealed) -> str:
    """Let the original's source decide a refund, and its destination conclude it."""
    decided = receive(pair.source, pair.destination.body(sealed))
    receive(pair.destination, pair.source.body(decided))
    return decided.entry.reason if isinstance(decided.entry, ConversionRefused) else "credited"


def ours(pair: Pair) -> OutgoingRecord:
    record = pair.source.state.get(OUTGOING, uuid("original"))
    assert record is not None
    return record


def theirs(pair: Pair) -> IncomingRecord:
    record = pair.destination.state.get(INCOMING, (NETWORK, AURORA.ledger, uuid("original")))
    assert record is not None
    return record


def test_a_refund_goes_back_at_the_original_step_and_price_without_a_fee() -> None:
    fees = agreement(
        there=direction(fee=FEE), back=direction(BLUEBIRD, AURORA, step=Step(source=250, destination=1), fee=FEE)
    )
    pair = completed(pair_of(signed=signed_agreement(fees)))
    entry = held(refund(pair, 600))
    assert (entry.steps, entry.source_points, entry.destination_points) == (2, 500, 800)
    assert (entry.fee_points, entry.value, entry.refund_of) == (0, 5_000_000, uuid("original"))


def test_a_whole_refund_undoes_points_and_money() -> None:
    pair = completed()
    sealed = refund(pair, 750)
    assert outcome(pair, sealed) == "credited"
    assert pair.source.account(pair.sender).posted == 10_000
    assert pair.destination.account(pair.receiver).posted == 0
    for ledger, partner in ((pair.source, "bluebird.example/main"), (pair.destination, "aurora.example/main")):
        money = {str(name): row.amount for (name, asset), row in ledger.state.rows(BALANCES) if asset == "USD"}
        assert money[f"payable/{partner}"] + money[f"receivable/{partner}"] == 0
    assert (ours(pair).refunded_steps, theirs(pair).refunded_steps) == (3, 3)
    for each in (pair.source, pair.destination):
        assert rows_of(replay(each)) == rows_of(each.state)


def test_refund_exceeded_by_the_sum_of_refunds() -> None:
    pair = completed()
    first = refund(pair, 500, name="first")
    with refused(Code.REFUND_EXCEEDED, pair.destination):
        refund(pair, 500, name="second")
    assert outcome(pair, first) == "credited"
    assert outcome(pair, refund(pair, name="third")) == "credited"
    with refused(Code.REFUND_EXCEEDED, pair.destination):
        refund(pair, name="fourth")


def test_less_than_a_step_cannot_be_refunded() -> None:
    pair = completed()
    with refused(Code.LESS_THAN_A_STEP, pair.destination):
        refund(pair, 249)


def test_a_refused_refund_can_be_tried_again() -> None:
    pair = completed()
    sealed = refund(pair, 750, name="late")
    pair.source.advance(days=8)
    assert outcome(pair, sealed) == Code.EXPIRED
    assert theirs(pair).refunded_steps == 0
    pair.destination.wall = pair.source.wall
    assert outcome(pair, refund(pair, 750, name="again")) == "credited"


def test_a_forced_refund_keeps_its_part_of_the_original_until_it_is_refused() -> None:
    pair = completed()
    refund(pair, 750)
    force(pair.destination, name="refund")
    assert theirs(pair).refunded_steps == 3
    wish = ask_cancel(pair.destination, name="refund")
    receive(pair.destination, pair.source.body(receive(pair.source, pair.destination.body(wish))))
    assert theirs(pair).refunded_steps == 0


def test_refund_unknown_unless_the_original_was_credited_here() -> None:
    pair = completed()
    with refused(Code.REFUND_UNKNOWN, pair.destination):
        refund(pair, refund_of="another")
    sealed = order(pair.source, BLUEBIRD.ledger, pair.sender, 400, name="late")
    pair.destination.advance(days=1)
    receive(pair.destination, pair.source.body(sealed))
    with refused(Code.REFUND_UNKNOWN, pair.destination):
        refund(pair, refund_of="late")


def test_refund_unknown_for_a_refund_of_a_refund() -> None:
    pair = completed()
    assert outcome(pair, refund(pair)) == "credited"
    with refused(Code.REFUND_UNKNOWN, pair.source):
        order(pair.source, BLUEBIRD.ledger, pair.sender, 400, name="again", refund_of="refund")


def test_partner_unknown_for_a_refund_to_a_stranger() -> None:
    pair = completed()
    with refused(Code.PARTNER_UNKNOWN, pair.destination):
        order(pair.destination, BLUEBIRD.ledger, pair.receiver, 250, refund_of="original")


def test_refund_mismatch_for_another_account_than_was_credited() -> None:
    pair = completed()
    friend = open_holder(pair.destination, "friend", points=500)
    link(pair.destination, pair.source, sender=friend, receiver=pair.sender)
    with refused(Code.REFUND_MISMATCH, pair.destination):
        order(pair.destination, AURORA.ledger, friend, 250, refund_of="original")


def test_refund_mismatch_when_the_points_would_go_to_another_account() -> None:
    pair = completed(pair_of())
    played = completed()
    friend = open_holder(played.source, "friend")
    alias = link(played.destination, played.source, sender=open_holder(played.destination, "x"), receiver=friend)
    body = pair.destination.body(refund(pair))
    assert isinstance(body, Prepare)
    strayed = msgspec.structs.replace(body, alias=alias)
    decided = receive(played.source, strayed).entry
    assert isinstance(decided, ConversionRefused)
    assert decided.reason == Code.REFUND_MISMATCH


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"promotion": "spring"}, Code.REFUND_MISMATCH),
        ({"refund_of": uuid("another")}, Code.REFUND_UNKNOWN),
        ({"steps": 4}, Code.REFUND_EXCEEDED),
        ({"destination_points": 401}, Code.AMOUNT_MISMATCH),
        ({"value": 1}, Code.AMOUNT_MISMATCH),
        ({"fee_points": 1}, Code.FEE_MISMATCH),
    ],
)
def test_the_original_source_checks_a_refund_by_its_own_record(change: dict[str, object], code: Code) -> None:
    pair = completed()
    body = msgspec.structs.replace(pair.destination.body(refund(pair)), **change)
    decided = receive(pair.source, body).entry
    assert isinstance(decided, ConversionRefused)
    assert decided.reason == code
    assert ours(pair).refunded_steps == 0


def test_refund_unknown_while_the_original_is_not_captured_or_was_forced() -> None:
    pair = pair_of()
    prepare = pair.source.body(order(pair.source, BLUEBIRD.ledger, pair.sender, 400, name="original"))
    fulfil = pair.destination.body(receive(pair.destination, prepare))
    assert isinstance(fulfil, Fulfil)
    assert outcome(pair, refund(pair, name="early")) == Code.REFUND_UNKNOWN
    force(pair.source, name="original")
    receive(pair.source, fulfil)
    assert outcome(pair, refund(pair, name="after force")) == Code.REFUND_UNKNOWN


def test_a_refund_outlives_its_agreement_and_its_promotion() -> None:
    spring = promotion(
        starts_at="2026-03-01T00:00:00.000000Z",
        ends_at="2026-03-02T00:00:00.000000Z",
        step=Step(source=400, destination=300),
    )
    dear = direction(BLUEBIRD, AURORA, step=Step(source=250, destination=1))
    pair = completed(pair_of(signed=signed_agreement(agreement(there=direction(promotions=(spring,)), back=dear))))
    for ledger in (pair.source, pair.destination):
        ledger.advance(days=60)
        enter(ledger, signed_agreement(agreement(number=2, supersedes=agreement_digest(pair.signed.agreement))))
        give_notice(ledger, pair.signed)
        ledger.advance(days=60)
    sealed = refund(pair, 900)
    assert (held(sealed).promotion, held(sealed).destination_points, held(sealed).value) == ("spring", 1_200, 7_800_000)
    assert outcome(pair, sealed) == "credited"


def test_a_refund_counts_against_the_cap_and_the_flight_of_its_own_direction_only() -> None:
    back = direction(BLUEBIRD, AURORA, step=Step(source=250, destination=360), steps_min=3, cap=2_500_000)
    back = msgspec.structs.replace(back, in_flight=InFlightLimits(conversions=1, value=None))
    pair = completed(pair_of(signed=signed_agreement(agreement(back=back))))
    sealed = refund(pair, 250)
    with refused(Code.IN_FLIGHT_LIMIT, pair.destination):
        refund(pair, 250, name="second")
    assert outcome(pair, sealed) == "credited"
    with refused(Code.CAP_REACHED, pair.destination):
        refund(pair, 250, name="second")


def test_a_refund_in_a_log_is_held_to_the_original() -> None:
    pair, played = completed(), completed()
    entry = held(refund(played))
    with refused(Code.REFUND_MISMATCH, pair.destination):
        pair.destination.judge(msgspec.structs.replace(entry, promotion="spring"))
    with refused(Code.REFUND_EXCEEDED, pair.destination):
        pair.destination.judge(msgspec.structs.replace(entry, steps=4))
    pair.destination.judge(entry)
    credited = receive(played.source, played.destination.body(played.destination.sealed[-1])).entry
    assert isinstance(credited, ConversionCredited)
    assert credited.refund_of == uuid("original")
