"""How postings change balances and lots: the only code that moves points or money."""

from collections.abc import Sequence
from typing import Final

import msgspec

from protocol.entries import Posting
from protocol.errors import Code, Refusal
from protocol.identifiers import HOLDER_KINDS, Account, Asset
from protocol.ledger.lots import can_be_spent, dated_lots, lot_of, piece_of
from protocol.ledger.state import (
    ACCOUNTS,
    BALANCES,
    LEDGER,
    ONLY,
    AccountRecord,
    AccountStatus,
    BalanceRecord,
    LedgerRecord,
    Lot,
    Piece,
)
from protocol.ledger.view import View
from protocol.limits import INTEGER_MAX

# A member of an enumeration costs more to look up than what is done with it here, several times an entry.
_OPEN: Final = AccountStatus.OPEN
_FROZEN: Final = AccountStatus.FROZEN

ADJUSTMENT: Final = Account("adjustment")
"""What stands in for an account whose points are not there, or that is not known any more: the program's own."""


def ledger_record(view: View) -> LedgerRecord:
    """Return what genesis said, or refuse while there is none."""
    record = view.get(LEDGER, ONLY)
    if record is None:
        raise Refusal(Code.LEDGER_MISSING, "the log has no genesis entry yet")
    return record


def is_holder(account: Account) -> bool:
    """Return whether `account` is a holder's, not a structural or money account."""
    return account.partition("/")[0] in HOLDER_KINDS


def open_account(view: View, account: Account) -> AccountRecord:
    """Return the holder's account, or refuse when it is unknown, closed or frozen."""
    record = standing_account(view, account)
    if record.status is _FROZEN:
        raise Refusal(Code.ACCOUNT_FROZEN, f"the account {account} is frozen")
    return record


def standing_account(view: View, account: Account) -> AccountRecord:
    """Return the holder's account, frozen or not, or refuse when it is unknown, closed or merged."""
    record = view.get(ACCOUNTS, account)
    if record is None:
        raise Refusal(Code.ACCOUNT_UNKNOWN, f"there is no account {account}")
    if record.status is not _OPEN and record.status is not _FROZEN:
        raise Refusal(Code.ACCOUNT_CLOSED, f"the account {account} is {record.status}")
    if record.imported_seq is not None:
        check_imported(view, account, record)
    return record


def check_imported(view: View, account: Account, record: AccountRecord) -> None:
    """Refuse an account that an import which is not finished has opened."""
    if record.imported_seq is not None and record.imported_seq == ledger_record(view).importing_seq:
        raise Refusal(Code.ACCOUNT_IMPORTING, f"the account {account} is in a file that is not imported yet")


def check_postings(found: Sequence[Posting], expected: Sequence[Posting]) -> None:
    """Refuse postings that are not exactly what the entry's kind and fields demand."""
    if tuple(found) != tuple(expected):
        raise postings_invalid()


def postings_invalid() -> Refusal:
    """Return the refusal of postings that are not those of their entry."""
    return Refusal(Code.POSTINGS_INVALID, "the postings are not those that this kind of entry makes")


def pair_amount(postings: Sequence[Posting]) -> int:
    """Return the amount that a debit and a credit of one asset move, or refuse other shapes."""
    if len(postings) == 2:  # noqa: PLR2004 - a pair
        amount = postings[1].amount
        if amount > 0:
            return amount
    raise Refusal(Code.POSTINGS_INVALID, "a debit and a credit are expected")


def move_structural(view: View, postings: Sequence[Posting]) -> None:
    """Add the postings of structural and money accounts to their balances; holders are moved by lots."""
    for posting in postings:
        if not is_holder(posting.account):
            move_balance(view, posting)


def move_balance(view: View, posting: Posting) -> None:
    """Add the posting of a structural or money account to its balance."""
    key = (posting.account, posting.asset)
    before = view.get(BALANCES, key)
    amount = posting.amount if before is None else before.amount + posting.amount
    view.put(BALANCES, key, BalanceRecord(amount=amount))


def structural_keys(asset: Asset, *accounts: str) -> list[tuple[Account, Asset]]:
    """Return the balance rows of structural `accounts` in `asset`."""
    return [(Account(account), asset) for account in accounts]


def credit_holder(view: View, account: Account, pieces: Sequence[Piece]) -> None:
    """Add `pieces`, none of which is of a lot that is there, to the lots and balance of a holder, frozen or not."""
    _add_posted(view, account, sum([piece.amount for piece in pieces]))
    for piece in pieces:
        view.put_lot(account, lot_of(piece, piece.amount))


def credit_lot(view: View, account: Account, lot: Lot) -> None:
    """Add a `lot` that is not there yet to the lots and balance of a holder, frozen or not."""
    _add_posted(view, account, lot.remaining)
    view.put_lot(account, lot)


def receive_pieces(view: View, account: Account, pieces: Sequence[Piece], *, seq: int) -> None:
    """Add `pieces` of another holder as new lots of the entry `seq`, as `credit_holder`: origin, day and expiry stay.

    Pieces that follow their account's clock are made to stand still before they leave it (`fixed_pieces`).
    """
    _add_posted(view, account, sum([piece.amount for piece in pieces]))
    for part, piece in enumerate(pieces):
        view.put_lot(account, msgspec.structs.replace(lot_of(piece, piece.amount), seq=seq, part=part))


def _add_posted(view: View, account: Account, amount: int) -> None:
    record = standing_account(view, account)
    posted = record.posted + amount
    if posted > INTEGER_MAX:
        raise Refusal(Code.BALANCE_OVERFLOW, f"the balance of {account} would pass {INTEGER_MAX}")
    view.put(ACCOUNTS, account, msgspec.structs.replace(record, posted=posted))


def take_pieces(view: View, account: Account, amount: int, *, on: str) -> tuple[Piece, ...]:
    """Take `amount` points out of the holder's open lots, earliest expiry first, and return them as pieces.

    Lots whose last day is before `on`, or that cannot be spent yet, are passed over. The caller settles the account's
    record.
    """
    pieces: list[Piece] = []
    missing = amount
    for last, lot in dated_lots(view, account):
        if not can_be_spent(lot, last, on=on):
            continue
        left = lot.remaining - missing
        if left >= 0:
            view.put_lot(account, msgspec.structs.replace(lot, remaining=left))
            return (*pieces, piece_of(lot, missing))
        view.put_lot(account, msgspec.structs.replace(lot, remaining=0))
        pieces.append(piece_of(lot, lot.remaining))
        missing = -left
    raise Refusal(Code.INSUFFICIENT_POINTS, f"{account} has {amount - missing} of the {amount} points needed")


def debit_holder(view: View, account: Account, amount: int, *, on: str, even_frozen: bool = False) -> tuple[Piece, ...]:
    """Take `amount` available points off the holder's balance and lots; `even_frozen` where the program does it."""
    record = standing_account(view, account) if even_frozen else open_account(view, account)
    posted = record.posted
    if posted - record.held < amount:
        raise Refusal(Code.INSUFFICIENT_POINTS, f"{account} has {record.available} of the {amount} points needed")
    pieces = take_pieces(view, account, amount, on=on)
    view.put(ACCOUNTS, account, msgspec.structs.replace(record, posted=posted - amount))
    return pieces


def split_pieces(pieces: Sequence[Piece], amount: int) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Return the first `amount` points of `pieces`, and the rest."""
    first: list[Piece] = []
    rest: list[Piece] = []
    missing = amount
    for piece in pieces:
        taken = min(missing, piece.amount)
        missing -= taken
        if taken:
            first.append(msgspec.structs.replace(piece, amount=taken))
        if piece.amount - taken:
            rest.append(msgspec.structs.replace(piece, amount=piece.amount - taken))
    return tuple(first), tuple(rest)
