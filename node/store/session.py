"""One connection of its own, in transactions that its owner begins and ends; nothing here reconnects by itself."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Final, cast

import psycopg
from sqlalchemy import ClauseElement, Engine, Table
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.sql.compiler import SQLCompiler

from node.store.codec import Row, Value
from node.store.errors import StoreFailed, translated
from node.store.sql import words_of

ROWS_MAX: Final = 2_000
"""Rows or keys in one bulk statement: what bounds a statement's memory."""


class Session:
    """A driver's connection and cursor, and what is said over them."""

    def __init__(self, engine: Engine) -> None:
        """Connect, or raise a `StoreFailed`. A lost connection stays lost, and with it whatever lock it held."""
        self._words = words_of(engine.dialect)
        self._compiled: dict[ClauseElement, SQLCompiler] = {}
        with translated():
            self._connection = engine.raw_connection()
            self._cursor: DBAPICursor = self._connection.cursor()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all that is said inside, durably, or nothing."""
        with translated():
            self._cursor.execute(self._words.begin_text)
            try:
                yield
                self._cursor.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    def query(self, statement: ClauseElement, values: Mapping[str, Value] | None = None) -> list[Row]:
        """Return the rows of a statement that is made once and asked often."""
        self._execute(statement, values or {})
        return cast("list[Row]", self._cursor.fetchall())

    def run(self, statement: ClauseElement, values: Mapping[str, Value] | None = None) -> int:
        """Run a statement that is made once; return how many rows it changed."""
        self._execute(statement, values or {})
        return self._cursor.rowcount

    def select(self, table: Table, by: tuple[str, ...], keys: Sequence[Row]) -> list[Row]:
        """Return all columns of the rows whose columns `by` equal one of `keys`."""
        found: list[Row] = []
        for chunk in _chunks(keys):
            with translated():
                found += self._words.select(self._cursor, table, by, chunk)
        return found

    def insert(self, table: Table, rows: Sequence[Row]) -> None:
        """Insert new rows, each as the table's columns."""
        for chunk in _chunks(rows):
            with translated():
                written = self._words.insert(self._cursor, table, chunk)
            _check(table, written, len(chunk))

    def upsert(self, table: Table, rows: Sequence[Row]) -> None:
        """Insert rows or replace those of the same key; no key comes twice."""
        for chunk in _chunks(rows):
            with translated():
                written = self._words.upsert(self._cursor, table, chunk)
            _check(table, written, len(chunk))

    def update(self, table: Table, columns: tuple[str, ...], rows: Sequence[Row]) -> int:
        """Set `columns` of rows, each given as these columns and its primary key; return how many there were."""
        with translated():
            return sum(self._words.update(self._cursor, table, columns, chunk) for chunk in _chunks(rows))

    def delete(self, table: Table, keys: Sequence[Row]) -> None:
        """Delete the rows of `keys` that are there."""
        for chunk in _chunks(keys):
            with translated():
                self._words.delete(self._cursor, table, chunk)

    def close(self) -> None:
        """Give the connection up, and with it an open transaction."""
        with translated():
            self._cursor.close()
            self._connection.close()

    def _execute(self, statement: ClauseElement, values: Mapping[str, Value]) -> None:
        compiled = self._compiled.get(statement)
        if compiled is None:
            compiled = self._compiled[statement] = self._words.compile(statement)
        with translated():
            self._cursor.execute(str(compiled), self._words.parameters(compiled, values))

    def _roll_back(self) -> None:
        """Undo the open transaction; where that fails, the database has undone it already or does so when we leave."""
        with suppress(sqlite3.Error, psycopg.Error):
            self._cursor.execute("ROLLBACK")


def _chunks(rows: Sequence[Row]) -> Iterator[list[Row]]:
    remaining = iter(rows)
    while chunk := list(islice(remaining, ROWS_MAX)):
        yield chunk


def _check(table: Table, written: int, expected: int) -> None:
    if written != expected:
        raise StoreFailed(f"{written} of {expected} rows were written to {table.name}")
