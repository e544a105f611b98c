"""Entries about outgoing conversions that nobody here decided, as an auditor meets them in a hostile log."""

import msgspec
import pytest

from protocol.agreement import Fee
from protocol.entries import ConversionCancelRequested, ConversionCaptured, ConversionHeld, ConversionReleased
from protocol.errors import Code
from protocol.messages import Fulfil, Reject
from tests.support.documents import (
    BLUEBIRD,
    COPPER,
    agreement,
    digest,
    digest_of_body,
    direction,
    entry_reference,
    hex_16,
    signed_agreement,
    uuid,
)
from tests.support.ledger import (
    Pair,
    ask_cancel,
    order,
    pair_of,
    receive,
    refused,
)

CONVERSION = uuid("conversion")
FEE = Fee(points_per_conversion=5, points_per_step=2)


def held(pair: Pair, amount: int = 1_300) -> ConversionHeld:
    entry = order(pair.source, BLUEBIRD.ledger, pair.sender, amount).entry
    assert isinstance(entry, ConversionHeld)
    return entry


def fulfil_for(pair: Pair) -> Fulfil:
    """Return the FULFIL of a conversion that is now held and credited."""
    prepare = pair.source.body(order(pair.source, BLUEBIRD.ledger, pair.sender, 1_300))
    fulfil = pair.destination.body(receive(pair.destination, prepare))
    assert isinstance(fulfil, Fulfil)
    return fulfil


def reject_for(pair: Pair) -> Reject:
    """Return the REJECT of a conversion that is now held and refused."""
    prepare = pair.source.body(order(pair.source, BLUEBIRD.ledger, pair.sender, 1_300))
    pair.destination.advance(days=1)
    reject = pair.destination.body(receive(pair.destination, prepare))
    assert isinstance(reject, Reject)
    return reject


def test_conversion_decided_in_a_log_that_concludes_it_under_another_id() -> None:
    pair = pair_of()
    captured = receive(pair.source, fulfil_for(pair)).entry
    with refused(Code.CONVERSION_DECIDED, pair.source):
        pair.source.judge(msgspec.structs.replace(captured, id=uuid("again")))


def test_conversion_exists_in_a_log_that_orders_it_under_another_id() -> None:
    pair = pair_of()
    entry = held(pair)
    with refused(Code.CONVERSION_EXISTS, pair.source):
        pair.source.judge(msgspec.structs.replace(entry, id=uuid("again")))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"source_points": 1_201}, Code.AMOUNT_MISMATCH),
        ({"destination_points": 751}, Code.AMOUNT_MISMATCH),
        ({"value": 0}, Code.AMOUNT_MISMATCH),
        ({"currency": "EUR"}, Code.AMOUNT_MISMATCH),
        ({"steps": 4}, Code.AMOUNT_MISMATCH),
        ({"fee_points": 1}, Code.FEE_MISMATCH),
        ({"promotion": "spring"}, Code.PROMOTION_UNKNOWN),
        ({"refund_of": CONVERSION}, Code.REFUND_UNKNOWN),
        ({"agreement": digest("another")}, Code.AGREEMENT_UNKNOWN),
        ({"destination": COPPER.ledger}, Code.AGREEMENT_UNKNOWN),
        ({"network": hex_16("another")}, Code.AGREEMENT_UNKNOWN),
        ({"alias": hex_16("another")}, Code.LINK_UNKNOWN),
        ({"account": "member/" + uuid("nobody")}, Code.LINK_UNKNOWN),
        ({"id": uuid("another")}, Code.ID_INVALID),
        ({"accept_by": "2026-02-01T00:00:00.000000Z"}, Code.CLOCK),
    ],
)
def test_an_order_in_a_log_must_follow_the_agreement(change: dict[str, object], code: Code) -> None:
    played, pair = pair_of(), pair_of()
    entry = held(played)
    with refused(code, pair.source):
        pair.source.judge(msgspec.structs.replace(entry, **change))
    pair.source.judge(entry)


def test_amount_mismatch_fee_mismatch_and_the_rest_are_named_in_a_fixed_order() -> None:
    played, pair = pair_of(), pair_of()
    entry = msgspec.structs.replace(held(played), fee_points=1, value=1, alias=hex_16("x"), steps=3)
    with refused(Code.AMOUNT_MISMATCH, pair.source):
        pair.source.judge(entry)


@pytest.mark.parametrize(
    "change",
    [
        {"destination": COPPER.ledger},
        {"network": hex_16("another")},
        {"prepare": digest("another")},
        {"accept_by": "2026-03-02T00:00:00.000000Z"},
    ],
)
def test_decision_mismatch_for_a_wish_that_names_another_prepare(change: dict[str, str]) -> None:
    pair = pair_of()
    held(pair)
    played = pair_of()
    held(played)
    wish = ask_cancel(played.source).entry
    assert isinstance(wish, ConversionCancelRequested)
    with refused(Code.DECISION_MISMATCH, pair.source):
        pair.source.judge(msgspec.structs.replace(wish, **change))


CAPTURED_CHANGES: list[dict[str, object]] = [
    {"prepare": digest("another")},
    {"fulfil": digest("another")},
    {"request": None},
    {"fulfil": digest("another"), "request": digest("another")},
    {"decided_at": "2026-03-02T00:00:00.000000Z"},
    {"window": 2},
    {"dec_seq": 2},
    {"expires_on": "2027-01-01"},
    {"partner_entry": entry_reference(3)},
]


@pytest.mark.parametrize("change", CAPTURED_CHANGES)
def test_decision_mismatch_unless_a_capture_repeats_its_fulfil(change: dict[str, object]) -> None:
    pair, played = pair_of(), pair_of()
    fulfil_for(pair)
    entry = receive(played.source, fulfil_for(played)).entry
    assert isinstance(entry, ConversionCaptured)
    with refused(Code.DECISION_MISMATCH, pair.source):
        pair.source.judge(msgspec.structs.replace(entry, **change))
    pair.source.judge(entry)


def test_decision_mismatch_for_an_answer_to_another_prepare_that_a_forger_cites_well() -> None:
    pair, played = pair_of(), pair_of()
    fulfil_for(pair)
    fulfil, other = fulfil_for(played), digest("another prepare")
    entry = receive(played.source, fulfil).entry
    cited = digest_of_body(msgspec.structs.replace(fulfil, prepare=other))
    with refused(Code.DECISION_MISMATCH, pair.source):
        pair.source.judge(msgspec.structs.replace(entry, prepare=other, fulfil=cited, request=cited))


RELEASED_CHANGES: list[dict[str, object]] = [
    {"prepare": digest("another")},
    {"reject": digest("another")},
    {"request": None},
    {"cancel": digest("cancel")},
    {"reason": "cancelled"},
    {"decided_at": "2026-03-02T00:00:00.000000Z"},
    {"partner_entry": entry_reference(3)},
]


@pytest.mark.parametrize("change", RELEASED_CHANGES)
def test_decision_mismatch_unless_a_release_repeats_its_reject(change: dict[str, object]) -> None:
    pair, played = pair_of(), pair_of()
    reject_for(pair)
    entry = receive(played.source, reject_for(played)).entry
    assert isinstance(entry, ConversionReleased)
    with refused(Code.DECISION_MISMATCH, pair.source):
        pair.source.judge(msgspec.structs.replace(entry, **change))
    pair.source.judge(entry)


def test_postings_invalid_unless_a_capture_posts_what_the_conversion_says() -> None:
    signed = signed_agreement(agreement(there=direction(fee=FEE)))
    pair, played = pair_of(signed=signed), pair_of(signed=signed)
    fulfil_for(pair)
    entry = receive(played.source, fulfil_for(played)).entry
    assert isinstance(entry, ConversionCaptured)
    points, out, fee, cost, payable = entry.postings
    for postings in (
        (points, out, cost, payable),
        (points, out, fee),
        (out, points, fee, cost, payable),
        (points, out, fee, payable, cost),
        (points, msgspec.structs.replace(out, account="converted_out/copper.example/main"), fee, cost, payable),
        (points, out, fee, msgspec.structs.replace(cost, amount=-1), msgspec.structs.replace(payable, amount=1)),
    ):
        with refused(Code.POSTINGS_INVALID, pair.source):
            pair.source.judge(msgspec.structs.replace(entry, postings=postings))
    pair.source.judge(entry)
