"""Entry ids: a client draws a random UUID; what the ledger does by itself has one id, so that a repeat meets it."""

from protocol.agreement import agreement_digest
from protocol.entries import (
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
    HoldReleased,
    PartnerAdded,
    PointsIssued,
    PointsRedeemed,
    PointsTransferred,
)
from protocol.errors import Code, IdentifierInvalid, Refusal
from protocol.identifiers import Digest, Id, Ledger, parse_id, successor_of
from protocol.key_entries import LogKeyRotated, PartnerLogKeyRotated
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
)
from protocol.recovery_entries import PartnerSucceeded, Recovered, RecoveryBegun, RecoveryEnded
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


def agreement_id(digest: Digest) -> Id:
    """Return the id of the entry by which an agreement binds."""
    return Id(f"agreement/{digest}")


def ended_id(digest: Digest, by: Ledger) -> Id:
    """Return the id of the notice that the party `by` gave of an agreement's end."""
    return Id(f"ended/{digest}/{by}")


def expired_id(hold: Id) -> Id:
    """Return the id of the entry that releases a hold because its time has passed."""
    return Id(f"expired/{hold}")


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
        case End():
            return ended_id(body.agreement, body.sender)
        case Close():
            return window_id(body.receiver, body.window)
        case StatementSigned():
            complete = len(body.signed.signatures) == len(body.signed.statement.parties)
            if complete:
                return statement_id(body.receiver, body.window)
            return proposal_id(statement_digest(body.signed.statement))
        case _:
            return Id(f"recovered/{digest}")


def id_of(entry: AnyEntry, *, ledger: Ledger) -> Id | None:
    """Return the only id that `entry` of `ledger` can have, or None when a client chose it."""
    if isinstance(entry, PointsTransferred | PointsIssued | PointsRedeemed):
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
