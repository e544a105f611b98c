"""The account of a person who is forgotten: it closes, and what points it still has are given up (specs/members.md)."""

from collections.abc import Iterator
from typing import Final

import msgspec

from protocol.entries import Posting, transfer_postings
from protocol.errors import Code, Refusal
from protocol.identifiers import Account
from protocol.ledger.member_commands import EraseAccount
from protocol.ledger.moment import Moment, occurred
from protocol.ledger.postings import check_imported, check_postings, ledger_record, move_structural
from protocol.ledger.state import ACCOUNTS, BALANCES, AccountRecord, AccountStatus
from protocol.ledger.view import Need, Overlay, View, need, need_book
from protocol.member_entries import AccountErased

BREAKAGE: Final = Account("breakage")


def needs_erase(view: Overlay, command: EraseAccount) -> Iterator[Need]:
    """Name the account, its lots and the breakage balance."""
    yield need(ACCOUNTS, command.account)
    yield need_book(command.account)
    yield need(BALANCES, (BREAKAGE, ledger_record(view).points))


def decide_erase(view: View, command: EraseAccount, moment: Moment) -> AccountErased:
    """Propose to close the account; points are given up only where that was said."""
    record = _known(view, command.account)
    if record.posted and not command.forfeit:
        raise Refusal(Code.ACCOUNT_NOT_EMPTY, f"{command.account} still has {record.posted} points")
    return AccountErased(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        account=command.account,
        postings=_postings(view, command.account, record.posted),
    )


def _known(view: View, account: Account) -> AccountRecord:
    record = view.get(ACCOUNTS, account)
    if record is None:
        raise Refusal(Code.ACCOUNT_UNKNOWN, f"there is no account {account}")
    # A later row of the file would give points to an account that is closed.
    check_imported(view, account, record)
    return record


def _postings(view: View, account: Account, points: int) -> tuple[Posting, ...]:
    if not points:
        return ()
    return transfer_postings(ledger_record(view).points, points, debit=account, credit=BREAKAGE)


def apply_erased(view: View, entry: AccountErased) -> None:
    """Close an account on which nothing is held, and take all its points; one that is closed stays so."""
    record = _known(view, entry.account)
    if record.conversions or record.held:
        raise Refusal(Code.ACCOUNT_BUSY, f"{entry.account} has {record.held} points on hold")
    check_postings(entry.postings, _postings(view, entry.account, record.posted))
    for lot in view.lots(entry.account):
        view.put_lot(entry.account, msgspec.structs.replace(lot, remaining=0))
    move_structural(view, entry.postings)
    view.put(ACCOUNTS, entry.account, msgspec.structs.replace(record, status=AccountStatus.CLOSED, posted=0))
