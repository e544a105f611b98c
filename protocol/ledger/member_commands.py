"""What can be asked of a ledger about members' links, and about a member who is to be forgotten."""

from typing import TypeAlias

from protocol.documents import LinkLimits
from protocol.identifiers import Account, Alias, Digest, Ledger
from protocol.ledger.command import Command
from protocol.member_entries import UnlinkReason
from protocol.messages import Unlink


class IssueLink(Command, frozen=True, kw_only=True):
    """Let one partner know an account of ours by an alias."""

    account: Account
    partner: Ledger
    alias: Alias
    limits: LinkLimits | None = None


class AcceptLink(Command, frozen=True, kw_only=True):
    """Connect an account of ours with what a partner calls `alias`; the link's signature has been verified."""

    account: Account
    partner: Ledger
    alias: Alias
    limits: LinkLimits | None = None


class RevokeLink(Command, frozen=True, kw_only=True):
    """End a link, by this side's own word; `issuer` is the side that drew the alias."""

    account: Account
    partner: Ledger
    issuer: Ledger
    alias: Alias
    reason: UnlinkReason


class TakeUnlink(Command, frozen=True, kw_only=True):
    """Enter a partner's word that a link has ended."""

    unlink: Unlink
    digest: Digest


class EraseAccount(Command, frozen=True, kw_only=True):
    """Close the account of a person who is forgotten; with `forfeit`, what points it has go to breakage."""

    account: Account
    forfeit: bool


MemberCommand: TypeAlias = IssueLink | AcceptLink | RevokeLink | TakeUnlink | EraseAccount
