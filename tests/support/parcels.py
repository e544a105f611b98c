"""Valid envelopes and parcels around the bodies of `tests.support.documents`."""

from collections.abc import Sequence

from protocol.envelope import (
    FIRST_PREVIOUS,
    Acknowledgement,
    Envelope,
    Fence,
    Header,
    Parcel,
    decode_parcel,
    encode_parcel,
    frames_root,
    seal_envelope,
)
from protocol.identifiers import Digest
from protocol.keys import Role
from protocol.messages import Body, encode_body
from tests.support.documents import AURORA, BLUEBIRD, EPOCH_NONCE, NETWORK, Side, every_body


def acknowledgement(
    *, epoch: int = 1, next_seq: int = 3, bodies: int = 3, before: tuple[int, int] = (0, 0)
) -> Acknowledgement:
    """Return what a side has applied of the other's stream, and where it fenced the epochs `before`."""
    fence = Fence(epoch=before[0], next_seq=before[1], bodies=0, last_body=None)
    return Acknowledgement(epoch=epoch, epoch_nonce=EPOCH_NONCE, next_seq=next_seq, bodies=bodies, fence=fence)


def header(
    bodies: Sequence[bytes],
    *,
    sender: Side = AURORA,
    receiver: Side = BLUEBIRD,
    epoch: int = 1,
    first_seq: int = 0,
    previous: Digest = FIRST_PREVIOUS,
    acknowledges: Acknowledgement | None = None,
    checkpoint: str | None = None,
) -> Header:
    """Return the header of an envelope that carries `bodies`."""
    return Header(
        network=NETWORK,
        sender=sender.ledger,
        receiver=receiver.ledger,
        epoch=epoch,
        epoch_nonce=EPOCH_NONCE,
        first_seq=first_seq,
        count=len(bodies),
        previous=previous,
        acknowledgement=acknowledges,
        checkpoint=checkpoint,
        root=frames_root(first_seq, bodies),
    )


def envelope(stated: Header, *, sender: Side = AURORA) -> Envelope:
    """Return a header signed by the channel key of `sender`."""
    return seal_envelope(stated, key=sender.signing_keys[Role.CHANNEL])


def parcel_bytes(bodies: Sequence[Body] | None = None, *, sender: Side = AURORA, receiver: Side = BLUEBIRD) -> bytes:
    """Return `bodies`, one of each kind if none are given, in a signed envelope as it travels."""
    encoded = [encode_body(body) for body in (every_body() if bodies is None else bodies)]
    stated = header(encoded, sender=sender, receiver=receiver)
    return encode_parcel(envelope(stated, sender=sender), encoded)


def parcel(bodies: Sequence[Body] | None = None, *, sender: Side = AURORA, receiver: Side = BLUEBIRD) -> Parcel:
    """Return what `parcel_bytes` makes, as its receiver reads it."""
    return decode_parcel(parcel_bytes(bodies, sender=sender, receiver=receiver))
