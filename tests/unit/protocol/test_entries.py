import hashlib
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.entries import (
    AccountOpened,
    AgreementEnded,
    AgreementEntered,
    AnyEntry,
    ConversionCancelRequested,
    ConversionCredited,
    ConversionHeld,
    ConversionRefused,
    Entry,
    Posting,
    body_of,
    cancel_of,
    decode_entry,
    encode_entry,
    end_of,
    fulfil_of,
    prepare_of,
    reject_of,
    seal,
    stamp,
    transfer_postings,
    unseal,
)
from protocol.errors import EntryInvalid
from protocol.identifiers import Account
from protocol.limits import ENTRY_BYTES_MAX, INTEGER_MAX, POSTINGS_MAX
from protocol.messages import Close, Dispute, EntryReference, PaymentAdvice, Receipt, StatementSigned, Succeeded
from protocol.recovery_entries import Recovered, RecoveryBegun
from tests.support.documents import AURORA, NOW, digest, hex_16, signed_agreement, uuid
from tests.support.history import examples, history, tag_of
from tests.support.ledger import holder
from tests.support.mutations import canonical, damaged, field_changes, liberties, nulled, replaced

EXAMPLES = examples()

NULLABLE: dict[str, set[str]] = {
    "genesis": {"predecessor"},
    "points_issued": {"expires_on", "spendable_on", "metadata"},
    "points_reversed": {"metadata"},
    "points_redeemed": {"metadata"},
    "points_transferred": {"metadata"},
    "hold_placed": {"expires_at", "metadata"},
    "appeal_opened": {"about", "metadata"},
    "appeal_decided": {"metadata"},
    "action_proposed": {"action.appeal", "action.expires_on", "metadata"},
    "points_adjusted": {"appeal", "expires_on"},
    "agreement_entered": {
        "signed.agreement.supersedes",
        "signed.agreement.valid_until",
        *(
            f"signed.agreement.directions.{index}.{name}"
            for index in (0, 1)
            for name in (
                "cap",
                "expiry.days",
                "in_flight.conversions",
                "in_flight.value",
                "member_limits.in_points_per_day",
                "member_limits.in_points_per_year",
                "member_limits.out_points_per_day",
                "member_limits.out_points_per_year",
            )
        ),
        "signed.agreement.directions.0.promotions.0.budget_points",
    },
    "agreement_ended": {"notice", "partner_entry"},
    "balance_imported": {"expires_on"},
    "partner_ended": {"statement", "partner_checkpoint"},
    "link_revoked": {"notice", "partner_entry"},
    "conversion_held": {"promotion", "refund_of"},
    "conversion_captured": {"expires_on"},
    "conversion_released": {"cancel"},
    "conversion_credited": {"promotion", "refund_of", "expires_on"},
    "conversion_refused": {"cancel"},
    "recovery_begun": {"seen"},
    "recovered": {"account", "prepare", "prepare.promotion", "prepare.refund_of", "body.expires_on"},
    "program_set": {"terms.transfers.review_above", "terms.limits.0.partner", "terms.limits.1.partner"},
    "transfer_offered": {"metadata"},
    "statement_proposed": {"signed.statement.payer", "signed.statement.previous"},
    "statement_agreed": {"signed.statement.payer", "signed.statement.previous"},
}

WINDOW_BODIES: dict[str, type[Close | Dispute | StatementSigned | PaymentAdvice | Receipt]] = {
    "window_closed": Close,
    "lines_disputed": Dispute,
    "statement_proposed": StatementSigned,
    "payment_made": PaymentAdvice,
    "payment_confirmed": Receipt,
}
"""What the first party sends; its agreed statement is the second one's answer, which nothing answers."""

WRONG_VALUES: list[tuple[str, str, str | int | bool]] = [
    ("points_issued", "v", 2),
    ("points_issued", "seq", -1),
    ("points_issued", "prev", "0" * 63),
    ("points_issued", "prev", "F" * 64),
    ("points_issued", "time", "2026-03-01T12:00:00Z"),
    ("points_issued", "time", "2026-03-01T12:00:00.000000+00:00"),
    ("points_issued", "nonce", "0" * 31),
    ("points_issued", "occurred_on", "2026-3-1"),
    ("points_issued", "occurred_on", "2026-03-01\n"),
    ("points_issued", "kind", "points_invented"),
    ("points_issued", "id", ""),
    ("points_issued", "id", "a b"),
    ("points_issued", "id", "a" * 301),
    ("points_issued", "request", "x"),
    ("points_issued", "expires_on", ""),
    ("hold_placed", "amount", 0),
    ("hold_placed", "account", "redemption"),
    ("hold_placed", "account", "member/7"),
    ("hold_captured", "final", 1),
    ("conversion_credited", "source", "aurora.example"),
    ("conversion_credited", "fee_points", -1),
    ("conversion_refused", "reason", "Too late"),
    ("link_issued", "alias", "0" * 33),
    ("genesis", "points", "aur"),
    ("genesis", "points_name", ""),
]


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_kind_reads_back_from_its_bytes(kind: str) -> None:
    sealed = EXAMPLES[kind]
    assert decode_entry(sealed.data) == sealed.entry
    assert encode_entry(sealed.entry) == sealed.data
    assert unseal(sealed.data) == sealed


def test_every_kind_has_an_example_and_a_name_of_its_own() -> None:
    kinds = [kind.__struct_config__.tag for kind in get_args(AnyEntry)]
    assert sorted(kinds) == list(EXAMPLES)
    assert all(tag_of(sealed.entry) == kind for kind, sealed in EXAMPLES.items())


def test_a_leaf_is_the_hash_of_the_bytes_under_a_zero_byte() -> None:
    sealed = EXAMPLES["points_issued"]
    assert sealed.leaf == hashlib.sha256(b"\x00" + sealed.data).hexdigest()
    assert sealed.reference == EntryReference(seq=sealed.entry.seq, leaf=sealed.leaf)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_only_canonical_bytes_are_an_entry(kind: str) -> None:
    for data in liberties(EXAMPLES[kind].data):
        with pytest.raises(EntryInvalid):
            decode_entry(data)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_no_field_may_be_missing_or_added_or_of_another_type(kind: str) -> None:
    for what, data in field_changes(EXAMPLES[kind].data):
        with pytest.raises(EntryInvalid):
            pytest.fail(f"{what} was read as {decode_entry(data)}")


@pytest.mark.parametrize("kind", EXAMPLES)
def test_few_fields_may_be_null(kind: str) -> None:
    found = set()
    for name, data in nulled(EXAMPLES[kind].data):
        try:
            decode_entry(data)
        except EntryInvalid:
            continue
        found.add(name)
    assert found == NULLABLE.get(kind, set()) | {"request"}


@pytest.mark.parametrize(("kind", "field", "value"), WRONG_VALUES)
def test_values_outside_a_fields_grammar_are_refused(kind: str, field: str, value: str | int) -> None:
    with pytest.raises(EntryInvalid):
        decode_entry(canonical(replaced(EXAMPLES[kind].data, (field,), value)))


def test_an_integer_that_json_cannot_carry_is_refused() -> None:
    data = EXAMPLES["hold_placed"].data
    changed = data.replace(b'"amount":10,', b'"amount":%d,' % (INTEGER_MAX + 1))
    assert changed != data
    with pytest.raises(EntryInvalid):
        decode_entry(changed)


def test_postings_are_triples_and_at_least_two() -> None:
    sealed = EXAMPLES["points_redeemed"]
    assert b'"postings":[["member/' in sealed.data
    pair = transfer_postings(AURORA.points, 5, debit=Account("issuance"), credit=holder("ann"))
    assert pair == (Posting(Account("issuance"), AURORA.points, -5), Posting(holder("ann"), AURORA.points, 5))
    for postings in (pair[:1], pair * (POSTINGS_MAX // 2) + pair[:1]):
        entry = msgspec.structs.replace(sealed.entry, postings=postings)
        with pytest.raises(EntryInvalid):
            decode_entry(encode_entry(entry))


def test_an_entry_longer_than_a_bundle_can_say_is_refused() -> None:
    entry = EXAMPLES["agreement_entered"].entry
    assert isinstance(entry, AgreementEntered)
    signed = msgspec.structs.replace(entry.signed, signatures=signed_agreement().signatures * 400)
    with pytest.raises(EntryInvalid, match=str(ENTRY_BYTES_MAX)):
        seal(msgspec.structs.replace(entry, signed=signed))


@pytest.mark.parametrize("account", ["redemption", "member/" + "0" * 36, "\ud800"])
def test_what_nobody_could_decode_is_not_sealed(account: str) -> None:
    draft = AccountOpened(id=uuid("open"), request=None, occurred_on="2026-03-01", account=Account(account))
    with pytest.raises(EntryInvalid):
        seal(draft)


def test_stamping_gives_a_draft_its_place_and_keeps_the_rest() -> None:
    draft = AccountOpened(id=uuid("open"), request=None, occurred_on="2026-03-01", account=holder("ann"))
    entry = stamp(draft, seq=7, prev=digest("prev"), time=NOW, nonce=hex_16("nonce"))
    assert (entry.seq, entry.prev, entry.time, entry.nonce) == (7, digest("prev"), NOW, hex_16("nonce"))
    assert stamp(entry, seq=0, prev=draft.prev, time=draft.time, nonce=draft.nonce) == draft


@pytest.mark.parametrize("kind", EXAMPLES)
def test_an_entry_obliges_to_at_most_one_body(kind: str) -> None:
    sealed = EXAMPLES[kind]
    ledger = AURORA.ledger
    match sealed.entry:
        case ConversionHeld() as entry:
            assert body_of(sealed, ledger=ledger) == prepare_of(sealed, entry, ledger=ledger)
        case ConversionCredited() as entry:
            assert body_of(sealed, ledger=ledger) == fulfil_of(sealed, entry, ledger=ledger)
        case ConversionRefused() as entry:
            assert body_of(sealed, ledger=ledger) == reject_of(sealed, entry, ledger=ledger)
        case ConversionCancelRequested() as entry:
            assert body_of(sealed, ledger=ledger) == cancel_of(sealed, entry, ledger=ledger)
        case AgreementEnded(notice=None) as entry:
            assert body_of(sealed, ledger=ledger) == end_of(sealed, entry)
        case _ if kind in WINDOW_BODIES:
            body = body_of(sealed, ledger=ledger)
            assert isinstance(body, WINDOW_BODIES[kind])
            assert (body.sender, body.entry) == (ledger, sealed.reference)
        case RecoveryBegun():
            asked = body_of(sealed, ledger=ledger)
            assert isinstance(asked, Succeeded)
            assert (asked.log, asked.entry) == ("bluebird.example/main.2", sealed.reference)
        case Recovered() as entry:
            assert body_of(sealed, ledger=ledger) is entry.body
        case _:
            assert body_of(sealed, ledger=ledger) is None


def test_bodies_cite_the_entry_that_they_come_from_and_its_time() -> None:
    pair = history()
    bodies = [pair.source.body(one) for one in pair.source.sealed if body_of(one, ledger=pair.source.name)]
    kinds = ["Prepare", "Prepare", "Prepare", "Cancel", "Prepare", "Prepare", "Cancel", "Fulfil", "End"]
    assert [body.__class__.__name__ for body in bodies][: len(kinds)] == kinds
    for sealed in (*pair.source.sealed, *pair.destination.sealed):
        body = body_of(sealed, ledger=pair.source.name)
        if body is not None:
            assert body.entry == sealed.reference
        if isinstance(sealed.entry, ConversionHeld):
            assert getattr(body, "created_at", None) == sealed.entry.time
        if isinstance(sealed.entry, ConversionCredited | ConversionRefused):
            assert getattr(body, "decided_at", None) == sealed.entry.time


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_flipped_bit_makes_another_leaf_or_no_entry(kind: str) -> None:
    sealed = EXAMPLES[kind]
    for position in range(0, len(sealed.data), 7):
        changed = bytearray(sealed.data)
        changed[position] ^= 1
        try:
            assert unseal(bytes(changed)).leaf != sealed.leaf
        except EntryInvalid:
            continue


@given(st.sampled_from(list(EXAMPLES.values())).flatmap(lambda sealed: damaged(sealed.data)) | st.binary(max_size=200))
def test_any_bytes_are_an_entry_or_invalid(data: bytes) -> None:
    try:
        entry = decode_entry(data)
    except EntryInvalid:
        return
    assert isinstance(entry, Entry)
    assert encode_entry(entry) == data
