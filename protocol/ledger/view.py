"""The rows that a command sees: what was loaded, and on top of it what the commands before it changed.

An `Overlay` is filled with the rows that `needs` names, then changed by `apply`. A savepoint undoes what a refused
command changed. A complete overlay starts empty and treats an absent row as one that does not exist: the auditor's.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Final, Protocol, TypeAlias, TypeVar, cast

from protocol.identifiers import Account
from protocol.ledger.state import LOTS, Lot, Table

_K = TypeVar("_K")
_R = TypeVar("_R")

Changes: TypeAlias = "Mapping[Table[object, object], Mapping[object, object]]"
"""The last content of each row that changed, by table and then by key."""

Need: TypeAlias = "tuple[Table[object, object] | None, object]"
"""A row that a command reads: a table and a key; or without a table, all open lots of an account."""


def need(table: Table[_K, _R], key: _K) -> Need:
    """Return the need of one row."""
    return table, key  # type: ignore[return-value]  # a cast would cost each of many needs a call


def need_book(account: Account) -> Need:
    """Return the need of all open lots of `account`."""
    return None, account


class View(Protocol):
    """What rules read and change."""

    def get(self, table: Table[_K, _R], key: _K) -> _R | None:
        """Return the row, or None if there is none."""

    def put(self, table: Table[_K, _R], key: _K, record: _R) -> None:
        """Insert or replace the row."""

    def insert(self, table: Table[_K, _R], key: _K, record: _R) -> bool:
        """Insert the row and return True, or return False where there is one."""

    def lots(self, account: Account) -> list[Lot]:
        """Return the open lots of `account` in the order in which they are consumed."""

    def known_lots(self, account: Account) -> list[Lot]:
        """Return the open lots of `account`, or where nobody asked for them, those that were put since."""

    def put_lot(self, account: Account, lot: Lot) -> None:
        """Insert or replace a lot; one with nothing remaining is closed."""


class NotLoaded(LookupError):
    """A rule read a row that `needs` did not name: a bug."""


_ABSENT: Final = object()
_LOTS: Final = cast("Table[object, object]", LOTS)
_ORDER: Final = attrgetter("order")


class _Rows(dict[object, object]):
    """The loaded rows of one table. A rule asks for a row several times an entry: asking is one lookup."""

    def __init__(self, table: Table[object, object], *, complete: bool) -> None:
        super().__init__()
        self._table = table
        self._complete = complete

    def __missing__(self, key: object) -> None:
        if not self._complete:
            raise NotLoaded(f"{self._table.name} {key!r}")


class _Tables(dict["Table[object, object]", _Rows]):
    """The tables of which any row was loaded or put."""

    def __init__(self, *, complete: bool) -> None:
        super().__init__()
        self._complete = complete

    def __missing__(self, table: "Table[object, object]") -> _Rows:
        rows = self[table] = _Rows(table, complete=self._complete)
        return rows


def _comes_after(last: Lot, lot: Lot) -> bool:
    """Return whether `lot` is beyond doubt consumed after `last`, as most new lots are: without an order being made."""
    return last.expires_on == lot.expires_on and last.earned_on <= lot.earned_on and last.seq < lot.seq


class Overlay:
    """A `View` over rows in memory, with savepoints; knows what changed since `take_changes`."""

    def __init__(self, *, complete: bool) -> None:
        """Start empty; with `complete`, a row that is absent does not exist."""
        self._complete = complete
        self._rows = _Tables(complete=complete)
        self._books: dict[Account, list[Lot]] = {}
        self._loaded_books: set[Account] = set()
        self._journal: list[tuple[Table[object, object], object, object]] = []
        self._note = self._journal.append

    def __len__(self) -> int:
        """Return how many rows are in memory."""
        return sum(map(len, self._rows.values()))

    def peek(self, table: Table[_K, _R], key: _K) -> _R | None:
        """Return the row if it is loaded and exists."""
        return self._rows[table].get(key)  # type: ignore[index,return-value]  # as in `get`

    def is_loaded(self, wanted: Need) -> bool:
        """Return whether the overlay knows the row, or that there is none."""
        table, key = wanted
        return self._complete or key in (self._loaded_books if table is None else self._rows[table])

    def missing(self, wanted: Iterable[Need]) -> dict[Need, None]:
        """Return those of `wanted` that are not loaded, each once, in their order."""
        missing: dict[Need, None] = {}
        if self._complete:
            return missing
        rows, books = self._rows, self._loaded_books
        # Of most commands nothing is missing: no comprehension, which costs a call.
        for each in wanted:
            table, key = each
            if key not in (books if table is None else rows[table]):
                missing[each] = None
        return missing

    def load(self, table: Table[_K, _R], key: _K, record: _R | None) -> None:
        """Make a stored row known, or with None that there is none; never undoes a change."""
        self._rows[table].setdefault(key, record)  # type: ignore[index]  # as in `get`

    def load_book(self, account: Account, lots: Iterable[Lot]) -> None:
        """Make all stored open lots of `account` known; never undoes a change."""
        rows = self._rows[_LOTS]
        book = {(lot.seq, lot.part): lot for lot in self._books.get(account, ())}
        for lot in lots:
            known = cast("Lot | None", rows.setdefault((account, lot.seq, lot.part), lot))
            if known is not None and known.remaining:
                book[lot.seq, lot.part] = known
        self._books[account] = sorted(book.values(), key=_ORDER)
        self._loaded_books.add(account)

    def get(self, table: Table[_K, _R], key: _K) -> _R | None:
        """Return the row, or None if there is none; raise `NotLoaded` if nobody asked for it."""
        # Here and below a cast would cost a call, many times an entry: what can be spared is spared.
        return self._rows[table][key]  # type: ignore[index,return-value]

    def put(self, table: Table[_K, _R], key: _K, record: _R) -> None:
        """Insert or replace the row."""
        rows = self._rows[table]  # type: ignore[index]  # as in `get`
        self._note((table, key, rows.get(key, _ABSENT)))  # type: ignore[arg-type]
        rows[key] = record

    def insert(self, table: Table[_K, _R], key: _K, record: _R) -> bool:
        """Insert the row and return True, or return False where there is one; raise `NotLoaded` as `get` does."""
        rows = self._rows[table]  # type: ignore[index]  # as in `get`
        # One look at a table that may have a row for each entry of the log, where asking first would take three.
        before = rows.setdefault(key, record)
        if before is record:
            if not self._complete:
                del rows[key]
                raise NotLoaded(f"{table.name} {key!r}")
            self._note((table, key, _ABSENT))  # type: ignore[arg-type]
            return True
        if before is None:
            self._note((table, key, None))  # type: ignore[arg-type]
            rows[key] = record
        return before is None

    def lots(self, account: Account) -> list[Lot]:
        """Return the open lots of `account` in the order in which they are consumed."""
        if not self._complete and account not in self._loaded_books:
            raise NotLoaded(f"lots of {account}")
        book = self._books.get(account)
        return book.copy() if book else []

    def known_lots(self, account: Account) -> list[Lot]:
        """Return the open lots of `account`, or where nobody asked for them, those that were put since."""
        book = self._books.get(account)
        return book.copy() if book else []

    def put_lot(self, account: Account, lot: Lot) -> None:
        """Insert or replace a lot; one with nothing remaining is closed."""
        rows = self._rows[_LOTS]
        key = (account, lot.seq, lot.part)
        before = rows.get(key, _ABSENT)
        self._note((_LOTS, key, before))
        rows[key] = lot
        self._shelve(account, None if before is _ABSENT else before, lot)  # type: ignore[arg-type]

    def _shelve(self, account: Account, before: Lot | None, after: Lot | None) -> None:
        """Let the book of `account`, which has its open lots in their order, have `after` in the place of `before`."""
        book = self._books.get(account)
        if book is None:
            book = self._books[account] = []
        if before is not None and before.remaining:
            place = 0 if book[0] is before else bisect_left(book, before.order, key=_ORDER)
            if after is not None and after.remaining and after.expires_on == before.expires_on:
                book[place] = after
                return
            del book[place]
        if after is not None and after.remaining:
            if not book or _comes_after(book[-1], after):
                book.append(after)
            else:
                book.insert(bisect_left(book, after.order, key=_ORDER), after)

    def savepoint(self) -> int:
        """Return a mark to which `rollback` can return."""
        return len(self._journal)

    def rollback(self, mark: int) -> None:
        """Undo every change since `mark`."""
        while len(self._journal) > mark:
            table, key, before = self._journal.pop()
            rows = self._rows[table]
            if table is LOTS:
                after, lot = rows[key], None if before is _ABSENT else before
                self._shelve(cast("tuple[Account, int, int]", key)[0], cast("Lot", after), cast("Lot | None", lot))
            if before is _ABSENT:
                del rows[key]
            else:
                rows[key] = before

    def changed_since(self, mark: int, table: Table[_K, _R]) -> Iterator[tuple[_K, _R | None, _R]]:
        """Yield each row of `table` that was put since `mark`: its key, what it was, None for nothing, and is."""
        seen: set[object] = set()
        for changed, key, before in self._journal[mark:]:
            if changed is table and key not in seen:
                seen.add(key)
                was = None if before is _ABSENT else cast("_R | None", before)
                yield cast("_K", key), was, cast("_R", self._rows[changed][key])

    def take_changes(self) -> Changes:
        """Return each changed row with its last content, and start anew: earlier savepoints are gone."""
        rows = self._rows
        changes: dict[Table[object, object], dict[object, object]] = {}
        for table, key, _ in self._journal:
            changed = changes.get(table)
            if changed is None:
                changed = changes[table] = {}
            changed[key] = rows[table][key]
        self._journal.clear()
        return changes

    def forget(self, tables: Iterable[Table[object, object]], changes: Changes) -> None:
        """Forget what is known of `tables`, and the lots that `changes` closed: who asks for them loads them again."""
        assert not self._journal, "what has changed is taken first"
        for table in tables:
            self._rows.pop(table, None)
        lots = self._rows[_LOTS]
        for key, record in changes.get(_LOTS, {}).items():
            if not cast("Lot", record).remaining:
                lots.pop(key, None)

    def forget_changes(self) -> None:
        """Start anew without looking at what has changed: earlier savepoints are gone."""
        self._journal.clear()

    def rows(self, table: Table[_K, _R]) -> Iterator[tuple[_K, _R]]:
        """Yield every row of `table` that exists."""
        for row in self._rows[table].items():  # type: ignore[index]  # as in `get`
            if row[1] is not None:
                yield row  # type: ignore[misc]
