"""One connection of its own, in transactions that its owner begins and ends; nothing here reconnects by itself."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple, cast

import psycopg
from sqlalchemy import ClauseElement, Dialect, Engine, Table
from sqlalchemy.engine.interfaces import DBAPICursor

from node.store.codec import Row, Value
from node.store.errors import StoreFailed, translated
from node.store.postgres import PostgresWords
from node.store.sql import Said, SqliteWords, Updated, Words

ROWS_MAX: Final = 10_000
"""Rows or keys in one bulk statement: what bounds a statement's memory."""


class _Unanswered(NamedTuple):
    """A statement of which the server has not yet said how many rows it wrote."""

    cursor: DBAPICursor
    table: Table
    expected: int


class Session:
    """A driver's connection and cursor, and what is said over them."""

    def __init__(self, engine: Engine) -> None:
        """Connect, or raise a `StoreFailed`. A lost connection stays lost, and with it whatever lock it held."""
        self._words = words_of(engine.dialect)
        self._said: dict[ClauseElement, Said] = {}
        self._pipeline: psycopg.Pipeline | None = None
        self._unanswered: list[_Unanswered] = []
        with translated():
            self._connection = engine.raw_connection()
            self._words.prepare(self._connection.driver_connection)
            self._cursor: DBAPICursor = self._connection.cursor()

    @contextmanager
    def transaction(self, *, few_rows: bool = False) -> Iterator[None]:
        """Commit all that is said inside, durably, or nothing.

        With `few_rows` a server is told one statement after the other, and answers all of them at the end.
        """
        with translated():
            try:
                with self._pipelined(few_rows=few_rows):
                    self._cursor.execute(self._words.begin_text)
                    yield
                    self._hear()
                self._words.commit(self._cursor)
            except BaseException:
                self._roll_back()
                raise

    def query(self, statement: ClauseElement, values: Mapping[str, Value] | None = None) -> list[Row]:
        """Return the rows of a statement that is made once and asked often."""
        self._execute(self._cursor, statement, values)
        return cast("list[Row]", self._cursor.fetchall())

    def run(self, statement: ClauseElement, values: Mapping[str, Value] | None = None) -> int:
        """Run a statement that is made once; return how many rows it changed."""
        self._execute(self._cursor, statement, values)
        if self._pipeline is not None:
            self._pipeline.sync()
        return self._cursor.rowcount

    def select(self, table: Table, by: tuple[str, ...], keys: Sequence[Row]) -> list[Row]:
        """Return all columns of the rows whose columns `by` equal one of `keys`."""
        found: list[Row] = []
        with translated():
            for chunk in _chunks(keys):
                found += self._words.select(self._cursor, table, by, chunk)
        return found

    def insert(self, table: Table, rows: Sequence[Row]) -> None:
        """Insert new rows, each as the table's columns."""
        for chunk in _chunks(rows):
            cursor = self._next_cursor()
            self._expect(cursor, table, self._words.insert(cursor, table, chunk), len(chunk))

    def upsert(self, table: Table, rows: Sequence[Row]) -> None:
        """Insert rows or replace those of the same key; no key comes twice."""
        for chunk in _chunks(rows):
            cursor = self._next_cursor()
            self._expect(cursor, table, self._words.upsert(cursor, table, chunk), len(chunk))

    def update(self, table: Table, columns: Updated, rows: Sequence[Row]) -> None:
        """Set columns of rows that are there, each given as its new values, its primary key and what stays."""
        for chunk in _chunks(rows):
            cursor = self._next_cursor()
            self._expect(cursor, table, self._words.update(cursor, table, columns, chunk), len(chunk))

    def update_all(self, table: Table, columns: Updated, rows: Sequence[Row]) -> bool:
        """Do as `update` and return whether all rows matched, or False where that is not known yet."""
        if self._pipeline is not None:
            return False
        changed = sum(self._words.update(self._cursor, table, columns, chunk) for chunk in _chunks(rows))
        return changed == len(rows)

    def delete(self, table: Table, keys: Sequence[Row]) -> None:
        """Delete the rows of `keys` that are there."""
        for chunk in _chunks(keys):
            self._words.delete(self._next_cursor(), table, chunk)

    def close(self) -> None:
        """Give the connection up, and with it an open transaction."""
        with translated():
            self._cursor.close()
            self._connection.close()

    @contextmanager
    def _pipelined(self, *, few_rows: bool) -> Iterator[None]:
        connection = self._connection.driver_connection
        if not few_rows or not isinstance(connection, psycopg.Connection):
            yield
            return
        try:
            with connection.pipeline() as self._pipeline:
                yield
        finally:
            self._pipeline = None
            self._unanswered.clear()

    def _next_cursor(self) -> DBAPICursor:
        """Return a cursor that the next statement can have for itself until it is answered."""
        return self._cursor if self._pipeline is None else self._connection.cursor()

    def _expect(self, cursor: DBAPICursor, table: Table, written: int, expected: int) -> None:
        if self._pipeline is None:
            _check(table, written, expected)
        else:
            self._unanswered.append(_Unanswered(cursor, table, expected))

    def _hear(self) -> None:
        """Wait for what the server answers, and check it."""
        if self._pipeline is not None:
            self._pipeline.sync()
            for cursor, table, expected in self._unanswered:
                _check(table, cursor.rowcount, expected)

    def _execute(self, cursor: DBAPICursor, statement: ClauseElement, values: Mapping[str, Value] | None) -> None:
        said = self._said.get(statement)
        if said is None:
            said = self._said[statement] = self._words.say(statement)
        with translated():
            cursor.execute(said.text, said.parameters(values or {}))

    def _roll_back(self) -> None:
        """Undo the open transaction; where that fails, the database has undone it already or does so when we leave."""
        with suppress(sqlite3.Error, psycopg.Error):
            self._cursor.execute("ROLLBACK")


def words_of(dialect: Dialect) -> Words:
    """Return the words of the database that `dialect` speaks to."""
    return SqliteWords(dialect) if dialect.name == "sqlite" else PostgresWords(dialect)


def _chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    if len(rows) > ROWS_MAX:
        for begin in range(0, len(rows), ROWS_MAX):
            yield rows[begin : begin + ROWS_MAX]
    elif rows:
        yield rows


def _check(table: Table, written: int, expected: int) -> None:
    if written != expected:
        raise StoreFailed(f"{written} of {expected} rows were written to {table.name}")
