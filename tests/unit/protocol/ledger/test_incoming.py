import msgspec
import pytest

from protocol.agreement import ConvertedExpiry, agreement_digest
from protocol.conversion import DestinationState
from protocol.entries import ConversionCredited, ConversionRefused
from protocol.errors import Code
from protocol.fields import later
from protocol.ledger import commands
from protocol.ledger.state import BALANCES, COUNTERS, INCOMING, DecisionCounter, IncomingRecord
from protocol.limits import ACCEPT_BY_SECONDS_MAX, CLOCK_SKEW_SECONDS_MAX, INTEGER_MAX
from protocol.messages import Cancel, Fulfil, Prepare, Reject
from tests.support.documents import (
    AURORA,
    BLUEBIRD,
    COPPER,
    agreement,
    digest,
    digest_of_body,
    direction,
    hex_16,
    signed_agreement,
    uuid,
)
from tests.support.ledger import (
    MemoryLedger,
    Pair,
    ally,
    ask_cancel,
    enter,
    issue,
    link,
    new_ledger,
    open_holder,
    order,
    pair_of,
    receive,
    refused,
)


def prepare_for(pair: Pair, amount: int = 1_300, *, name: str = "conversion") -> Prepare:
    """Return the PREPARE of a conversion that is now held."""
    body = pair.source.body(order(pair.source, BLUEBIRD.ledger, pair.sender, amount, name=name))
    assert isinstance(body, Prepare)
    return body


def cancel_for(pair: Pair, *, name: str = "conversion") -> Cancel:
    body = pair.source.body(ask_cancel(pair.source, name=name))
    assert isinstance(body, Cancel)
    return body


def refusal_of(ledger: MemoryLedger, prepare: Prepare) -> str:
    """Return the reason of the tombstone that `ledger` writes, and hold that it writes nothing else."""
    points = dict(ledger.state.rows(BALANCES))
    sealed = receive(ledger, prepare)
    assert isinstance(sealed.entry, ConversionRefused)
    body = ledger.body(sealed)
    assert isinstance(body, Reject)
    assert (body.prepare, body.cancel, body.reason) == (digest_of_body(prepare), None, sealed.entry.reason)
    assert dict(ledger.state.rows(BALANCES)) == points
    record = ledger.state.get(INCOMING, (prepare.network, prepare.source, prepare.id))
    assert record is not None
    assert record.state is DestinationState.REFUSED
    return sealed.entry.reason


def test_a_credit_makes_a_lot_of_the_partners_and_notes_what_it_owes() -> None:
    there = direction(expiry=ConvertedExpiry(days=30))
    pair = pair_of(signed=signed_agreement(agreement(there=there)))
    prepare = prepare_for(pair)
    sealed = receive(pair.destination, prepare)
    assert pair.destination.account(pair.receiver).posted == 750
    (lot,) = pair.destination.state.lots(pair.receiver)
    assert (lot.seq, lot.origin, lot.earned_on) == (sealed.entry.seq, "aurora.example/main", "2026-03-01")
    assert (lot.expires_on, lot.remaining) == ("2026-03-31", 750)
    found = {f"{account} {asset}": row.amount for (account, asset), row in pair.destination.state.rows(BALANCES)}
    assert found == {
        "converted_in/aurora.example/main BLU": -750,
        "receivable/aurora.example/main USD": -7_500_000,
        "conversion_income/aurora.example/main USD": 7_500_000,
    }
    record = pair.destination.state.get(INCOMING, (prepare.network, prepare.source, prepare.id))
    assert record == IncomingRecord(
        state=DestinationState.CREDITED,
        prepare=digest_of_body(prepare),
        decided_seq=sealed.entry.seq,
        account=pair.receiver,
        agreement=prepare.agreement,
        promotion=None,
        refund_of=None,
        steps=3,
        refunded_steps=0,
    )


def test_the_fulfil_promises_what_the_entry_says() -> None:
    pair = pair_of()
    prepare = prepare_for(pair)
    sealed = receive(pair.destination, prepare)
    body = pair.destination.body(sealed)
    assert isinstance(body, Fulfil)
    assert (body.key, body.prepare) == (prepare.key, digest_of_body(prepare))
    assert (body.destination_points, body.value, body.expires_on) == (750, 7_500_000, None)
    assert (body.window, body.dec_seq, body.decided_at) == (1, 1, sealed.entry.time)
    assert body.entry == sealed.reference


def test_converted_points_are_spent_like_others_and_keep_their_origin() -> None:
    pair = pair_of(signed=signed_agreement(agreement(there=direction(expiry=ConvertedExpiry(days=30)))))
    issue(pair.destination, pair.receiver, 10)
    receive(pair.destination, prepare_for(pair))
    friend = open_holder(pair.destination, "friend")
    pair.destination.execute(
        commands.TransferPoints(id=uuid("transfer"), source=pair.receiver, destination=friend, amount=755)
    )
    origins = [(lot.origin, lot.expires_on, lot.remaining) for lot in pair.destination.state.lots(friend)]
    assert origins == [("aurora.example/main", "2026-03-31", 750), ("own", None, 5)]


def test_decisions_of_a_partner_are_counted_without_gaps() -> None:
    pair = pair_of()
    for name in ("first", "second"):
        receive(pair.destination, prepare_for(pair, name=name))
    pair.destination.advance(days=8)
    refusal_of(pair.destination, prepare_for(pair, name="late"))
    assert pair.destination.state.get(COUNTERS, AURORA.ledger) == DecisionCounter(window=1, dec_seq=2)


def test_a_prepare_comes_twice_and_is_decided_once() -> None:
    pair = pair_of()
    prepare = prepare_for(pair)
    first = receive(pair.destination, prepare)
    pair.destination.advance(days=30)
    assert receive(pair.destination, prepare) is first
    late = prepare_for(pair, name="late")
    tombstone = receive(pair.destination, late)
    assert receive(pair.destination, late) is tombstone


def test_id_reused_by_a_prepare_that_was_modified() -> None:
    pair = pair_of()
    prepare = prepare_for(pair)
    receive(pair.destination, prepare)
    other = msgspec.structs.replace(prepare, alias=hex_16("another"))
    with refused(Code.ID_REUSED, pair.destination):
        receive(pair.destination, other)


def test_cancelled_before_the_prepare_arrives() -> None:
    pair = pair_of()
    prepare, wish = prepare_for(pair), cancel_for(pair)
    sealed = receive(pair.destination, wish)
    assert isinstance(sealed.entry, ConversionRefused)
    assert sealed.entry.reason == Code.CANCELLED
    body = pair.destination.body(sealed)
    assert isinstance(body, Reject)
    assert (body.prepare, body.cancel) == (digest_of_body(prepare), digest_of_body(wish))
    assert receive(pair.destination, prepare) is sealed
    receive(pair.source, body)
    assert pair.source.account(pair.sender).available == 10_000


def test_a_cancel_of_what_was_credited_gets_the_credit_again() -> None:
    pair = pair_of()
    prepare, wish = prepare_for(pair), cancel_for(pair)
    credited = receive(pair.destination, prepare)
    assert receive(pair.destination, wish) is credited


def test_id_reused_by_a_cancel_of_another_prepare() -> None:
    pair = pair_of()
    prepare, wish = prepare_for(pair), cancel_for(pair)
    receive(pair.destination, prepare)
    with refused(Code.ID_REUSED, pair.destination):
        receive(pair.destination, msgspec.structs.replace(wish, prepare=digest("another")))


def test_the_same_id_from_another_partner_is_another_conversion() -> None:
    pair = pair_of()
    third = new_ledger(COPPER)
    ally(third, pair.destination)
    cid = open_holder(third, "cid", points=400)
    link(third, pair.destination, sender=cid, receiver=pair.receiver)
    order(third, BLUEBIRD.ledger, cid, 400)
    wish = third.body(ask_cancel(third))
    refused_one = receive(pair.destination, wish)
    credited = receive(pair.destination, prepare_for(pair))
    assert isinstance(refused_one.entry, ConversionRefused)
    assert isinstance(credited.entry, ConversionCredited)


def test_partner_unknown_gets_no_tombstone() -> None:
    pair = pair_of()
    stranger = new_ledger(COPPER)
    for body in (prepare_for(pair), cancel_for(pair)):
        with refused(Code.PARTNER_UNKNOWN, stranger):
            receive(stranger, body)


def test_partner_mismatch_when_a_conversion_is_of_another_network() -> None:
    pair = pair_of()
    prepare = msgspec.structs.replace(prepare_for(pair), network=hex_16("another"))
    with refused(Code.PARTNER_MISMATCH, pair.destination):
        receive(pair.destination, prepare)


def test_expired_a_moment_after_its_deadline() -> None:
    for extra, state in ((0, ConversionCredited), (1, ConversionRefused)):
        pair = pair_of()
        prepare = prepare_for(pair)
        pair.destination.wall = later(prepare.accept_by, microseconds=extra)
        assert type(receive(pair.destination, prepare).entry) is state
    late = pair_of()
    late.destination.advance(days=1)
    assert refusal_of(late.destination, prepare_for(late)) == Code.EXPIRED


def test_clock_when_a_prepare_comes_from_the_future_or_asks_for_too_long() -> None:
    for extra, entry in ((0, ConversionCredited), (1, ConversionRefused)):
        pair = pair_of()
        pair.source.advance(seconds=CLOCK_SKEW_SECONDS_MAX + 60)
        prepare = prepare_for(pair)
        pair.destination.wall = later(prepare.created_at, seconds=-CLOCK_SKEW_SECONDS_MAX, microseconds=-extra)
        assert type(receive(pair.destination, prepare).entry) is entry
    pair = pair_of()
    prepare = prepare_for(pair)
    last = later(prepare.created_at, seconds=ACCEPT_BY_SECONDS_MAX, microseconds=1)
    assert refusal_of(pair.destination, msgspec.structs.replace(prepare, accept_by=last)) == Code.CLOCK


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"agreement": digest("another")}, Code.AGREEMENT_UNKNOWN),
        ({"source_points": 1_201}, Code.AMOUNT_MISMATCH),
        ({"destination_points": 751}, Code.AMOUNT_MISMATCH),
        ({"value": 7_500_001}, Code.AMOUNT_MISMATCH),
        ({"currency": "EUR"}, Code.AMOUNT_MISMATCH),
        ({"fee_points": 1}, Code.FEE_MISMATCH),
        ({"steps": 1_001}, Code.STEPS_ABOVE_MAXIMUM),
        ({"promotion": "spring"}, Code.PROMOTION_UNKNOWN),
        ({"refund_of": uuid("refund")}, Code.REFUND_UNKNOWN),
        ({"alias": hex_16("another")}, Code.LINK_UNKNOWN),
        ({"destination": COPPER.ledger}, Code.DECISION_MISMATCH),
        ({"accept_by": "2026-01-01T00:00:00.000000Z"}, Code.EXPIRED),
        ({"created_at": "9999-12-31T23:59:59.999999Z"}, Code.CLOCK),
    ],
)
def test_a_prepare_against_the_agreement_is_refused_for_ever(change: dict[str, object], code: Code) -> None:
    pair = pair_of()
    prepare = msgspec.structs.replace(prepare_for(pair), **change)
    assert refusal_of(pair.destination, prepare) == code


def test_steps_below_minimum_of_the_destinations_own_agreement() -> None:
    document = agreement(there=direction(steps_min=2))
    generous = pair_of()
    prepare = prepare_for(generous, 400)
    strict = pair_of(signed=signed_agreement(document)).destination
    changed = msgspec.structs.replace(prepare, agreement=agreement_digest(document))
    assert refusal_of(strict, changed) == Code.STEPS_BELOW_MINIMUM


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2026-03-01T12:00:09.999999Z", Code.AGREEMENT_NOT_YET),
        ("2026-03-01T12:00:10.000000Z", "credited"),
        ("2026-03-01T12:05:59.999999Z", "credited"),
        ("2026-03-01T12:06:00.000000Z", Code.AGREEMENT_LAPSED),
    ],
)
def test_agreement_not_yet_and_agreement_lapsed_by_the_destinations_clock(time: str, expected: str) -> None:
    begin, end = "2026-03-01T12:00:10.000000Z", "2026-03-01T12:05:00.000000Z"
    pair = pair_of(signed=signed_agreement(agreement(valid_from=begin, valid_until=end, quote_life_seconds=60)))
    pair.source.wall = begin
    prepare = prepare_for(pair)
    pair.destination.wall = time
    assert outcome(pair.destination, prepare) == expected


def outcome(ledger: MemoryLedger, prepare: Prepare) -> str:
    entry = receive(ledger, prepare).entry
    return entry.reason if isinstance(entry, ConversionRefused) else "credited"


def test_a_superseded_agreement_is_honoured_for_the_life_of_a_quote() -> None:
    for seconds, expected in ((899, "credited"), (901, Code.AGREEMENT_LAPSED)):
        pair = pair_of()
        first = pair.signed.agreement
        pair.destination.advance(seconds=1)
        enter(pair.destination, signed_agreement(agreement(number=2, supersedes=agreement_digest(first))))
        pair.source.advance(seconds=500)
        prepare = prepare_for(pair)
        pair.destination.advance(seconds=seconds)
        assert outcome(pair.destination, prepare) == expected


def test_account_closed_when_the_receiver_has_left() -> None:
    pair = pair_of()
    pair.destination.execute(commands.CloseAccount(id=uuid("close"), account=pair.receiver))
    assert refusal_of(pair.destination, prepare_for(pair)) == Code.ACCOUNT_CLOSED


def test_balance_overflow_when_the_receiver_cannot_hold_more() -> None:
    pair = pair_of()
    issue(pair.destination, pair.receiver, INTEGER_MAX - 749)
    assert refusal_of(pair.destination, prepare_for(pair)) == Code.BALANCE_OVERFLOW
