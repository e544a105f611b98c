"""The rows that a command sees: what was loaded, and on top of it what the commands before it changed.

An `Overlay` is filled with the rows that `needs` names, then changed by `apply`. A savepoint undoes what a refused
command changed. A complete overlay starts empty and treats an absent row as one that does not exist: the auditor's.
"""

from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Final, NamedTuple, Protocol, TypeVar, cast

from protocol.identifiers import Account
from protocol.ledger.state import LOTS, Lot, Table

_K = TypeVar("_K")
_R = TypeVar("_R")


class Need(NamedTuple):
    """A row that a command reads: a table and a key; or with `book`, all open lots of an account."""

    table: Table[object, object] | None
    key: object


def need(table: Table[_K, _R], key: _K) -> Need:
    """Return the need of one row."""
    return Need(table, key)  # type: ignore[arg-type]  # a cast would cost each of many needs a call


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
_ORDER: Final = attrgetter("order")
_NOTHING: Final[dict[tuple[int, int], Lot]] = {}


class Overlay:
    """A `View` over rows in memory, with savepoints; knows what changed since `take_changes`."""

    def __init__(self, *, complete: bool) -> None:
        """Start empty; with `complete`, a row that is absent does not exist."""
        self._complete = complete
        self._rows: dict[Table[object, object], dict[object, object]] = {}
        self._books: dict[Account, dict[tuple[int, int], Lot]] = {}
        self._loaded_books: set[Account] = set()
        self._journal: list[tuple[Table[object, object], object, object]] = []

    def _table(self, table: Table[_K, _R]) -> dict[object, object]:
        # Families are asked for a row several times an entry: what can be spared here is spared.
        try:
            return self._rows[table]  # type: ignore[index]
        except KeyError:
            return self._rows.setdefault(cast("Table[object, object]", table), {})

    def peek(self, table: Table[_K, _R], key: _K) -> _R | None:
        """Return the row if it is loaded and exists."""
        return cast("_R | None", self._table(table).get(key))

    def is_loaded(self, wanted: Need) -> bool:
        """Return whether the overlay knows the row, or that there is none."""
        if self._complete:
            return True
        table, key = wanted
        return key in (self._loaded_books if table is None else self._table(table))

    def missing(self, wanted: Iterable[Need]) -> dict[Need, None]:
        """Return those of `wanted` that are not loaded, each once, in their order."""
        rows, books = self._rows, self._loaded_books
        if self._complete:
            return {}
        return {each: None for each in wanted if each[1] not in (books if each[0] is None else rows.get(each[0], ()))}

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
        try:
            return self._rows[table][key]  # type: ignore[index,return-value]
        except KeyError:
            if not self._complete:
                raise NotLoaded(f"{table.name} {key!r}") from None
            return None

    def put(self, table: Table[_K, _R], key: _K, record: _R) -> None:
        """Insert or replace the row."""
        rows = self._table(table)
        self._journal.append((table, key, rows.get(key, _ABSENT)))  # type: ignore[arg-type]
        rows[key] = record

    def lots(self, account: Account) -> list[Lot]:
        """Return the open lots of `account` in the order in which they are consumed."""
        if not self._complete and account not in self._loaded_books:
            raise NotLoaded(f"lots of {account}")
        found = list(self._books.get(account, _NOTHING).values())
        if len(found) > 1:
            found.sort(key=_ORDER)
        return found

    def put_lot(self, account: Account, lot: Lot) -> None:
        """Insert or replace a lot; one with nothing remaining is closed."""
        self.put(LOTS, (account, lot.seq, lot.part), lot)
        self._shelve((account, lot.seq, lot.part), lot)

    def _shelve(self, key: tuple[Account, int, int], lot: Lot | None) -> None:
        # A book has open lots alone, so that a long history costs a debit nothing.
        account, seq, part = key
        book = self._books.setdefault(account, {})
        if lot is not None and lot.remaining:
            book[seq, part] = lot
        else:
            book.pop((seq, part), None)

    def savepoint(self) -> int:
        """Return a mark to which `rollback` can return."""
        return len(self._journal)

    def rollback(self, mark: int) -> None:
        """Undo every change since `mark`."""
        while len(self._journal) > mark:
            table, key, before = self._journal.pop()
            rows = self._rows[table]
            if before is _ABSENT:
                del rows[key]
            else:
                rows[key] = before
            if table is LOTS:
                lot = None if before is _ABSENT else cast("Lot | None", before)
                self._shelve(cast("tuple[Account, int, int]", key), lot)

    def changed_since(self, mark: int, table: Table[_K, _R]) -> Iterator[tuple[_K, _R | None, _R]]:
        """Yield each row of `table` that was put since `mark`: its key, what it was, None for nothing, and is."""
        seen: set[object] = set()
        for changed, key, before in self._journal[mark:]:
            if changed is table and key not in seen:
                seen.add(key)
                was = None if before is _ABSENT else cast("_R | None", before)
                yield cast("_K", key), was, cast("_R", self._rows[changed][key])

    def take_changes(self) -> dict[tuple[Table[object, object], object], object]:
        """Return each changed row with its last content, and start anew: earlier savepoints are gone."""
        rows = self._rows
        changes = {(table, key): rows[table][key] for table, key, _ in self._journal}
        self._journal.clear()
        return changes

    def rows(self, table: Table[_K, _R]) -> Iterator[tuple[_K, _R]]:
        """Yield every row of `table` that exists."""
        for key, record in self._table(table).items():
            if record is not None:
                yield cast("_K", key), cast("_R", record)
