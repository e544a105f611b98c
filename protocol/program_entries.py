"""The entry kinds of a program's terms and of what they govern: accounts, transfers, reviews (specs/program.md)."""

from typing import Literal, TypeAlias

import msgspec

from protocol.entry import Entry, Postings, PostingsOrNone
from protocol.fields import DigestField, HolderField, LedgerField, ReasonField, TimeField, UuidField
from protocol.points import Amount, Natural
from protocol.program import ProgramTerms


class ProgramSet(Entry, frozen=True, kw_only=True, tag="program_set"):
    """From here on the program has these terms."""

    terms: ProgramTerms
    reason: ReasonField


class _Standing(Entry, frozen=True, kw_only=True):
    account: HolderField
    reason: ReasonField


class AccountFrozen(_Standing, frozen=True, kw_only=True, tag="account_frozen"):
    """From here on the holder can begin nothing that takes points; what has begun ends by the rules."""


class AccountUnfrozen(_Standing, frozen=True, kw_only=True, tag="account_unfrozen"):
    """A frozen account is open again."""


class AccountMerged(_Standing, frozen=True, kw_only=True, tag="account_merged"):
    """All points of an account go to its survivor, their lots as they are, and so does what comes for it later."""

    survivor: HolderField
    postings: PostingsOrNone


DeclinedBy: TypeAlias = Literal["recipient", "sender", "time"]


class TransferOffered(Entry, frozen=True, kw_only=True, tag="transfer_offered"):
    """Points and a fee wait on hold for the recipient, who can accept from `accept_from` on and before `accept_by`."""

    account: HolderField
    recipient: HolderField
    amount: Amount
    fee: Natural
    accept_from: TimeField
    accept_by: TimeField
    metadata: DigestField | None


class TransferAccepted(Entry, frozen=True, kw_only=True, tag="transfer_accepted"):
    """The recipient has the points, and the program its fee."""

    transfer: UuidField
    postings: Postings


class TransferDeclined(Entry, frozen=True, kw_only=True, tag="transfer_declined"):
    """The points are the sender's again: by the recipient, by the sender, or because the time to accept has passed."""

    transfer: UuidField
    by: DeclinedBy


class _Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What was asked for and waits for a person."""


class TransferOrder(_Order, frozen=True, kw_only=True, tag="transfer"):
    """Offer `amount` points to `recipient`."""

    recipient: HolderField
    amount: Amount


class ConversionOrder(_Order, frozen=True, kw_only=True, tag="conversion"):
    """Convert as many whole steps of `amount` points as fit, on the agreement of a quote if there was one."""

    destination: LedgerField
    amount: Amount
    agreement: DigestField | None


Order: TypeAlias = TransferOrder | ConversionOrder


class ReviewOpened(Entry, frozen=True, kw_only=True, tag="review_opened"):
    """A screen has put an order up for review: `points` wait on hold; `digest` is a salted one of what it saw."""

    account: HolderField
    screen: ReasonField
    digest: DigestField
    points: Amount
    order_id: UuidField
    order: Order


class ReviewClosed(Entry, frozen=True, kw_only=True, tag="review_closed"):
    """A person has decided: the held points are free, and where `approved`, the order follows under its own id."""

    order_id: UuidField
    approved: bool
    reason: ReasonField


ProgramEntry: TypeAlias = (
    ProgramSet | AccountFrozen | AccountUnfrozen | AccountMerged | TransferOffered | TransferAccepted
    | TransferDeclined | ReviewOpened | ReviewClosed
)  # fmt: skip
