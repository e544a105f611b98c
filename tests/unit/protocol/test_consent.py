"""What two nodes exchange for a link: codes that people can type, proofs of possession, and the signed request."""

import base64

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from protocol.consent import (
    ALPHABET,
    TYPED_CHARACTERS,
    LinkExchange,
    challenge_of,
    encode_url_safe,
    parse_exchange,
    parse_typed,
    show_typed,
    sign_exchange,
    typed_code,
    verify_exchange,
)
from protocol.errors import LinkInvalid, ProtocolError, SignatureInvalid
from protocol.keys import Role
from tests.support.documents import AURORA, BLUEBIRD, NETWORK, uuid
from tests.support.mutations import damaged, field_changes, liberties

EXCHANGE = LinkExchange(
    network=NETWORK,
    sender=AURORA.ledger,
    receiver=BLUEBIRD.ledger,
    id=uuid("exchange"),
    code="a" * 43,
    verifier="v" * 43,
)
KEY = AURORA.signing_keys[Role.CHANNEL]


def test_the_challenge_is_that_of_the_standard() -> None:
    # RFC 7636, appendix B.
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@given(st.binary(max_size=64))
def test_url_safe_text_is_base64_without_padding(data: bytes) -> None:
    text = encode_url_safe(data)
    assert base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) == data
    assert "=" not in text


def test_no_character_of_a_code_is_taken_for_another() -> None:
    assert len(set(ALPHABET)) == len(ALPHABET) == 30
    assert not set("01ILOU") & set(ALPHABET)


@given(st.binary(min_size=0, max_size=40))
def test_a_code_is_made_of_fair_bytes_alone(data: bytes) -> None:
    code = typed_code(data)
    fair = [byte for byte in data if byte < 240]
    if len(fair) < TYPED_CHARACTERS:
        assert code is None
        return
    assert code == "".join(ALPHABET[byte % 30] for byte in fair[:8])
    assert parse_typed(show_typed(code)) == parse_typed(f" {code.lower()} ") == code


@given(st.text())
def test_any_text_is_a_code_or_refused(text: str) -> None:
    try:
        code = parse_typed(text)
    except LinkInvalid:
        return
    assert set(code) <= set(ALPHABET)
    assert len(code) == TYPED_CHARACTERS


def test_a_signed_exchange_reads_back_and_verifies() -> None:
    signed = parse_exchange(sign_exchange(EXCHANGE, key=KEY))
    assert signed.exchange == EXCHANGE
    verify_exchange(signed, key=KEY.public)
    with pytest.raises(SignatureInvalid):
        verify_exchange(signed, key=BLUEBIRD.signing_keys[Role.CHANNEL].public)


def test_an_exchange_has_one_encoding_and_all_its_fields() -> None:
    data = sign_exchange(EXCHANGE, key=KEY)
    for other in liberties(data):
        with pytest.raises(LinkInvalid):
            parse_exchange(other)
    for what, other in field_changes(data):
        with pytest.raises(ProtocolError):
            pytest.fail(f"{what}: {parse_exchange(other)}")


@pytest.mark.parametrize("code", ["", "a" * 42, "a" * 44, "2222222", "222222220", "2222O222"])
def test_only_codes_are_exchanged(code: str) -> None:
    with pytest.raises(LinkInvalid):
        sign_exchange(msgspec.structs.replace(EXCHANGE, code=code), key=KEY)


@given(st.binary())
def test_any_bytes_are_an_exchange_or_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_exchange(data)


@given(damaged(sign_exchange(EXCHANGE, key=KEY)))
def test_a_damaged_exchange_is_refused(data: bytes) -> None:
    assume(data != sign_exchange(EXCHANGE, key=KEY))
    with pytest.raises(ProtocolError):
        verify_exchange(parse_exchange(data), key=KEY.public)
