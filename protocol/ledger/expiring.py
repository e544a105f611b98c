"""Expiry: lots whose last day has passed go to breakage, one account an entry (specs/expiry.md §6)."""

from collections.abc import Iterator
from typing import Final

import msgspec

from protocol.entries import transfer_postings
from protocol.errors import Code, Refusal
from protocol.identifiers import Account
from protocol.ledger.lot_commands import ExpireLots
from protocol.ledger.lot_state import Lot
from protocol.ledger.lots import dated_lots, recorded_on
from protocol.ledger.moment import Moment, occurred
from protocol.ledger.postings import check_postings, ledger_record, move_structural, standing_account
from protocol.ledger.state import ACCOUNTS, BALANCES, REVERSIBLE
from protocol.ledger.view import Need, Overlay, View, need, need_book
from protocol.point_entries import ExpiredLot, PointsExpired

BREAKAGE: Final = Account("breakage")


def due_lots(view: View, account: Account, *, as_of: str) -> tuple[ExpiredLot, ...]:
    """Return the lots of `account` whose last day is before `as_of`, by number."""
    due = [
        ExpiredLot(lot.seq, lot.part, last, lot.remaining)
        for last, lot in dated_lots(view, account)
        if last is not None and last < as_of
    ]
    return tuple(sorted(due, key=_number))


def needs_expire(view: Overlay, command: ExpireLots) -> Iterator[Need]:
    """Name the account, its lots, breakage, and what a reversal of the issues could take."""
    yield need(ACCOUNTS, command.account)
    yield need_book(command.account)
    yield need(BALANCES, (BREAKAGE, ledger_record(view).points))
    for seq, _ in command.lots:
        yield need(REVERSIBLE, seq)


def decide_expire(view: View, command: ExpireLots, moment: Moment) -> PointsExpired:
    """Propose to post the lots that the command names and that are due."""
    day = occurred(command, moment)
    standing_account(view, command.account)
    named = frozenset(command.lots)
    lots = tuple(each for each in due_lots(view, command.account, as_of=day) if _number(each) in named)
    if not lots:
        raise Refusal(Code.LOT_NOT_DUE, f"no such lot of {command.account} has expired before {day}")
    points = ledger_record(view).points
    amount = sum(lot.amount for lot in lots)
    return PointsExpired(
        id=command.id,
        request=command.request,
        occurred_on=day,
        account=command.account,
        lots=lots,
        postings=transfer_postings(points, amount, debit=command.account, credit=BREAKAGE),
    )


def apply_expire(view: View, entry: PointsExpired) -> None:
    """Take the whole of each named lot, all of which are due, off the holder."""
    record = standing_account(view, entry.account)
    if entry.occurred_on > recorded_on(view, entry):
        raise Refusal(Code.DATE_INVALID, f"{entry.occurred_on} has not come yet")
    there = {(lot.seq, lot.part): (last, lot) for last, lot in dated_lots(view, entry.account)}
    before = (-1, -1)
    for named in entry.lots:
        last, lot = there.get(_number(named), (None, None))
        if lot is None or last is None or (last, lot.remaining) != (named.expires_on, named.amount):
            raise Refusal(Code.LOT_NOT_DUE, f"{entry.account} has no such lot {named.seq}, {named.part}")
        if last >= entry.occurred_on or _number(named) <= before:
            raise Refusal(Code.LOT_NOT_DUE, f"lot {named.seq}, {named.part} is not due, or not in order")
        before = _number(named)
        view.put_lot(entry.account, msgspec.structs.replace(lot, remaining=0))
        _note_lost(view, entry.account, lot)
    amount = sum(named.amount for named in entry.lots)
    points = ledger_record(view).points
    check_postings(entry.postings, transfer_postings(points, amount, debit=entry.account, credit=BREAKAGE))
    view.put(ACCOUNTS, entry.account, msgspec.structs.replace(record, posted=record.posted - amount))
    move_structural(view, entry.postings)


def _number(lot: ExpiredLot) -> tuple[int, int]:
    return lot.seq, lot.part


def _note_lost(view: View, account: Account, lot: Lot) -> None:
    """Let a reversal of the issue that made `lot` no longer take what is lost."""
    record = view.get(REVERSIBLE, lot.seq)
    if record is None or (record.kind, record.account, lot.part) != ("issue", account, 0):
        return
    remaining = max(0, record.remaining - lot.remaining)
    view.put(REVERSIBLE, lot.seq, msgspec.structs.replace(record, remaining=remaining))
