"""Message bodies: what one ledger says to another, hashed, stored, never changed (specs/messages.md).

A body says nothing about its transport: frames and envelopes carry it and may be remade, so a resend after a restart
is the same message. Every conversion is named by network, source ledger, destination ledger and id.
"""

from typing import Annotated, Final, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta

from protocol.encoding import Codec, digest_of
from protocol.errors import BodyInvalid
from protocol.fields import (
    AliasField,
    AssetField,
    DateField,
    DigestField,
    LedgerField,
    NetworkField,
    NonceField,
    ReasonField,
    TextField,
    TimeField,
    UuidField,
)
from protocol.identifiers import Digest, Id, Ledger, Network
from protocol.limits import BODY_BYTES_MAX
from protocol.points import Amount, Natural


class ConversionKey(NamedTuple):
    """What names one conversion everywhere: ids of different pairs never meet."""

    network: Network
    source: Ledger
    destination: Ledger
    id: Id


class EntryReference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of the sender's own ledger: its sequence number and leaf hash."""

    seq: Natural
    leaf: DigestField


class _Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    v: Annotated[int, Meta(ge=1, le=1)] = 1
    network: NetworkField


class _ConversionBody(_Body, frozen=True, kw_only=True):
    source: LedgerField
    destination: LedgerField
    id: UuidField

    @property
    def key(self) -> ConversionKey:
        """Return the conversion that this body is about."""
        return ConversionKey(self.network, self.source, self.destination, self.id)


class Prepare(_ConversionBody, frozen=True, kw_only=True, tag="prepare"):
    """Source to destination: points are on hold for you to credit or refuse until `accept_by` on your clock."""

    agreement: DigestField
    promotion: TextField | None
    refund_of: UuidField | None
    steps: Amount
    source_points: Amount
    destination_points: Amount
    fee_points: Natural
    value: Natural
    currency: AssetField
    alias: AliasField
    created_at: TimeField
    accept_by: TimeField
    entry: EntryReference


class Fulfil(_ConversionBody, frozen=True, kw_only=True, tag="fulfil"):
    """Destination to source: credited, for ever; the promise names the crediting entry."""

    prepare: DigestField
    decided_at: TimeField
    window: Amount
    dec_seq: Amount
    destination_points: Amount
    value: Natural
    expires_on: DateField | None
    entry: EntryReference


class Reject(_ConversionBody, frozen=True, kw_only=True, tag="reject"):
    """Destination to source: refused, for ever; `prepare` is the body refused, `cancel` the wish that did it."""

    prepare: DigestField
    cancel: DigestField | None
    reason: ReasonField
    decided_at: TimeField
    entry: EntryReference


class Cancel(_ConversionBody, frozen=True, kw_only=True, tag="cancel"):
    """Source to destination: refuse this conversion if you have not credited it, even if you never heard of it."""

    prepare: DigestField
    accept_by: TimeField
    entry: EntryReference


class Query(_ConversionBody, frozen=True, kw_only=True, tag="query"):
    """Source to destination: say again what you decided; an unknown id is answered by a non-decision."""

    prepare: DigestField


class Error(_ConversionBody, frozen=True, kw_only=True, tag="error"):
    """Either way: the body `about` cannot be answered; decides nothing."""

    about: DigestField
    reason: ReasonField


class Hello(_Body, frozen=True, kw_only=True, tag="hello"):
    """Either way: opens the sender's epoch; `bodies_sent` is how many it knows to have sent (specs/channel.md)."""

    sender: LedgerField
    receiver: LedgerField
    epoch: Amount
    epoch_nonce: NonceField
    bodies_sent: Natural


ConversionBody: TypeAlias = Prepare | Fulfil | Reject | Cancel | Query | Error
Body: TypeAlias = ConversionBody | Hello

_CODEC: Final = Codec[Body](msgspec.json.Decoder(Body), error=BodyInvalid, bytes_max=BODY_BYTES_MAX)


def encode_body(body: Body) -> bytes:
    """Return the canonical bytes of `body`."""
    return _CODEC.encode(body)


def decode_body(data: bytes) -> Body:
    """Return the body in `data`, or raise `BodyInvalid`."""
    return _CODEC.decode(data)


def body_digest(data: bytes) -> Digest:
    """Return the digest under which others quote the body whose canonical bytes are `data`."""
    return digest_of("body", data)


def kind_of(body: Body) -> str:
    """Return the name of the body's kind, as its bytes carry it."""
    return str(body.__struct_config__.tag)


def may_send(body: ConversionBody, sender: Ledger) -> bool:
    """Return whether `sender` may send this kind of body about this conversion."""
    if isinstance(body, Prepare | Cancel | Query):
        return body.source == sender
    if isinstance(body, Fulfil | Reject):
        return body.destination == sender
    return sender in {body.source, body.destination}
