"""The entry kinds of holders' accounts, their points and holds (specs/entries.md)."""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from protocol.entry import Entry, Postings
from protocol.fields import DateField, DigestField, HolderField, TimeField, UuidField
from protocol.limits import EXPIRED_LOTS_MAX
from protocol.points import Amount, Natural

Expiry: TypeAlias = Literal["never", "fixed", "rolling", "named"]


class AccountOpened(Entry, frozen=True, kw_only=True, tag="account_opened"):
    """A holder's account exists from here on."""

    account: HolderField


class AccountClosed(Entry, frozen=True, kw_only=True, tag="account_closed"):
    """An empty account takes no further part."""

    account: HolderField


class PointsIssued(Entry, frozen=True, kw_only=True, tag="points_issued"):
    """Points come into being: issuance to a holder, as one lot.

    `expiry` says where their last day comes from: the program's rule of that kind, or the request that named it.
    """

    postings: Postings
    expiry: Expiry
    expires_on: DateField | None
    spendable_on: DateField | None
    metadata: DigestField | None


class _Moved(Entry, frozen=True, kw_only=True):
    postings: Postings
    metadata: DigestField | None


class PointsRedeemed(_Moved, frozen=True, kw_only=True, tag="points_redeemed"):
    """Points are used up: a holder to redemption."""


class PointsTransferred(_Moved, frozen=True, kw_only=True, tag="points_transferred"):
    """Points move between two holders of this ledger; their lots keep origin, date and expiry."""


class HoldPlaced(Entry, frozen=True, kw_only=True, tag="hold_placed"):
    """Points of a holder are set aside; nothing is posted."""

    account: HolderField
    amount: Amount
    expires_at: TimeField | None
    metadata: DigestField | None


class HoldCaptured(Entry, frozen=True, kw_only=True, tag="hold_captured"):
    """Held points are redeemed, all or in part; `final` releases what remains."""

    hold: UuidField
    postings: Postings
    final: bool


class HoldReleased(Entry, frozen=True, kw_only=True, tag="hold_released"):
    """What remains of a hold is available again; `expired` when its time had passed."""

    hold: UuidField
    expired: bool


class PointsReversed(Entry, frozen=True, kw_only=True, tag="points_reversed"):
    """An issue or a redemption is undone, all or in part; less than was `asked` where the points are not there."""

    reverses: UuidField
    asked: Amount
    postings: Postings
    metadata: DigestField | None


class ExpiredLot(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """`[seq, part, expires_on, amount]`: a lot by its number, its last day, and all that remained of it."""

    seq: Natural
    part: Natural
    expires_on: DateField
    amount: Amount


class PointsExpired(Entry, frozen=True, kw_only=True, tag="points_expired"):
    """Points whose last day was before `occurred_on` are lost: a holder to breakage."""

    account: HolderField
    lots: Annotated[tuple[ExpiredLot, ...], Meta(min_length=1, max_length=EXPIRED_LOTS_MAX)]
    postings: Postings


PointEntry: TypeAlias = (
    AccountOpened | AccountClosed | PointsIssued | PointsRedeemed | PointsTransferred | HoldPlaced | HoldCaptured
    | HoldReleased | PointsReversed | PointsExpired
)  # fmt: skip
