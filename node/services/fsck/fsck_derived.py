"""The derived tables, compared row by row and column by column with what a replay of the log leads to."""

from collections.abc import Iterator
from typing import Final, cast

from node.services.fsck.fsck_collected import HistoryOfHolders
from node.services.fsck.fsck_report import Key, Notes
from node.store.codec import Row
from node.store.dump import Dump, columns_of, expected_row, key_columns_of
from protocol.identifiers import Account
from protocol.ledger.state import ACCOUNTS, LOTS, TABLES, Table
from protocol.ledger.view import Overlay

HISTORY: Final = "history"


def check_derived(dump: Dump, notes: Notes, *, view: Overlay) -> None:
    """Compare every table of the ledger's state with `view`, a complete state."""
    for family in TABLES:
        _Comparison(dump, notes, family, view).run()


def count_rows(dump: Dump, notes: Notes, name: str) -> None:
    """Count the rows of a table that is not compared with anything."""
    notes.table(name).rows = sum(1 for _ in dump.rows(name))


class _Comparison:
    """One table, compared."""

    def __init__(self, dump: Dump, notes: Notes, family: Table[object, object], view: Overlay) -> None:
        self._dump = dump
        self._notes = notes.table(family.name)
        self._family = family
        self._view = view
        self._columns = columns_of(family.name)
        self._key_count = len(key_columns_of(family))
        self._accounts = _Accounts(view) if family is LOTS else None

    def run(self) -> None:
        """Compare every stored row, then look for rows that are not stored."""
        self._notes.checked = True
        matched = 0
        for row in self._dump.rows(self._family.name):
            self._notes.rows += 1
            matched += self._compare(row)
        if matched < sum(1 for _ in self._expected_keys()):
            self._note_missing()

    def _compare(self, row: Row) -> bool:
        """Return whether `row` should be there, noting each column that is not what it should be."""
        key = self._key_of(row)
        record = self._view.peek(self._family, self._accounts.named(key) if self._accounts else key)
        expected = None if record is None else expected_row(self._family, key, record)
        if expected is None:
            self._notes.note(_shown(row[: self._key_count]), None, "the log leads to no such row")
            return False
        for column, value in zip(self._columns, row, strict=True):
            # A flag and the number 1 are equal in Python, and so they are as columns.
            if value != expected[column]:
                text = f"{_short(value)}, where the log leads to {_short(expected[column])}"
                self._notes.note(_shown(row[: self._key_count]), column, text)
        return True

    def _key_of(self, row: Row) -> object:
        return tuple(row[: self._key_count]) if self._key_count > 1 else row[0]

    def _expected_keys(self) -> Iterator[object]:
        for named, record in self._view.rows(self._family):
            key = self._accounts.numbered(named) if self._accounts else named
            if expected_row(self._family, key, record) is not None:
                yield key

    def _note_missing(self) -> None:
        stored = {self._key_of(row) for row in self._dump.rows(self._family.name)}
        for key in self._expected_keys():
            if key not in stored:
                parts = key if isinstance(key, tuple) else (key,)
                self._notes.note(_shown(parts), None, "this row is missing")


class _Accounts:
    """The accounts that the log leads to, by the numbers that lots and history have for them."""

    def __init__(self, view: Overlay) -> None:
        self._numbers = {account: record.opened_seq for account, record in view.rows(ACCOUNTS)}
        self._names: dict[object, Account] = {number: account for account, number in self._numbers.items()}

    def numbered(self, key: object) -> tuple[object, ...]:
        """Return a key that names an account as rows have it."""
        account, *rest = cast("tuple[object, ...]", key)
        return (self._numbers.get(Account(str(account)), -1), *rest)

    def named(self, key: object) -> tuple[object, ...]:
        """Return a key of a row as the state has it."""
        number, *rest = cast("tuple[object, ...]", key)
        return (self._names.get(number), *rest)


def check_history(dump: Dump, notes: Notes, history: HistoryOfHolders, *, view: Overlay) -> None:
    """Compare the history of every holder with the entries that belong to it."""
    table = notes.table(HISTORY)
    table.checked = True
    accounts = _Accounts(view)
    wanted = {accounts.numbered((account,))[0]: set(seqs) for account, seqs in history.seqs.items()}
    for account_seq, seq in dump.rows(HISTORY):
        table.rows += 1
        known = wanted.get(account_seq, set())
        if seq in known:
            known.discard(seq)
        else:
            table.note(_shown((account_seq, seq)), None, "the log leads to no such row")
    for key in sorted((number, seq) for number, seqs in wanted.items() for seq in seqs):
        table.note(_shown(key), None, "this row is missing")


def _shown(parts: tuple[object, ...]) -> Key:
    return tuple(part if isinstance(part, str | int) else str(part) for part in parts)


def _short(value: object) -> str:
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= _TEXT_CHARACTERS_MAX else f"{text[:_TEXT_CHARACTERS_MAX]}…"


_TEXT_CHARACTERS_MAX: Final = 80
