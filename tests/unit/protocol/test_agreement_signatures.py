from itertools import permutations

import msgspec
import pytest

from protocol.agreement import (
    Agreement,
    AgreementSignature,
    SignedAgreement,
    decode_signed_agreement,
    encode_agreement,
    encode_signed_agreement,
    sign_agreement,
    verify_agreement,
)
from protocol.errors import AgreementInvalid, ProtocolError, SignatureInvalid
from protocol.keys import Role, decode_signature, encode_signature
from tests.support.documents import AURORA, BLUEBIRD, COPPER, NOW, Side, agreement, signed_agreement
from tests.support.mutations import bit_flips, variants

SIGNED = signed_agreement()
FIRST, SECOND = SIGNED.signatures


def with_signatures(*signatures: AgreementSignature) -> SignedAgreement:
    return msgspec.structs.replace(SIGNED, signatures=signatures)


def signature(text: str, brand: Side = AURORA) -> AgreementSignature:
    return AgreementSignature(ledger=brand.ledger, signature=text)


def test_a_binding_agreement_is_signed_by_both() -> None:
    verify_agreement(SIGNED, complete=True)
    verify_agreement(SIGNED, complete=False)


@pytest.mark.parametrize("brand", [AURORA, BLUEBIRD])
def test_a_proposal_is_signed_by_one(brand: Side) -> None:
    proposal = signed_agreement(signers=[brand])
    assert decode_signed_agreement(encode_signed_agreement(proposal)) == proposal
    verify_agreement(proposal, complete=False)
    with pytest.raises(SignatureInvalid):
        verify_agreement(proposal, complete=True)


def test_a_signature_covers_a_domain_and_the_document() -> None:
    message = b"tallystick/agreement-signature/v1\n" + encode_agreement(SIGNED.agreement)
    for brand, item in zip((AURORA, BLUEBIRD), SIGNED.signatures, strict=True):
        key = brand.signing_keys[Role.APPROVAL].public
        key.verify(signature=decode_signature(item.signature), message=message)


@pytest.mark.parametrize(
    "signatures",
    [
        (SECOND, FIRST),
        (FIRST, FIRST),
        (SECOND, SECOND),
        (FIRST, signature(SECOND.signature, COPPER)),
        (signature(FIRST.signature, COPPER),),
    ],
)
@pytest.mark.parametrize("complete", [True, False])
def test_signatures_are_the_parties_in_their_order(
    signatures: tuple[AgreementSignature, ...], *, complete: bool
) -> None:
    with pytest.raises(AgreementInvalid):
        verify_agreement(with_signatures(*signatures), complete=complete)


@pytest.mark.parametrize("count", [0, 3])
def test_there_are_one_or_two_signatures(count: int) -> None:
    data = encode_signed_agreement(with_signatures(*(FIRST, SECOND, SECOND)[:count]))
    with pytest.raises(AgreementInvalid):
        decode_signed_agreement(data)


@pytest.mark.parametrize("text", ["", "A" * 86 + "==", "A" * 88, "!" * 88, FIRST.signature[:-1], "ü" * 88])
@pytest.mark.parametrize("position", [0, 1])
def test_each_signature_must_verify(position: int, text: str) -> None:
    items = [FIRST, SECOND]
    items[position] = msgspec.structs.replace(items[position], signature=text)
    for complete in (True, False):
        with pytest.raises(SignatureInvalid):
            verify_agreement(with_signatures(*items), complete=complete)


def test_signatures_cannot_be_exchanged() -> None:
    with pytest.raises(SignatureInvalid):
        verify_agreement(
            with_signatures(signature(SECOND.signature), signature(FIRST.signature, BLUEBIRD)), complete=True
        )


def test_only_the_approval_key_signs() -> None:
    message = b"tallystick/agreement-signature/v1\n" + encode_agreement(SIGNED.agreement)
    for role in (Role.LOG, Role.WITNESS, Role.CHANNEL):
        forged = signature(encode_signature(AURORA.signing_keys[role].sign(message)))
        with pytest.raises(SignatureInvalid):
            verify_agreement(with_signatures(forged, SECOND), complete=True)


def test_a_signature_that_would_not_verify_is_not_made() -> None:
    for brand, other in permutations((AURORA, BLUEBIRD, COPPER), 2):
        with pytest.raises(ProtocolError):
            sign_agreement(agreement(), ledger=brand.ledger, key=other.signing_keys[Role.APPROVAL])
    with pytest.raises(SignatureInvalid):
        sign_agreement(agreement(), ledger=AURORA.ledger, key=AURORA.signing_keys[Role.LOG])
    with pytest.raises(AgreementInvalid):
        sign_agreement(agreement(), ledger=COPPER.ledger, key=COPPER.signing_keys[Role.APPROVAL])
    ends_at_once = agreement(valid_from=NOW, valid_until=NOW)
    with pytest.raises(AgreementInvalid):
        sign_agreement(ends_at_once, ledger=AURORA.ledger, key=AURORA.signing_keys[Role.APPROVAL])


def test_no_field_of_a_signed_agreement_can_change() -> None:
    for changed in variants(SIGNED.agreement):
        assert isinstance(changed, Agreement)
        with pytest.raises(ProtocolError):
            verify_agreement(msgspec.structs.replace(SIGNED, agreement=changed), complete=False)


def test_no_bit_of_a_signed_agreement_can_change() -> None:
    for data in bit_flips(encode_signed_agreement(SIGNED)):
        with pytest.raises(ProtocolError):
            verify_agreement(decode_signed_agreement(data), complete=False)
