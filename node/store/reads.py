"""What every reading has in common: a connection from the pool, one statement, its rows.

What is read again and again is said in a statement that is made once, with parameters, and asked in the driver's own
words: to compose a statement anew takes SQLAlchemy several times as long as the database takes to answer it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple, TypeVar, cast

import msgspec
from sqlalchemy import Column, ColumnElement, Engine, Executable, Select, select
from sqlalchemy import Table as SqlTable
from sqlalchemy.engine.interfaces import DBAPICursor

from node.kinds import known
from node.store import schema
from node.store.codec import Row, Value, codec_of, decode_json
from node.store.errors import StoreCorrupt, ValueUnstorable, translated
from node.store.numbers import number_of
from node.store.session import words_of
from node.store.sql import Said
from protocol.identifiers import Account
from protocol.ledger.state import Table

_K = TypeVar("_K")
_R = TypeVar("_R")
_T = TypeVar("_T")

_ADAPTED: Final = "adapted"
"""By what name a connection of the pool says that it takes the parameters of our own statements."""


class _Asked(NamedTuple):
    """A statement as the driver takes it, and its columns."""

    said: Said
    columns: tuple[str, ...]


class Reads:
    """Reads over pooled connections, from any thread; each call sees all that was committed before it."""

    def __init__(self, engine: Engine) -> None:
        """Read what `engine` reaches."""
        self._engine = engine
        self._driver = words_of(engine.dialect)
        self._asked: dict[Select[tuple[object, ...]], _Asked] = {}

    def record(self, table: Table[_K, _R], key: _K) -> _R | None:
        """Return one row of the ledger's state, or None; raise `StoreCorrupt` if it cannot be read."""
        codec = codec_of(table)
        if codec.table is schema.LOTS:
            parts = dict(zip(codec.keys, codec.key_row(key), strict=True))
            found = list(self._records(table, *(_is(codec.table.c[name], part) for name, part in parts.items())))
            return found[0][1] if found else None
        rows = self._rows_by(codec.table, codec.keys, [codec.key_row(key)])
        return cast("_R", codec.decode(rows[0])[1]) if rows else None

    def _ask(self, statement: "Select[tuple[object, ...]]", **values: Value) -> list[Row]:
        """Return the rows of a statement that is made once and asked often."""
        asked = self._asked.get(statement)
        if asked is None:
            asked = self._asked[statement] = self._prepared(statement)
        text, parameters = asked.said.text, asked.said.parameters(values)

        def ask(cursor: DBAPICursor) -> list[Row]:
            cursor.execute(text, parameters)
            return cast("list[Row]", cursor.fetchall())

        return self._said(ask)

    def _found(
        self, kind: type[_T], statement: "Select[tuple[object, ...]]", *, json: tuple[str, ...] = (), **values: Value
    ) -> list[_T]:
        """Return the rows of a statement that is asked often as `kind`, as `_objects` does."""
        rows = self._ask(statement, **values)
        columns = self._asked[statement].columns
        return [_object(kind, dict(zip(columns, row, strict=True)), json) for row in rows]

    def _rows_by(self, table: SqlTable, by: tuple[str, ...], keys: Sequence[Row]) -> list[Row]:
        """Return all columns of the rows whose columns `by` equal one of `keys`."""
        return self._said(lambda cursor: self._driver.select(cursor, table, by, keys)) if keys else []

    def _said(self, say: Callable[[DBAPICursor], list[Row]]) -> list[Row]:
        """Return what is answered on a connection; text or a number that no column can hold is found in no row."""
        try:
            with self._cursor() as cursor:
                return say(cursor)
        except ValueUnstorable:
            return []

    @contextmanager
    def _cursor(self) -> Iterator[DBAPICursor]:
        with translated():
            connection = self._engine.raw_connection()
            try:
                if _ADAPTED not in connection.info:
                    self._driver.adapt(connection.driver_connection)
                    connection.info[_ADAPTED] = True
                cursor = connection.cursor()
                try:
                    yield cursor
                finally:
                    cursor.close()
            finally:
                connection.close()

    def _prepared(self, statement: "Select[tuple[object, ...]]") -> _Asked:
        columns = tuple(str(column.key) for column in statement.selected_columns)
        return _Asked(self._driver.say(statement), columns)

    def _records(
        self,
        table: Table[_K, _R],
        *conditions: ColumnElement[bool],
        order: tuple[ColumnElement[object], ...] = (),
        limit: int | None = None,
    ) -> Iterator[tuple[_K, _R]]:
        """Yield the keys and records that meet all `conditions`."""
        codec = codec_of(table)
        for row in self._rows(select(codec.table).where(*conditions).order_by(*order).limit(limit)):
            yield cast("tuple[_K, _R]", codec.decode(row))

    def _rows(self, statement: Executable) -> list[Row]:
        """Return the rows of one statement."""
        return [tuple(row.values()) for row in self._named_rows(statement)]

    def _objects(self, kind: type[_T], statement: Executable, *, json: tuple[str, ...] = ()) -> list[_T]:
        """Return the rows of one statement as `kind`, whose fields are the columns; those of `json` are JSON text."""
        return [_object(kind, dict(row), json) for row in self._named_rows(statement)]

    def _named_rows(self, statement: Executable) -> list[dict[str, Value]]:
        """Return the rows of one statement; text or a number that no column can hold is found in no row."""
        try:
            with translated(), self._engine.connect() as connection:
                found = connection.execute(statement)
                # SQLAlchemy's names are a kind of text of their own, which msgspec takes for no field's name.
                names = [str(name) for name in found.keys()]  # noqa: SIM118 - a result is no mapping
                return [dict(zip(names, cast("Row", tuple(row)), strict=True)) for row in found]
        except ValueUnstorable:
            return []


def _is(column: Column[object], part: Value) -> ColumnElement[bool]:
    """Return the condition that a part of a record's key, as the ledger's state has it, is in `column`."""
    return column == (number_of(cast("Account", part)) if column is schema.LOTS.c.account_seq else part)


def _object(kind: type[_T], fields: dict[str, object], json: tuple[str, ...]) -> _T:
    try:
        fields.update({name: decode_json(fields[name]) for name in json})
        return msgspec.convert(fields, known(kind))
    except (ValueError, TypeError) as error:
        raise StoreCorrupt(f"a row cannot be read as a {kind.__name__}: {error}") from error
