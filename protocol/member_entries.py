"""The entry kinds of members' links with partners, and of a member who is forgotten (specs/links.md, members.md)."""

from enum import StrEnum, unique
from typing import TypeAlias

from msgspec import UNSET, UnsetType

from protocol.documents import LinkLimits
from protocol.entry import Entry, PostingsOrNone
from protocol.fields import AliasField, DigestField, HolderField, LedgerField, NetworkField, TimeField
from protocol.identifiers import Ledger
from protocol.messages import EntryReference, Unlink, UnlinkReason

__all__ = ["UnlinkReason"]


@unique
class LinkWay(StrEnum):
    """Which of its two ends a link has here: points come in by an `issued` one, and go out by an `accepted` one."""

    ISSUED = "issued"
    ACCEPTED = "accepted"


class _Link(Entry, frozen=True, kw_only=True):
    account: HolderField
    partner: LedgerField
    alias: AliasField
    # Absent where there are none, so that a link of before there were any is read as it was written.
    limits: LinkLimits | UnsetType = UNSET


class LinkIssued(_Link, frozen=True, kw_only=True, tag="link_issued"):
    """An account of ours may receive conversions from one partner under a random alias."""


class LinkAccepted(_Link, frozen=True, kw_only=True, tag="link_accepted"):
    """An account of ours may convert to what a partner calls `alias`."""


class LinkRevoked(Entry, frozen=True, kw_only=True, tag="link_revoked"):
    """A link ends, by the word that the side `by` gave at `revoked_at`; `notice` is a partner's UNLINK."""

    network: NetworkField
    account: HolderField
    partner: LedgerField
    issuer: LedgerField
    alias: AliasField
    by: LedgerField
    reason: UnlinkReason
    revoked_at: TimeField
    notice: DigestField | None
    partner_entry: EntryReference | None


class AccountErased(Entry, frozen=True, kw_only=True, tag="account_erased"):
    """The person behind an account is forgotten, and the account takes no further part.

    `postings` are what the person gave up: points to breakage.
    """

    account: HolderField
    postings: PostingsOrNone


MemberEntry: TypeAlias = LinkIssued | LinkAccepted | LinkRevoked | AccountErased


def member_body_of(entry: MemberEntry, reference: EntryReference) -> Unlink | None:
    """Return the UNLINK that our own word obliges us to send, or None."""
    if not isinstance(entry, LinkRevoked) or entry.notice is not None:
        return None
    return _unlink(entry, entry.by, entry.partner, reference)


def unlink_received(entry: LinkRevoked, *, ledger: Ledger) -> Unlink | None:
    """Return the UNLINK that `entry` of `ledger` repeats, or None where it repeats none."""
    if entry.partner_entry is None or entry.by != entry.partner:
        return None
    return _unlink(entry, entry.by, ledger, entry.partner_entry)


def _unlink(entry: LinkRevoked, sender: Ledger, receiver: Ledger, reference: EntryReference) -> Unlink:
    return Unlink(
        network=entry.network,
        sender=sender,
        receiver=receiver,
        issuer=entry.issuer,
        alias=entry.alias,
        reason=entry.reason,
        revoked_at=entry.revoked_at,
        entry=reference,
    )


def limits_or_none(limits: LinkLimits | UnsetType) -> LinkLimits | None:
    """Return a link's limits, or None where it has none."""
    return None if isinstance(limits, UnsetType) else limits


def present(limits: LinkLimits | None) -> LinkLimits | UnsetType:
    """Return limits as a link carries them: absent where they limit nothing."""
    return UNSET if limits is None or limits == LinkLimits() else limits
