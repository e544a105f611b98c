import re
from base64 import b64encode

import pytest

from protocol.errors import KeyInvalid, SignatureInvalid
from protocol.keys import (
    PublicKey,
    Role,
    SigningKey,
    decode_base64,
    decode_signature,
    encode_base64,
    encode_signature,
    fingerprint,
)
from tests.support.rfc6962 import flip

KEYS = [SigningKey(bytes([number]) * 32) for number in range(4)]

SIGNATURE_OF_NOTHING = (
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
    "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
)
SIGNATURE_OF_72 = (
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)

# RFC 8032 §7.1: seed, public key, message, signature.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        SIGNATURE_OF_NOTHING,
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        SIGNATURE_OF_72,
    ),
]

# Encodings that verify forgeries or have twins: points of small order, and one that is not canonical.
WEAK_POINTS = [
    "00" * 32,
    "01" + "00" * 31,
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "02" + "00" * 31,
]


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC_8032)
def test_keys_sign_as_the_rfc_says(seed: str, public: str, message: str, signature: str) -> None:
    key = SigningKey(bytes.fromhex(seed))
    assert bytes(key.public).hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature
    key.public.verify(signature=bytes.fromhex(signature), message=bytes.fromhex(message))


def test_no_flipped_bit_of_a_signature_verifies() -> None:
    signature = KEYS[0].sign(b"message")
    for bit in range(8 * len(signature)):
        with pytest.raises(SignatureInvalid):
            KEYS[0].public.verify(signature=flip(signature, bit), message=b"message")


def test_a_signature_is_of_one_message_by_one_key() -> None:
    signature = KEYS[0].sign(b"message")
    for key, message in [(KEYS[1], b"message"), (KEYS[0], b"Message"), (KEYS[0], b"")]:
        with pytest.raises(SignatureInvalid):
            key.public.verify(signature=signature, message=message)


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(SignatureInvalid):
        KEYS[0].public.verify(signature=bytes(length), message=b"")
    with pytest.raises(SignatureInvalid):
        decode_signature(encode_base64(bytes(length)))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_keys_have_32_bytes(length: int) -> None:
    with pytest.raises(KeyInvalid):
        PublicKey(bytes(length))
    with pytest.raises(KeyInvalid):
        SigningKey(bytes(length))


@pytest.mark.parametrize("point", WEAK_POINTS)
def test_a_point_that_no_seed_leads_to_is_refused(point: str) -> None:
    with pytest.raises(KeyInvalid):
        PublicKey(bytes.fromhex(point))


def test_texts_are_read_back() -> None:
    key = KEYS[0]
    assert PublicKey.parse(key.public.text) == key.public
    assert len(key.public.text) == 44
    assert SigningKey.parse_seed(key.format_seed()).public == key.public
    signature = key.sign(b"")
    assert decode_signature(encode_signature(signature)) == signature
    assert len(encode_signature(signature)) == 88
    assert PublicKey(bytes.fromhex(RFC_8032[0][1])).digest == (
        "21fe31dfa154a261626bf854046fd2271b7bed4b6abe45aa58877ef47f9721b9"
    )


@pytest.mark.parametrize("text", ["", "A", "AA", "AB==", "AA= =", "AA==\n", "AA==AA==", "AA-_", "é", "\ud800", "AA==="])
def test_base64_has_one_spelling(text: str) -> None:
    # The empty text is the one spelling of no bytes; the rest is no spelling at all.
    assert decode_base64(text) == (b"" if text == "" else None)
    with pytest.raises(KeyInvalid):
        PublicKey.parse(text)
    with pytest.raises(KeyInvalid):
        SigningKey.parse_seed("tallystick-seed-v1:" + text)
    with pytest.raises(SignatureInvalid):
        decode_signature(text)


def test_a_seed_needs_its_prefix() -> None:
    with pytest.raises(KeyInvalid) as refusal:
        SigningKey.parse_seed(b64encode(bytes(32)).decode())
    assert "AAAA" not in str(refusal.value)


def test_a_key_prints_its_public_half_alone() -> None:
    printed = repr(KEYS[1])
    assert KEYS[1].public.text in printed
    assert encode_base64(bytes([1]) * 32) not in printed


def test_a_fingerprint_is_short_and_changes_with_every_key_and_place() -> None:
    keys = [key.public for key in KEYS]
    text = fingerprint(keys)
    assert text == "Y6VX-1G2J-Q4KS-H7RN-Y3YC-G1ZG-01BQ-YC5V"
    assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){7}", text)
    others = {fingerprint([*keys[:at], SigningKey(bytes([9]) * 32).public, *keys[at + 1 :]]) for at in range(4)}
    assert len({text, *others, fingerprint(list(reversed(keys)))}) == 6


def test_a_fingerprint_takes_one_key_a_role() -> None:
    assert list(Role) == ["log", "witness", "channel", "approval"]
    for count in (0, 3, 5):
        with pytest.raises(KeyInvalid):
            fingerprint([KEYS[0].public] * count)
