"""Genesis, and holders' accounts: open and close."""

from collections.abc import Iterator

import msgspec

from protocol.agreement import check_keys
from protocol.entries import AccountClosed, AccountOpened, Genesis
from protocol.errors import Code, KeyInvalid, Refusal
from protocol.identifiers import generation_of
from protocol.ledger.commands import CloseAccount, CreateLedger, OpenAccount
from protocol.ledger.moment import Moment, occurred
from protocol.ledger.postings import ledger_record, standing_account
from protocol.ledger.state import ACCOUNTS, LEDGER, ONLY, AccountRecord, AccountStatus, LedgerRecord
from protocol.ledger.succession import apply_succession
from protocol.ledger.view import Need, Overlay, View, need


def decide_genesis(_view: View, command: CreateLedger, moment: Moment) -> Genesis:
    """Propose the first entry."""
    return Genesis(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        ledger=command.ledger,
        points=command.points,
        points_name=command.points_name,
        currencies=command.currencies,
        keys=command.keys,
        next_log_key=command.next_log_key,
        predecessor=command.predecessor,
    )


def apply_genesis(view: View, entry: Genesis) -> None:
    """Begin the ledger, once; or let a successor's log go on from what was restored of the one before."""
    own = view.get(LEDGER, ONLY)
    if own is not None and entry.predecessor is None:
        raise Refusal(Code.LEDGER_EXISTS, "the log has a genesis entry already")
    if own is None and entry.predecessor is not None:
        raise Refusal(Code.SUCCESSION_INVALID, f"nothing was restored of {entry.predecessor.ledger}")
    if entry.points in entry.currencies or len(set(entry.currencies)) != len(entry.currencies):
        raise Refusal(Code.ASSETS_INVALID, "points and currencies must have different codes")
    try:
        check_keys(entry.keys)
    except KeyInvalid as error:
        raise Refusal(Code.KEYS_INVALID, str(error)) from error
    if own is not None:
        apply_succession(view, own, entry)
        return
    if generation_of(entry.ledger) > 1:
        raise Refusal(Code.CHAIN_BROKEN, f"{entry.ledger} does not name the ledger before it")
    record = LedgerRecord(
        ledger=entry.ledger,
        points=entry.points,
        currencies=entry.currencies,
        keys=entry.keys,
        log=entry.ledger,
        next_log_key=entry.next_log_key,
    )
    view.put(LEDGER, ONLY, record)


def needs_account(_view: Overlay, command: OpenAccount | CloseAccount) -> Iterator[Need]:
    """Name the account."""
    yield need(ACCOUNTS, command.account)


def decide_open(_view: View, command: OpenAccount, moment: Moment) -> AccountOpened:
    """Propose the account."""
    return AccountOpened(
        id=command.id, request=command.request, occurred_on=occurred(command, moment), account=command.account
    )


def apply_open(view: View, entry: AccountOpened) -> None:
    """Open an account that does not exist."""
    ledger_record(view)
    if view.get(ACCOUNTS, entry.account) is not None:
        raise Refusal(Code.ACCOUNT_EXISTS, f"the account {entry.account} exists")
    record = AccountRecord(status=AccountStatus.OPEN, posted=0, held=0, conversions=0, opened_seq=entry.seq)
    view.put(ACCOUNTS, entry.account, record)


def decide_close(_view: View, command: CloseAccount, moment: Moment) -> AccountClosed:
    """Propose the end of the account."""
    return AccountClosed(
        id=command.id, request=command.request, occurred_on=occurred(command, moment), account=command.account
    )


def apply_close(view: View, entry: AccountClosed) -> None:
    """Close an account, frozen or not, that is empty and not part of an undecided conversion."""
    record = standing_account(view, entry.account)
    if record.conversions:
        raise Refusal(Code.ACCOUNT_BUSY, f"{entry.account} has {record.conversions} undecided conversions")
    if record.posted:
        raise Refusal(Code.ACCOUNT_NOT_EMPTY, f"{entry.account} still has {record.posted} points")
    view.put(ACCOUNTS, entry.account, msgspec.structs.replace(record, status=AccountStatus.CLOSED))
