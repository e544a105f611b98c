"""What can be asked of a ledger. A command names an outcome; `decide` proposes entries, `apply` judges them."""

from typing import TypeAlias

from protocol.agreement import RoleKey, SignedAgreement
from protocol.entries import Predecessor
from protocol.identifiers import Account, Asset, Digest, Id, Ledger, Network
from protocol.key_entries import SignedRotation
from protocol.ledger.appeal_commands import AppealCommand
from protocol.ledger.approval_commands import ApprovalCommand
from protocol.ledger.command import Command
from protocol.ledger.import_commands import ImportCommand
from protocol.ledger.lot_commands import LotCommand
from protocol.ledger.member_commands import AcceptLink, EraseAccount, IssueLink, MemberCommand, RevokeLink, TakeUnlink
from protocol.ledger.program_commands import ProgramCommand
from protocol.ledger.run_off_commands import RunOffCommand
from protocol.messages import (
    Cancel,
    Close,
    Dispute,
    End,
    EntryBody,
    Fulfil,
    PaymentAdvice,
    Prepare,
    Receipt,
    Reject,
    StatementSigned,
    Succeeded,
)
from protocol.recovery_entries import SeenCheckpoint
from protocol.statement import DisputedLine, Line, SignedStatement, StatementSignature

__all__ = ["AcceptLink", "Command", "EraseAccount", "IssueLink", "RevokeLink", "TakeUnlink"]


class CreateLedger(Command, frozen=True, kw_only=True):
    """Begin the log."""

    ledger: Ledger
    points: Asset
    points_name: str
    currencies: tuple[Asset, ...]
    keys: tuple[RoleKey, ...]
    next_log_key: Digest
    predecessor: Predecessor | None = None


class OpenAccount(Command, frozen=True, kw_only=True):
    """Open a holder's account."""

    account: Account


class CloseAccount(Command, frozen=True, kw_only=True):
    """Close an empty account."""

    account: Account


class IssuePoints(Command, frozen=True, kw_only=True):
    """Give a holder new points."""

    account: Account
    amount: int
    expires_on: str | None = None
    metadata: Digest | None = None


class RedeemPoints(Command, frozen=True, kw_only=True):
    """Use up a holder's points."""

    account: Account
    amount: int
    metadata: Digest | None = None


class TransferPoints(Command, frozen=True, kw_only=True):
    """Move points between two holders."""

    source: Account
    destination: Account
    amount: int
    metadata: Digest | None = None


class PlaceHold(Command, frozen=True, kw_only=True):
    """Set points aside."""

    account: Account
    amount: int
    expires_at: str | None = None
    metadata: Digest | None = None


class CaptureHold(Command, frozen=True, kw_only=True):
    """Redeem held points; `amount` None means all that remains; `final` releases the rest."""

    hold: Id
    amount: int | None
    final: bool


class ReleaseHold(Command, frozen=True, kw_only=True):
    """Give back what remains of a hold; `expired` is the node's own act once its time has passed."""

    hold: Id
    expired: bool = False


class AddPartner(Command, frozen=True, kw_only=True):
    """Know another ledger by its keys."""

    network: Network
    ledger: Ledger
    points: Asset
    keys: tuple[RoleKey, ...]


class EnterAgreement(Command, frozen=True, kw_only=True):
    """Let an agreement bind; its signatures have been verified. `forced` allows one whose loop multiplies points."""

    signed: SignedAgreement
    forced: bool = False


class OrderConversion(Command, frozen=True, kw_only=True):
    """Convert as many whole steps of `amount` source points as fit.

    `agreement` is that of an open quote, which outlives the agreement's end; `refund_of` a conversion to be returned.
    """

    account: Account
    destination: Ledger
    amount: int
    accept_by: str
    agreement: Digest | None = None
    refund_of: Id | None = None


class CancelConversion(Command, frozen=True, kw_only=True):
    """Ask the destination to refuse a conversion that it has not credited."""

    conversion: Id


class ForceRelease(Command, frozen=True, kw_only=True):
    """Give a member the held points back at the program's own risk, without the destination's word."""

    conversion: Id
    reason: str


class EndAgreement(Command, frozen=True, kw_only=True):
    """Give the partner notice that an agreement ends at `ends_at`."""

    agreement: Digest
    ends_at: str


class TakeEnd(Command, frozen=True, kw_only=True):
    """Enter the notice that a partner has given."""

    end: End
    digest: Digest


class DecidePrepare(Command, frozen=True, kw_only=True):
    """Credit or refuse a received PREPARE, whose envelope has been verified."""

    prepare: Prepare
    digest: Digest


class DecideCancel(Command, frozen=True, kw_only=True):
    """Refuse for ever a conversion that has not been credited, whether known or not."""

    cancel: Cancel
    digest: Digest


class ConcludeFulfil(Command, frozen=True, kw_only=True):
    """Capture on a received FULFIL."""

    fulfil: Fulfil
    digest: Digest


class ConcludeReject(Command, frozen=True, kw_only=True):
    """Release on a received REJECT."""

    reject: Reject
    digest: Digest


class CloseWindow(Command, frozen=True, kw_only=True):
    """Close the window that is open for conversions from a partner; before its end only with `early`."""

    partner: Ledger
    window: int
    early: bool = False


class ReceiveClose(Command, frozen=True, kw_only=True):
    """Take in the partner's close of conversions from this ledger."""

    close: Close
    digest: Digest


class DisputeLines(Command, frozen=True, kw_only=True):
    """Leave lines of conversions out of `source` out of the window's bill, by number and each once.

    `entered` are those of them that only the partner has: conversions of this ledger that it never captured.
    """

    partner: Ledger
    window: int
    source: Ledger
    lines: tuple[DisputedLine, ...]
    entered: tuple[Line, ...] = ()


class ReceiveDispute(Command, frozen=True, kw_only=True):
    """Leave out the lines that the partner does not agree to bill."""

    dispute: Dispute
    digest: Digest


class ProposeStatement(Command, frozen=True, kw_only=True):
    """Sign the window's statement first: `signed` has the signature of this ledger, the first party, alone."""

    partner: Ledger
    signed: SignedStatement


class AgreeStatement(Command, frozen=True, kw_only=True):
    """Enter the statement of a received `statement`: a proposal with our `signature`, or an acceptance as it is."""

    statement: StatementSigned
    digest: Digest
    signature: StatementSignature | None = None


class MakePayment(Command, frozen=True, kw_only=True):
    """Say that what a window's statement asks of this ledger is on its way."""

    partner: Ledger
    window: int
    reference: str


class ReceivePayment(Command, frozen=True, kw_only=True):
    """Take in the partner's word that its payment is on its way."""

    payment: PaymentAdvice
    digest: Digest


class ReturnPayment(Command, frozen=True, kw_only=True):
    """Take note that the money of this ledger's payment came back."""

    partner: Ledger
    window: int


class ConfirmPayment(Command, frozen=True, kw_only=True):
    """Confirm that the partner's payment has arrived."""

    partner: Ledger
    window: int


class ReceiveReceipt(Command, frozen=True, kw_only=True):
    """Take in the partner's word that this ledger's payment has arrived."""

    receipt: Receipt
    digest: Digest


class BeginRecovery(Command, frozen=True, kw_only=True):
    """Ask a partner for our words, of which its fence says that it has applied `words`.

    `seen` is the largest checkpoint of the ledger before that it has shown.
    """

    partner: Ledger
    seen: SeenCheckpoint | None
    words: int


class WaiveRecovery(Command, frozen=True, kw_only=True):
    """Go on without what a partner may still hold of our words."""

    partner: Ledger
    reason: str


class Recover(Command, frozen=True, kw_only=True):
    """Let a word of ours that the ledger before had said stand again; its sighting has been verified.

    `prepare` is the partner's own that a FULFIL or REJECT answers, as the partner gave it back or sent it; `entered`
    are the lines of a dispute that only the partner has. With `share`, points that its account no longer has are given
    at the program's cost.
    """

    partner: Ledger
    body: EntryBody
    digest: Digest
    prepare: Prepare | None = None
    entered: tuple[Line, ...] = ()
    share: bool = False


class EndRecovery(Command, frozen=True, kw_only=True):
    """Take note that a partner has given back all `words` of ours that it has applied."""

    partner: Ledger
    words: int


class TakeSuccession(Command, frozen=True, kw_only=True):
    """Enter a partner's word that its ledger goes on as another log."""

    succeeded: Succeeded
    digest: Digest


class OverrideStart(Command, frozen=True, kw_only=True):
    """Take note that an operator let this node start before `partners` and `witnesses` had answered."""

    partners: tuple[Ledger, ...]
    witnesses: tuple[str, ...] = ()
    reason: str


class SuspendPartner(Command, frozen=True, kw_only=True):
    """Begin nothing new with a partner, whose stream was applied up to `next_seq` of `epoch`."""

    partner: Ledger
    reason: str
    epoch: int
    next_seq: int


class ResumePartner(Command, frozen=True, kw_only=True):
    """Take a suspended partner back."""

    partner: Ledger
    reason: str


class RotateLogKey(Command, frozen=True, kw_only=True):
    """Sign the log with its next key as well."""

    signed: SignedRotation


class TakeLogKey(Command, frozen=True, kw_only=True):
    """Know a partner's log by its next key as well."""

    partner: Ledger
    signed: SignedRotation


AnyCommand: TypeAlias = (
    CreateLedger | OpenAccount | CloseAccount | IssuePoints | RedeemPoints | TransferPoints | PlaceHold
    | CaptureHold | ReleaseHold | AddPartner | EnterAgreement | MemberCommand | OrderConversion
    | CancelConversion | ForceRelease | EndAgreement | TakeEnd | DecidePrepare | DecideCancel | ConcludeFulfil
    | ConcludeReject | CloseWindow | ReceiveClose | DisputeLines | ReceiveDispute | ProposeStatement
    | AgreeStatement | MakePayment | ReceivePayment | ReturnPayment | ConfirmPayment | ReceiveReceipt
    | BeginRecovery | WaiveRecovery | Recover | EndRecovery | TakeSuccession | OverrideStart | SuspendPartner
    | ImportCommand | RunOffCommand | ResumePartner | RotateLogKey | TakeLogKey | ApprovalCommand | ProgramCommand
    | AppealCommand | LotCommand
)  # fmt: skip
