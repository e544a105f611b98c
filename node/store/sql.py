"""Statements in a driver's own words: composed once by SQLAlchemy, run on plain cursors for many rows at a time."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

import msgspec
from sqlalchemy import (
    ClauseElement,
    Dialect,
    Table,
    and_,
    bindparam,
    delete,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import KeyedColumnElement
from sqlalchemy.types import Text

from node.store.codec import Row, Value

Parameters: TypeAlias = Sequence[object] | Mapping[str, object]

_Excluded: TypeAlias = ReadOnlyColumnCollection[str, KeyedColumnElement[object]]

_KEYS: Final = "keys"

FEW_KEYS_MAX: Final = 8
"""So many keys are looked up one by one, for which SQLite needs no table made of a list."""


@dataclass(frozen=True, slots=True)
class Composed:
    """A statement's text and the columns that each given row has."""

    text: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Updated:
    """The columns of rows that get `new` values where those of the columns `same` are the ones given."""

    new: tuple[str, ...]
    same: tuple[str, ...] = ()


class Said:
    """One statement that takes no rows."""

    def __init__(self, compiled: SQLCompiler) -> None:
        """Keep what is `compiled`."""
        self.text: Final = str(compiled)
        self._compiled: Final = compiled
        self._constant: Final = None if _asks(compiled) else self._given({})

    def parameters(self, values: Mapping[str, Value]) -> Parameters:
        """Return `values` and the statement's constants as the driver takes them."""
        return self._given(values) if self._constant is None else self._constant

    def _given(self, values: Mapping[str, Value]) -> Parameters:
        known = self._compiled.construct_params(values)
        return [known[name] for name in self._compiled.positiontup] if self._compiled.positiontup is not None else known


def _asks(compiled: SQLCompiler) -> bool:
    """Return whether a statement has parameters whose values come with each use."""
    return any(each.required for each in compiled.binds.values())


class Words(ABC):
    """Composes the four statements that handle many rows at once, and runs them."""

    begin_text: str

    def __init__(self, dialect: Dialect) -> None:
        """Compose for `dialect`."""
        self._dialect = dialect
        self._composed: dict[tuple[object, ...], Composed] = {}

    def adapt(self, connection: object) -> None:  # noqa: B027 - most need nothing
        """Let the driver's `connection` take the parameters of these words."""

    def prepare(self, connection: object) -> None:
        """Make a writer's `connection` ready for these words."""
        self.adapt(connection)

    def commit(self, cursor: DBAPICursor) -> None:
        """End the open transaction: once this returns, all of it is as durable as the database makes it."""
        cursor.execute("COMMIT")

    @abstractmethod
    def insert(self, cursor: DBAPICursor, table: Table, rows: Sequence[Row]) -> int:
        """Insert new `rows`, each as the table's columns; return how many were written."""

    def upsert(self, cursor: DBAPICursor, table: Table, rows: Sequence[Row]) -> int:
        """Insert `rows` or replace those of the same key; return how many were written."""
        return self._run(cursor, table, self._memo(self._upsert, table), rows)

    def update(self, cursor: DBAPICursor, table: Table, columns: Updated, rows: Sequence[Row]) -> int:
        """Set columns of rows, each given as new values, primary key and what stays; return how many matched."""
        return self._run(cursor, table, self._memo(self._update, table, columns), rows)

    def delete(self, cursor: DBAPICursor, table: Table, keys: Sequence[Row]) -> int:
        """Delete the rows of primary `keys`; return how many there were."""
        return self._run(cursor, table, self._memo(self._delete, table), keys)

    @abstractmethod
    def select(self, cursor: DBAPICursor, table: Table, by: tuple[str, ...], keys: Sequence[Row]) -> list[Row]:
        """Return all columns of the rows whose columns `by` equal one of `keys`."""

    def say(self, statement: ClauseElement) -> Said:
        """Return `statement` as the driver takes it."""
        return Said(self._compile(statement))

    @abstractmethod
    def _run(self, cursor: DBAPICursor, table: Table, composed: Composed, rows: Sequence[Row]) -> int: ...

    @abstractmethod
    def _upsert(self, table: Table) -> ClauseElement: ...

    @abstractmethod
    def _update(self, table: Table, columns: Updated) -> ClauseElement: ...

    @abstractmethod
    def _delete(self, table: Table) -> ClauseElement: ...

    def _compile(self, statement: ClauseElement) -> SQLCompiler:
        return cast("SQLCompiler", statement.compile(dialect=self._dialect))

    def _memo(self, make: Callable[..., ClauseElement], table: Table, *more: object) -> Composed:
        place = (make.__name__, table.name, *more)
        composed = self._composed.get(place)
        if composed is None:
            compiled = self._compile(make(table, *more))
            composed = self._composed[place] = Composed(str(compiled), tuple(compiled.positiontup or compiled.params))
        return composed


class SqliteWords(Words):
    """SQLite's words: `executemany` for rows, one JSON array for the keys of a lookup."""

    begin_text = "BEGIN IMMEDIATE"

    def insert(self, cursor: DBAPICursor, table: Table, rows: Sequence[Row]) -> int:
        """Insert new `rows`, each as the table's columns; return how many were written."""
        return self._run(cursor, table, self._memo(self._insert, table), rows)

    def select(self, cursor: DBAPICursor, table: Table, by: tuple[str, ...], keys: Sequence[Row]) -> list[Row]:
        """Return all columns of the rows whose columns `by` equal one of `keys`."""
        if len(keys) <= FEW_KEYS_MAX:
            text = self._memo(self._select_one, table, by).text
            return [cast("Row", row) for key in keys for row in cursor.connection.execute(text, key)]
        given = [key[0] for key in keys] if len(by) == 1 else keys
        cursor.execute(self._memo(self._select, table, by).text, (msgspec.json.encode(given).decode(),))
        return cast("list[Row]", cursor.fetchall())

    def _run(self, cursor: DBAPICursor, _table: Table, composed: Composed, rows: Sequence[Row]) -> int:
        cursor.executemany(composed.text, rows)
        return cursor.rowcount

    def _insert(self, table: Table) -> ClauseElement:
        return sqlite.insert(table)

    def _upsert(self, table: Table) -> ClauseElement:
        statement = sqlite.insert(table)
        return statement.on_conflict_do_update(
            index_elements=list(table.primary_key.columns), set_=replaced(table, statement.excluded)
        )

    def _update(self, table: Table, columns: Updated) -> ClauseElement:
        given = {
            (part, name): bindparam(f"{part}_{name}", type_=table.c[name].type)
            for part, names in (("new", columns.new), ("key", table.primary_key.columns.keys()), ("same", columns.same))
            for name in names
        }
        changed = update(table).values({name: given["new", name] for name in columns.new})
        changed = changed.where(*(each == given["key", each.name] for each in table.primary_key.columns))
        return changed.where(*(table.c[name].is_not_distinct_from(given["same", name]) for name in columns.same))

    def _delete(self, table: Table) -> ClauseElement:
        return delete(table).where(*(key == bindparam(key.name) for key in table.primary_key.columns))

    def _select_one(self, table: Table, by: tuple[str, ...]) -> ClauseElement:
        return select(table).where(*(table.c[name] == bindparam(name) for name in by))

    def _select(self, table: Table, by: tuple[str, ...]) -> ClauseElement:
        given = func.json_each(bindparam(_KEYS, type_=Text())).table_valued("value")
        if len(by) == 1:
            return select(table).where(table.c[by[0]].in_(select(given.c.value)))
        parts = [func.json_extract(given.c.value, literal_column(f"'$[{place}]'")) for place in range(len(by))]
        return select(table).join(given, and_(*(table.c[name] == part for name, part in zip(by, parts, strict=True))))


def replaced(table: Table, excluded: _Excluded) -> dict[str, KeyedColumnElement[object]]:
    """Return what a row that is there already gets from the one of the same key that would be inserted."""
    keys = set(table.primary_key.columns.keys())
    return {name: excluded[name] for name in table.columns.keys() if name not in keys}  # noqa: SIM118 - a collection
