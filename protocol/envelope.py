"""Frames and envelopes: up to 256 bodies signed once, each still provable alone (specs/envelope.md).

A frame gives a body its place in the sender's stream. An envelope's header commits to its frames by an RFC 6962 root
and is signed once, as DSSE. A parcel is an envelope with its bodies, as it travels; a `Sighting` is one body with its
frame, inclusion path and envelope: evidence that shows no other member.
"""

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from protocol.encoding import ZERO_DIGEST, Codec, digest_of
from protocol.errors import EnvelopeInvalid, ProofInvalid, SignatureInvalid
from protocol.fields import DigestField, LedgerField, NetworkField, NonceField
from protocol.identifiers import Digest
from protocol.keys import PublicKey, Signer, decode_base64, encode_base64
from protocol.limits import (
    ENVELOPE_BYTES_MAX,
    ENVELOPE_FRAMES_MAX,
    INTEGER_MAX,
    NOTE_BYTES_MAX,
    PARCEL_BYTES_MAX,
)
from protocol.merkle import Hash, leaf_hash, path_of, root_of, verify_inclusion
from protocol.messages import Body, body_digest, decode_body
from protocol.points import Amount, Natural

PAYLOAD_TYPE: Final = "application/vnd.tallystick.envelope.v1+json"

_HEADER_BYTES_MAX: Final = ENVELOPE_BYTES_MAX // 4 * 3
"""What the longest payload holds, since base64 writes three bytes as four characters."""


class Frame(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A body's place in the sender's stream of one epoch."""

    seq: Natural
    body: DigestField


class Fence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What had been applied of the receiver's older epochs when its present one was accepted; the rest is void."""

    epoch: Natural
    next_seq: Natural
    bodies: Natural
    last_body: DigestField | None


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The receiver's stream as the sender has applied it: every frame below `next_seq` of that epoch.

    Naming the receiver's present epoch and nonce is the signed answer to its HELLO; `fence` is the sender's half of it.
    `checkpoint` is the largest of the receiver's own that the sender holds, a signed note: a restored store that has
    lost no word of its own, but what it had received, is shown to be old by it.
    """

    epoch: Amount
    epoch_nonce: NonceField
    next_seq: Natural
    bodies: Natural
    fence: Fence
    checkpoint: Annotated[str, Meta(max_length=NOTE_BYTES_MAX)] | None = None


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an envelope's signature covers."""

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    network: NetworkField
    sender: LedgerField
    receiver: LedgerField
    epoch: Amount
    epoch_nonce: NonceField
    first_seq: Natural
    count: Annotated[int, Meta(ge=0, le=ENVELOPE_FRAMES_MAX)]
    previous: DigestField
    acknowledgement: Acknowledgement | None
    checkpoint: Annotated[str, Meta(max_length=NOTE_BYTES_MAX)] | None
    root: DigestField


class DsseSignature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One DSSE signature: `keyid` is the digest of the key, by which its owner's keys are narrowed to one."""

    keyid: Annotated[str, Meta(max_length=128)]
    sig: Annotated[str, Meta(min_length=88, max_length=88)]


class Envelope(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"payload_type": "payloadType"}
):
    """A signed header in DSSE form (the DSSE specification v1.0.2): base64 payload, type, one signature."""

    payload: Annotated[str, Meta(max_length=ENVELOPE_BYTES_MAX)]
    payload_type: str
    signatures: tuple[DsseSignature]

    @property
    def payload_bytes(self) -> bytes:
        """Return the header's canonical bytes, or raise `EnvelopeInvalid`."""
        return _from_base64(self.payload)

    def digest(self) -> Digest:
        """Return the digest by which the sender's next envelope names this one."""
        return digest_of("envelope", self.payload_bytes)

    def header(self) -> Header:
        """Return the header, well-formed but not yet verified, or raise `EnvelopeInvalid`."""
        if self.payload_type != PAYLOAD_TYPE:
            raise EnvelopeInvalid(f"the payload type must be {PAYLOAD_TYPE}")
        header = _HEADERS.decode(self.payload_bytes)
        if header.first_seq + header.count > INTEGER_MAX:
            raise EnvelopeInvalid("the frames are numbered past 2^53 - 1")
        return header


class Sighting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One received body, its frame, the path to its envelope's root, and that envelope: portable evidence."""

    body: msgspec.Raw
    frame: Frame
    path: Annotated[tuple[DigestField, ...], Meta(max_length=8)]
    envelope: Envelope

    @property
    def body_bytes(self) -> bytes:
        """Return the body's canonical bytes."""
        return bytes(self.body)


class _Parcel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    bodies: Annotated[tuple[msgspec.Raw, ...], Meta(max_length=ENVELOPE_FRAMES_MAX)]
    envelope: Envelope


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """A verified envelope's header with its frames and bodies, in order."""

    header: Header
    envelope: Envelope
    frames: tuple[Frame, ...]
    bodies: tuple[bytes, ...]


_HEADERS: Final = Codec(msgspec.json.Decoder(Header), error=EnvelopeInvalid, bytes_max=_HEADER_BYTES_MAX)
_ENVELOPES: Final = Codec(msgspec.json.Decoder(Envelope), error=EnvelopeInvalid, bytes_max=2 * ENVELOPE_BYTES_MAX)
_FRAMES: Final = Codec(msgspec.json.Decoder(Frame), error=EnvelopeInvalid, bytes_max=1_024)
_PARCELS: Final = Codec(msgspec.json.Decoder(_Parcel), error=EnvelopeInvalid, bytes_max=PARCEL_BYTES_MAX)
_SIGHTINGS: Final = Codec(msgspec.json.Decoder(Sighting), error=EnvelopeInvalid, bytes_max=PARCEL_BYTES_MAX)


def _from_base64(text: str) -> bytes:
    data = decode_base64(text)
    if data is None:
        raise EnvelopeInvalid("not canonical base64")
    return data


def _signed_bytes(payload: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding of `payload` (DSSE v1.0.2, protocol.md)."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def _frames_of(first_seq: int, bodies: Sequence[bytes]) -> tuple[Frame, ...]:
    return tuple(Frame(seq=first_seq + offset, body=body_digest(body)) for offset, body in enumerate(bodies))


def frame_leaf(frame: Frame) -> Hash:
    """Return the leaf hash of `frame` in its envelope's tree."""
    return leaf_hash(_FRAMES.encode(frame))


def frames_root(first_seq: int, bodies: Sequence[bytes]) -> Digest:
    """Return the root that a header states for `bodies` framed from `first_seq` on."""
    return _root_of(_frames_of(first_seq, bodies))


def _root_of(frames: Sequence[Frame]) -> Digest:
    return Digest(root_of(map(frame_leaf, frames)).hex())


def seal_envelope(header: Header, *, key: Signer) -> Envelope:
    """Return `header` signed by the sender's channel key."""
    payload = _HEADERS.encode(header)
    signature = DsseSignature(keyid=key.public.digest, sig=encode_base64(key.sign(_signed_bytes(payload))))
    return Envelope(payload=encode_base64(payload), payload_type=PAYLOAD_TYPE, signatures=(signature,))


def verify_envelope(envelope: Envelope, *, key: PublicKey) -> Header:
    """Return the header that `key` signed, or raise `EnvelopeInvalid` or `SignatureInvalid`."""
    header = envelope.header()
    signature = envelope.signatures[0]
    if signature.keyid != key.digest:
        raise SignatureInvalid("the envelope names another key")
    key.verify(signature=_from_base64(signature.sig), message=_signed_bytes(envelope.payload_bytes))
    return header


def encode_envelope(envelope: Envelope) -> bytes:
    """Return the bytes in which an envelope is stored."""
    return _ENVELOPES.encode(envelope)


def decode_envelope(data: bytes) -> Envelope:
    """Return the envelope in `data`, not yet verified, or raise `EnvelopeInvalid`."""
    return _ENVELOPES.decode(data)


def encode_parcel(envelope: Envelope, bodies: Sequence[bytes]) -> bytes:
    """Return an envelope and its bodies as they travel."""
    return _PARCELS.encode(_Parcel(bodies=tuple(msgspec.Raw(body) for body in bodies), envelope=envelope))


def decode_parcel(data: bytes) -> Parcel:
    """Return the parcel in `data` with its frames matching its header; the signature is not yet verified."""
    parcel = _PARCELS.decode(data)
    header = parcel.envelope.header()
    bodies = tuple(bytes(body) for body in parcel.bodies)
    if len(bodies) != header.count:
        raise EnvelopeInvalid(f"{len(bodies)} bodies where the header counts {header.count}")
    frames = _frames_of(header.first_seq, bodies)
    if _root_of(frames) != header.root:
        raise EnvelopeInvalid("the bodies do not lead to the header's root")
    return Parcel(header=header, envelope=parcel.envelope, frames=frames, bodies=bodies)


def sighting_of(parcel: Parcel, offset: int) -> Sighting:
    """Return the body at `offset` in `parcel` as evidence that stands alone."""
    leaves = [frame_leaf(frame) for frame in parcel.frames]
    path = path_of(leaves, offset)
    return Sighting(
        body=msgspec.Raw(parcel.bodies[offset]),
        frame=parcel.frames[offset],
        path=tuple(Digest(node.hex()) for node in path),
        envelope=parcel.envelope,
    )


def encode_sighting(sighting: Sighting) -> bytes:
    """Return the bytes of one body's evidence."""
    return _SIGHTINGS.encode(sighting)


def decode_sighting(data: bytes) -> Sighting:
    """Return the evidence in `data`, not yet verified, or raise `EnvelopeInvalid`."""
    return _SIGHTINGS.decode(data)


def verify_sighting(sighting: Sighting, *, key: PublicKey) -> tuple[Header, Body]:
    """Return the header and the body that `key` signed for, or raise a `ProtocolError`."""
    header = verify_envelope(sighting.envelope, key=key)
    frame = sighting.frame
    if body_digest(sighting.body_bytes) != frame.body:
        raise EnvelopeInvalid("the body is not the one its frame names")
    try:
        verify_inclusion(
            leaf=frame_leaf(frame),
            index=frame.seq - header.first_seq,
            size=header.count,
            root=Hash(bytes.fromhex(header.root)),
            proof=[Hash(bytes.fromhex(node)) for node in sighting.path],
        )
    except ProofInvalid as error:
        raise EnvelopeInvalid("the frame is not in the envelope") from error
    return header, decode_body(sighting.body_bytes)


FIRST_PREVIOUS: Final = ZERO_DIGEST
"""What the first envelope of an epoch names as the one before."""
