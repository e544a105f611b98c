"""The entry kinds as typed records, their canonical bytes and leaf hashes (specs/entries.md).

Every entry carries the same head and its kind's own fields, all always present. The chain lives inside the leaf:
`prev` is the leaf hash of the entry before, and the leaf hash covers it.
"""

from typing import Annotated, Final, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from protocol.agreement import RoleKey, SignedAgreement
from protocol.appeal_entries import AppealEntry
from protocol.approval_entries import ApprovalEntry
from protocol.encoding import Codec
from protocol.entry import Entry, Posting, Postings, PostingsOrNone, check_grammar, transfer_postings
from protocol.errors import EntryInvalid
from protocol.fields import (
    AliasField,
    AssetField,
    DateField,
    DigestField,
    HolderField,
    LedgerField,
    NetworkField,
    ReasonField,
    TextField,
    TimeField,
    UuidField,
)
from protocol.identifiers import Digest, Id, Ledger
from protocol.import_entries import ImportEntry
from protocol.key_entries import KeyEntry
from protocol.limits import CURRENCIES_MAX, ENTRY_BYTES_MAX
from protocol.member_entries import LinkAccepted, LinkIssued, MemberEntry, member_body_of
from protocol.merkle import leaf_hash
from protocol.messages import Cancel, End, EntryBody, EntryReference, Fulfil, Predecessor, Prepare, Reject
from protocol.plain_entries import is_plain
from protocol.point_entries import (
    AccountClosed,
    AccountOpened,
    HoldCaptured,
    HoldPlaced,
    HoldReleased,
    PointEntry,
    PointsIssued,
    PointsRedeemed,
    PointsTransferred,
)
from protocol.points import Amount, Natural
from protocol.program_entries import ProgramEntry
from protocol.recovery_entries import RecoveryEntry, recovery_body_of
from protocol.run_off_entries import RunOffEntry
from protocol.window_entries import WindowEntry, window_body_of

__all__ = [
    "AccountClosed", "AccountOpened", "Entry", "HoldCaptured", "HoldPlaced", "HoldReleased", "LinkAccepted",
    "LinkIssued", "PointsIssued", "PointsRedeemed", "PointsTransferred", "Posting", "Postings", "Predecessor",
    "transfer_postings",
]  # fmt: skip


class Genesis(Entry, frozen=True, kw_only=True, tag="genesis"):
    """The first entry: names the ledger, its points and currencies, and its keys."""

    ledger: LedgerField
    points: AssetField
    points_name: TextField
    currencies: Annotated[tuple[AssetField, ...], Meta(max_length=CURRENCIES_MAX)]
    keys: tuple[RoleKey, ...]
    next_log_key: DigestField
    predecessor: Predecessor | None


class PartnerAdded(Entry, frozen=True, kw_only=True, tag="partner_added"):
    """Another ledger and its keys, as an operator checked them."""

    network: NetworkField
    ledger: LedgerField
    points: AssetField
    keys: tuple[RoleKey, ...]


class AgreementEntered(Entry, frozen=True, kw_only=True, tag="agreement_entered"):
    """An agreement that both parties signed binds from here on."""

    signed: SignedAgreement
    forced: bool


class AgreementEnded(Entry, frozen=True, kw_only=True, tag="agreement_ended"):
    """An agreement ends at `ends_at`, by notice that the party `by` gave at `given_at`; `notice` is a partner's END."""

    network: NetworkField
    agreement: DigestField
    partner: LedgerField
    by: LedgerField
    given_at: TimeField
    ends_at: TimeField
    notice: DigestField | None
    partner_entry: EntryReference | None


class _Terms(Entry, frozen=True, kw_only=True):
    network: NetworkField
    conversion: UuidField
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
    accept_by: TimeField


class ConversionHeld(_Terms, frozen=True, kw_only=True, tag="conversion_held"):
    """At the source: a member's points wait for the destination's decision."""

    destination: LedgerField
    account: HolderField


class ConversionCancelRequested(Entry, frozen=True, kw_only=True, tag="conversion_cancel_requested"):
    """At the source: the destination is asked to refuse unless it has credited."""

    network: NetworkField
    destination: LedgerField
    conversion: UuidField
    prepare: DigestField
    accept_by: TimeField


class ConversionCaptured(Entry, frozen=True, kw_only=True, tag="conversion_captured"):
    """At the source: the destination credited, so the held points leave and the value is owed."""

    conversion: UuidField
    prepare: DigestField
    fulfil: DigestField
    decided_at: TimeField
    window: Amount
    dec_seq: Amount
    expires_on: DateField | None
    partner_entry: EntryReference
    postings: PostingsOrNone


class ConversionReleased(Entry, frozen=True, kw_only=True, tag="conversion_released"):
    """At the source: the destination refused, so the held points are the member's again, or a forced loss is not."""

    conversion: UuidField
    prepare: DigestField
    reject: DigestField
    cancel: DigestField | None
    reason: ReasonField
    decided_at: TimeField
    partner_entry: EntryReference
    postings: PostingsOrNone


class ConversionForced(Entry, frozen=True, kw_only=True, tag="conversion_forced"):
    """At the source: an operator gave the held points back at the program's own risk; the PREPARE still stands."""

    conversion: UuidField
    reason: ReasonField
    postings: PostingsOrNone


class ConversionCredited(_Terms, frozen=True, kw_only=True, tag="conversion_credited"):
    """At the destination: the member is credited; this is the commit point of the whole conversion."""

    source: LedgerField
    prepare: DigestField
    created_at: TimeField
    source_entry: EntryReference
    window: Amount
    dec_seq: Amount
    expires_on: DateField | None
    postings: Postings


class ConversionRefused(Entry, frozen=True, kw_only=True, tag="conversion_refused"):
    """At the destination: this conversion is never credited, whatever arrives later."""

    network: NetworkField
    source: LedgerField
    conversion: UuidField
    prepare: DigestField
    cancel: DigestField | None
    reason: ReasonField


AnyEntry: TypeAlias = (
    Genesis | PointEntry | PartnerAdded | AgreementEntered | AgreementEnded | MemberEntry
    | ConversionHeld | ConversionCancelRequested | ConversionCaptured | ConversionReleased | ConversionForced
    | ConversionCredited | ConversionRefused | WindowEntry | RecoveryEntry | KeyEntry | ProgramEntry | ApprovalEntry
    | AppealEntry
    | ImportEntry | RunOffEntry
)  # fmt: skip

_CODEC: Final = Codec[AnyEntry](msgspec.json.Decoder(AnyEntry), error=EntryInvalid, bytes_max=ENTRY_BYTES_MAX)
_E = TypeVar("_E", bound=Entry)


class Sealed(msgspec.Struct, frozen=True, gc=False):
    """An entry with its canonical bytes and its leaf hash in hex."""

    entry: AnyEntry
    data: bytes
    leaf: Digest

    @property
    def reference(self) -> EntryReference:
        """Return how messages and receipts name this entry."""
        return EntryReference(seq=self.entry.seq, leaf=self.leaf)


def encode_entry(entry: AnyEntry) -> bytes:
    """Return the canonical bytes of `entry`, or raise `EntryInvalid` when they are too many."""
    return _CODEC.encode(entry)


def decode_entry(data: bytes) -> AnyEntry:
    """Return the entry in `data`, or raise `EntryInvalid`."""
    if is_plain(data):
        return _CODEC.read_back(data)
    entry = _CODEC.decode(data)
    check_grammar(entry)
    return entry


def stamp(draft: _E, *, seq: int, prev: Digest, time: str, nonce: str) -> _E:
    """Return `draft` with its place in the log."""
    return msgspec.structs.replace(draft, seq=seq, prev=prev, time=time, nonce=nonce)


def seal(entry: AnyEntry) -> Sealed:
    """Return `entry` with its bytes and leaf hash (RFC 6962 §2.1), or raise `EntryInvalid`."""
    # Types here promise less than the format, so the bytes are read back: no log may hold what nobody can decode.
    data = _CODEC.encode(entry)
    if not is_plain(data):
        entry = _CODEC.read_back(data)
        check_grammar(entry)
    return Sealed(entry, data, Digest(leaf_hash(data).hex()))


def unseal(data: bytes) -> Sealed:
    """Return the entry that `data` holds with its leaf hash computed anew, or raise `EntryInvalid`."""
    return Sealed(decode_entry(data), data, Digest(leaf_hash(data).hex()))


def prepare_of(sealed: Sealed, entry: ConversionHeld, *, ledger: Ledger) -> Prepare:
    """Return the PREPARE that `entry` of `ledger` makes: a pure function, so it can be made again at any time."""
    return Prepare(
        network=entry.network,
        source=ledger,
        destination=entry.destination,
        id=entry.conversion,
        agreement=entry.agreement,
        promotion=entry.promotion,
        refund_of=entry.refund_of,
        steps=entry.steps,
        source_points=entry.source_points,
        destination_points=entry.destination_points,
        fee_points=entry.fee_points,
        value=entry.value,
        currency=entry.currency,
        alias=entry.alias,
        created_at=entry.time,
        accept_by=entry.accept_by,
        entry=sealed.reference,
    )


def fulfil_of(sealed: Sealed, entry: ConversionCredited, *, ledger: Ledger) -> Fulfil:
    """Return the FULFIL that the crediting `entry` of `ledger` makes."""
    return Fulfil(
        network=entry.network,
        source=entry.source,
        destination=ledger,
        id=entry.conversion,
        prepare=entry.prepare,
        decided_at=entry.time,
        window=entry.window,
        dec_seq=entry.dec_seq,
        destination_points=entry.destination_points,
        value=entry.value,
        expires_on=entry.expires_on,
        entry=sealed.reference,
    )


def reject_of(sealed: Sealed, entry: ConversionRefused, *, ledger: Ledger) -> Reject:
    """Return the REJECT that the refusing `entry` of `ledger` makes."""
    return Reject(
        network=entry.network,
        source=entry.source,
        destination=ledger,
        id=entry.conversion,
        prepare=entry.prepare,
        cancel=entry.cancel,
        reason=entry.reason,
        decided_at=entry.time,
        entry=sealed.reference,
    )


def cancel_of(sealed: Sealed, entry: ConversionCancelRequested, *, ledger: Ledger) -> Cancel:
    """Return the CANCEL that `entry` of `ledger` makes."""
    return Cancel(
        network=entry.network,
        source=ledger,
        destination=entry.destination,
        id=Id(entry.conversion),
        prepare=entry.prepare,
        accept_by=entry.accept_by,
        entry=sealed.reference,
    )


def end_of(sealed: Sealed, entry: AgreementEnded) -> End:
    """Return the END that our own notice makes."""
    return End(
        network=entry.network,
        sender=entry.by,
        receiver=entry.partner,
        agreement=entry.agreement,
        given_at=entry.given_at,
        ends_at=entry.ends_at,
        entry=sealed.reference,
    )


def body_of(sealed: Sealed, *, ledger: Ledger) -> EntryBody | None:
    """Return the body that an entry of `ledger` obliges it to send, or None."""
    if isinstance(sealed.entry, WindowEntry):
        return window_body_of(sealed.entry, sealed.reference, ledger=ledger)
    if isinstance(sealed.entry, RecoveryEntry):
        return recovery_body_of(sealed.entry, sealed.reference, ledger=ledger)
    if isinstance(sealed.entry, MemberEntry):
        return member_body_of(sealed.entry, sealed.reference)
    return _conversion_body_of(sealed, ledger=ledger)


def _conversion_body_of(sealed: Sealed, *, ledger: Ledger) -> EntryBody | None:
    match sealed.entry:
        case ConversionHeld() as entry:
            return prepare_of(sealed, entry, ledger=ledger)
        case ConversionCredited() as entry:
            return fulfil_of(sealed, entry, ledger=ledger)
        case ConversionRefused() as entry:
            return reject_of(sealed, entry, ledger=ledger)
        case ConversionCancelRequested() as entry:
            return cancel_of(sealed, entry, ledger=ledger)
        case AgreementEnded(notice=None) as entry:
            return end_of(sealed, entry)
        case _:
            return None
