"""Statements in a driver's own words: composed once by SQLAlchemy, run on plain cursors for many rows at a time.

SQLite takes rows one by one inside the process; PostgreSQL takes a whole chunk of them in one message.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

import msgspec
import psycopg
from sqlalchemy import (
    ClauseElement,
    Dialect,
    Table,
    and_,
    bindparam,
    column,
    delete,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import KeyedColumnElement
from sqlalchemy.sql.selectable import TableValuedAlias
from sqlalchemy.types import BigInteger, Boolean, LargeBinary, Text

from node.store.codec import Row, Value

Parameters: TypeAlias = Sequence[object] | Mapping[str, object]

_Excluded: TypeAlias = ReadOnlyColumnCollection[str, KeyedColumnElement[object]]

_KEYS: Final = "keys"


@dataclass(frozen=True, slots=True)
class Composed:
    """A statement's text and the columns that each given row has."""

    text: str
    columns: tuple[str, ...]


class Words(ABC):
    """Composes the four statements that handle many rows at once, and runs them."""

    begin_text: str

    def __init__(self, dialect: Dialect) -> None:
        """Compose for `dialect`."""
        self._dialect = dialect
        self._composed: dict[tuple[object, ...], Composed] = {}

    @abstractmethod
    def insert(self, cursor: DBAPICursor, table: Table, rows: Sequence[Row]) -> int:
        """Insert new `rows`, each as the table's columns; return how many were written."""

    def upsert(self, cursor: DBAPICursor, table: Table, rows: Sequence[Row]) -> int:
        """Insert `rows` or replace those of the same key; return how many were written."""
        return self._run(cursor, self._memo(self._upsert, table), rows)

    def update(self, cursor: DBAPICursor, table: Table, columns: tuple[str, ...], rows: Sequence[Row]) -> int:
        """Set `columns` of rows, each given as these columns and its primary key; return how many there were."""
        return self._run(cursor, self._memo(self._update, table, columns), rows)

    def delete(self, cursor: DBAPICursor, table: Table, keys: Sequence[Row]) -> int:
        """Delete the rows of primary `keys`; return how many there were."""
        return self._run(cursor, self._memo(self._delete, table), keys)

    @abstractmethod
    def select(self, cursor: DBAPICursor, table: Table, by: tuple[str, ...], keys: Sequence[Row]) -> list[Row]:
        """Return all columns of the rows whose columns `by` equal one of `keys`."""

    def compile(self, statement: ClauseElement) -> SQLCompiler:
        """Return `statement` as the driver takes it."""
        return cast("SQLCompiler", statement.compile(dialect=self._dialect))

    @abstractmethod
    def parameters(self, compiled: SQLCompiler, values: Mapping[str, Value]) -> Parameters:
        """Return `values` and the constants of `compiled` as the driver takes them."""

    @abstractmethod
    def _run(self, cursor: DBAPICursor, composed: Composed, rows: Sequence[Row]) -> int: ...

    @abstractmethod
    def _upsert(self, table: Table) -> ClauseElement: ...

    @abstractmethod
    def _update(self, table: Table, columns: tuple[str, ...]) -> ClauseElement: ...

    @abstractmethod
    def _delete(self, table: Table) -> ClauseElement: ...

    def _memo(self, make: Callable[..., ClauseElement], table: Table, *more: object) -> Composed:
        place = (make.__name__, table.name, *more)
        composed = self._composed.get(place)
        if composed is None:
            compiled = self.compile(make(table, *more))
            composed = self._composed[place] = Composed(str(compiled), tuple(compiled.positiontup or compiled.params))
        return composed


class SqliteWords(Words):
    """SQLite's words: `executemany` for rows, one JSON array for the keys of a lookup."""

    begin_text = "BEGIN IMMEDIATE"

    def insert(self, cursor: DBAPICursor, table: Table, rows: Sequence[Row]) -> int:
        """Insert new `rows`, each as the table's columns; return how many were written."""
        return self._run(cursor, self._memo(self._insert, table), rows)

    def select(self, cursor: DBAPICursor, table: Table, by: tuple[str, ...], keys: Sequence[Row]) -> list[Row]:
        """Return all columns of the rows whose columns `by` equal one of `keys`."""
        given = [key[0] for key in keys] if len(by) == 1 else keys
        cursor.execute(self._memo(self._select, table, by).text, (msgspec.json.encode(given).decode(),))
        return cast("list[Row]", cursor.fetchall())

    def parameters(self, compiled: SQLCompiler, values: Mapping[str, Value]) -> Parameters:
        """Return values by position."""
        known = compiled.construct_params(values)
        return [known[name] for name in compiled.positiontup or ()]

    def _run(self, cursor: DBAPICursor, composed: Composed, rows: Sequence[Row]) -> int:
        cursor.executemany(composed.text, rows)
        return cursor.rowcount

    def _insert(self, table: Table) -> ClauseElement:
        return sqlite.insert(table)

    def _upsert(self, table: Table) -> ClauseElement:
        statement = sqlite.insert(table)
        return statement.on_conflict_do_update(
            index_elements=list(table.primary_key.columns), set_=_replaced(table, statement.excluded)
        )

    def _update(self, table: Table, columns: tuple[str, ...]) -> ClauseElement:
        changed = update(table).values({name: bindparam(f"new_{name}", type_=table.c[name].type) for name in columns})
        return changed.where(*(key == bindparam(f"old_{key.name}", type_=key.type) for key in table.primary_key.columns))

    def _delete(self, table: Table) -> ClauseElement:
        return delete(table).where(*(key == bindparam(key.name) for key in table.primary_key.columns))

    def _select(self, table: Table, by: tuple[str, ...]) -> ClauseElement:
        given = func.json_each(bindparam(_KEYS, type_=Text())).table_valued("value")
        if len(by) == 1:
            return select(table).where(table.c[by[0]].in_(select(given.c.value)))
        parts = [func.json_extract(given.c.value, literal_column(f"'$[{place}]'")) for place in range(len(by))]
        return select(table).join(given, and_(*(table.c[name] == part for name, part in zip(by, parts, strict=True))))


class PostgresWords(Words):
    """PostgreSQL's words: COPY for new rows, and otherwise one array a column, unnested."""

    begin_text = "BEGIN"

    def insert(self, cursor: DBAPICursor, table: Table, rows: Sequence[Row]) -> int:
        """Insert new `rows`, each as the table's columns; return how many were written."""
        quoted = self._dialect.identifier_preparer
        names = ", ".join(quoted.quote(name) for name in table.columns.keys())  # noqa: SIM118 - a collection
        driver = cast("psycopg.Cursor[Row]", cursor)
        with driver.copy(f"COPY {quoted.format_table(table)} ({names}) FROM STDIN".encode()) as copy:
            for row in rows:
                copy.write_row(row)
        return driver.rowcount

    def select(self, cursor: DBAPICursor, table: Table, by: tuple[str, ...], keys: Sequence[Row]) -> list[Row]:
        """Return all columns of the rows whose columns `by` equal one of `keys`."""
        composed = self._memo(self._select, table, by)
        cursor.execute(composed.text, _arrays(composed.columns, keys))
        return cast("list[Row]", cursor.fetchall())

    def parameters(self, compiled: SQLCompiler, values: Mapping[str, Value]) -> Parameters:
        """Return values by name."""
        return compiled.construct_params(values)

    def _run(self, cursor: DBAPICursor, composed: Composed, rows: Sequence[Row]) -> int:
        cursor.execute(composed.text, _arrays(composed.columns, rows))
        return cursor.rowcount

    def _upsert(self, table: Table) -> ClauseElement:
        names = table.columns.keys()
        statement = postgresql.insert(table).from_select(names, select(*_given(table, names).c))
        return statement.on_conflict_do_update(
            index_elements=list(table.primary_key.columns), set_=_replaced(table, statement.excluded)
        )

    def _update(self, table: Table, columns: tuple[str, ...]) -> ClauseElement:
        keys = table.primary_key.columns.keys()
        given = _given(table, (*columns, *keys))
        changed = update(table).values({name: given.c[name] for name in columns})
        return changed.where(*(table.c[name] == given.c[name] for name in keys))

    def _delete(self, table: Table) -> ClauseElement:
        names = table.primary_key.columns.keys()
        given = _given(table, names)
        return delete(table).where(*(table.c[name] == given.c[name] for name in names))

    def _select(self, table: Table, by: tuple[str, ...]) -> ClauseElement:
        given = _given(table, by)
        return select(table).join(given, and_(*(table.c[name] == given.c[name] for name in by)))


def words_of(dialect: Dialect) -> Words:
    """Return the words of the database that `dialect` speaks to."""
    return SqliteWords(dialect) if dialect.name == "sqlite" else PostgresWords(dialect)


def _replaced(table: Table, excluded: _Excluded) -> dict[str, KeyedColumnElement[object]]:
    keys = set(table.primary_key.columns.keys())
    return {name: excluded[name] for name in table.columns.keys() if name not in keys}  # noqa: SIM118 - a collection


def _given(table: Table, names: Sequence[str]) -> TableValuedAlias:
    """Return the rows that parameters named as the columns hold, one array a column."""
    kinds = {name: _plain(table, name) for name in names}
    arrays = [sql_cast(bindparam(name), postgresql.ARRAY(kind)) for name, kind in kinds.items()]
    columns = [column(name, kind) for name, kind in kinds.items()]
    return func.unnest(*arrays).table_valued(*columns, name="given").render_derived()


def _plain(table: Table, name: str) -> BigInteger | Boolean | LargeBinary | Text:
    kind = table.c[name].type
    for plain in (BigInteger, Boolean, LargeBinary):
        if isinstance(kind, plain):
            return plain()
    return Text()


def _arrays(columns: Sequence[str], rows: Sequence[Row]) -> dict[str, list[Value]]:
    return {name: [row[place] for row in rows] for place, name in enumerate(columns)}
