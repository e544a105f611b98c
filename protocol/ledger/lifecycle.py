"""Holders' accounts between opening and closing: frozen, open again, merged into another (specs/program.md §3)."""

from collections.abc import Iterator
from typing import Final

import msgspec

from protocol.entries import transfer_postings
from protocol.errors import Code, Refusal
from protocol.identifiers import Account
from protocol.ledger.lots import fixed_pieces, piece_of
from protocol.ledger.moment import Moment, occurred
from protocol.ledger.postings import check_postings, ledger_record, open_account, receive_pieces
from protocol.ledger.program_commands import FreezeAccount, MergeAccount, UnfreezeAccount
from protocol.ledger.program_state import MERGES, MergeRecord
from protocol.ledger.state import ACCOUNTS, AccountStatus
from protocol.ledger.view import Need, Overlay, View, need, need_book
from protocol.program_entries import AccountFrozen, AccountMerged, AccountUnfrozen

MERGES_MAX: Final = 64
"""Accounts that one account can stand for: what bounds the rows that a merge moves."""


def needs_freeze(_view: Overlay, command: FreezeAccount | UnfreezeAccount) -> Iterator[Need]:
    """Name the account."""
    yield need(ACCOUNTS, command.account)


def decide_freeze(_view: View, command: FreezeAccount, moment: Moment) -> AccountFrozen:
    """Propose that the holder begins nothing that takes points."""
    return AccountFrozen(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        account=command.account,
        reason=command.reason,
    )


def apply_frozen(view: View, entry: AccountFrozen) -> None:
    """Freeze an open account."""
    record = open_account(view, entry.account)
    view.put(ACCOUNTS, entry.account, msgspec.structs.replace(record, status=AccountStatus.FROZEN))


def decide_unfreeze(_view: View, command: UnfreezeAccount, moment: Moment) -> AccountUnfrozen:
    """Propose to open a frozen account again."""
    return AccountUnfrozen(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        account=command.account,
        reason=command.reason,
    )


def apply_unfrozen(view: View, entry: AccountUnfrozen) -> None:
    """Open a frozen account again."""
    record = view.get(ACCOUNTS, entry.account)
    if record is None or record.status is not AccountStatus.FROZEN:
        open_account(view, entry.account)
        raise Refusal(Code.ACCOUNT_NOT_FROZEN, f"the account {entry.account} is not frozen")
    view.put(ACCOUNTS, entry.account, msgspec.structs.replace(record, status=AccountStatus.OPEN))


def needs_merge(view: Overlay, command: MergeAccount) -> Iterator[Need]:
    """Name both accounts, the lots that move, and the accounts that were merged before."""
    for account in (command.account, command.survivor):
        yield need(ACCOUNTS, account)
        yield need(MERGES, account)
        yield need_book(account)
    for absorbed in (view.peek(MERGES, command.account) or MergeRecord()).absorbed:
        yield need(MERGES, absorbed)


def decide_merge(view: View, command: MergeAccount, moment: Moment) -> AccountMerged:
    """Propose that an account's points go to another."""
    posted, points = open_account(view, command.account).posted, ledger_record(view).points
    moved = transfer_postings(points, posted, debit=command.account, credit=command.survivor)
    return AccountMerged(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        account=command.account,
        survivor=command.survivor,
        reason=command.reason,
        postings=moved if posted else (),
    )


def apply_merged(view: View, entry: AccountMerged) -> None:
    """Move all lots as they are, spendable or not, and let the survivor stand for the account from here on."""
    record = open_account(view, entry.account)
    open_account(view, entry.survivor)
    if entry.account == entry.survivor:
        raise Refusal(Code.SAME_ACCOUNT, "an account cannot be merged into itself")
    if _kind(entry.account) != _kind(entry.survivor):
        raise Refusal(Code.KIND_NOT_ALLOWED, "accounts of different kinds cannot be merged")
    if record.conversions or record.held:
        raise Refusal(Code.ACCOUNT_BUSY, f"{entry.account} has points on hold, or undecided conversions")
    moved = transfer_postings(ledger_record(view).points, record.posted, debit=entry.account, credit=entry.survivor)
    check_postings(entry.postings, moved if record.posted else ())
    lots = view.lots(entry.account)
    for lot in lots:
        view.put_lot(entry.account, msgspec.structs.replace(lot, remaining=0))
    pieces = fixed_pieces([piece_of(lot, lot.remaining) for lot in lots], record.active_on)
    view.put(ACCOUNTS, entry.account, msgspec.structs.replace(record, status=AccountStatus.MERGED, posted=0))
    receive_pieces(view, entry.survivor, pieces, seq=entry.seq)
    _absorb(view, entry.account, entry.survivor)


def _kind(account: Account) -> str:
    return account.partition("/")[0]


def _absorb(view: View, account: Account, survivor: Account) -> None:
    """Let `survivor` stand for `account` and for all that it stood for, so that one look finds who stands for whom."""
    before = view.get(MERGES, survivor) or MergeRecord()
    moved = (account, *(view.get(MERGES, account) or MergeRecord()).absorbed)
    absorbed = (*before.absorbed, *moved)
    if len(absorbed) > MERGES_MAX:
        raise Refusal(Code.ACCOUNT_BUSY, f"{survivor} would stand for more than {MERGES_MAX} accounts")
    for each in moved:
        view.put(MERGES, each, MergeRecord(survivor=survivor))
    view.put(MERGES, survivor, msgspec.structs.replace(before, absorbed=absorbed))


def needs_survivor(view: Overlay, account: Account) -> Iterator[Need]:
    """Name what tells who stands for an account that is loaded, and that one's row."""
    record = view.peek(ACCOUNTS, account)
    if record is None or record.status is not AccountStatus.MERGED:
        return
    yield need(MERGES, account)
    merged = view.peek(MERGES, account)
    if merged is not None and merged.survivor is not None:
        yield need(ACCOUNTS, merged.survivor)


def peek_survivor(view: Overlay, account: Account) -> Account:
    """Return the account that stands for `account` as far as the rows already loaded tell."""
    record, merged = view.peek(ACCOUNTS, account), view.peek(MERGES, account)
    stands = record is not None and record.status is AccountStatus.MERGED
    return merged.survivor if stands and merged is not None and merged.survivor is not None else account


def survivor_of(view: View, account: Account) -> Account:
    """Return the account that stands for `account`: itself, unless it was merged."""
    record = view.get(ACCOUNTS, account)
    if record is None or record.status is not AccountStatus.MERGED:
        return account
    merged = view.get(MERGES, account)
    assert merged is not None, "an account was merged into another"
    assert merged.survivor is not None, "an account was merged into another"
    return merged.survivor
