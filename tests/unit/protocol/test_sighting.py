import msgspec
import pytest

from protocol.envelope import (
    Frame,
    Sighting,
    decode_parcel,
    decode_sighting,
    encode_parcel,
    encode_sighting,
    sighting_of,
    verify_sighting,
)
from protocol.errors import BodyInvalid, EnvelopeInvalid, ProtocolError, SignatureInvalid
from protocol.keys import Role
from protocol.limits import ENVELOPE_FRAMES_MAX
from protocol.messages import Body, body_digest, encode_body
from tests.support.documents import AURORA, BLUEBIRD, digest, every_body, prepare, query
from tests.support.mutations import bit_flips, canonical, liberties, parsed, replaced
from tests.support.parcels import envelope, header, parcel

CHANNEL = AURORA.signing_keys[Role.CHANNEL]
SEEN = sighting_of(parcel(), 2)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, ENVELOPE_FRAMES_MAX])
def test_each_body_of_an_envelope_stands_alone(count: int) -> None:
    bodies: list[Body] = [query(), prepare(), *[query()] * count]
    whole = parcel(bodies[:count])
    for offset in {0, 1, count // 2, count - 1} & set(range(count)):
        data = encode_sighting(sighting_of(whole, offset))
        seen = decode_sighting(data)
        stated, body = verify_sighting(seen, key=CHANNEL.public)
        assert stated == whole.header
        assert encode_body(body) == seen.body_bytes == whole.bodies[offset]
        assert seen.frame == whole.frames[offset]
        assert encode_sighting(seen) == data == canonical(parsed(data))


def test_evidence_shows_no_other_body() -> None:
    data = encode_sighting(SEEN)
    others = [body for offset, body in enumerate(parcel().bodies) if offset != 2]
    assert not any(body in data for body in others)


@pytest.mark.parametrize(
    "changed",
    [
        msgspec.structs.replace(SEEN, body=msgspec.Raw(parcel().bodies[3])),
        msgspec.structs.replace(SEEN, body=msgspec.Raw(b"{}")),
        msgspec.structs.replace(SEEN, frame=parcel().frames[3]),
        msgspec.structs.replace(SEEN, frame=Frame(seq=3, body=SEEN.frame.body)),
        msgspec.structs.replace(SEEN, frame=Frame(seq=7, body=SEEN.frame.body)),
        msgspec.structs.replace(SEEN, frame=Frame(seq=2**53 - 1, body=SEEN.frame.body)),
        msgspec.structs.replace(SEEN, path=()),
        msgspec.structs.replace(SEEN, path=SEEN.path[:-1]),
        msgspec.structs.replace(SEEN, path=SEEN.path[1:]),
        msgspec.structs.replace(SEEN, path=SEEN.path[::-1]),
        msgspec.structs.replace(SEEN, path=(*SEEN.path, digest("more"))),
        msgspec.structs.replace(SEEN, path=(digest("other"), *SEEN.path[1:])),
        msgspec.structs.replace(SEEN, envelope=parcel([query()]).envelope),
        msgspec.structs.replace(SEEN, envelope=parcel([]).envelope),
        msgspec.structs.replace(SEEN, body=msgspec.Raw(parcel().bodies[3]), frame=parcel().frames[3]),
    ],
)
def test_evidence_that_does_not_belong_together_is_refused(changed: Sighting) -> None:
    with pytest.raises(EnvelopeInvalid):
        verify_sighting(changed, key=CHANNEL.public)


def test_a_frame_before_the_envelopes_first_is_refused() -> None:
    bodies = [encode_body(query())] * 2
    seen = sighting_of(decode_parcel(encode_parcel(envelope(header(bodies, first_seq=5)), bodies)), 0)
    verify_sighting(seen, key=CHANNEL.public)
    for seq in (0, 4, 6, 7):
        with pytest.raises(EnvelopeInvalid):
            verify_sighting(
                msgspec.structs.replace(seen, frame=Frame(seq=seq, body=seen.frame.body)), key=CHANNEL.public
            )


def test_evidence_is_of_the_key_that_signed() -> None:
    for key in (BLUEBIRD.signing_keys[Role.CHANNEL], AURORA.signing_keys[Role.LOG]):
        with pytest.raises(SignatureInvalid):
            verify_sighting(SEEN, key=key.public)


@pytest.mark.parametrize(
    "data", [b"{}", b'{"kind": "query"}', b"null", b'"a"', encode_body(query())[:-1] + b' ,"v":1}']
)
def test_a_signed_body_that_is_no_body_is_refused(data: bytes) -> None:
    whole = decode_parcel(encode_parcel(envelope(header([data])), [data]))
    assert whole.frames == (Frame(seq=0, body=body_digest(data)),)
    with pytest.raises(BodyInvalid):
        verify_sighting(sighting_of(whole, 0), key=CHANNEL.public)


def test_evidence_has_one_encoding() -> None:
    data = encode_sighting(SEEN)
    changed = [replaced(data, (*path, "zz"), 1) for path in ((), ("envelope",), ("frame",))]
    changed += [replaced(data, ("path",), item) for item in (None, ["0" * 63], ["0" * 64] * 9)]
    changed += [replaced(data, ("frame", "seq"), item) for item in (None, -1, "2", 2.5)]
    for each in [*liberties(data), *map(canonical, changed), b"", b"null", b"{}", b"[" * 500_000]:
        with pytest.raises(EnvelopeInvalid):
            decode_sighting(each)


def test_no_bit_of_evidence_can_change() -> None:
    for data in bit_flips(encode_sighting(SEEN)):
        with pytest.raises(ProtocolError):
            verify_sighting(decode_sighting(data), key=CHANNEL.public)


def test_all_kinds_of_bodies_can_be_evidence() -> None:
    for offset, body in enumerate(every_body()):
        assert verify_sighting(sighting_of(parcel(), offset), key=CHANNEL.public)[1] == body
