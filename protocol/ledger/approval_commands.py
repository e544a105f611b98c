"""What can be asked of a ledger about acts that two people answer for."""

from typing import TypeAlias

from protocol.approval_entries import Action
from protocol.identifiers import Digest, Id
from protocol.ledger.command import Command


class ProposeAction(Command, frozen=True, kw_only=True):
    """Propose that the entry `entry` be written; `by` is the credential of the person who does."""

    entry: Id
    action: Action
    by: str
    expires_at: str
    metadata: Digest | None = None


class ApproveAction(Command, frozen=True, kw_only=True):
    """Approve what `proposal` says about the entry `entry`."""

    proposal: Id
    entry: Id
    by: str


class RefuseAction(Command, frozen=True, kw_only=True):
    """Let what `proposal` says not be done."""

    proposal: Id
    entry: Id
    by: str
    reason: str


class AdjustPoints(Command, frozen=True, kw_only=True):
    """Carry out the approved adjustment whose entry has this command's id."""


ApprovalCommand: TypeAlias = ProposeAction | ApproveAction | RefuseAction | AdjustPoints
