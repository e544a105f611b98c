"""A whole store as a copy, of one moment: by SQLite itself, or row by row where one of the two is PostgreSQL.

A copy is there whole or not at all, and goes only where no ledger is. A store that has moved says so for ever: two
nodes on two stores of one ledger would sign two histories.
"""

import hashlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from sqlalchemy import Table, exists, literal, select
from sqlalchemy.types import Boolean

from node.store import schema
from node.store.codec import Row
from node.store.columns import METADATA
from node.store.database import Database, file_url
from node.store.dump import Dump
from node.store.errors import StoreBusy
from node.store.reader import StoreReader
from protocol.errors import CouldNotCheck, TallystickError

BATCH_ROWS: Final = 2_000
MOVED_SETTING: Final = "moved_to"

_WRITERS: Final = (schema.WRITER_TERMS, schema.LEADERS)
"""A node that is refused a store which has moved has been its writer for a moment."""

Told = Callable[[str, int], None]
"""Is told how many rows of which table have been copied."""


class StoreTaken(TallystickError):
    """A copy would go where there is a ledger already."""

    code = "store_taken"


class StoreMoved(TallystickError):
    """This store's ledger goes on in another one."""

    code = "store_moved"


def copy_rows(source: Dump, target: Database, told: Told) -> None:
    """Copy every row of `source` into `target`, or none; raise `StoreTaken` unless all its tables are empty."""
    target.migrate()
    with target.locked() as session, session.transaction():
        for table in METADATA.sorted_tables:
            if session.query(select(exists(select(literal(1)).select_from(table)))) not in ([(0,)], [(False,)]):
                raise StoreTaken(f"the table {table.name} of the database is not empty: give an empty one")
        for table in METADATA.sorted_tables:
            copied = 0
            for rows in _batches(source, table):
                session.insert(table, rows)
                copied += len(rows)
                told(table.name, copied)


def back_up(source: Database, path: Path, told: Told) -> None:
    """Write all rows of `source`, as they are at one moment, to a new SQLite file; writers go on meanwhile."""
    if source.vacuum_into(path):
        return
    with Database.open(file_url(path)) as target, source.snapshot() as dump:
        copy_rows(dump, target, told)


def copy_once(source: Database, target: Database, told: Told) -> None:
    """Copy all of `source` into `target` unless it is there already; raise `StoreTaken` where anything else is."""
    if not _is_there(source, target):
        with source.snapshot() as dump:
            copy_rows(dump, target, told)


def move(source: Database, target: Database, *, name: str, told: Told) -> None:
    """Copy `source` into `target`, then mark it as moved to `name`; raise `StoreBusy` while a node writes to either.

    What was interrupted after the copy is finished by a second call. Raises `CouldNotCheck` where `source` is empty,
    and `StoreMoved` where its ledger goes on in a third one.
    """
    source.migrate()
    with source.locked() as session:
        if _newest(source) is None:
            raise CouldNotCheck(f"the database {source.name} holds no ledger")
        if source.reader().setting(MOVED_SETTING) != name:
            check_here(source.reader())
        _check_other(target)
        copy_once(source, target, told)
        with session.transaction():
            session.upsert(schema.SETTINGS, [(MOVED_SETTING, name)])


def check_here(reader: StoreReader) -> None:
    """Raise `StoreMoved` where the ledger of a store goes on in another one."""
    place = reader.setting(MOVED_SETTING)
    if place is not None:
        raise StoreMoved(f"the ledger of this store goes on in {place}: set database_url to it")


def _check_other(target: Database) -> None:
    """Raise `StoreTaken` where the lock of the source is that of `target`: one database under two names."""
    try:
        with target.locked():
            pass
    except StoreBusy as error:
        raise StoreTaken(f"{target.name} is where the ledger is already, or another process writes to it") from error


def _newest(database: Database) -> bytes | None:
    database.migrate()
    newest = database.reader().latest_checkpoint()
    return None if newest is None else newest.note


def _is_there(source: Database, target: Database) -> bool:
    """Return whether `target` is a copy of `source`: credentials, say, change under one checkpoint."""
    newest = _newest(source)
    if newest is None or newest != _newest(target):
        return False
    with source.snapshot() as one, target.snapshot() as other:
        return all(_sum(one, table) == _sum(other, table) for table in METADATA.sorted_tables if table not in _WRITERS)


def _sum(source: Dump, table: Table) -> int:
    """Return a figure of all rows of a table, in whichever order its database has them."""
    rows = (row for batch in _batches(source, table) for row in batch)
    return sum(int.from_bytes(hashlib.sha256(repr(row).encode()).digest()) for row in rows if row[0] != MOVED_SETTING)


def _batches(source: Dump, table: Table) -> Iterator[list[Row]]:
    """Yield a table's rows, its truth values as such: SQLite has numbers for them."""
    flags = [place for place, column in enumerate(table.columns) if isinstance(column.type, Boolean)]
    rows = source.rows(table.name)
    while batch := list(islice(rows, BATCH_ROWS)):
        yield [_with_flags(row, flags) for row in batch] if flags else batch


def _with_flags(row: Row, flags: list[int]) -> Row:
    values = list(row)
    for place in flags:
        values[place] = None if values[place] is None else bool(values[place])
    return tuple(values)
