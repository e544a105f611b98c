"""Message bodies: what one ledger says to another, hashed, stored, never changed (specs/messages.md).

A body says nothing about its transport: frames and envelopes carry it and may be remade, so a resend after a restart
is the same message. Every conversion is named by network, source ledger, destination ledger and id.
"""

from enum import StrEnum, unique
from typing import Annotated, Final, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta

from protocol.agreement import SignedAgreement
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
from protocol.limits import BODY_BYTES_MAX, RETURNED_BYTES_MAX
from protocol.points import Amount, Natural
from protocol.statement import LINES_MAX, DisputedLine, Line, SignedStatement, Totals, TotalText

BODY_LINES_MAX: Final = 64
"""Whole lines in one body, so that the longest fit."""


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


class Predecessor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The log that a successor goes on from: its largest checkpoint that anybody holds, and what was restored.

    Sizes count the entries of one log alone; this one's first entry has the sequence number `first_seq`. What was
    restored is as a rule of this log; of an earlier one, where the copy is older than an earlier succession.
    """

    ledger: LedgerField
    first_seq: Natural
    size: Natural
    root: DigestField
    restored_size: Natural
    restored_root: DigestField


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


class End(_Body, frozen=True, kw_only=True, tag="end"):
    """Either way: the agreement ends at `ends_at`, with the notice that it asks for from `given_at` on."""

    sender: LedgerField
    receiver: LedgerField
    agreement: DigestField
    given_at: TimeField
    ends_at: TimeField
    entry: EntryReference


@unique
class UnlinkReason(StrEnum):
    """Why a link ends: a side no longer wants it, or one side has forgotten its member."""

    REVOKED = "revoked"
    ERASED = "erased"


class Unlink(_Body, frozen=True, kw_only=True, tag="unlink"):
    """Either way: the link by which `issuer` named an account of its own `alias` ends at once.

    With the reason `erased`, the receiver forgets what it keeps about the alias and can erase.
    """

    sender: LedgerField
    receiver: LedgerField
    issuer: LedgerField
    alias: AliasField
    reason: UnlinkReason
    revoked_at: TimeField
    entry: EntryReference


class Hello(_Body, frozen=True, kw_only=True, tag="hello"):
    """Either way: opens the sender's epoch; `bodies_sent` is how many it knows to have sent (specs/channel.md)."""

    sender: LedgerField
    receiver: LedgerField
    epoch: Amount
    epoch_nonce: NonceField
    bodies_sent: Natural


class Returned(_Body, frozen=True, kw_only=True, tag="returned"):
    """Either way: a word of the receiver's own that its store has lost; a frame of its own, never counted.

    `sighting` is the evidence that the receiver signed it (specs/envelope.md); `prepare` is the sender's PREPARE that
    a FULFIL or REJECT among these words answers.
    """

    sender: LedgerField
    receiver: LedgerField
    sighting: msgspec.Raw
    prepare: Prepare | None


class ReturnedAgreement(_Body, frozen=True, kw_only=True, tag="returned_agreement"):
    """Either way: an agreement that the receiver may have lost; both have signed it. Never counted."""

    sender: LedgerField
    receiver: LedgerField
    signed: SignedAgreement


class Succeeded(_Body, frozen=True, kw_only=True, tag="succeeded"):
    """Either way: the sender's ledger goes on as the log `log`, since the one before has lost its end."""

    sender: LedgerField
    receiver: LedgerField
    log: LedgerField
    predecessor: Predecessor
    entry: EntryReference


class _WindowBody(_Body, frozen=True, kw_only=True):
    sender: LedgerField
    receiver: LedgerField
    window: Amount


class Close(_WindowBody, frozen=True, kw_only=True, tag="close"):
    """The decider's last word on a window: every conversion from `receiver` that `sender` credited in it.

    `early` closes came before the calendar's end. `agreement` is the latest that the sender has entered.
    """

    totals: Totals
    agreement: DigestField
    closed_at: TimeField
    early: bool
    entry: EntryReference


class Lines(_WindowBody, frozen=True, kw_only=True, tag="lines"):
    """Some of the lines that the sender has for a window whose totals differ, in order: either direction's.

    From the source of the conversions, fewer lines than fit, or none, say that there are no more.
    """

    lines: Annotated[tuple[Line, ...], Meta(max_length=BODY_LINES_MAX)]


class Dispute(_WindowBody, frozen=True, kw_only=True, tag="dispute"):
    """Lines of conversions out of `source` that the sender does not agree to bill in this window."""

    source: LedgerField
    lines: Annotated[tuple[DisputedLine, ...], Meta(min_length=1, max_length=LINES_MAX)]
    entry: EntryReference


class StatementSigned(_WindowBody, frozen=True, kw_only=True, tag="statement"):
    """The window's statement with the sender's signature, or with both: a proposal, or its acceptance."""

    signed: SignedStatement
    entry: EntryReference


class PaymentAdvice(_WindowBody, frozen=True, kw_only=True, tag="payment"):
    """Payer to payee: the money is on its way; `reference` is how the payee finds it."""

    statement: DigestField
    currency: AssetField
    minor_units: TotalText
    reference: TextField
    paid_at: TimeField
    entry: EntryReference


class Receipt(_WindowBody, frozen=True, kw_only=True, tag="receipt"):
    """Payee to payer: the money of `payment`, a body's digest, has arrived; the window is done."""

    statement: DigestField
    payment: DigestField
    received_at: TimeField
    entry: EntryReference


ConversionBody: TypeAlias = Prepare | Fulfil | Reject | Cancel | Query | Error
WindowBody: TypeAlias = Close | Lines | Dispute | StatementSigned | PaymentAdvice | Receipt
EntryBody: TypeAlias = (
    Prepare | Fulfil | Reject | Cancel | End | Unlink | Close | Dispute | StatementSigned | PaymentAdvice | Receipt
    | Succeeded
)  # fmt: skip
"""A body that an entry of its sender makes, and that names this entry."""

ChannelBody: TypeAlias = Hello | Returned | ReturnedAgreement
"""A body of the channel itself: it moves nothing that an entry of its sender stands for, and is never counted."""

Body: TypeAlias = ConversionBody | End | Unlink | WindowBody | Succeeded | ChannelBody

_CODEC: Final = Codec[Body](msgspec.json.Decoder(Body), error=BodyInvalid, bytes_max=RETURNED_BYTES_MAX)


def encode_body(body: Body) -> bytes:
    """Return the canonical bytes of `body`, or raise `BodyInvalid` when they are too many."""
    data = _CODEC.encode(body)
    _check_length(body, data)
    return data


def decode_body(data: bytes) -> Body:
    """Return the body in `data`, or raise `BodyInvalid`."""
    body = _CODEC.decode(data)
    _check_length(body, data)
    return body


def decode_known_body(data: bytes) -> Body:
    """Return the body in `data`, which `decode_body` has accepted once: its canonical form is not looked at again."""
    return _CODEC.read_back(data)


def _check_length(body: Body, data: bytes) -> None:
    if len(data) > BODY_BYTES_MAX and not isinstance(body, Returned | ReturnedAgreement):
        raise BodyInvalid(f"more than {BODY_BYTES_MAX} bytes")


def body_digest(data: bytes) -> Digest:
    """Return the digest under which others quote the body whose canonical bytes are `data`."""
    return digest_of("body", data)


def kind_of(body: Body) -> str:
    """Return the name of the body's kind, as its bytes carry it."""
    return str(body.__struct_config__.tag)


class _Kind(msgspec.Struct, frozen=True):
    kind: str


_KINDS: Final = msgspec.json.Decoder(_Kind)


def kind_in(data: bytes) -> str:
    """Return the name of the kind of the body whose canonical bytes, which a ledger has made itself, are `data`."""
    return _KINDS.decode(data).kind


def said_at(body: EntryBody) -> str | None:
    """Return the time of the entry that made `body`, or None where the body does not tell it."""
    match body:
        case Prepare():
            return body.created_at
        case Fulfil() | Reject():
            return body.decided_at
        case End():
            return body.given_at
        case Unlink():
            return body.revoked_at
        case Close():
            return body.closed_at
        case PaymentAdvice():
            return body.paid_at
        case Receipt():
            return body.received_at
        case _:
            return None


def may_send(body: Body, sender: Ledger) -> bool:
    """Return whether `sender` may send this kind of body about this conversion, window or stream."""
    if isinstance(body, Prepare | Cancel | Query):
        return body.source == sender
    if isinstance(body, Fulfil | Reject):
        return body.destination == sender
    if isinstance(body, Error):
        return sender in {body.source, body.destination}
    return body.sender == sender


def receiver_of(body: Body, sender: Ledger) -> Ledger:
    """Return for whom a body that `sender` may send is."""
    if isinstance(body, ConversionBody):
        return body.destination if body.source == sender else body.source
    return body.receiver


def conversion_of(body: Body) -> Id | None:
    """Return the id of the conversion that a body is about, or None for one about a window or a stream."""
    return body.id if isinstance(body, ConversionBody) else None
