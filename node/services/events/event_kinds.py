"""What each kind of entry tells the systems of a programme: typed events, a function of the entry (specs/events.md).

A kind that tells nothing says so here, with the reason; a test wants every kind in one of the two tables.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from typing import Final, Protocol, TypeAlias, cast

from protocol.agreement import agreement_digest
from protocol.appeal_entries import AppealDecided, AppealOutcome
from protocol.approval_entries import PointsAdjusted
from protocol.entries import (
    AgreementEntered,
    AnyEntry,
    ConversionCaptured,
    ConversionForced,
    ConversionHeld,
    ConversionReleased,
    HoldCaptured,
    HoldReleased,
    Posting,
)
from protocol.identifiers import Account, Id, Ledger
from protocol.import_entries import BalanceImported
from protocol.ledger.postings import is_holder
from protocol.ledger.program_state import ReviewRecord, TransferRecord
from protocol.ledger.state import HoldRecord, OutgoingRecord
from protocol.program_entries import AccountMerged, ReviewClosed, TransferAccepted, TransferDeclined, TransferOffered
from protocol.statement import SignedStatement, statement_digest

AT_RISK: Final = ("loss/", "contingent/")
"""Accounts that only a conversion moves whose points were given back by force."""


@unique
class EventType(StrEnum):
    """What can happen, as subscribers name it."""

    ACCOUNT_OPENED = "account.opened"
    ACCOUNT_CLOSED = "account.closed"
    ACCOUNT_FROZEN = "account.frozen"
    ACCOUNT_UNFROZEN = "account.unfrozen"
    ACCOUNT_MERGED = "account.merged"
    ACCOUNT_ERASED = "account.erased"
    POINTS_ISSUED = "points.issued"
    POINTS_REDEEMED = "points.redeemed"
    POINTS_TRANSFERRED = "points.transferred"
    POINTS_REVERSED = "points.reversed"
    POINTS_EXPIRED = "points.expired"
    POINTS_EXPIRING = "points.expiring"
    POINTS_ADJUSTED = "points.adjusted"
    POINTS_IMPORTED = "points.imported"
    TRANSFER_OFFERED = "transfer.offered"
    TRANSFER_ACCEPTED = "transfer.accepted"
    TRANSFER_DECLINED = "transfer.declined"
    REVIEW_OPENED = "review.opened"
    REVIEW_CLOSED = "review.closed"
    HOLD_PLACED = "hold.placed"
    HOLD_CAPTURED = "hold.captured"
    HOLD_RELEASED = "hold.released"
    LINK_MADE = "link.made"
    LINK_REVOKED = "link.revoked"
    CONVERSION_PENDING = "conversion.pending"
    CONVERSION_CANCELLING = "conversion.cancelling"
    CONVERSION_COMPLETED = "conversion.completed"
    CONVERSION_RETURNED = "conversion.returned"
    CONVERSION_CREDITED = "conversion.credited"
    CONVERSION_REFUSED = "conversion.refused"
    PARTNER_ADDED = "partner.added"
    PARTNER_SUSPENDED = "partner.suspended"
    PARTNER_RESUMED = "partner.resumed"
    PARTNER_SUCCEEDED = "partner.succeeded"
    PARTNER_ENDED = "partner.ended"
    AGREEMENT_ENTERED = "agreement.entered"
    AGREEMENT_ENDED = "agreement.ended"
    WINDOW_CLOSED = "window.closed"
    STATEMENT_DISPUTED = "statement.disputed"
    STATEMENT_PROPOSED = "statement.proposed"
    STATEMENT_AGREED = "statement.agreed"
    PAYMENT_MADE = "payment.made"
    PAYMENT_RECEIVED = "payment.received"
    PAYMENT_RETURNED = "payment.returned"
    PAYMENT_CONFIRMED = "payment.confirmed"
    PROGRAM_CHANGED = "program.changed"
    ACTION_PROPOSED = "action.proposed"
    ACTION_APPROVED = "action.approved"
    ACTION_REFUSED = "action.refused"
    APPEAL_OPENED = "appeal.opened"
    APPEAL_MESSAGE = "appeal.message"
    APPEAL_DECIDED = "appeal.decided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One thing that an entry tells, about an account, a partner, both or neither."""

    type: EventType
    account: Account | None
    partner: Ledger | None
    data: Mapping[str, object]


class Look(Protocol):
    """What an entry does not repeat: rows of the ledger's state that never change in what is read of them."""

    def hold(self, hold: Id) -> HoldRecord | None:
        """Return a hold."""

    def order(self, conversion: Id) -> OutgoingRecord | None:
        """Return a conversion out of this ledger."""

    def transfer(self, transfer: Id) -> TransferRecord | None:
        """Return a transfer that waited, or waits, for its recipient."""

    def review(self, order: Id) -> ReviewRecord | None:
        """Return a review by the id of the order that it is about."""


Tell: TypeAlias = Callable[[AnyEntry, Look], Iterator[Told]]


def _plain(kind: EventType, *fields: str, partner: str = "partner", **said: object) -> Tell:
    """Return what tells `fields` of an entry as they stand in it, and `said`; its account, too, if it has one."""

    def tell(entry: AnyEntry, _look: Look) -> Iterator[Told]:
        found: dict[str, object] = {name: getattr(entry, name) for name in fields}
        yield Told(
            type=kind,
            account=cast("Account | None", getattr(entry, "account", None)),
            partner=cast("Ledger | None", getattr(entry, partner, None)),
            data={**found, **said},
        )

    return tell


def _moved(kind: EventType, *fields: str, partner: str = "partner") -> Tell:
    """Return what tells each holder whom an entry's postings give or take points; `amount` is signed."""

    def tell(entry: AnyEntry, _look: Look) -> Iterator[Told]:
        found: dict[str, object] = {name: getattr(entry, name) for name in fields}
        for posting in _holders(entry):
            yield Told(
                type=kind,
                account=posting.account,
                partner=cast("Ledger | None", getattr(entry, partner, None)),
                data={"amount": posting.amount, **found},
            )

    return tell


def _holders(entry: AnyEntry) -> list[Posting]:
    postings = cast("tuple[Posting, ...]", getattr(entry, "postings", ()))
    return [posting for posting in postings if is_holder(posting.account)]


def _captured_hold(entry: AnyEntry, look: Look) -> Iterator[Told]:
    assert isinstance(entry, HoldCaptured)
    hold = look.hold(entry.hold)
    data = {"hold": entry.hold, "amount": -sum(each.amount for each in _holders(entry)), "final": entry.final}
    yield Told(type=EventType.HOLD_CAPTURED, account=hold.account if hold else None, partner=None, data=data)


def _released_hold(entry: AnyEntry, look: Look) -> Iterator[Told]:
    assert isinstance(entry, HoldReleased)
    hold = look.hold(entry.hold)
    data = {"hold": entry.hold, "expired": entry.expired}
    yield Told(type=EventType.HOLD_RELEASED, account=hold.account if hold else None, partner=None, data=data)


def _pending(entry: AnyEntry, _look: Look) -> Iterator[Told]:
    assert isinstance(entry, ConversionHeld)
    data = {
        "conversion": entry.conversion,
        "source_points": entry.source_points,
        "destination_points": entry.destination_points,
        "fee_points": entry.fee_points,
        "accept_by": entry.accept_by,
        "refund_of": entry.refund_of,
    }
    yield Told(type=EventType.CONVERSION_PENDING, account=entry.account, partner=entry.destination, data=data)


def _of_order(kind: EventType, *fields: str, **said: object) -> Tell:
    """Return what tells the end, or the wish for it, of a conversion out of this ledger; `forced` by its postings."""

    def tell(entry: AnyEntry, look: Look) -> Iterator[Told]:
        assert hasattr(entry, "conversion")
        order = look.order(cast("Id", getattr(entry, "conversion")))  # noqa: B009 - not every kind has it
        found: dict[str, object] = {name: getattr(entry, name) for name in ("conversion", *fields)}
        account = order.account if order is not None and is_holder(order.account) else None
        data = {**found, "forced": _is_forced(entry), **said}
        yield Told(type=kind, account=account, partner=order.destination if order else None, data=data)

    return tell


def _is_forced(entry: AnyEntry) -> bool:
    if not isinstance(entry, ConversionCaptured | ConversionReleased):
        return isinstance(entry, ConversionForced)
    return any(posting.account.startswith(AT_RISK) for posting in entry.postings)


def _agreement(entry: AnyEntry, _look: Look) -> Iterator[Told]:
    assert isinstance(entry, AgreementEntered)
    agreement = entry.signed.agreement
    data = {
        "agreement": agreement_digest(agreement),
        "number": agreement.number,
        "valid_from": agreement.valid_from,
        "parties": [party.ledger for party in agreement.parties],
    }
    yield Told(type=EventType.AGREEMENT_ENTERED, account=None, partner=None, data=data)


def _statement(kind: EventType) -> Tell:
    def tell(entry: AnyEntry, _look: Look) -> Iterator[Told]:
        signed = cast("SignedStatement", getattr(entry, "signed", None))
        data = {"window": getattr(entry, "window", None), "statement": statement_digest(signed.statement)}
        yield Told(type=kind, account=None, partner=cast("Ledger", getattr(entry, "partner", None)), data=data)

    return tell


def _merged(entry: AnyEntry, _look: Look) -> Iterator[Told]:
    """Tell the account that is no more, and the one that has its points."""
    assert isinstance(entry, AccountMerged)
    amount = sum(posting.amount for posting in _holders(entry) if posting.account == entry.survivor)
    data = {"account": entry.account, "survivor": entry.survivor, "amount": amount, "reason": entry.reason}
    for account in (entry.account, entry.survivor):
        yield Told(type=EventType.ACCOUNT_MERGED, account=account, partner=None, data=data)


def _offered(entry: AnyEntry, _look: Look) -> Iterator[Told]:
    """Tell both ends of an offered transfer, each what it is to know."""
    assert isinstance(entry, TransferOffered)
    shared = {
        "transfer": entry.id,
        "amount": entry.amount,
        "accept_from": entry.accept_from,
        "accept_by": entry.accept_by,
    }
    out = {**shared, "way": "out", "fee": entry.fee}
    yield Told(type=EventType.TRANSFER_OFFERED, account=entry.account, partner=None, data=out)
    yield Told(type=EventType.TRANSFER_OFFERED, account=entry.recipient, partner=None, data={**shared, "way": "in"})


def _accepted(entry: AnyEntry, _look: Look) -> Iterator[Told]:
    assert isinstance(entry, TransferAccepted)
    for posting in _holders(entry):
        data = {"transfer": entry.transfer, "amount": posting.amount}
        yield Told(type=EventType.TRANSFER_ACCEPTED, account=posting.account, partner=None, data=data)


def _declined(entry: AnyEntry, look: Look) -> Iterator[Told]:
    assert isinstance(entry, TransferDeclined)
    offer = look.transfer(entry.transfer)
    for account in () if offer is None else (offer.account, offer.recipient):
        data = {"transfer": entry.transfer, "by": entry.by}
        yield Told(type=EventType.TRANSFER_DECLINED, account=account, partner=None, data=data)


def _reviewed(entry: AnyEntry, look: Look) -> Iterator[Told]:
    assert isinstance(entry, ReviewClosed)
    review = look.review(entry.order_id)
    data = {"order_id": entry.order_id, "approved": entry.approved, "reason": entry.reason}
    yield Told(type=EventType.REVIEW_CLOSED, account=review.account if review else None, partner=None, data=data)


def _imported(entry: AnyEntry, _look: Look) -> Iterator[Told]:
    assert isinstance(entry, BalanceImported)
    data = {"amount": sum(each.amount for each in _holders(entry)), "expires_on": entry.expires_on}
    yield Told(type=EventType.POINTS_IMPORTED, account=entry.account, partner=None, data=data)


def _adjusted(entry: AnyEntry, _look: Look) -> Iterator[Told]:
    """Tell the holder's new points, and the end of the appeal that they decide."""
    assert isinstance(entry, PointsAdjusted)
    for posting in _holders(entry):
        data = {
            "amount": posting.amount,
            "reason": entry.reason,
            "appeal": entry.appeal,
            "expires_on": entry.expires_on,
        }
        yield Told(type=EventType.POINTS_ADJUSTED, account=posting.account, partner=None, data=data)
        if entry.appeal is not None:
            decided = {"appeal": entry.appeal, "outcome": AppealOutcome.UPHELD, "reason": entry.reason}
            yield Told(type=EventType.APPEAL_DECIDED, account=posting.account, partner=None, data=decided)


def _decided(entry: AnyEntry, _look: Look) -> Iterator[Told]:
    assert isinstance(entry, AppealDecided)
    data = {"appeal": entry.appeal, "outcome": entry.outcome, "reason": entry.reason}
    yield Told(type=EventType.APPEAL_DECIDED, account=entry.account, partner=None, data=data)


_WINDOW: Final = ("window",)
TELLS: Final[Mapping[str, Tell]] = {
    "account_opened": _plain(EventType.ACCOUNT_OPENED),
    "account_closed": _plain(EventType.ACCOUNT_CLOSED),
    "account_frozen": _plain(EventType.ACCOUNT_FROZEN, "reason"),
    "account_unfrozen": _plain(EventType.ACCOUNT_UNFROZEN, "reason"),
    "account_merged": _merged,
    "account_erased": _plain(EventType.ACCOUNT_ERASED),
    "points_issued": _moved(EventType.POINTS_ISSUED, "expires_on", "spendable_on"),
    "points_redeemed": _moved(EventType.POINTS_REDEEMED),
    "points_transferred": _moved(EventType.POINTS_TRANSFERRED),
    "points_reversed": _moved(EventType.POINTS_REVERSED, "reverses", "asked"),
    "points_expired": _moved(EventType.POINTS_EXPIRED),
    "points_adjusted": _adjusted,
    "balance_imported": _imported,
    "transfer_offered": _offered,
    "transfer_accepted": _accepted,
    "transfer_declined": _declined,
    "review_opened": _plain(EventType.REVIEW_OPENED, "screen", "points", "order_id"),
    "review_closed": _reviewed,
    "hold_placed": _plain(EventType.HOLD_PLACED, "amount", "expires_at"),
    "hold_captured": _captured_hold,
    "hold_released": _released_hold,
    "link_issued": _plain(EventType.LINK_MADE, way="in"),
    "link_accepted": _plain(EventType.LINK_MADE, way="out"),
    "link_revoked": _plain(EventType.LINK_REVOKED, "by", "reason"),
    "conversion_held": _pending,
    "conversion_cancel_requested": _of_order(EventType.CONVERSION_CANCELLING),
    "conversion_captured": _of_order(EventType.CONVERSION_COMPLETED, "decided_at", "expires_on"),
    "conversion_released": _of_order(EventType.CONVERSION_RETURNED, "reason", "decided_at"),
    "conversion_forced": _of_order(EventType.CONVERSION_RETURNED, "reason"),
    "conversion_credited": _moved(
        EventType.CONVERSION_CREDITED, "conversion", "refund_of", "expires_on", partner="source"
    ),
    "conversion_refused": _plain(EventType.CONVERSION_REFUSED, "conversion", "reason", partner="source"),
    "partner_added": _plain(EventType.PARTNER_ADDED, "points", partner="ledger"),
    "partner_suspended": _plain(EventType.PARTNER_SUSPENDED, "reason"),
    "partner_resumed": _plain(EventType.PARTNER_RESUMED, "reason"),
    "partner_succeeded": _plain(EventType.PARTNER_SUCCEEDED, "log"),
    "partner_ended": _plain(EventType.PARTNER_ENDED, "reason", "statement"),
    "agreement_entered": _agreement,
    "agreement_ended": _plain(EventType.AGREEMENT_ENDED, "agreement", "by", "ends_at"),
    "window_closed": _plain(EventType.WINDOW_CLOSED, *_WINDOW, by="us"),
    "window_close_received": _plain(EventType.WINDOW_CLOSED, *_WINDOW, by="partner"),
    "lines_disputed": _plain(EventType.STATEMENT_DISPUTED, *_WINDOW, by="us"),
    "dispute_received": _plain(EventType.STATEMENT_DISPUTED, *_WINDOW, by="partner"),
    "statement_proposed": _statement(EventType.STATEMENT_PROPOSED),
    "statement_agreed": _statement(EventType.STATEMENT_AGREED),
    "payment_made": _plain(EventType.PAYMENT_MADE, *_WINDOW, "statement", "currency", "minor_units", "reference"),
    "payment_received": _plain(
        EventType.PAYMENT_RECEIVED, *_WINDOW, "statement", "currency", "minor_units", "reference"
    ),
    "payment_returned": _plain(EventType.PAYMENT_RETURNED, *_WINDOW),
    "payment_confirmed": _plain(EventType.PAYMENT_CONFIRMED, *_WINDOW, "statement", by="us"),
    "receipt_received": _plain(EventType.PAYMENT_CONFIRMED, *_WINDOW, "statement", by="partner"),
    "program_set": _plain(EventType.PROGRAM_CHANGED, "reason"),
    "action_proposed": _plain(EventType.ACTION_PROPOSED, "entry", "by", "expires_at"),
    "action_approved": _plain(EventType.ACTION_APPROVED, "proposal", "entry", "by"),
    "action_refused": _plain(EventType.ACTION_REFUSED, "proposal", "entry", "by", "reason"),
    "appeal_opened": _plain(EventType.APPEAL_OPENED, "id", "reason", "about", "deadline", "by"),
    "appeal_message": _plain(EventType.APPEAL_MESSAGE, "appeal", "by", "asks"),
    "appeal_decided": _decided,
}
"""The kinds that tell something, by their tags."""

SILENT: Final[Mapping[str, str]] = {
    "genesis": "nobody listened before there was a ledger",
    "import_begun": "each balance is told as it comes in",
    "import_finished": "each balance was told as it came in",
    "recovery_begun": "it is between ledgers",
    "recovery_waived": "it is between ledgers",
    "recovered": "what it recovers was told when it was first said",
    "recovery_ended": "it is between ledgers",
    "start_overridden": "operators see it in the standing of the ledger",
    "log_key_rotated": "keys are the auditors' business",
    "partner_log_key_rotated": "keys are the auditors' business",
}
"""The kinds that tell nothing, and why."""


def told_by(entry: AnyEntry, look: Look) -> tuple[Told, ...]:
    """Return what an entry tells, in its order: the same for the same entry, always."""
    tell = TELLS.get(str(entry.__struct_config__.tag))
    return () if tell is None else tuple(tell(entry, look))
