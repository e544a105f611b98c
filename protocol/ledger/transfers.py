"""Transfers between members: offered with the points on hold, then accepted or declined (specs/program.md §5)."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from protocol.entries import Posting, transfer_postings
from protocol.errors import Code, Refusal
from protocol.fields import later
from protocol.identifiers import Account, Asset, Id
from protocol.ledger.holds import consume, free, place
from protocol.ledger.limiting import Use, check_kind, give_back, needs_reservation, needs_use, reserve
from protocol.ledger.lots import fixed_pieces, needs_clock, recorded_on, restart_clock
from protocol.ledger.moment import Moment, occurred
from protocol.ledger.postings import (
    check_postings,
    ledger_record,
    move_structural,
    open_account,
    receive_pieces,
    split_pieces,
)
from protocol.ledger.program_commands import AcceptTransfer, DeclineTransfer, OfferTransfer
from protocol.ledger.program_state import (
    REVIEWS,
    TRANSFER_PAIRS,
    TRANSFERS,
    PairRecord,
    ReviewState,
    TransferRecord,
    TransferState,
)
from protocol.ledger.programs import terms_of
from protocol.ledger.state import ACCOUNTS, BALANCES, HOLDS, HoldRecord, Piece
from protocol.ledger.view import Need, Overlay, View, need, need_book
from protocol.points import check_amount
from protocol.program import TRANSFER_IN, TRANSFER_OUT, TransferTerms
from protocol.program_entries import TransferAccepted, TransferDeclined, TransferOffered, TransferOrder

FEES: Final = Account("fees")
HOUR_SECONDS: Final = 3_600
_STATES: Final = {
    "recipient": TransferState.DECLINED,
    "sender": TransferState.CANCELLED,
    "time": TransferState.LAPSED,
}


def hold_of(transfer: Id) -> Id:
    """Return the hold of a transfer: no request can name it, so it moves only by the transfer."""
    return Id(f"transfer/{transfer}")


def _out(record: TransferOffered | OfferTransfer | TransferRecord) -> Use:
    return Use(activity=TRANSFER_OUT, account=record.account, points=record.amount)


def _in(record: TransferRecord) -> Use:
    return Use(activity=TRANSFER_IN, account=record.recipient, points=record.amount)


def needs_offer(view: Overlay, command: OfferTransfer) -> Iterator[Need]:
    """Name both accounts, the sender's lots, whether they know each other, and what limits count."""
    yield need(ACCOUNTS, command.account)
    yield need(ACCOUNTS, command.recipient)
    yield need_book(command.account)
    yield need(TRANSFERS, command.id)
    yield need(TRANSFER_PAIRS, (command.account, command.recipient))
    yield need(REVIEWS, command.id)
    yield need(HOLDS, hold_of(command.id))
    yield from needs_use(view, _out(command))


def decide_offer(view: View, command: OfferTransfer, moment: Moment) -> TransferOffered:
    """Propose an offer on the program's terms."""
    check_amount(command.amount)
    terms = terms_of(view).transfers
    accept_from, accept_by = _times(view, terms, command.account, command.recipient, at=moment.time)
    return TransferOffered(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        account=command.account,
        recipient=command.recipient,
        amount=command.amount,
        fee=terms.fee(command.amount),
        accept_from=accept_from,
        accept_by=accept_by,
        metadata=command.metadata,
    )


def _times(view: View, terms: TransferTerms, account: Account, recipient: Account, *, at: str) -> tuple[str, str]:
    """Return from when and until when an offer made at `at` can be accepted."""
    known = view.get(TRANSFER_PAIRS, (account, recipient)) is not None
    accept_from = at if known else later(at, seconds=terms.cooling_off_hours * HOUR_SECONDS)
    return accept_from, later(accept_from, seconds=terms.accept_within_hours * HOUR_SECONDS)


def apply_offered(view: View, entry: TransferOffered) -> None:
    """Set the points and the fee aside, on the program's terms, until the recipient has decided."""
    _check_offer(view, entry, terms_of(view).transfers)
    check_kind(view, entry.recipient, TRANSFER_IN)
    open_account(view, entry.recipient)
    place(
        view,
        hold_of(entry.id),
        account=entry.account,
        amount=entry.amount + entry.fee,
        on=entry.occurred_on,
        seq=entry.seq,
        expires_at=None,
        conversion=False,
    )
    reserve(view, _out(entry), at=entry.time, key=entry.id)
    record = TransferRecord(
        state=TransferState.OFFERED,
        account=entry.account,
        recipient=entry.recipient,
        amount=entry.amount,
        fee=entry.fee,
        accept_from=entry.accept_from,
        accept_by=entry.accept_by,
        offered_at=entry.time,
        offered_seq=entry.seq,
    )
    view.put(TRANSFERS, entry.id, record)


def _check_offer(view: View, entry: TransferOffered, terms: TransferTerms) -> None:
    if entry.account == entry.recipient:
        raise Refusal(Code.SAME_ACCOUNT, "points cannot be transferred to the account they are on")
    if entry.amount < terms.minimum:
        raise Refusal(Code.TRANSFER_TOO_SMALL, f"a transfer is of at least {terms.minimum} points")
    times = _times(view, terms, entry.account, entry.recipient, at=entry.time)
    if (entry.fee, entry.accept_from, entry.accept_by) != (terms.fee(entry.amount), *times):
        raise Refusal(Code.TRANSFER_MISMATCH, "fee and times are not those of the program's terms")
    if terms.review_above is not None and entry.amount > terms.review_above and not _was_seen(view, entry):
        raise Refusal(Code.REVIEW_REQUIRED, f"somebody looks first at a transfer of more than {terms.review_above}")


def _was_seen(view: View, entry: TransferOffered) -> bool:
    """Return whether a person has approved this very transfer."""
    review = view.get(REVIEWS, entry.id)
    if review is None or review.state is not ReviewState.APPROVED:
        return False
    order = TransferOrder(recipient=entry.recipient, amount=entry.amount)
    return (review.account, review.order) == (entry.account, order)


def needs_transfer(view: Overlay, command: AcceptTransfer | DeclineTransfer) -> Iterator[Need]:
    """Name the transfer; once it is known, all that its end moves."""
    yield need(TRANSFERS, command.transfer)
    yield need(HOLDS, hold_of(command.transfer))
    yield from needs_reservation(view, command.transfer)
    record = view.peek(TRANSFERS, command.transfer)
    if record is None:
        return
    yield need(ACCOUNTS, record.account)
    yield need(ACCOUNTS, record.recipient)
    yield need_book(record.account)
    yield need(TRANSFER_PAIRS, (record.account, record.recipient))
    yield need(BALANCES, (FEES, ledger_record(view).points))
    yield from needs_clock(view, record.recipient)
    yield from needs_use(view, _in(record))


def decide_accept(view: View, command: AcceptTransfer, moment: Moment) -> TransferAccepted:
    """Propose that the recipient has the points."""
    record = _offered(view, command.transfer)
    return TransferAccepted(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        transfer=command.transfer,
        postings=accept_postings(record, ledger_record(view).points),
    )


def accept_postings(record: TransferRecord, points: Asset) -> tuple[Posting, ...]:
    """Return what an accepted transfer posts: the points, and the fee if there is one."""
    moved = transfer_postings(points, record.amount, debit=record.account, credit=record.recipient)
    fee = transfer_postings(points, record.fee, debit=record.account, credit=FEES) if record.fee else ()
    return (*moved, *fee)


def apply_accepted(view: View, entry: TransferAccepted) -> None:
    """Move the held pieces to the recipient, who like the sender may act at all, and the fee to the program."""
    record = _offered(view, Id(entry.transfer))
    if not record.accept_from <= entry.time < record.accept_by:
        code = Code.TRANSFER_LAPSED if entry.time >= record.accept_by else Code.TRANSFER_COOLING_OFF
        raise Refusal(code, f"it can be accepted from {record.accept_from} until {record.accept_by}")
    check_postings(entry.postings, accept_postings(record, ledger_record(view).points))
    giver = open_account(view, record.account)
    open_account(view, record.recipient)
    reserve(view, _in(record), at=entry.time)
    pieces = consume(view, hold_of(Id(entry.transfer)), _hold(view, Id(entry.transfer)), record.amount + record.fee)
    moved, _ = split_pieces(fixed_pieces(pieces, giver.active_on), record.amount)
    _check_last_days(moved, on=recorded_on(view, entry))
    restart_clock(view, record.account, on=entry.occurred_on)
    restart_clock(view, record.recipient, on=entry.occurred_on)
    receive_pieces(view, record.recipient, moved, seq=entry.seq)
    move_structural(view, entry.postings)
    pair = (record.account, record.recipient)
    if view.get(TRANSFER_PAIRS, pair) is None:
        view.put(TRANSFER_PAIRS, pair, PairRecord(accepted_seq=entry.seq))
    _close(view, Id(entry.transfer), record, TransferState.ACCEPTED, seq=entry.seq)


def _check_last_days(pieces: Sequence[Piece], *, on: str) -> None:
    """Refuse points that the recipient could not spend: they are given back to the sender, who has time again."""
    for piece in pieces:
        if piece.expires_on is not None and piece.expires_on < on:
            raise Refusal(Code.TRANSFER_LAPSED, f"some of its points could be spent until {piece.expires_on}")


def decide_decline(_view: View, command: DeclineTransfer, moment: Moment) -> TransferDeclined:
    """Propose that the points are the sender's again."""
    return TransferDeclined(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        transfer=command.transfer,
        by=command.by,
    )


def apply_declined(view: View, entry: TransferDeclined) -> None:
    """Free the points and what limits had reserved for them."""
    record = _offered(view, Id(entry.transfer))
    if entry.by == "time" and entry.time < record.accept_by:
        raise Refusal(Code.TRANSFER_NOT_LAPSED, f"it can be accepted until {record.accept_by}")
    free(view, hold_of(Id(entry.transfer)), _hold(view, Id(entry.transfer)), entry)
    give_back(view, Id(entry.transfer))
    _close(view, Id(entry.transfer), record, _STATES[entry.by], seq=entry.seq)


def _offered(view: View, transfer: Id) -> TransferRecord:
    record = view.get(TRANSFERS, transfer)
    if record is None:
        raise Refusal(Code.TRANSFER_UNKNOWN, f"there is no transfer {transfer}")
    if record.state is not TransferState.OFFERED:
        raise Refusal(Code.TRANSFER_CLOSED, f"the transfer is {record.state}")
    return record


def _hold(view: View, transfer: Id) -> HoldRecord:
    hold = view.get(HOLDS, hold_of(transfer))
    assert hold is not None, "an offered transfer has its hold"
    return hold


def _close(view: View, transfer: Id, record: TransferRecord, state: TransferState, *, seq: int) -> None:
    view.put(TRANSFERS, transfer, msgspec.structs.replace(record, state=state, closed_seq=seq))


def parties(view: View, transfer: Id) -> tuple[Account, ...]:
    """Return whose history the end of a transfer belongs to."""
    record = view.get(TRANSFERS, transfer)
    return () if record is None else (record.account, record.recipient)
