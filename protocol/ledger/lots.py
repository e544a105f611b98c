"""When lots can be spent: their last days, the clock that some follow, and where points that come back go.

Everything here is a function of rows and days (specs/expiry.md §3 to §5).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import msgspec

from protocol.entry import Entry
from protocol.fields import days_later
from protocol.identifiers import Account
from protocol.ledger.expiry import clock_ends_on
from protocol.ledger.lot_state import NEVER, Lot, Piece
from protocol.ledger.program_state import PROGRAM
from protocol.ledger.state import ACCOUNTS, ONLY, AccountRecord
from protocol.ledger.view import Need, Overlay, View, need_book
from protocol.limits import RETURNED_POINTS_DAYS
from protocol.program import DEFAULT_TERMS, day_of

DatedLot: TypeAlias = tuple[str | None, Lot]
"""A lot and its last day."""


def recorded_on(view: View, entry: Entry) -> str:
    """Return the program's day on which `entry` is recorded."""
    program = view.get(PROGRAM, ONLY)
    return day_of(DEFAULT_TERMS if program is None else program.terms, entry.time)


def last_day_of(lot: Lot | Piece, active_on: str | None) -> str | None:
    """Return the last day of points of an account whose last activity was on `active_on`, or None."""
    if lot.clock is None:
        return lot.expires_on
    assert active_on is not None, "an account with points that follow its clock has one"
    return clock_ends_on(lot.clock, active_on)


def in_order(lots: Sequence[Lot], active_on: str | None) -> list[DatedLot]:
    """Return `lots` with their last days in the order in which they are consumed: earliest last day first."""
    dated = [(last_day_of(lot, active_on), lot) for lot in lots]
    dated.sort(key=lambda each: (each[0] or NEVER, *each[1].order[1:]))
    return dated


def dated_lots(view: View, account: Account) -> Iterable[DatedLot]:
    """Return the open lots of `account` with their last days, in the order in which they are consumed."""
    record, lots = view.get(ACCOUNTS, account), view.lots(account)
    if record is not None and record.active_on is not None:
        return in_order(lots, record.active_on)
    # No lot follows a clock that never started: they are in order as they come, and a debit reads the first.
    return map(_without_clock, lots)


def _without_clock(lot: Lot) -> DatedLot:
    return lot.expires_on, lot


def spendable_lots(view: View, account: Account, *, on: str) -> Iterator[Lot]:
    """Return the open lots of `account` that can be spent on the day `on`, in the order in which they are consumed."""
    return (lot for last, lot in dated_lots(view, account) if can_be_spent(lot, last, on=on))


def can_be_spent(lot: Lot, last: str | None, *, on: str) -> bool:
    """Return whether a lot whose last day is `last` can be spent on the day `on`."""
    return (last is None or last >= on) and (lot.spendable_on is None or lot.spendable_on <= on)


def needs_clock(view: Overlay, account: Account) -> Sequence[Need]:
    """Name the lots of an account whose clock an activity restarts, or may start."""
    record, program = view.peek(ACCOUNTS, account), view.peek(PROGRAM, ONLY)
    runs = record is not None and record.active_on is not None
    starts = program is not None and program.terms.expiry.kind == "rolling"
    return (need_book(account),) if runs or starts else ()


def restart_clock(view: View, account: Account, *, on: str) -> None:
    """Let the account's clock, if it has one, run from an activity on the day `on`.

    What has run out before that day keeps the day on which it did: it does not depend on when that is posted.
    """
    record = view.get(ACCOUNTS, account)
    if record is None or record.active_on is None or on <= record.active_on:
        return
    # Nobody asks for the lots of an account without a clock: where one began in this commit, what follows it did, too.
    for last, lot in in_order(view.known_lots(account), record.active_on):
        if lot.clock is not None and last is not None and last < on:
            view.put_lot(account, msgspec.structs.replace(lot, clock=None, expires_on=last))
    view.put(ACCOUNTS, account, msgspec.structs.replace(record, active_on=on))


def start_clock(view: View, account: Account, *, on: str) -> None:
    """Let the account have a clock from the day `on` on, unless it has one."""
    record = view.get(ACCOUNTS, account)
    if record is not None and record.active_on is None:
        view.put(ACCOUNTS, account, msgspec.structs.replace(record, active_on=on))


def return_pieces(view: View, account: Account, pieces: Sequence[Piece], entry: Entry) -> None:
    """Put pieces back into the lots of `account` that they came from.

    A piece whose last day has passed when `entry` is recorded, or whose lot is no longer what it was, becomes a lot of
    `entry`; one whose last day has passed has `RETURNED_POINTS_DAYS` days more.
    """
    record = view.get(ACCOUNTS, account)
    assert record is not None, "what was taken came from an account"
    today = recorded_on(view, entry)
    open_lots = {(lot.seq, lot.part): lot for lot in view.lots(account)}
    part = 0
    for piece in pieces:
        lot = open_lots.get((piece.seq, piece.part), lot_of(piece, 0))
        piece_now = _still_good(piece, record, today=today)
        if piece_now is not piece or (lot.expires_on, lot.clock) != (piece.expires_on, piece.clock):
            lot = lot_of(msgspec.structs.replace(piece_now, seq=entry.seq, part=part), 0)
            part += 1
        view.put_lot(account, msgspec.structs.replace(lot, remaining=lot.remaining + piece.amount))


def pieces_for_survivor(view: View, account: Account, pieces: Sequence[Piece], entry: Entry) -> tuple[Piece, ...]:
    """Return `pieces` of `account`, which was merged since, as `entry` brings them back to who stands for it.

    What followed the clock of `account` keeps the last day that it has by it; a day that has passed is moved as in
    `return_pieces`.
    """
    record = view.get(ACCOUNTS, account)
    assert record is not None, "what was taken came from an account"
    today = recorded_on(view, entry)
    return tuple(_still_good(piece, record, today=today) for piece in fixed_pieces(pieces, record.active_on))


def _still_good(piece: Piece, record: AccountRecord, *, today: str) -> Piece:
    last = last_day_of(piece, record.active_on)
    if last is None or last >= today:
        return piece
    return msgspec.structs.replace(piece, clock=None, expires_on=days_later(today, days=RETURNED_POINTS_DAYS))


def fixed_pieces(pieces: Sequence[Piece], active_on: str | None) -> tuple[Piece, ...]:
    """Return `pieces` of an account as they leave it: those that follow its clock keep the last day that they have."""
    if active_on is None or not any(piece.clock for piece in pieces):
        return tuple(pieces)
    return tuple(
        msgspec.structs.replace(piece, clock=None, expires_on=last_day_of(piece, active_on)) for piece in pieces
    )


def lot_of(piece: Piece, remaining: int) -> Lot:
    """Return the lot that `piece` is of, with `remaining` points."""
    return Lot(
        seq=piece.seq,
        part=piece.part,
        origin=piece.origin,
        earned_on=piece.earned_on,
        expires_on=piece.expires_on,
        remaining=remaining,
        clock=piece.clock,
        spendable_on=piece.spendable_on,
    )


def piece_of(lot: Lot, amount: int) -> Piece:
    """Return `amount` points of `lot`."""
    return Piece(
        seq=lot.seq,
        part=lot.part,
        origin=lot.origin,
        earned_on=lot.earned_on,
        expires_on=lot.expires_on,
        amount=amount,
        clock=lot.clock,
        spendable_on=lot.spendable_on,
    )
