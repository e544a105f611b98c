"""Holds that the brand's own systems place: hold, capture, release. A conversion's hold moves only by it."""

from collections.abc import Iterator

import msgspec

from protocol.entries import Entry, HoldCaptured, HoldPlaced, HoldReleased, transfer_postings
from protocol.errors import Code, Refusal
from protocol.identifiers import Account, Id
from protocol.ledger.commands import CaptureHold, PlaceHold, ReleaseHold
from protocol.ledger.limiting import Use, give_back, needs_reservation, needs_use, reserve
from protocol.ledger.lots import restart_clock, return_pieces
from protocol.ledger.moment import Moment, check_time, occurred
from protocol.ledger.postings import (
    check_postings,
    ledger_record,
    move_structural,
    open_account,
    pair_amount,
    split_pieces,
    standing_account,
    take_pieces,
)
from protocol.ledger.state import ACCOUNTS, BALANCES, HOLDS, AccountRecord, HoldRecord, Piece
from protocol.ledger.transactions import REDEMPTION, note_redemption
from protocol.ledger.view import Need, Overlay, View, need, need_book
from protocol.points import check_amount
from protocol.program import REDEEM


def needs_place(view: Overlay, command: PlaceHold) -> Iterator[Need]:
    """Name the holder, its lots and the hold, and what limits count."""
    yield need(ACCOUNTS, command.account)
    yield need_book(command.account)
    yield need(HOLDS, command.id)
    yield from needs_use(view, Use(activity=REDEEM, account=command.account, points=command.amount))


def decide_place(_view: View, command: PlaceHold, moment: Moment) -> HoldPlaced:
    """Propose to set points aside."""
    check_amount(command.amount)
    if command.expires_at is not None:
        check_time(command.expires_at)
    return HoldPlaced(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        account=command.account,
        amount=command.amount,
        expires_at=command.expires_at,
        metadata=command.metadata,
    )


def apply_place(view: View, entry: HoldPlaced) -> None:
    """Set available points aside until they are captured or released."""
    if entry.expires_at is not None and entry.expires_at <= entry.time:
        raise Refusal(Code.HOLD_EXPIRED, "the hold would be expired before it is placed")
    reserve(view, Use(activity=REDEEM, account=entry.account, points=entry.amount), at=entry.time, key=entry.id)
    place(
        view,
        entry.id,
        account=entry.account,
        amount=entry.amount,
        on=entry.occurred_on,
        seq=entry.seq,
        expires_at=entry.expires_at,
        conversion=False,
    )


def place(
    view: View,
    hold_id: Id,
    *,
    account: Account,
    amount: int,
    on: str,
    seq: int,
    expires_at: str | None,
    conversion: bool,
    even_frozen: bool = False,
) -> None:
    """Take `amount` available points out of the account's lots and keep them with the hold.

    With `even_frozen`, what was held before the account was frozen is held again.
    """
    record = standing_account(view, account) if even_frozen else open_account(view, account)
    if record.available < amount:
        raise Refusal(Code.INSUFFICIENT_POINTS, f"{account} has {record.available} of the {amount} points needed")
    pieces = take_pieces(view, account, amount, on=on)
    changed = msgspec.structs.replace(record, held=record.held + amount, conversions=record.conversions + conversion)
    view.put(ACCOUNTS, account, changed)
    hold = HoldRecord(
        account=account,
        amount=amount,
        remaining=amount,
        expires_at=expires_at,
        conversion=conversion,
        placed_seq=seq,
        pieces=pieces,
    )
    view.put(HOLDS, hold_id, hold)


def needs_hold(view: Overlay, command: CaptureHold | ReleaseHold) -> Iterator[Need]:
    """Name the hold; once it is known, its account and lots."""
    yield need(HOLDS, command.hold)
    yield need(BALANCES, (REDEMPTION, ledger_record(view).points))
    yield from needs_reservation(view, command.hold)
    hold = view.peek(HOLDS, command.hold)
    if hold is not None:
        yield need(ACCOUNTS, hold.account)
        yield need_book(hold.account)


def decide_capture(view: View, command: CaptureHold, moment: Moment) -> HoldCaptured:
    """Propose to redeem held points."""
    hold = open_hold(view, command.hold)
    amount = hold.remaining if command.amount is None else command.amount
    check_amount(amount)
    return HoldCaptured(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        hold=command.hold,
        postings=transfer_postings(ledger_record(view).points, amount, debit=hold.account, credit=REDEMPTION),
        final=command.final,
    )


def apply_capture(view: View, entry: HoldCaptured) -> None:
    """Redeem held points, and with `final` release the rest."""
    hold = open_hold(view, entry.hold)
    if hold.expires_at is not None and hold.expires_at <= entry.time:
        raise Refusal(Code.HOLD_EXPIRED, f"the hold expired at {hold.expires_at}")
    amount = pair_amount(entry.postings)
    points = ledger_record(view).points
    check_postings(entry.postings, transfer_postings(points, amount, debit=hold.account, credit=REDEMPTION))
    pieces = consume(view, entry.hold, hold, amount)
    note_redemption(view, entry, hold.account, pieces)
    restart_clock(view, hold.account, on=entry.occurred_on)
    move_structural(view, entry.postings)
    if entry.final and amount < hold.remaining:
        _let_go(view, entry.hold, entry)


def decide_release(_view: View, command: ReleaseHold, moment: Moment) -> HoldReleased:
    """Propose to give back what remains of a hold."""
    return HoldReleased(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        hold=command.hold,
        expired=command.expired,
    )


def apply_release(view: View, entry: HoldReleased) -> None:
    """Make what remains of a hold available again."""
    hold = open_hold(view, entry.hold)
    if entry.expired and (hold.expires_at is None or hold.expires_at > entry.time):
        raise Refusal(Code.HOLD_NOT_EXPIRED, "the hold has not expired")
    _let_go(view, entry.hold, entry)


def _let_go(view: View, hold_id: Id, entry: Entry) -> None:
    """Free what remains of a hold, and what limits count of it: a hold that redeemed some has been used once."""
    hold = open_hold(view, hold_id)
    give_back(view, hold_id, points=None if hold.remaining == hold.amount else hold.remaining)
    free(view, hold_id, hold, entry)


def open_hold(view: View, hold_id: Id) -> HoldRecord:
    """Return a hold of the brand's own that is still open, or refuse."""
    hold = view.get(HOLDS, hold_id)
    if hold is None:
        raise Refusal(Code.HOLD_UNKNOWN, f"there is no hold {hold_id}")
    if hold.conversion:
        raise Refusal(Code.HOLD_OF_CONVERSION, "this hold belongs to a conversion and moves only by it")
    if not hold.remaining:
        raise Refusal(Code.HOLD_CLOSED, "nothing remains of this hold")
    return hold


def consume(view: View, hold_id: Id, hold: HoldRecord, amount: int) -> tuple[Piece, ...]:
    """Take `amount` held points off the account for good, and return them."""
    if amount > hold.remaining:
        raise Refusal(Code.HOLD_TOO_SMALL, f"{hold.remaining} points remain of the hold, not {amount}")
    taken, rest = split_pieces(hold.pieces, amount)
    view.put(HOLDS, hold_id, msgspec.structs.replace(hold, remaining=hold.remaining - amount, pieces=rest))
    record = _account(view, hold)
    changed = msgspec.structs.replace(record, posted=record.posted - amount, held=record.held - amount)
    view.put(ACCOUNTS, hold.account, changed)
    return taken


def free(view: View, hold_id: Id, hold: HoldRecord, entry: Entry) -> None:
    """Let `entry` return what remains of the hold to the lots it came from."""
    return_pieces(view, hold.account, hold.pieces, entry)
    view.put(HOLDS, hold_id, msgspec.structs.replace(hold, remaining=0, pieces=()))
    record = _account(view, hold)
    view.put(ACCOUNTS, hold.account, msgspec.structs.replace(record, held=record.held - hold.remaining))


def _account(view: View, hold: HoldRecord) -> AccountRecord:
    record = view.get(ACCOUNTS, hold.account)
    assert record is not None, "a hold's account exists"
    return record
