import base64
import hashlib

import msgspec
import pytest

from protocol.envelope import (
    FIRST_PREVIOUS,
    PAYLOAD_TYPE,
    DsseSignature,
    Envelope,
    Frame,
    Header,
    decode_envelope,
    decode_parcel,
    encode_envelope,
    encode_parcel,
    frame_leaf,
    frames_root,
    seal_envelope,
    verify_envelope,
)
from protocol.errors import EnvelopeInvalid, ProtocolError, SignatureInvalid
from protocol.keys import Role
from protocol.limits import ENVELOPE_BYTES_MAX, ENVELOPE_FRAMES_MAX, INTEGER_MAX, NOTE_BYTES_MAX, PARCEL_BYTES_MAX
from protocol.merkle import leaf_hash
from protocol.messages import body_digest, encode_body
from tests.support import rfc6962
from tests.support.documents import AURORA, BLUEBIRD, digest, every_body, query
from tests.support.mutations import Json, bit_flips, canonical, field_changes, liberties, parsed, replaced
from tests.support.parcels import acknowledgement, envelope, header, parcel, parcel_bytes

CHANNEL = AURORA.signing_keys[Role.CHANNEL]
BODIES = tuple(encode_body(body) for body in every_body())
FULL = header(BODIES, first_seq=40, previous=digest("before"), acknowledges=acknowledgement(), checkpoint="x\n")
SEALED = envelope(FULL)


def with_payload(payload: bytes) -> Envelope:
    """Return an envelope whose signature is Aurora's, over any payload."""
    message = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
    signature = base64.b64encode(CHANNEL.sign(message)).decode()
    return Envelope(
        payload=base64.b64encode(payload).decode(),
        payload_type=PAYLOAD_TYPE,
        signatures=(DsseSignature(keyid=CHANNEL.public.digest, sig=signature),),
    )


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 7, 8, 9, ENVELOPE_FRAMES_MAX])
def test_a_parcel_is_read_back(count: int) -> None:
    bodies = (query(),) * count
    data = parcel_bytes(bodies)
    read = decode_parcel(data)
    assert read.bodies == tuple(encode_body(body) for body in bodies)
    assert [frame.seq for frame in read.frames] == list(range(count))
    assert {frame.body for frame in read.frames} == {body_digest(body) for body in read.bodies}
    assert verify_envelope(read.envelope, key=CHANNEL.public) == read.header
    assert encode_parcel(read.envelope, read.bodies) == data == canonical(parsed(data))


def test_an_envelope_is_read_back() -> None:
    data = encode_envelope(SEALED)
    assert decode_envelope(data) == SEALED == with_payload(canonical(parsed(SEALED.payload_bytes)))
    assert canonical(parsed(data)) == data
    assert verify_envelope(SEALED, key=CHANNEL.public) == SEALED.header() == FULL


def test_an_envelope_is_signed_as_dsse() -> None:
    payload = base64.b64decode(SEALED.payload)
    message = b"DSSEv1 43 application/vnd.tallystick.envelope.v1+json %d " % len(payload) + payload
    (signature,) = SEALED.signatures
    CHANNEL.public.verify(signature=base64.b64decode(signature.sig), message=message)
    assert signature.keyid == hashlib.sha256(CHANNEL.public.raw).hexdigest()
    assert parsed(encode_envelope(SEALED)) == {
        "payload": SEALED.payload,
        "payloadType": "application/vnd.tallystick.envelope.v1+json",
        "signatures": [{"keyid": signature.keyid, "sig": signature.sig}],
    }


def test_the_root_is_that_of_a_tree_over_frames() -> None:
    frames = [canonical({"body": body_digest(body), "seq": 40 + offset}) for offset, body in enumerate(BODIES)]
    leaves = [leaf_hash(frame) for frame in frames]
    assert frames_root(40, BODIES) == FULL.root == rfc6962.tree_root(leaves).hex()
    assert frame_leaf(Frame(seq=40, body=body_digest(BODIES[0]))) == leaves[0]
    assert frames_root(0, ()) == hashlib.sha256(b"").hexdigest()


def test_an_envelope_is_named_by_a_digest_of_its_payload() -> None:
    assert SEALED.digest() == hashlib.sha256(b"tallystick/envelope/v1\n" + SEALED.payload_bytes).hexdigest()
    assert FIRST_PREVIOUS == "0" * 64


@pytest.mark.parametrize(
    "bodies",
    [
        (),
        BODIES[:-1],
        BODIES[1:],
        (*BODIES, BODIES[0]),
        (BODIES[1], BODIES[0], *BODIES[2:]),
        (BODIES[0], BODIES[0], *BODIES[2:]),
        (*BODIES[:-1], encode_body(query(None))),
        (*BODIES[:-1], b"{}"),
        (*BODIES[:-1], b"not JSON"),
        (*BODIES[:-1], b'"\xff"'),
        (*BODIES[:-1], b"[" * 100_000),
        (*BODIES[:-1], b"[" * 100_000 + b"]" * 100_000),
        (*BODIES[:-1], b"1" * 5_000),
        (*BODIES[:-1], BODIES[-1] + b" "),
        (b" " + BODIES[0], *BODIES[1:]),
    ],
)
def test_bodies_that_the_header_does_not_count_and_root_are_refused(bodies: tuple[bytes, ...]) -> None:
    with pytest.raises(EnvelopeInvalid):
        decode_parcel(encode_parcel(SEALED, bodies))


@pytest.mark.parametrize(
    "parts",
    [
        {"count": 7},
        {"count": 9},
        {"count": 0},
        {"count": -1},
        {"count": ENVELOPE_FRAMES_MAX + 1},
        {"root": digest("other")},
        {"root": FULL.root.upper()},
        {"first_seq": 41},
        {"first_seq": -1},
        {"first_seq": INTEGER_MAX},
        {"epoch": 0},
        {"previous": ""},
        {"sender": "aurora.example"},
        {"receiver": "aurora.example/main.0"},
        {"network": "N" * 32},
        {"checkpoint": "x" * (NOTE_BYTES_MAX + 1)},
        {"v": 2},
    ],
)
def test_a_header_that_does_not_hold_is_refused_though_signed(parts: dict[str, object]) -> None:
    sealed = seal_envelope(msgspec.structs.replace(FULL, **parts), key=CHANNEL)
    with pytest.raises(EnvelopeInvalid):
        decode_parcel(encode_parcel(sealed, BODIES))


def test_frames_are_not_numbered_past_what_integers_can_count() -> None:
    last = INTEGER_MAX - len(BODIES)
    sealed = envelope(header(BODIES, first_seq=last))
    assert decode_parcel(encode_parcel(sealed, BODIES)).frames[-1].seq == INTEGER_MAX - 1
    with pytest.raises(EnvelopeInvalid):
        verify_envelope(envelope(header(BODIES, first_seq=last + 1)), key=CHANNEL.public)


def test_a_header_has_one_encoding() -> None:
    wrong = [*liberties(SEALED.payload_bytes), *(data for _, data in field_changes(SEALED.payload_bytes))]
    for payload in [b"", b"null", b"{}", b"\xff", b"[" * 50_000, *wrong]:
        with pytest.raises(EnvelopeInvalid):
            verify_envelope(with_payload(payload), key=CHANNEL.public)


def test_an_envelope_has_one_encoding() -> None:
    data = encode_envelope(SEALED)
    (signature,) = SEALED.signatures
    twice: Json = [{"keyid": signature.keyid, "sig": signature.sig}] * 2
    wrong = [canonical(replaced(data, ("signatures",), item)) for item in (None, [], twice)]
    wrong += [data.replace(b"payloadType", b"payload_type"), b"", b"null", b"{}", b" " * (3 * ENVELOPE_BYTES_MAX)]
    for each in [*wrong, *liberties(data), *(changed for _, changed in field_changes(data))]:
        with pytest.raises(EnvelopeInvalid):
            decode_envelope(each)


def test_a_parcel_has_one_encoding() -> None:
    data = parcel_bytes()
    changed = [replaced(data, (*path, "zz"), 1) for path in ((), ("envelope",), ("bodies", 0))]
    changed += [replaced(data, ("bodies",), item) for item in (None, [], [0] * (ENVELOPE_FRAMES_MAX + 1))]
    wrong = [*liberties(data), *map(canonical, changed), b"", b"null", b"{}", b"[" * 500_000]
    for each in [*wrong, b" " * (PARCEL_BYTES_MAX + 1)]:
        with pytest.raises(EnvelopeInvalid):
            decode_parcel(each)


@pytest.mark.parametrize("payload", ["!", "AAA", "QR==", SEALED.payload + "=", SEALED.payload + "\n", "ü", "\ud800"])
def test_a_payload_is_canonical_base64(payload: str) -> None:
    wrong = msgspec.structs.replace(SEALED, payload=payload)
    with pytest.raises(EnvelopeInvalid):
        verify_envelope(wrong, key=CHANNEL.public)
    with pytest.raises(EnvelopeInvalid):
        wrong.digest()


@pytest.mark.parametrize("payload_type", ["", "application/json", PAYLOAD_TYPE + ";q=1", PAYLOAD_TYPE.upper()])
def test_another_payload_type_is_refused(payload_type: str) -> None:
    wrong = msgspec.structs.replace(SEALED, payload_type=payload_type)
    with pytest.raises(EnvelopeInvalid):
        verify_envelope(wrong, key=CHANNEL.public)


def test_only_the_senders_channel_key_signs() -> None:
    for key in (BLUEBIRD.signing_keys[Role.CHANNEL], AURORA.signing_keys[Role.APPROVAL]):
        with pytest.raises(SignatureInvalid):
            verify_envelope(SEALED, key=key.public)
        forged = msgspec.structs.replace(seal_envelope(FULL, key=key).signatures[0], keyid=CHANNEL.public.digest)
        with pytest.raises(SignatureInvalid):
            verify_envelope(msgspec.structs.replace(SEALED, signatures=(forged,)), key=CHANNEL.public)


@pytest.mark.parametrize("sig", ["A" * 86 + "==", "A" * 88, "!" * 88])
def test_another_signature_is_refused(sig: str) -> None:
    signature = DsseSignature(keyid=CHANNEL.public.digest, sig=sig)
    with pytest.raises(ProtocolError):
        verify_envelope(msgspec.structs.replace(SEALED, signatures=(signature,)), key=CHANNEL.public)


def test_a_signature_of_one_header_is_not_of_another() -> None:
    other: Header = msgspec.structs.replace(FULL, epoch=2)
    swapped = msgspec.structs.replace(envelope(other), signatures=SEALED.signatures)
    with pytest.raises(SignatureInvalid):
        verify_envelope(swapped, key=CHANNEL.public)


def test_the_largest_header_fits_its_envelope() -> None:
    room = ENVELOPE_BYTES_MAX // 4 * 3 - len(envelope(header(BODIES, checkpoint="")).payload_bytes)
    lines = "\n" * (room // 2)
    sealed = envelope(header(BODIES, checkpoint=lines + "x" * (room % 2)))
    assert len(sealed.payload) == ENVELOPE_BYTES_MAX
    assert decode_envelope(encode_envelope(sealed)).header() == verify_envelope(sealed, key=CHANNEL.public)
    with pytest.raises(EnvelopeInvalid):
        envelope(header(BODIES, checkpoint=lines + "\n"))


def test_a_parcel_too_large_to_be_read_is_not_written() -> None:
    body = b'"' + b"a" * 65_000 + b'"'
    with pytest.raises(EnvelopeInvalid):
        encode_parcel(SEALED, [body] * 65)


def test_no_bit_of_a_signed_envelope_can_change() -> None:
    for data in bit_flips(encode_envelope(SEALED)):
        with pytest.raises(ProtocolError):
            verify_envelope(decode_envelope(data), key=CHANNEL.public)


def test_no_bit_of_a_parcel_can_change() -> None:
    for data in bit_flips(parcel_bytes(every_body()[:3])):
        with pytest.raises(ProtocolError):
            verify_envelope(decode_parcel(data).envelope, key=CHANNEL.public)


def test_the_example_of_all_bodies_is_whole() -> None:
    assert parcel().bodies == BODIES
