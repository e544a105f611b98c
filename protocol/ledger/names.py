"""Entry ids: a client draws a random UUID; what the ledger does by itself has one id, so that a repeat meets it."""

from typing import Final

from protocol.agreement import agreement_digest
from protocol.entries import (
    AccountClosed,
    AccountOpened,
    AgreementEnded,
    AgreementEntered,
    AnyEntry,
    ConversionCancelRequested,
    ConversionCaptured,
    ConversionCredited,
    ConversionHeld,
    ConversionRefused,
    ConversionReleased,
    Genesis,
    HoldCaptured,
    HoldPlaced,
    HoldReleased,
    PartnerAdded,
    PointsIssued,
    PointsRedeemed,
    PointsTransferred,
)
from protocol.errors import Code, IdentifierInvalid, Refusal
from protocol.identifiers import Account, Alias, Digest, Id, Ledger, parse_id, successor_of
from protocol.import_entries import BalanceImported, ImportBegun, ImportFinished
from protocol.key_entries import LogKeyRotated, PartnerLogKeyRotated
from protocol.member_entries import LinkRevoked
from protocol.messages import (
    Cancel,
    Close,
    ConversionKey,
    End,
    EntryBody,
    Fulfil,
    Prepare,
    Reject,
    StatementSigned,
    Unlink,
    UnlinkReason,
)
from protocol.point_entries import PointsExpired
from protocol.program_entries import ReviewOpened, TransferDeclined
from protocol.recovery_entries import PartnerSucceeded, Recovered, RecoveryBegun, RecoveryEnded
from protocol.run_off_entries import PartnerEnded
from protocol.statement import statement_digest
from protocol.window_entries import (
    DisputeReceived,
    PaymentReceived,
    ReceiptReceived,
    StatementAgreed,
    StatementProposed,
    WindowClosed,
    WindowCloseReceived,
)

_CHOSEN: Final = frozenset(
    {PointsTransferred, PointsIssued, PointsRedeemed, HoldPlaced, HoldCaptured, AccountOpened, AccountClosed}
)
"""Most entries are of these kinds, whose ids clients choose."""


def genesis_id(ledger: Ledger) -> Id:
    """Return the id of the entry that begins `ledger`."""
    return Id(f"genesis/{ledger}")


def partner_id(ledger: Ledger) -> Id:
    """Return the id of the entry that makes the partner `ledger` known."""
    return Id(f"partner/{ledger}")


def log_key_id(number: int) -> Id:
    """Return the id of the entry by which the log gets its key of that number."""
    return Id(f"log_key/{number}")


def partner_log_key_id(partner: Ledger, number: int) -> Id:
    """Return the id of the entry by which a partner's log is known by its key of that number."""
    return Id(f"partner_log_key/{partner}/{number}")


def import_id(file: Digest) -> Id:
    """Return the id of the entry that begins to take in a file of balances."""
    return Id(f"import/{file}")


def imported_id(file: Digest, row: int) -> Id:
    """Return the id of the entry that takes in a row of a file of balances."""
    return Id(f"imported/{file}/{row}")


def import_finished_id(file: Digest) -> Id:
    """Return the id of the entry by which all of a file of balances is in."""
    return Id(f"import_finished/{file}")


def partner_ended_id(partner: Ledger) -> Id:
    """Return the id of the entry by which a partnership is over."""
    return Id(f"partner_ended/{partner}")


def agreement_id(digest: Digest) -> Id:
    """Return the id of the entry by which an agreement binds."""
    return Id(f"agreement/{digest}")


def ended_id(digest: Digest, by: Ledger) -> Id:
    """Return the id of the notice that the party `by` gave of an agreement's end."""
    return Id(f"ended/{digest}/{by}")


def unlinked_id(issuer: Ledger, alias: Alias, *, by: Ledger, reason: UnlinkReason) -> Id:
    """Return the id of the word that the side `by` gave of a link's end, for that reason."""
    return Id(f"unlinked/{issuer}/{alias}/{by}/{reason}")


def expired_id(hold: Id) -> Id:
    """Return the id of the entry that releases a hold because its time has passed."""
    return Id(f"expired/{hold}")


def points_expired_id(account: Account, *, seq: int, part: int, as_of: str) -> Id:
    """Return the id of the entry that posts lots of `account` as lost, the first of them by its number."""
    return Id(f"lots_expired/{account}/{seq}/{part}/{as_of}")


def lapsed_id(transfer: Id) -> Id:
    """Return the id of the entry that gives a transfer back because nobody can accept it any more."""
    return Id(f"lapsed/{transfer}")


def review_id(order: Id) -> Id:
    """Return the id of the entry, and of the hold, by which an order waits for review."""
    return Id(f"review/{order}")


def cancel_id(conversion: Id) -> Id:
    """Return the id of the one wish to cancel an outgoing conversion."""
    return Id(f"cancel/{conversion}")


def conclusion_id(conversion: Id) -> Id:
    """Return the id of the entry that captures or releases an outgoing conversion."""
    return Id(f"concluded/{conversion}")


def decision_id(key: ConversionKey) -> Id:
    """Return the id of the one decision about an incoming conversion."""
    return Id(f"decided/{key.network}/{key.source}/{key.id}")


def window_id(partner: Ledger, window: int) -> Id:
    """Return the id of the entry that closes a window for conversions from `partner`."""
    return Id(f"window/{partner}/{window}")


def close_id(partner: Ledger, window: int) -> Id:
    """Return the id of the entry that takes in the partner's close of a window."""
    return Id(f"close_received/{partner}/{window}")


def proposal_id(statement: Digest) -> Id:
    """Return the id of the entry that proposes a statement."""
    return Id(f"proposal/{statement}")


def statement_id(partner: Ledger, window: int) -> Id:
    """Return the id of the entry that agrees on a window's statement."""
    return Id(f"statement/{partner}/{window}")


def received_id(digest: Digest) -> Id:
    """Return the id of the entry that takes in a dispute, a payment or a receipt."""
    return Id(f"received/{digest}")


def recovery_id(log: Ledger, partner: Ledger) -> Id:
    """Return the id of the entry by which the successor `log` asks `partner` for its words."""
    return Id(f"recovery/{log}/{partner}")


def recovery_ended_id(log: Ledger, partner: Ledger) -> Id:
    """Return the id of the entry that ends the recovery of `log` from `partner`."""
    return Id(f"recovery_ended/{log}/{partner}")


def succession_id(log: Ledger) -> Id:
    """Return the id of the entry by which a partner's ledger is known to go on as `log`."""
    return Id(f"succeeded/{log}")


def recovered_id(body: EntryBody, digest: Digest) -> Id:
    """Return the id of the entry that lets `body` stand again: that of the lost entry, where the body tells it."""
    match body:
        case Prepare():
            return body.id
        case Cancel():
            return cancel_id(body.id)
        case Fulfil() | Reject():
            return decision_id(body.key)
        case End() | Unlink():
            return _notice_id(body)
        case Close():
            return window_id(body.receiver, body.window)
        case StatementSigned():
            complete = len(body.signed.signatures) == len(body.signed.statement.parties)
            if complete:
                return statement_id(body.receiver, body.window)
            return proposal_id(statement_digest(body.signed.statement))
        case _:
            return Id(f"recovered/{digest}")


def _notice_id(body: End | Unlink) -> Id:
    if isinstance(body, Unlink):
        return unlinked_id(body.issuer, body.alias, by=body.sender, reason=body.reason)
    return ended_id(body.agreement, body.sender)


def id_of(entry: AnyEntry, *, ledger: Ledger) -> Id | None:
    """Return the only id that `entry` of `ledger` can have, or None when a client chose it."""
    if type(entry) in _CHOSEN:
        return None
    match entry:
        case Genesis():
            return genesis_id(entry.ledger)
        case PartnerAdded():
            return partner_id(entry.ledger)
        case AgreementEntered():
            return agreement_id(agreement_digest(entry.signed.agreement))
        case AgreementEnded():
            return ended_id(entry.agreement, entry.by)
        case HoldReleased(expired=True):
            return expired_id(entry.hold)
        case PointsExpired():
            first = entry.lots[0]
            return points_expired_id(entry.account, seq=first.seq, part=first.part, as_of=entry.occurred_on)
        case _:
            return _conversion_id_of(entry, ledger) or _window_id_of(entry) or _recovery_id_of(entry)


def _conversion_id_of(entry: AnyEntry, ledger: Ledger) -> Id | None:
    match entry:
        case ConversionHeld():
            return entry.conversion
        case ConversionCancelRequested():
            return cancel_id(entry.conversion)
        case ConversionCaptured() | ConversionReleased():
            return conclusion_id(entry.conversion)
        case ConversionCredited() | ConversionRefused():
            return decision_id(ConversionKey(entry.network, entry.source, ledger, entry.conversion))
        case _:
            return None


def _window_id_of(entry: AnyEntry) -> Id | None:
    match entry:
        case WindowClosed():
            return window_id(entry.partner, entry.window)
        case WindowCloseReceived():
            return close_id(entry.partner, entry.window)
        case DisputeReceived():
            return received_id(entry.dispute)
        case PaymentReceived():
            return received_id(entry.payment)
        case ReceiptReceived():
            return received_id(entry.receipt)
        case StatementProposed():
            return proposal_id(statement_digest(entry.signed.statement))
        case StatementAgreed():
            return statement_id(entry.partner, entry.window)
        case _:
            return None


def _recovery_id_of(entry: AnyEntry) -> Id | None:
    match entry:
        case RecoveryBegun():
            return recovery_id(successor_of(entry.predecessor.ledger), entry.partner)
        case RecoveryEnded():
            return recovery_ended_id(entry.log, entry.partner)
        case PartnerSucceeded():
            return succession_id(entry.log)
        case Recovered():
            return recovered_id(entry.body, entry.digest)
        case _:
            return _key_id_of(entry)


def _key_id_of(entry: AnyEntry) -> Id | None:
    match entry:
        case LogKeyRotated():
            return log_key_id(entry.number)
        case PartnerLogKeyRotated():
            return partner_log_key_id(entry.partner, entry.number)
        case LinkRevoked():
            return unlinked_id(entry.issuer, entry.alias, by=entry.by, reason=entry.reason)
        case PartnerEnded():
            return partner_ended_id(entry.partner)
        case ImportBegun():
            return import_id(entry.file)
        case BalanceImported():
            return imported_id(entry.file, entry.row)
        case ImportFinished():
            return import_finished_id(entry.file)
        case _:
            return _program_id_of(entry)


def _program_id_of(entry: AnyEntry) -> Id | None:
    match entry:
        case TransferDeclined(by="time"):
            return lapsed_id(Id(entry.transfer))
        case ReviewOpened():
            return review_id(Id(entry.order_id))
        case _:
            return None


def check_id(entry: AnyEntry, *, ledger: Ledger) -> None:
    """Refuse an id that is neither the one that `entry` must have nor, where a client chooses, a random UUID."""
    expected = id_of(entry, ledger=ledger)
    if expected is None:
        try:
            parse_id(entry.id)
        except IdentifierInvalid as error:
            raise Refusal(Code.ID_INVALID, str(error)) from error
    elif entry.id != expected:
        raise Refusal(Code.ID_INVALID, f"the id of this entry is {expected}")
