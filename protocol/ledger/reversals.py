"""Reversals: an issue or a redemption undone, in one or several parts, bounded by the original (specs/expiry.md §5)."""

from collections.abc import Iterator

import msgspec

from protocol.entries import Posting, transfer_postings
from protocol.errors import Code, Refusal
from protocol.identifiers import Account, Id
from protocol.ledger.lifecycle import needs_survivor, peek_survivor, survivor_of
from protocol.ledger.lot_commands import ReversePoints
from protocol.ledger.lot_state import Lot, ReversibleRecord
from protocol.ledger.lots import pieces_for_survivor, return_pieces, spendable_lots
from protocol.ledger.moment import Moment, occurred
from protocol.ledger.postings import (
    check_postings,
    ledger_record,
    move_structural,
    pair_amount,
    receive_pieces,
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
    """Name the original by its id; once it is known, its account or who stands for it, lots and structural balance."""
    yield need(IDS, command.reverses)
    taken = view.peek(IDS, command.reverses)
    if taken is None:
        return
    yield need(REVERSIBLE, taken.seq)
    record = view.peek(REVERSIBLE, taken.seq)
    if record is not None:
        yield need(ACCOUNTS, record.account)
        yield from needs_survivor(view, record.account)
        yield need_book(peek_survivor(view, record.account))
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
        moved = min(asked, _there(view, record, seq, on=day))
    if not moved:
        # No entry moves nothing: what the rules would say of one first is said here.
        _check_left(record, asked)
        standing_account(view, _holder(view, record))
        raise Refusal(Code.INSUFFICIENT_POINTS, f"{_holder(view, record)} has none of the {asked} points")
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
    _check_left(record, entry.asked)
    if record.kind == "issue":
        _take_back(view, entry, record, seq=seq, moved=moved)
        after = msgspec.structs.replace(record, remaining=record.remaining - moved)
    else:
        after = _give_back(view, entry, record, moved=moved)
    view.put(REVERSIBLE, seq, after)
    move_structural(view, entry.postings)


def _check_left(record: ReversibleRecord, asked: int) -> None:
    if asked > record.remaining:
        raise Refusal(Code.REVERSAL_EXCEEDED, f"{record.remaining} points of it can still be reversed")


def _original(view: View, reverses: Id) -> tuple[int, ReversibleRecord]:
    taken = view.get(IDS, reverses)
    record = None if taken is None else view.get(REVERSIBLE, taken.seq)
    if taken is None or record is None:
        raise Refusal(Code.REVERSAL_UNKNOWN, f"{reverses} neither issued nor redeemed points")
    return taken.seq, record


def _against(record: ReversibleRecord) -> Account:
    return ISSUANCE if record.kind == "issue" else REDEMPTION


def _postings(view: View, record: ReversibleRecord, amount: int) -> tuple[Posting, ...]:
    points, holder = ledger_record(view).points, _holder(view, record)
    if record.kind == "issue":
        return transfer_postings(points, amount, debit=holder, credit=ISSUANCE)
    return transfer_postings(points, amount, debit=REDEMPTION, credit=holder)


def _holder(view: View, record: ReversibleRecord) -> Account:
    return survivor_of(view, record.account)


def _own_lot(view: View, record: ReversibleRecord, seq: int) -> Lot | None:
    """Return the lot that the issue made; those of an account that was merged are lots of the merge."""
    if _holder(view, record) != record.account:
        return None
    return next((lot for lot in view.lots(record.account) if (lot.seq, lot.part) == (seq, 0)), None)


def _there(view: View, record: ReversibleRecord, seq: int, *, on: str) -> int:
    """Return how many points can be taken back: all of the issue's own lot, and what can be spent of others."""
    own = _own_lot(view, record, seq)
    others = sum(lot.remaining for lot in spendable_lots(view, _holder(view, record), on=on) if lot != own)
    return others + (own.remaining if own else 0)


def _take_back(view: View, entry: PointsReversed, record: ReversibleRecord, *, seq: int, moved: int) -> None:
    account = _holder(view, record)
    holder = standing_account(view, account)
    there = _there(view, record, seq, on=entry.occurred_on)
    if moved > there:
        raise Refusal(Code.INSUFFICIENT_POINTS, f"{account} has {there} of the {moved} points")
    if moved not in (entry.asked, min(entry.asked, there)):
        raise Refusal(Code.AMOUNT_MISMATCH, f"{there} points are there, and {entry.asked} are asked for")
    own = _own_lot(view, record, seq)
    from_own = min(moved, own.remaining) if own else 0
    if own:
        view.put_lot(account, msgspec.structs.replace(own, remaining=own.remaining - from_own))
    if moved > from_own:
        take_pieces(view, account, moved - from_own, on=entry.occurred_on)
    view.put(ACCOUNTS, account, msgspec.structs.replace(holder, posted=holder.posted - moved))


def _give_back(view: View, entry: PointsReversed, record: ReversibleRecord, *, moved: int) -> ReversibleRecord:
    """Return what was taken last, so that what stays redeemed is what a smaller redemption would have taken."""
    account = _holder(view, record)
    holder = standing_account(view, account)
    if moved != entry.asked:
        raise Refusal(Code.AMOUNT_MISMATCH, f"{entry.asked} points are asked for, and no others can be returned")
    if holder.posted + moved > INTEGER_MAX:
        raise Refusal(Code.BALANCE_OVERFLOW, f"the balance of {account} would pass {INTEGER_MAX}")
    left, returned = split_pieces(record.pieces, record.remaining - moved)
    if account == record.account:
        return_pieces(view, account, returned, entry)
        view.put(ACCOUNTS, account, msgspec.structs.replace(holder, posted=holder.posted + moved))
    else:
        receive_pieces(view, account, pieces_for_survivor(view, record.account, returned, entry), seq=entry.seq)
    return msgspec.structs.replace(record, remaining=record.remaining - moved, pieces=left)
