"""Adjustments: two people give a holder points at the program's cost, or take some (specs/access.md §5)."""

from collections.abc import Iterator
from typing import Final

from protocol.approval_entries import Adjustment, PointsAdjusted
from protocol.entries import Posting, transfer_postings
from protocol.errors import Code, Refusal
from protocol.identifiers import Account
from protocol.ledger.appeals import uphold_by_adjustment
from protocol.ledger.approval_commands import AdjustPoints
from protocol.ledger.approval_state import ACTIONS
from protocol.ledger.approvals import approved, done
from protocol.ledger.moment import Moment, occurred
from protocol.ledger.postings import (
    ADJUSTMENT,
    check_postings,
    credit_holder,
    debit_holder,
    ledger_record,
    move_structural,
    pair_amount,
)
from protocol.ledger.state import ACCOUNTS, APPEALS, BALANCES, Piece
from protocol.ledger.transactions import OWN
from protocol.ledger.view import Need, Overlay, View, need, need_book


def needs_adjust(view: Overlay, command: AdjustPoints) -> Iterator[Need]:
    """Name the act, and what it moves."""
    yield need(ACTIONS, command.id)
    record = view.peek(ACTIONS, command.id)
    if record is None or not isinstance(record.action, Adjustment):
        return
    yield need(ACCOUNTS, record.action.account)
    yield need_book(record.action.account)
    yield need(BALANCES, (ADJUSTMENT, ledger_record(view).points))
    if record.action.appeal is not None:
        yield need(APPEALS, record.action.appeal)


def decide_adjust(view: View, command: AdjustPoints, moment: Moment) -> PointsAdjusted:
    """Propose the adjustment that was approved."""
    record = view.get(ACTIONS, command.id)
    if record is None or not isinstance(record.action, Adjustment):
        raise Refusal(Code.ACTION_UNKNOWN, f"no adjustment is proposed under the id {command.id}")
    action = record.action
    return PointsAdjusted(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        proposal=record.proposal,
        postings=_adjustment_postings(view, action.account, action.amount),
        expires_on=action.expires_on,
        reason=action.reason,
        appeal=action.appeal,
    )


def apply_adjusted(view: View, entry: PointsAdjusted) -> None:
    """Give a holder points, or take some, exactly as two people wanted."""
    amount, account = _adjusted(entry.postings)
    check_postings(entry.postings, _adjustment_postings(view, account, amount))
    action = Adjustment(
        account=account, amount=amount, expires_on=entry.expires_on, reason=entry.reason, appeal=entry.appeal
    )
    record = approved(view, entry.id, action)
    if record.proposal != entry.proposal:
        raise Refusal(Code.APPROVAL_MISSING, "the adjustment cites another proposal than was approved")
    if amount > 0:
        _give(view, entry, account, amount)
    else:
        debit_holder(view, account, -amount, on=entry.occurred_on, even_frozen=True)
    move_structural(view, entry.postings)
    done(view, entry.id, record)
    if entry.appeal is not None:
        uphold_by_adjustment(view, appeal=entry.appeal, account=account, seq=entry.seq, adjustment=entry.id)


def _adjusted(postings: tuple[Posting, ...]) -> tuple[int, Account]:
    """Return the signed amount that `postings` move, and the account that is not the program's own."""
    amount = pair_amount(postings)
    if postings[0].account == ADJUSTMENT:
        return amount, postings[1].account
    return -amount, postings[0].account


def _adjustment_postings(view: View, account: Account, amount: int) -> tuple[Posting, ...]:
    points = ledger_record(view).points
    if amount > 0:
        return transfer_postings(points, amount, debit=ADJUSTMENT, credit=account)
    return transfer_postings(points, -amount, debit=account, credit=ADJUSTMENT)


def _give(view: View, entry: PointsAdjusted, account: Account, amount: int) -> None:
    if entry.expires_on is not None and entry.expires_on < entry.occurred_on:
        raise Refusal(Code.DATE_INVALID, "the points would expire before they are given")
    piece = Piece(
        seq=entry.seq, part=0, origin=OWN, earned_on=entry.occurred_on, expires_on=entry.expires_on, amount=amount
    )
    credit_holder(view, account, (piece,))


NEEDS: Final = {AdjustPoints: needs_adjust}
DECIDE: Final = {AdjustPoints: decide_adjust}
APPLY: Final = {PointsAdjusted: apply_adjusted}
