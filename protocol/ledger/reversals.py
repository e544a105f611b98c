"""Reversals: an issue or a redemption undone, in one or several parts, bounded by the original (specs/expiry.md §5)."""

from collections.abc import Iterator

import msgspec

from protocol.entries import Posting, transfer_postings
from protocol.errors import Code, Refusal
from protocol.identifiers import Account, Id
from protocol.ledger.lot_commands import ReversePoints
from protocol.ledger.lot_state import Lot, ReversibleRecord
from protocol.ledger.lots import return_pieces, spendable_lots
from protocol.ledger.moment import Moment, occurred
from protocol.ledger.postings import (
    check_postings,
    ledger_record,
    move_structural,
    pair_amount,
    split_pieces,
    standing_account,
    take_pieces,
)
from protocol.ledger.state import ACCOUNTS, BALANCES, IDS, REVERSIBLE
from protocol.ledger.transactions import ISSUANCE, REDEMPTION
from protocol.ledger.view import Need, Overlay, View, need, need_book
from protocol.limits import INTEGER_MAX
from protocol.point_entries import PointsReversed
from protocol.points import check_amount


def needs_reverse(view: Overlay, command: ReversePoints) -> Iterator[Need]:
    """Name the original by its id; once it is known, its account, lots and structural balance."""
    yield need(IDS, command.reverses)
    taken = view.peek(IDS, command.reverses)
    if taken is None:
        return
    yield need(REVERSIBLE, taken.seq)
    record = view.peek(REVERSIBLE, taken.seq)
    if record is not None:
        yield need(ACCOUNTS, record.account)
        yield need_book(record.account)
        yield need(BALANCES, (_against(record), ledger_record(view).points))


def decide_reverse(view: View, command: ReversePoints, moment: Moment) -> PointsReversed:
    """Propose to take issued points back, or to return redeemed ones."""
    seq, record = _original(view, command.reverses)
    asked = record.remaining if command.amount is None else command.amount
    if command.amount is None and not asked:
        raise Refusal(Code.REVERSAL_EXCEEDED, "nothing of it can still be reversed")
    check_amount(asked)
    day = occurred(command, moment)
    moved = asked
    if record.kind == "issue" and command.partial:
        moved = min(asked, _there(view, record.account, seq, on=day))
    if not moved:
        raise Refusal(Code.INSUFFICIENT_POINTS, f"{record.account} has none of the {asked} points")
    return PointsReversed(
        id=command.id,
        request=command.request,
        occurred_on=day,
        reverses=command.reverses,
        asked=asked,
        postings=_postings(view, record, moved),
        metadata=command.metadata,
    )


def apply_reverse(view: View, entry: PointsReversed) -> None:
    """Take issued points back from their lot first, or return redeemed ones to the lots that they came from."""
    seq, record = _original(view, Id(entry.reverses))
    moved = pair_amount(entry.postings)
    check_postings(entry.postings, _postings(view, record, moved))
    if entry.asked > record.remaining:
        raise Refusal(Code.REVERSAL_EXCEEDED, f"{record.remaining} points of it can still be reversed")
    if record.kind == "issue":
        _take_back(view, entry, record, seq=seq, moved=moved)
        after = msgspec.structs.replace(record, remaining=record.remaining - moved)
    else:
        after = _give_back(view, entry, record, moved=moved)
    view.put(REVERSIBLE, seq, after)
    move_structural(view, entry.postings)


def _original(view: View, reverses: Id) -> tuple[int, ReversibleRecord]:
    taken = view.get(IDS, reverses)
    record = None if taken is None else view.get(REVERSIBLE, taken.seq)
    if taken is None or record is None:
        raise Refusal(Code.REVERSAL_UNKNOWN, f"{reverses} neither issued nor redeemed points")
    return taken.seq, record


def _against(record: ReversibleRecord) -> Account:
    return ISSUANCE if record.kind == "issue" else REDEMPTION


def _postings(view: View, record: ReversibleRecord, amount: int) -> tuple[Posting, ...]:
    points = ledger_record(view).points
    if record.kind == "issue":
        return transfer_postings(points, amount, debit=record.account, credit=ISSUANCE)
    return transfer_postings(points, amount, debit=REDEMPTION, credit=record.account)


def _own_lot(view: View, account: Account, seq: int) -> Lot | None:
    return next((lot for lot in view.lots(account) if (lot.seq, lot.part) == (seq, 0)), None)


def _there(view: View, account: Account, seq: int, *, on: str) -> int:
    """Return how many points can be taken back: all of the issue's own lot, and what can be spent of others."""
    own = _own_lot(view, account, seq)
    others = sum(lot.remaining for lot in spendable_lots(view, account, on=on) if lot != own)
    return others + (own.remaining if own else 0)


def _take_back(view: View, entry: PointsReversed, record: ReversibleRecord, *, seq: int, moved: int) -> None:
    holder = standing_account(view, record.account)
    there = _there(view, record.account, seq, on=entry.occurred_on)
    if moved > there:
        raise Refusal(Code.INSUFFICIENT_POINTS, f"{record.account} has {there} of the {moved} points")
    if moved not in (entry.asked, min(entry.asked, there)):
        raise Refusal(Code.AMOUNT_MISMATCH, f"{there} points are there, and {entry.asked} are asked for")
    own = _own_lot(view, record.account, seq)
    from_own = min(moved, own.remaining) if own else 0
    if own:
        view.put_lot(record.account, msgspec.structs.replace(own, remaining=own.remaining - from_own))
    if moved > from_own:
        take_pieces(view, record.account, moved - from_own, on=entry.occurred_on)
    view.put(ACCOUNTS, record.account, msgspec.structs.replace(holder, posted=holder.posted - moved))


def _give_back(view: View, entry: PointsReversed, record: ReversibleRecord, *, moved: int) -> ReversibleRecord:
    """Return what was taken last, so that what stays redeemed is what a smaller redemption would have taken."""
    holder = standing_account(view, record.account)
    if moved != entry.asked:
        raise Refusal(Code.AMOUNT_MISMATCH, f"{entry.asked} points are asked for, and no others can be returned")
    if holder.posted + moved > INTEGER_MAX:
        raise Refusal(Code.BALANCE_OVERFLOW, f"the balance of {record.account} would pass {INTEGER_MAX}")
    left, returned = split_pieces(record.pieces, record.remaining - moved)
    return_pieces(view, record.account, returned, entry)
    view.put(ACCOUNTS, record.account, msgspec.structs.replace(holder, posted=holder.posted + moved))
    return msgspec.structs.replace(record, remaining=record.remaining - moved, pieces=left)
