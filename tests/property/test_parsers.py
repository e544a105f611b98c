"""Every parser answers any bytes with a value that has these bytes, or with its one error."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.agreement import decode_signed_agreement, encode_signed_agreement
from protocol.documents import open_invitation, parse_link
from protocol.encoding import decode, encode
from protocol.envelope import (
    decode_envelope,
    decode_parcel,
    decode_sighting,
    encode_envelope,
    encode_parcel,
    encode_sighting,
    sighting_of,
)
from protocol.errors import (
    AgreementInvalid,
    BodyInvalid,
    EncodingInvalid,
    EnvelopeInvalid,
    IdentifierInvalid,
    InvitationInvalid,
    LinkInvalid,
    ProtocolError,
    SignatureInvalid,
)
from protocol.identifiers import (
    parse_alias,
    parse_asset,
    parse_digest,
    parse_holder,
    parse_id,
    parse_ledger,
    parse_network,
    parse_partner,
    parse_program,
)
from protocol.messages import decode_body, encode_body
from tests.support.documents import (
    ALIAS,
    AURORA,
    CONVERSION,
    NETWORK,
    digest,
    every_body,
    invitation_bytes,
    link_bytes,
    signed_agreement,
)
from tests.support.mutations import bit_flips, damaged
from tests.support.parcels import parcel, parcel_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """`reread` returns the bytes of what it read, or raises one of `errors`; `valid` are examples."""

    reread: Callable[[bytes], bytes]
    errors: tuple[type[ProtocolError], ...]
    valid: tuple[bytes, ...]


def reread_parcel(data: bytes) -> bytes:
    read = decode_parcel(data)
    return encode_parcel(read.envelope, read.bodies)


def reread_invitation(data: bytes) -> bytes:
    open_invitation(data)
    return data


def reread_link(data: bytes) -> bytes:
    parse_link(data)
    return data


BODIES = tuple(encode_body(body) for body in every_body())
FORMATS = {
    "canonical JSON": Format(
        reread=lambda data: encode(decode(data)),
        errors=(EncodingInvalid,),
        valid=(b'{"a":[1,-1,"x\\n",null,true]}', *BODIES),
    ),
    "agreement": Format(
        reread=lambda data: encode_signed_agreement(decode_signed_agreement(data)),
        errors=(AgreementInvalid,),
        valid=(encode_signed_agreement(signed_agreement()),),
    ),
    "body": Format(reread=lambda data: encode_body(decode_body(data)), errors=(BodyInvalid,), valid=BODIES),
    "envelope": Format(
        reread=lambda data: encode_envelope(decode_envelope(data)),
        errors=(EnvelopeInvalid,),
        valid=(encode_envelope(parcel().envelope),),
    ),
    "parcel": Format(reread=reread_parcel, errors=(EnvelopeInvalid,), valid=(parcel_bytes(),)),
    "sighting": Format(
        reread=lambda data: encode_sighting(decode_sighting(data)),
        errors=(EnvelopeInvalid,),
        valid=(encode_sighting(sighting_of(parcel(), 1)),),
    ),
    "invitation": Format(
        reread=reread_invitation, errors=(InvitationInvalid, SignatureInvalid), valid=(invitation_bytes(),)
    ),
    "link": Format(reread=reread_link, errors=(LinkInvalid,), valid=(link_bytes(),)),
}


def check(form: Format, data: bytes) -> None:
    try:
        reread = form.reread(data)
    except form.errors:
        return
    assert reread == data


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.binary(max_size=200) | st.text('{}[]":,0123456789.eE+-nultrfasv_ \\\\', max_size=60).map(str.encode))
def test_any_bytes_are_read_back_the_same_or_refused(name: str, data: bytes) -> None:
    check(FORMATS[name], data)


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
def test_a_damaged_document_is_read_back_the_same_or_refused(name: str, data: st.DataObject) -> None:
    form = FORMATS[name]
    check(form, data.draw(damaged(data.draw(st.sampled_from(form.valid)))))


@pytest.mark.parametrize("name", FORMATS)
def test_a_document_with_one_bit_changed_is_read_back_the_same_or_refused(name: str) -> None:
    form = FORMATS[name]
    for document in form.valid[:2]:
        assert form.reread(document) == document
        for flipped in bit_flips(document):
            check(form, flipped)


@pytest.mark.parametrize("name", FORMATS)
def test_a_document_cut_anywhere_is_refused(name: str) -> None:
    form = FORMATS[name]
    for document in form.valid[:2]:
        for length in range(len(document)):
            with pytest.raises(form.errors):
                form.reread(document[:length])


NAMES: dict[Callable[[str], str], str] = {
    parse_program: "aurora.example",
    parse_ledger: AURORA.ledger,
    parse_partner: "aurora.example/main",
    parse_id: CONVERSION,
    parse_holder: f"member/{CONVERSION}",
    parse_asset: AURORA.points,
    parse_network: NETWORK,
    parse_alias: ALIAS,
    parse_digest: digest("any"),
}


@pytest.mark.parametrize("parse", NAMES)
@given(data=st.data())
def test_any_text_is_a_name_or_refused(parse: Callable[[str], str], data: st.DataObject) -> None:
    valid = NAMES[parse]
    position = data.draw(st.integers(0, len(valid)))
    inserted = data.draw(st.text(max_size=3))
    for text in (data.draw(st.text(max_size=150)), valid[:position] + inserted + valid[position:]):
        try:
            assert parse(text) == text
        except IdentifierInvalid:
            assert text != valid
