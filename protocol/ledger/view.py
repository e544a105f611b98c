"""The rows that a command sees: what was loaded, and on top of it what the commands before it changed.

An `Overlay` is filled with the rows that `needs` names, then changed by `apply`. A savepoint undoes what a refused
command changed. A complete overlay starts empty and treats an absent row as one that does not exist: the auditor's.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar, cast

from protocol.identifiers import Account
from protocol.ledger.state import LOTS, Lot, Table

_K = TypeVar("_K")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Need:
    """A row that a command reads: a table and a key; or with `book`, all open lots of an account."""

    table: Table[object, object] | None
    key: object


def need(table: Table[_K, _R], key: _K) -> Need:
    """Return the need of one row."""
    return Need(cast("Table[object, object]", table), key)


def need_book(account: Account) -> Need:
    """Return the need of all open lots of `account`."""
    return Need(None, account)


class View(Protocol):
    """What rules read and change."""

    def get(self, table: Table[_K, _R], key: _K) -> _R | None:
        """Return the row, or None if there is none."""

    def put(self, table: Table[_K, _R], key: _K, record: _R) -> None:
        """Insert or replace the row."""

    def lots(self, account: Account) -> list[Lot]:
        """Return the open lots of `account` in the order in which they are consumed."""

    def put_lot(self, account: Account, lot: Lot) -> None:
        """Insert or replace a lot; one with nothing remaining is closed."""


class NotLoaded(LookupError):
    """A rule read a row that `needs` did not name: a bug."""


_ABSENT: Final = object()


class Overlay:
    """A `View` over rows in memory, with savepoints; knows what changed since `take_changes`."""

    def __init__(self, *, complete: bool) -> None:
        """Start empty; with `complete`, a row that is absent does not exist."""
        self._complete = complete
        self._rows: dict[Table[object, object], dict[object, object]] = {}
        self._books: dict[Account, dict[tuple[int, int], None]] = {}
        self._loaded_books: set[Account] = set()
        self._journal: list[tuple[dict[object, object], object, object]] = []
        self._changed: list[tuple[Table[object, object], object]] = []

    def _table(self, table: Table[_K, _R]) -> dict[object, object]:
        plain = cast("Table[object, object]", table)
        rows = self._rows.get(plain)
        if rows is None:
            rows = self._rows[plain] = {}
        return rows

    def peek(self, table: Table[_K, _R], key: _K) -> _R | None:
        """Return the row if it is loaded and exists."""
        return cast("_R | None", self._table(table).get(key))

    def is_loaded(self, wanted: Need) -> bool:
        """Return whether the overlay knows the row, or that there is none."""
        if self._complete:
            return True
        if wanted.table is None:
            return wanted.key in self._loaded_books
        return wanted.key in self._table(wanted.table)

    def load(self, table: Table[_K, _R], key: _K, record: _R | None) -> None:
        """Make a stored row known, or with None that there is none; never undoes a change."""
        self._table(table).setdefault(key, record)

    def load_book(self, account: Account, lots: Iterable[Lot]) -> None:
        """Make all stored open lots of `account` known; never undoes a change."""
        for lot in lots:
            key = (account, lot.seq, lot.part)
            self.load(LOTS, key, lot)
            self._shelve(key, self.peek(LOTS, key))
        self._loaded_books.add(account)

    def get(self, table: Table[_K, _R], key: _K) -> _R | None:
        """Return the row, or None if there is none; raise `NotLoaded` if nobody asked for it."""
        record = self._table(table).get(key, _ABSENT)
        if record is _ABSENT:
            if not self._complete:
                raise NotLoaded(f"{table.name} {key!r}")
            return None
        return cast("_R | None", record)

    def put(self, table: Table[_K, _R], key: _K, record: _R) -> None:
        """Insert or replace the row."""
        rows = self._table(table)
        self._journal.append((rows, key, rows.get(key, _ABSENT)))
        self._changed.append((cast("Table[object, object]", table), key))
        rows[key] = record

    def lots(self, account: Account) -> list[Lot]:
        """Return the open lots of `account` in the order in which they are consumed."""
        if not self._complete and account not in self._loaded_books:
            raise NotLoaded(f"lots of {account}")
        rows = self._table(LOTS)
        found = (cast("Lot", rows[account, *place]) for place in self._books.get(account, ()))
        return sorted(found, key=lambda lot: lot.order)

    def put_lot(self, account: Account, lot: Lot) -> None:
        """Insert or replace a lot; one with nothing remaining is closed."""
        self.put(LOTS, (account, lot.seq, lot.part), lot)
        self._shelve((account, lot.seq, lot.part), lot)

    def _shelve(self, key: tuple[Account, int, int], lot: Lot | None) -> None:
        # A book has open lots alone, so that a long history costs a debit nothing.
        account, seq, part = key
        book = self._books.setdefault(account, {})
        if lot is not None and lot.remaining:
            book[seq, part] = None
        else:
            book.pop((seq, part), None)

    def savepoint(self) -> int:
        """Return a mark to which `rollback` can return."""
        return len(self._journal)

    def rollback(self, mark: int) -> None:
        """Undo every change since `mark`."""
        while len(self._journal) > mark:
            rows, key, before = self._journal.pop()
            self._changed.pop()
            if before is _ABSENT:
                del rows[key]
            else:
                rows[key] = before
            if rows is self._table(LOTS):
                lot = None if before is _ABSENT else cast("Lot | None", before)
                self._shelve(cast("tuple[Account, int, int]", key), lot)

    def take_changes(self) -> dict[tuple[Table[object, object], object], object]:
        """Return each changed row with its last content, and start anew: earlier savepoints are gone."""
        changes = {(table, key): self._table(table)[key] for table, key in self._changed}
        self._journal.clear()
        self._changed.clear()
        return changes

    def rows(self, table: Table[_K, _R]) -> Iterator[tuple[_K, _R]]:
        """Yield every row of `table` that exists."""
        for key, record in self._table(table).items():
            if record is not None:
                yield cast("_K", key), cast("_R", record)
