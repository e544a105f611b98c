from collections.abc import Callable

import msgspec
import pytest

from protocol.encoding import digest_of
from protocol.entry import Posting
from protocol.errors import KeyInvalid, ProtocolError, SignatureInvalid, StatementInvalid
from protocol.identifiers import Account, Digest, Id, Ledger
from protocol.keys import Role, decode_signature
from protocol.limits import BODY_BYTES_MAX, ENTRY_BYTES_MAX, INTEGER_MAX
from protocol.messages import EntryReference, StatementSigned
from protocol.recovery_entries import Recovered
from protocol.settlement.statements import Corrections
from protocol.statement import (
    LINES_MAX,
    STATEMENT_AGREEMENTS_MAX,
    STATEMENT_BYTES_MAX,
    AdjustedLine,
    AdjustmentReason,
    Bill,
    CheckpointReference,
    DisputedLine,
    DisputeReason,
    SignedStatement,
    Statement,
    StatementSignature,
    Totals,
    check_statement,
    decode_signed_statement,
    decode_statement,
    encode_signed_statement,
    encode_statement,
    payment_of,
    sign_statement,
    statement_digest,
    verify_statement,
)
from protocol.window_entries import StatementAgreed
from tests.support.documents import AURORA, BLUEBIRD, COPPER, NETWORK, USD, digest, uuid
from tests.support.mutations import bit_flips, field_changes, liberties, variants
from tests.support.settlement import APPROVALS, MIDNIGHT, disputed, lines, signed_statement, statement

PARTIES = (AURORA.ledger, BLUEBIRD.ledger)
OUT = lines(1, [2_500_000, 7_500_000, 1])
IN = lines(1, [4_000_000], source=BLUEBIRD)
FIRST = statement([*OUT, *IN], corrections=Corrections(disputed={AURORA.ledger: [disputed(OUT[1])]}))
SECOND = statement(
    lines(4, [10_000], window=2),
    previous=FIRST,
    corrections=Corrections(
        adjustments={
            AURORA.ledger: [
                AdjustedLine(window=1, dec_seq=1, id=OUT[0].id, value=-2_500_000, reason=AdjustmentReason.TAKEN_BACK),
                AdjustedLine(window=1, dec_seq=2, id=OUT[1].id, value=7_500_000, reason=AdjustmentReason.UPHELD),
            ]
        }
    ),
)
SIGNED = signed_statement(FIRST)


def changed(document: Statement, **fields: object) -> Statement:
    return msgspec.structs.replace(document, **fields)


def with_bill(document: Statement, **fields: object) -> Statement:
    first, second = document.directions
    return changed(document, directions=(msgspec.structs.replace(first, **fields), second))


def with_totals(document: Statement, **fields: object) -> Statement:
    return with_bill(document, totals=msgspec.structs.replace(document.directions[0].totals, **fields))


def test_a_statement_nets_both_directions_less_what_is_in_dispute() -> None:
    assert (FIRST.net, FIRST.payer, FIRST.minor_units, FIRST.carry) == ("-1499999", BLUEBIRD.ledger, "149", "-9999")
    assert FIRST.amount == 1_490_000
    assert FIRST.bill(AURORA.ledger).withheld(1) == 7_500_000
    assert FIRST.bill(BLUEBIRD.ledger).owed(1) == 4_000_000


def test_the_next_statement_takes_over_carry_and_dispute() -> None:
    assert SECOND.opening_carry == FIRST.carry
    assert SECOND.net == str(-9_999 + 10_000 + 7_500_000 - 2_500_000)
    assert SECOND.payer == AURORA.ledger
    assert SECOND.previous == statement_digest(FIRST)


def test_a_third_ledger_has_no_bill() -> None:
    with pytest.raises(StatementInvalid):
        FIRST.bill(COPPER.ledger)


@pytest.mark.parametrize(
    ("net", "payer", "units", "carry"),
    [
        (0, None, 0, 0),
        (9_999, None, 0, 9_999),
        (-9_999, None, 0, -9_999),
        (10_000, AURORA.ledger, 1, 0),
        (-10_000, BLUEBIRD.ledger, 1, 0),
        (25_001, AURORA.ledger, 2, 5_001),
        (-25_001, BLUEBIRD.ledger, 2, -5_001),
        (10**31, AURORA.ledger, 10**27, 0),
    ],
)
def test_whole_minor_units_are_paid_and_the_rest_is_carried(
    net: int, payer: Ledger | None, units: int, carry: int
) -> None:
    payment = payment_of(net, minor_unit=10_000, parties=PARTIES)
    assert (payment.payer, payment.minor_units, payment.carry) == (payer, units, carry)


@pytest.mark.parametrize("document", [FIRST, SECOND, statement()])
def test_a_statement_reads_back(document: Statement) -> None:
    assert decode_statement(encode_statement(document)) == document
    assert statement_digest(document) == digest_of("statement", encode_statement(document))
    signed = signed_statement(document)
    assert decode_signed_statement(encode_signed_statement(signed)) == signed


FLAWS: dict[str, Callable[[], Statement]] = {
    "parties out of order": lambda: changed(FIRST, parties=PARTIES[::-1]),
    "one party twice": lambda: changed(FIRST, parties=(AURORA.ledger, AURORA.ledger)),
    "directions out of order": lambda: changed(FIRST, directions=FIRST.directions[::-1]),
    "another's checkpoint": lambda: changed(FIRST, checkpoints=FIRST.checkpoints[::-1]),
    "agreements out of order": lambda: changed(FIRST, agreements=(digest("b"), digest("a"), digest("b"))),
    "one agreement twice": lambda: changed(FIRST, agreements=(digest("a"), digest("a"))),
    "due before the close": lambda: changed(FIRST, due_at="2026-03-01T23:59:59.999999Z"),
    "count too small": lambda: with_totals(FIRST, count=2),
    "last number too large": lambda: with_totals(FIRST, last_dec_seq=4),
    "points out of nothing": lambda: with_totals(statement(), source_points="1"),
    "root of nothing": lambda: with_totals(statement(), root=digest("root")),
    "value too small for the dispute": lambda: with_totals(FIRST, value="7499999"),
    "another net": lambda: changed(FIRST, net="-1500000"),
    "another payer": lambda: changed(FIRST, payer=AURORA.ledger),
    "no payer": lambda: changed(FIRST, payer=None),
    "one unit more": lambda: changed(FIRST, minor_units="150"),
    "another carry": lambda: changed(FIRST, carry="0"),
    "another opening": lambda: changed(FIRST, opening_carry="1"),
    "another unit": lambda: changed(FIRST, minor_unit=1_000),
    "a line twice": lambda: with_bill(FIRST, disputed=FIRST.directions[0].disputed * 2),
    "a line of a later window": lambda: with_bill(FIRST, disputed=(line_at(2, 2),)),
    "a number beyond the window": lambda: with_bill(FIRST, disputed=(line_at(1, 4),)),
    "a number of an earlier window": lambda: with_bill(SECOND, disputed=(line_at(2, 3),)),
    "a number of this window": lambda: with_bill(SECOND, disputed=(line_at(1, 4),)),
    "adjusted and in dispute": lambda: with_bill(SECOND, disputed=(line_at(1, 2),)),
    "adjusted in its own window": lambda: with_bill(FIRST, disputed=(), adjustments=(adjusted(1, 2),)),
    "adjusted with a number of this window": lambda: with_bill(SECOND, adjustments=(adjusted(1, 4),)),
    "adjustments out of order": lambda: with_bill(SECOND, adjustments=SECOND.directions[0].adjustments[::-1]),
    "upheld below zero": lambda: with_bill(SECOND, adjustments=(adjusted(1, 2, value=-1),)),
    "taken back for nothing": lambda: with_bill(
        SECOND, adjustments=(adjusted(1, 2, value=0, reason=AdjustmentReason.TAKEN_BACK),)
    ),
}


def line_at(window: int, dec_seq: int) -> DisputedLine:
    return DisputedLine(
        window=window, dec_seq=dec_seq, id=uuid("line"), value=7_500_000, reason=DisputeReason.NOT_CREDITED
    )


def adjusted(
    window: int, dec_seq: int, *, value: int = 5, reason: AdjustmentReason = AdjustmentReason.UPHELD
) -> AdjustedLine:
    return AdjustedLine(window=window, dec_seq=dec_seq, id=uuid("line"), value=value, reason=reason)


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_statement_that_contradicts_itself_is_refused(flaw: str) -> None:
    document = FLAWS[flaw]()
    with pytest.raises(StatementInvalid):
        check_statement(document)
    with pytest.raises(StatementInvalid):
        encode_statement(document)
    with pytest.raises(StatementInvalid):
        decode_statement(msgspec.json.encode(document, order="sorted"))
    with pytest.raises(StatementInvalid):
        decode_signed_statement(
            msgspec.json.encode(SignedStatement(statement=document, signatures=SIGNED.signatures), order="sorted")
        )


def test_no_field_has_another_type_and_none_is_missing_or_too_many() -> None:
    for what, data in field_changes(encode_signed_statement(signed_statement(SECOND))):
        with pytest.raises(StatementInvalid):
            pytest.fail(f"{what}: {decode_signed_statement(data)}")


@pytest.mark.parametrize("text", ["-0", "+1", "01", "", "1.0", "1e3", "9" * 33, " 1", "--1"])
@pytest.mark.parametrize("name", ["opening_carry", "net", "carry", "minor_units"])
def test_a_sum_has_one_spelling(name: str, text: str) -> None:
    with pytest.raises(StatementInvalid):
        decode_statement(msgspec.json.encode(changed(FIRST, **{name: text}), order="sorted"))


def test_only_canonical_bytes_are_a_statement() -> None:
    for data in liberties(encode_statement(FIRST)):
        with pytest.raises(StatementInvalid):
            decode_statement(data)


def test_a_signature_covers_a_domain_and_the_document() -> None:
    message = b"tallystick/statement-signature/v1\n" + encode_statement(FIRST)
    for item in SIGNED.signatures:
        APPROVALS[item.ledger].verify(signature=decode_signature(item.signature), message=message)


def test_an_agreed_statement_is_signed_by_both_and_a_proposal_by_one() -> None:
    verify_statement(SIGNED, approvals=APPROVALS, complete=True)
    for brand in (AURORA, BLUEBIRD):
        proposal = signed_statement(FIRST, signers=[brand])
        verify_statement(proposal, approvals=APPROVALS, complete=False)
        with pytest.raises(SignatureInvalid):
            verify_statement(proposal, approvals=APPROVALS, complete=True)


def test_signatures_are_the_parties_in_their_order() -> None:
    first, second = SIGNED.signatures
    foreign = StatementSignature(ledger=COPPER.ledger, signature=first.signature)
    for signatures in ((), (second, first), (first, first), (foreign,), (first, foreign)):
        document = SignedStatement(statement=FIRST, signatures=signatures)
        with pytest.raises(StatementInvalid):
            verify_statement(document, approvals=APPROVALS, complete=False)


def test_a_signature_needs_its_partys_key() -> None:
    with pytest.raises(KeyInvalid):
        verify_statement(SIGNED, approvals={AURORA.ledger: APPROVALS[AURORA.ledger]}, complete=True)
    swapped = {AURORA.ledger: APPROVALS[BLUEBIRD.ledger], BLUEBIRD.ledger: APPROVALS[AURORA.ledger]}
    with pytest.raises(SignatureInvalid):
        verify_statement(SIGNED, approvals=swapped, complete=True)


def test_a_signature_that_would_not_verify_is_not_made() -> None:
    key = AURORA.signing_keys[Role.APPROVAL]
    with pytest.raises(StatementInvalid):
        sign_statement(FIRST, ledger=COPPER.ledger, key=key, approval=key.public)
    with pytest.raises(SignatureInvalid):
        sign_statement(FIRST, ledger=AURORA.ledger, key=AURORA.signing_keys[Role.LOG], approval=key.public)
    with pytest.raises(StatementInvalid):
        sign_statement(changed(FIRST, net="0"), ledger=AURORA.ledger, key=key, approval=key.public)


def test_no_field_of_a_signed_statement_can_change() -> None:
    for document in variants(FIRST):
        assert isinstance(document, Statement)
        with pytest.raises(ProtocolError):
            verify_statement(
                SignedStatement(statement=document, signatures=SIGNED.signatures), approvals=APPROVALS, complete=False
            )


def test_no_bit_of_a_signed_statement_can_change() -> None:
    for data in bit_flips(encode_signed_statement(SIGNED)):
        with pytest.raises(ProtocolError):
            verify_statement(decode_signed_statement(data), approvals=APPROVALS, complete=False)


def test_the_longest_statement_fits_into_a_message_with_both_signatures() -> None:
    names = [Ledger(f"{'.'.join([letter * 59] * 2)}/main.999999") for letter in "ab"]
    parties = (Ledger(names[0].ljust(128, "9")[:128]), Ledger(names[1].ljust(128, "9")[:128]))
    top = INTEGER_MAX
    name = uuid("line")
    doubt = DisputedLine(window=top, dec_seq=top, id=name, value=top, reason=max(DisputeReason, key=len))
    correction = AdjustedLine(window=top, dec_seq=top, id=name, value=-top, reason=max(AdjustmentReason, key=len))
    number = "9" * 32
    totals = Totals(
        first_dec_seq=INTEGER_MAX, last_dec_seq=INTEGER_MAX, count=INTEGER_MAX, source_points=number,
        destination_points=number, fee_points=number, value=number, root=digest("root"),
    )  # fmt: skip
    bills = [
        Bill(
            source=of, destination=to, closed_at=MIDNIGHT, totals=totals,
            disputed=(doubt,) * LINES_MAX, adjustments=(correction,) * LINES_MAX,
        )
        for of, to in (parties, parties[::-1])
    ]  # fmt: skip
    checkpoints = [CheckpointReference(origin=one, size=INTEGER_MAX, root=digest("root")) for one in parties]
    document = Statement(
        network=NETWORK, parties=parties, window=INTEGER_MAX, previous=digest("previous"),
        agreements=(digest("agreement"),) * STATEMENT_AGREEMENTS_MAX, currency=USD, minor_unit=INTEGER_MAX,
        directions=(bills[0], bills[1]), opening_carry=f"-{number}", net=f"-{number}", payer=parties[0],
        minor_units=number, carry=f"-{number}", due_at=MIDNIGHT, checkpoints=(checkpoints[0], checkpoints[1]),
    )  # fmt: skip
    signatures = [StatementSignature(ledger=one, signature="A" * 88) for one in parties]
    body = StatementSigned(
        network=NETWORK, sender=parties[0], receiver=parties[1], window=INTEGER_MAX,
        signed=SignedStatement(statement=document, signatures=(signatures[0], signatures[1])),
        entry=EntryReference(seq=INTEGER_MAX, leaf=Digest(digest("leaf"))),
    )  # fmt: skip
    assert len(msgspec.json.encode(document)) <= STATEMENT_BYTES_MAX
    assert len(msgspec.json.encode(body)) <= BODY_BYTES_MAX
    postings = tuple(Posting(Account("conversion_income/" + "p" * 142), USD, -INTEGER_MAX) for _ in range(8))
    entry = StatementAgreed(
        seq=INTEGER_MAX, occurred_on="2026-03-01", id=Id("i" * 300), request=digest("request"), network=NETWORK,
        partner=parties[0], window=INTEGER_MAX, answered=digest("answered"), signed=body.signed,
        partner_entry=body.entry, postings=postings,
    )  # fmt: skip
    assert len(msgspec.json.encode(entry)) <= ENTRY_BYTES_MAX
    again = Recovered(
        seq=INTEGER_MAX, occurred_on="2026-03-01", id=Id("i" * 300), request=None, network=NETWORK,
        partner=parties[0], body=body, digest=digest("body"), prepare=None, entered=(), account=None, shortfall=0,
        postings=postings,
    )  # fmt: skip
    spare = STATEMENT_BYTES_MAX - len(msgspec.json.encode(document))
    assert len(msgspec.json.encode(again)) + spare <= ENTRY_BYTES_MAX
