"""What the callers of transactions and orders are told, made quickly: encoded, it is byte for byte what `render` makes.

An answer of `node.services.answers` takes five times as long to make as these rows, which only know how to be encoded.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, cast

import msgspec

from node.services.answers import EntryAnswer
from node.services.render import render
from protocol.entries import AnyEntry, ConversionHeld, PointsIssued, PointsRedeemed, PointsTransferred, Sealed
from protocol.identifiers import Digest, Ledger
from protocol.point_entries import PointsReversed


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """Fields in the order of the JSON; postings are encoded as entries encode them, which is the same."""

    id: str
    kind: str
    seq: int
    leaf: str
    time: str
    occurred_on: str


class _Issued(_Row, frozen=True, kw_only=True):
    postings: object
    expiry: str
    expires_on: str | None
    spendable_on: str | None
    metadata: str | None


class _Moved(_Row, frozen=True, kw_only=True):
    postings: object
    metadata: str | None


class _Reversed(_Row, frozen=True, kw_only=True):
    reverses: str
    asked: int
    postings: object
    metadata: str | None


class _Held(_Row, frozen=True, kw_only=True):
    state: str = "pending"
    partner: str
    account: str
    agreement: str
    promotion: str | None
    refund_of: str | None
    steps: int
    source_points: int
    destination_points: int
    fee_points: int
    value: int
    currency: str
    accept_by: str


AnswerRow: TypeAlias = _Row | EntryAnswer
"""To be encoded, and nothing else."""


def row_of(sealed: Sealed, *, ledger: Ledger) -> AnswerRow:
    """Return what a caller of `ledger` is told about an entry."""
    make = _ROWS.get(type(sealed.entry))
    return render(sealed, ledger=ledger) if make is None else make(sealed.entry, sealed.leaf)


def _issued(entry: PointsIssued, leaf: Digest) -> _Row:
    return _Issued(
        id=entry.id,
        kind="points_issued",
        seq=entry.seq,
        leaf=leaf,
        time=entry.time,
        occurred_on=entry.occurred_on,
        postings=entry.postings,
        expiry=entry.expiry,
        expires_on=entry.expires_on,
        spendable_on=entry.spendable_on,
        metadata=entry.metadata,
    )


def _moved(entry: PointsRedeemed | PointsTransferred, leaf: Digest) -> _Row:
    return _Moved(
        id=entry.id,
        kind="points_transferred" if isinstance(entry, PointsTransferred) else "points_redeemed",
        seq=entry.seq,
        leaf=leaf,
        time=entry.time,
        occurred_on=entry.occurred_on,
        postings=entry.postings,
        metadata=entry.metadata,
    )


def _reversed(entry: PointsReversed, leaf: Digest) -> _Row:
    return _Reversed(
        id=entry.id,
        kind="points_reversed",
        seq=entry.seq,
        leaf=leaf,
        time=entry.time,
        occurred_on=entry.occurred_on,
        reverses=entry.reverses,
        asked=entry.asked,
        postings=entry.postings,
        metadata=entry.metadata,
    )


def _held(entry: ConversionHeld, leaf: Digest) -> _Row:
    return _Held(
        id=entry.id,
        kind="conversion_held",
        seq=entry.seq,
        leaf=leaf,
        time=entry.time,
        occurred_on=entry.occurred_on,
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


_ROWS: Final = cast(
    "Mapping[type, Callable[[AnyEntry, Digest], _Row]]",
    {
        PointsIssued: _issued,
        PointsRedeemed: _moved,
        PointsTransferred: _moved,
        PointsReversed: _reversed,
        ConversionHeld: _held,
    },
)
