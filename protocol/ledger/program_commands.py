"""What can be asked of a ledger about its program's terms, and about what they govern."""

from typing import Literal, TypeAlias

from protocol.identifiers import Account, Digest, Id
from protocol.ledger.command import Command
from protocol.program import ProgramTerms
from protocol.program_entries import Order


class SetProgram(Command, frozen=True, kw_only=True):
    """Let the program have these terms from here on."""

    terms: ProgramTerms
    reason: str


class FreezeAccount(Command, frozen=True, kw_only=True):
    """Let a holder begin nothing that takes points."""

    account: Account
    reason: str


class UnfreezeAccount(Command, frozen=True, kw_only=True):
    """Open a frozen account again."""

    account: Account
    reason: str


class MergeAccount(Command, frozen=True, kw_only=True):
    """Let all points of `account` go to `survivor`, and what comes for it later."""

    account: Account
    survivor: Account
    reason: str


class OfferTransfer(Command, frozen=True, kw_only=True):
    """Offer points of a member to another; the program's terms say at what fee and until when."""

    account: Account
    recipient: Account
    amount: int
    metadata: Digest | None = None


class AcceptTransfer(Command, frozen=True, kw_only=True):
    """Take what was offered."""

    transfer: Id


class DeclineTransfer(Command, frozen=True, kw_only=True):
    """Give back what was offered; `time` is the node's own act once nobody can accept any more."""

    transfer: Id
    by: Literal["recipient", "sender", "time"]


class OpenReview(Command, frozen=True, kw_only=True):
    """Put an order up for review; the command's id is made of the `order_id`."""

    order_id: Id
    account: Account
    screen: str
    digest: Digest
    points: int
    order: Order


class CloseReview(Command, frozen=True, kw_only=True):
    """Decide an order that is under review."""

    order_id: Id
    approved: bool
    reason: str


ProgramCommand: TypeAlias = (
    SetProgram | FreezeAccount | UnfreezeAccount | MergeAccount | OfferTransfer | AcceptTransfer | DeclineTransfer
    | OpenReview | CloseReview
)  # fmt: skip
