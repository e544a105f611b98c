"""Entries about incoming conversions that nobody here decided, as an auditor meets them in a hostile log."""

import msgspec
import pytest

from protocol.agreement import ConvertedExpiry
from protocol.entries import ConversionCredited, ConversionRefused, Posting
from protocol.errors import Code
from protocol.ledger.incoming import prepare_received
from protocol.messages import Cancel, Prepare
from tests.support.documents import (
    AURORA,
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
from tests.support.ledger import MemoryLedger, Pair, ask_cancel, open_holder, order, pair_of, receive, refused


def credited(pair: Pair) -> ConversionCredited:
    """Return the entry by which the destination of `pair` credited a conversion."""
    prepare = pair.source.body(order(pair.source, BLUEBIRD.ledger, pair.sender, 1_300))
    entry = receive(pair.destination, prepare).entry
    assert isinstance(entry, ConversionCredited)
    return entry


def tombstone(pair: Pair) -> ConversionRefused:
    """Return the entry by which the destination of `pair` refused a late conversion."""
    prepare = pair.source.body(order(pair.source, BLUEBIRD.ledger, pair.sender, 1_300))
    pair.destination.advance(days=1)
    entry = receive(pair.destination, prepare).entry
    assert isinstance(entry, ConversionRefused)
    return entry


def recited(entry: ConversionCredited) -> ConversionCredited:
    """Return `entry` citing the PREPARE that its own fields make, as a forger would."""
    cited = digest_of_body(prepare_received(entry, ledger=BLUEBIRD.ledger))
    return msgspec.structs.replace(entry, prepare=cited, request=cited)


def fresh() -> MemoryLedger:
    return pair_of().destination


CITED: list[dict[str, object]] = [
    {"agreement": digest("another")},
    {"promotion": "spring"},
    {"refund_of": uuid("refund")},
    {"steps": 4},
    {"source_points": 1},
    {"destination_points": 1},
    {"fee_points": 1},
    {"value": 1},
    {"currency": "EUR"},
    {"alias": hex_16("another")},
    {"created_at": "2026-03-01T11:00:00.000000Z"},
    {"accept_by": "2026-03-01T12:20:00.000000Z"},
    {"source_entry": entry_reference(3)},
    {"prepare": digest("another")},
    {"prepare": digest("another"), "request": digest("another")},
    {"request": None},
]


@pytest.mark.parametrize("change", CITED)
def test_decision_mismatch_unless_a_credit_repeats_its_prepare(change: dict[str, object]) -> None:
    ledger, entry = fresh(), credited(pair_of())
    with refused(Code.DECISION_MISMATCH, ledger):
        ledger.judge(msgspec.structs.replace(entry, **change))
    ledger.judge(entry)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"destination_points": 751}, Code.AMOUNT_MISMATCH),
        ({"source": COPPER.ledger}, Code.AGREEMENT_UNKNOWN),
        ({"network": hex_16("another")}, Code.AGREEMENT_UNKNOWN),
        ({"created_at": "2026-03-01T12:06:00.000000Z"}, Code.CLOCK),
        ({"accept_by": "2026-03-01T11:59:00.000000Z"}, Code.EXPIRED),
        ({"created_at": "2026-02-01T12:06:00.000000Z"}, Code.CLOCK),
        ({"conversion": uuid("another")}, Code.ID_INVALID),
        ({"alias": hex_16("another")}, Code.LINK_UNKNOWN),
        ({"window": 2}, Code.DECISION_MISMATCH),
        ({"dec_seq": 2}, Code.DECISION_MISMATCH),
        ({"dec_seq": 3, "window": 2}, Code.DECISION_MISMATCH),
        ({"occurred_on": "2026-02-27"}, Code.DATE_INVALID),
        ({"expires_on": "2027-01-01"}, Code.EXPIRY_MISMATCH),
        ({"id": uuid("another")}, Code.ID_INVALID),
    ],
)
def test_a_credit_in_a_log_must_follow_every_rule(change: dict[str, object], code: Code) -> None:
    ledger, entry = fresh(), credited(pair_of())
    with refused(code, ledger):
        ledger.judge(recited(msgspec.structs.replace(entry, **change)))


def test_expiry_mismatch_unless_points_last_as_long_as_agreed() -> None:
    signed = signed_agreement(agreement(there=direction(expiry=ConvertedExpiry(days=30))))
    ledger, entry = pair_of(signed=signed).destination, credited(pair_of(signed=signed))
    for day in (None, "2026-03-30", "2026-04-01"):
        with refused(Code.EXPIRY_MISMATCH, ledger):
            ledger.judge(msgspec.structs.replace(entry, expires_on=day))
    with refused(Code.DATE_INVALID, ledger):
        ledger.judge(msgspec.structs.replace(entry, occurred_on="2026-01-01", expires_on="2026-01-31"))
    ledger.judge(entry)


def test_postings_invalid_unless_the_linked_account_is_credited_and_the_partner_owes() -> None:
    pair, ledger = pair_of(), fresh()
    entry = credited(pair)
    friend = open_holder(ledger, "friend")
    points_in, credit, receivable, income = entry.postings
    for postings in (
        (points_in, credit),
        (credit, points_in, receivable, income),
        (points_in, msgspec.structs.replace(credit, account=friend), receivable, income),
        (points_in, credit, income, receivable),
        (Posting(points_in.account, AURORA.points, -750), credit, receivable, income),
        (msgspec.structs.replace(points_in, account="issuance"), credit, receivable, income),
        (points_in, msgspec.structs.replace(credit, amount=751), receivable, income),
    ):
        with refused(Code.POSTINGS_INVALID, ledger):
            ledger.judge(msgspec.structs.replace(entry, postings=postings))


def test_conversion_decided_in_a_log_that_decides_it_under_another_id() -> None:
    pair = pair_of()
    entry = credited(pair)
    again = msgspec.structs.replace(entry, id=uuid("again"), dec_seq=2)
    refusal = msgspec.structs.replace(tombstone(pair_of()), id=uuid("again"))
    for draft in (again, refusal):
        with refused(Code.CONVERSION_DECIDED, pair.destination):
            pair.destination.judge(draft)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"request": None}, Code.DECISION_MISMATCH),
        ({"prepare": digest("another")}, Code.DECISION_MISMATCH),
        ({"reason": "cancelled"}, Code.DECISION_MISMATCH),
        ({"cancel": digest("cancel")}, Code.DECISION_MISMATCH),
        ({"source": COPPER.ledger}, Code.PARTNER_UNKNOWN),
        ({"network": hex_16("another")}, Code.PARTNER_MISMATCH),
        ({"conversion": uuid("another")}, Code.ID_INVALID),
    ],
)
def test_a_tombstone_in_a_log_must_name_what_it_refuses(change: dict[str, object], code: Code) -> None:
    ledger, entry = fresh(), tombstone(pair_of())
    ledger.advance(days=1)
    with refused(code, ledger):
        ledger.judge(msgspec.structs.replace(entry, **change))
    ledger.judge(entry)


def test_the_prepare_that_a_credit_repeats_is_the_one_the_source_sent() -> None:
    pair = pair_of()
    prepare = pair.source.body(order(pair.source, BLUEBIRD.ledger, pair.sender, 1_300))
    entry = receive(pair.destination, prepare).entry
    assert isinstance(entry, ConversionCredited)
    assert isinstance(prepare, Prepare)
    assert prepare_received(entry, ledger=BLUEBIRD.ledger) == prepare
    wish = pair.source.body(ask_cancel(pair.source))
    assert isinstance(wish, Cancel)
    assert wish.prepare == entry.prepare
