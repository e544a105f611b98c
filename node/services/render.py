"""From an entry to what a caller is told about it: pure, so that a repeated request gets the same bytes."""

from collections.abc import Sequence
from typing import Final, Literal, TypedDict

import msgspec

from node.services.answers import (
    AccountAnswer,
    AgreementAnswer,
    CancelAnswer,
    CaptureAnswer,
    CapturedAnswer,
    ConversionAnswer,
    CreditedAnswer,
    Document,
    EndedAnswer,
    EntryAnswer,
    ExpiredAnswer,
    ExpiredLotRow,
    ForcedAnswer,
    GenesisAnswer,
    HoldAnswer,
    IssuedAnswer,
    LinkAnswer,
    MovedAnswer,
    OtherAnswer,
    PartnerAnswer,
    PostingRow,
    RefusedAnswer,
    ReleaseAnswer,
    ReturnedAnswer,
    ReversedAnswer,
)
from protocol import entries
from protocol.agreement import RoleKey, agreement_digest
from protocol.entries import AnyEntry, Entry, Posting, Sealed
from protocol.identifiers import Ledger
from protocol.keys import PublicKey, fingerprint
from protocol.member_entries import limits_or_none
from protocol.point_entries import PointsExpired, PointsReversed

_HEAD: Final = frozenset(Entry.__struct_fields__) | {"kind"}


class _Head(TypedDict):
    id: str
    seq: int
    leaf: str
    time: str
    occurred_on: str


def render(sealed: Sealed, *, ledger: Ledger) -> EntryAnswer:
    """Return what a caller of `ledger` is told about an entry."""
    entry = sealed.entry
    head = _Head(id=entry.id, seq=entry.seq, leaf=sealed.leaf, time=entry.time, occurred_on=entry.occurred_on)
    for family in (_of_points, _of_holds, _of_partners, _of_outgoing, _of_incoming):
        answer = family(entry, head, ledger)
        if answer is not None:
            return answer
    return _other(entry, head)


def _of_points(entry: AnyEntry, head: _Head, _ledger: Ledger) -> EntryAnswer | None:
    match entry:
        case entries.AccountOpened():
            return AccountAnswer(**head, kind="account_opened", account=entry.account)
        case entries.AccountClosed():
            return AccountAnswer(**head, kind="account_closed", account=entry.account)
        case entries.PointsIssued():
            return IssuedAnswer(
                **head,
                postings=_rows(entry.postings),
                expiry=entry.expiry,
                expires_on=entry.expires_on,
                spendable_on=entry.spendable_on,
                metadata=entry.metadata,
            )
        case entries.PointsRedeemed():
            return MovedAnswer(**head, kind="points_redeemed", postings=_rows(entry.postings), metadata=entry.metadata)
        case entries.PointsTransferred():
            return MovedAnswer(
                **head, kind="points_transferred", postings=_rows(entry.postings), metadata=entry.metadata
            )
        case PointsReversed():
            return ReversedAnswer(
                **head,
                reverses=entry.reverses,
                asked=entry.asked,
                postings=_rows(entry.postings),
                metadata=entry.metadata,
            )
        case PointsExpired():
            lots = tuple(ExpiredLotRow(expires_on=lot.expires_on, amount=lot.amount) for lot in entry.lots)
            return ExpiredAnswer(**head, account=entry.account, lots=lots, postings=_rows(entry.postings))
        case _:
            return None


def _of_holds(entry: AnyEntry, head: _Head, _ledger: Ledger) -> EntryAnswer | None:
    match entry:
        case entries.HoldPlaced():
            return HoldAnswer(
                **head,
                account=entry.account,
                amount=entry.amount,
                expires_at=entry.expires_at,
                metadata=entry.metadata,
            )
        case entries.HoldCaptured():
            return CaptureAnswer(**head, hold=entry.hold, postings=_rows(entry.postings), final=entry.final)
        case entries.HoldReleased():
            return ReleaseAnswer(**head, hold=entry.hold, expired=entry.expired)
        case _:
            return None


def _of_partners(entry: AnyEntry, head: _Head, ledger: Ledger) -> EntryAnswer | None:
    match entry:
        case entries.Genesis():
            return GenesisAnswer(
                **head,
                ledger=entry.ledger,
                points=entry.points,
                points_name=entry.points_name,
                currencies=entry.currencies,
            )
        case entries.PartnerAdded():
            return PartnerAnswer(
                **head,
                network=entry.network,
                ledger=entry.ledger,
                points=entry.points,
                fingerprint=fingerprint_of(entry.keys),
            )
        case entries.AgreementEntered():
            agreement = entry.signed.agreement
            return AgreementAnswer(
                **head,
                partner=agreement.other(ledger).ledger,
                digest=agreement_digest(agreement),
                agreement=document_of(entry.signed),
                forced=entry.forced,
            )
        case entries.AgreementEnded():
            return EndedAnswer(
                **head,
                partner=entry.partner,
                agreement=entry.agreement,
                by=entry.by,
                given_at=entry.given_at,
                ends_at=entry.ends_at,
            )
        case entries.LinkIssued():
            return _link(entry, head, "link_issued")
        case entries.LinkAccepted():
            return _link(entry, head, "link_accepted")
        case _:
            return None


def _link(
    entry: entries.LinkIssued | entries.LinkAccepted, head: _Head, kind: Literal["link_issued", "link_accepted"]
) -> LinkAnswer:
    limits = limits_or_none(entry.limits)
    return LinkAnswer(
        **head,
        kind=kind,
        account=entry.account,
        partner=entry.partner,
        alias=entry.alias,
        limits=None if limits is None else document_of(limits),
    )


def _of_outgoing(entry: AnyEntry, head: _Head, _ledger: Ledger) -> EntryAnswer | None:
    match entry:
        case entries.ConversionHeld():
            return ConversionAnswer(
                **head,
                partner=entry.destination,
                account=entry.account,
                agreement=entry.agreement,
                promotion=entry.promotion,
                refund_of=entry.refund_of,
                steps=entry.steps,
                source_points=entry.source_points,
                destination_points=entry.destination_points,
                fee_points=entry.fee_points,
                value=entry.value,
                currency=entry.currency,
                accept_by=entry.accept_by,
            )
        case entries.ConversionCancelRequested():
            return CancelAnswer(**head, conversion=entry.conversion, partner=entry.destination)
        case entries.ConversionCaptured():
            return CapturedAnswer(
                **head,
                conversion=entry.conversion,
                decided_at=entry.decided_at,
                expires_on=entry.expires_on,
                postings=_rows(entry.postings),
            )
        case entries.ConversionReleased():
            return ReturnedAnswer(**head, conversion=entry.conversion, reason=entry.reason, decided_at=entry.decided_at)
        case entries.ConversionForced():
            return ForcedAnswer(
                **head, conversion=entry.conversion, reason=entry.reason, postings=_rows(entry.postings)
            )
        case _:
            return None


def _of_incoming(entry: AnyEntry, head: _Head, _ledger: Ledger) -> EntryAnswer | None:
    match entry:
        case entries.ConversionCredited():
            return CreditedAnswer(
                **head,
                conversion=entry.conversion,
                partner=entry.source,
                agreement=entry.agreement,
                promotion=entry.promotion,
                refund_of=entry.refund_of,
                steps=entry.steps,
                destination_points=entry.destination_points,
                value=entry.value,
                currency=entry.currency,
                expires_on=entry.expires_on,
                postings=_rows(entry.postings),
            )
        case entries.ConversionRefused():
            return RefusedAnswer(**head, conversion=entry.conversion, partner=entry.source, reason=entry.reason)
        case _:
            return None


def _other(entry: AnyEntry, head: _Head) -> OtherAnswer:
    document = dict(document_of(entry))
    kind = str(document["kind"])
    return OtherAnswer(**head, kind=kind, fields={name: document[name] for name in document if name not in _HEAD})


def document_of(paper: msgspec.Struct) -> Document:
    """Return a signed paper as JSON in an answer."""
    document: Document = msgspec.to_builtins(paper)
    return document


def document_in(data: bytes) -> Document:
    """Return a signed paper's own bytes as JSON in an answer."""
    return msgspec.json.decode(data, type=dict[str, object])


def fingerprint_of(keys: Sequence[RoleKey]) -> str:
    """Return the fingerprint of a ledger's keys."""
    return fingerprint([PublicKey.parse(item.key) for item in keys])


def _rows(postings: Sequence[Posting]) -> tuple[PostingRow, ...]:
    return tuple((posting.account, posting.asset, posting.amount) for posting in postings)
