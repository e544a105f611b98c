"""Balances of another system: taken in row by row, usable all at once (specs/import.md).

An account that a file opens is closed to everybody until the file's last row is in and the totals are those that it
announced. Whoever looks before that sees an import under way, and nobody can spend a part of it.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from protocol.entry import Posting, transfer_postings
from protocol.errors import Code, Refusal
from protocol.identifiers import Account, Asset, Digest
from protocol.import_entries import BalanceImported, ImportBegun, ImportFinished
from protocol.ledger.import_commands import BeginImport, FinishImport, ImportBalance
from protocol.ledger.import_state import IMPORTS, ImportRecord
from protocol.ledger.moment import Moment, check_day, occurred
from protocol.ledger.postings import check_postings, ledger_record, move_structural
from protocol.ledger.state import ACCOUNTS, BALANCES, LEDGER, ONLY, AccountRecord, AccountStatus, Lot
from protocol.ledger.view import Need, Overlay, View, need
from protocol.limits import INTEGER_MAX

OPENING: Final = Account("opening")
"""Minus what was ever taken over from a system before: apart from what was issued here."""


def needs_import(_view: Overlay, command: BeginImport | FinishImport) -> Iterator[Need]:
    """Name the file."""
    yield need(IMPORTS, command.file)


def needs_balance(view: Overlay, command: ImportBalance) -> Iterator[Need]:
    """Name the file, the holder and what stands against its points."""
    yield need(IMPORTS, command.file)
    yield need(ACCOUNTS, command.account)
    yield need(BALANCES, (OPENING, ledger_record(view).points))


def decide_begin(_view: View, command: BeginImport, moment: Moment) -> ImportBegun:
    """Propose to begin."""
    return ImportBegun(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        file=command.file,
        rows=command.rows,
        points=command.points,
    )


def apply_begin(view: View, entry: ImportBegun) -> None:
    """Begin to take in a file, the only one at a time."""
    own = ledger_record(view)
    if own.importing_seq is not None:
        raise Refusal(Code.IMPORT_OPEN, f"the import that began with entry {own.importing_seq} is not finished")
    record = ImportRecord(rows=entry.rows, points=entry.points, day=entry.occurred_on, begun_seq=entry.seq)
    view.put(IMPORTS, entry.file, record)
    view.put(LEDGER, ONLY, msgspec.structs.replace(own, importing_seq=entry.seq))


def decide_balance(view: View, command: ImportBalance, _moment: Moment) -> BalanceImported:
    """Propose a row of the file, on the day of the import."""
    for day in (command.earned_on, command.expires_on):
        if day is not None:
            check_day(day)
    if not 0 <= command.points <= INTEGER_MAX:
        raise Refusal(Code.AMOUNT_INVALID, f"points are a whole number from 0 to {INTEGER_MAX}")
    return BalanceImported(
        id=command.id,
        request=command.request,
        occurred_on=_open_import(view, command.file).day,
        file=command.file,
        row=command.row,
        account=command.account,
        origin=command.origin,
        earned_on=command.earned_on,
        expires_on=command.expires_on,
        postings=opening_postings(ledger_record(view).points, command.points, account=command.account),
    )


def opening_postings(points: Asset, amount: int, *, account: Account) -> tuple[Posting, ...]:
    """Return what a row posts: nothing, where the holder has no points."""
    return transfer_postings(points, amount, debit=OPENING, credit=account) if amount else ()


def apply_balance(view: View, entry: BalanceImported) -> None:
    """Give a holder the points of the next row, as one lot."""
    record = _open_import(view, entry.file)
    points = entry.postings[-1].amount if entry.postings else 0
    check_postings(entry.postings, opening_postings(ledger_record(view).points, max(points, 0), account=entry.account))
    _check_dates(entry, record)
    after = msgspec.structs.replace(record, rows_done=record.rows_done + 1, points_done=record.points_done + points)
    if entry.row != after.rows_done or after.rows_done > record.rows or after.points_done > record.points:
        text = f"row {after.rows_done} of {record.rows} is next, and {record.points - record.points_done} points"
        raise Refusal(Code.IMPORT_MISMATCH, f"{text} are left of the file's total")
    view.put(IMPORTS, entry.file, after)
    _credit(view, entry, points, begun_seq=record.begun_seq)
    move_structural(view, entry.postings)


def _open_import(view: View, file: Digest) -> ImportRecord:
    record = view.get(IMPORTS, file)
    if record is None:
        raise Refusal(Code.IMPORT_UNKNOWN, f"no import of the file {file} has begun")
    if record.finished_seq is not None:
        raise Refusal(Code.IMPORT_MISMATCH, f"the import of the file is finished since entry {record.finished_seq}")
    return record


def _check_dates(entry: BalanceImported, record: ImportRecord) -> None:
    if entry.occurred_on != record.day:
        raise Refusal(Code.DATE_INVALID, f"the import is of {record.day}")
    if entry.earned_on > record.day:
        raise Refusal(Code.DATE_INVALID, "the points are earned after the day of the import")
    if entry.expires_on is not None and entry.expires_on < record.day:
        raise Refusal(Code.DATE_INVALID, "the points had expired on the day of the import")


def _credit(view: View, entry: BalanceImported, points: int, *, begun_seq: int) -> None:
    record = view.get(ACCOUNTS, entry.account)
    if record is None:
        record = AccountRecord(
            status=AccountStatus.OPEN, posted=0, held=0, conversions=0, opened_seq=entry.seq, imported_seq=begun_seq
        )
    elif record.imported_seq != begun_seq:
        raise Refusal(Code.ACCOUNT_EXISTS, f"the account {entry.account} was there before the import")
    if record.posted + points > INTEGER_MAX:
        raise Refusal(Code.BALANCE_OVERFLOW, f"the balance of {entry.account} would pass {INTEGER_MAX}")
    view.put(ACCOUNTS, entry.account, msgspec.structs.replace(record, posted=record.posted + points))
    if points:
        lot = Lot(
            seq=entry.seq,
            part=0,
            origin=entry.origin,
            earned_on=entry.earned_on,
            expires_on=entry.expires_on,
            remaining=points,
        )
        view.put_lot(entry.account, lot)


def decide_finish(view: View, command: FinishImport, _moment: Moment) -> ImportFinished:
    """Propose that all is in."""
    day = _open_import(view, command.file).day
    return ImportFinished(id=command.id, request=command.request, occurred_on=day, file=command.file)


def apply_finish(view: View, entry: ImportFinished) -> None:
    """Let the accounts of the file be accounts like any other, once rows and points are those announced."""
    record = _open_import(view, entry.file)
    if (record.rows_done, record.points_done) != (record.rows, record.points):
        done = f"{record.rows_done} of {record.rows} rows and {record.points_done} of {record.points} points"
        raise Refusal(Code.IMPORT_MISMATCH, f"{done} are in")
    own = ledger_record(view)
    view.put(IMPORTS, entry.file, msgspec.structs.replace(record, finished_seq=entry.seq))
    view.put(LEDGER, ONLY, msgspec.structs.replace(own, importing_seq=None))
