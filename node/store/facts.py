"""What a database says of itself: which one it is, how large, and whether a commit is on disk when it says so."""

import sqlite3
from dataclasses import dataclass
from typing import Final, cast

import psycopg
from sqlalchemy import Connection, text

from node.store.columns import CLASS, METADATA, TableClass
from node.store.database import Database
from node.store.unfit import unfit

POSTGRES_MIN: Final = 150_000
"""PostgreSQL 15: the oldest server that is tested."""

_DURABLE: Final = ("fsync", "synchronous_commit", "full_page_writes")
_OFF: Final = frozenset({"off", "local"})

_RIGHTS: Final = {
    ("SELECT", "INSERT"): frozenset(TableClass),
    ("UPDATE", "DELETE"): frozenset({TableClass.DERIVED, TableClass.OPERATIONAL}),
}
"""What a writer does to tables of which classes."""

_LACKING: Final = text("""
    SELECT DISTINCT c.relname FROM pg_class c, unnest(CAST(:rights AS text[])) AS needed(right_)
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY (CAST(:names AS text[]))
    AND NOT has_table_privilege(c.oid, needed.right_)
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFacts:
    """`server` is name and version; `old` whether that is older than what is tested; `unsafe` are settings by which a
    commit can be lost or torn after it was answered; `unfit` is why nothing can or must be written there, if so;
    `withheld` are tables that the node's role has too few rights on; `size` is in bytes.
    """

    server: str
    old: bool
    unsafe: tuple[str, ...]
    size: int
    unfit: str | None = None
    withheld: tuple[str, ...] = ()


def facts_of(database: Database) -> DatabaseFacts:
    """Return what `database` says of itself, or raise a `StoreFailed`."""
    with database.connection() as connection:
        if connection.dialect.name == "sqlite":
            return _of_sqlite(connection)
        return _of_postgres(connection)


def unsafe_settings(database: Database) -> tuple[str, ...]:
    """Return the settings by which a commit can be lost or torn after it was answered, or raise a `StoreFailed`."""
    with database.connection() as connection:
        return _unsafe(connection)


def _unsafe(connection: Connection) -> tuple[str, ...]:
    if connection.dialect.name == "sqlite":
        mode = str(_one(connection, "PRAGMA journal_mode"))
        return () if mode == "wal" else (f"journal_mode = {mode}",)
    found = {name: str(_one(connection, f"SHOW {name}")) for name in _DURABLE}
    return tuple(f"{name} = {value}" for name, value in found.items() if value in _OFF)


def _of_sqlite(connection: Connection) -> DatabaseFacts:
    pages, page = (int(str(_one(connection, f"PRAGMA {name}"))) for name in ("page_count", "page_size"))
    server = f"SQLite {sqlite3.sqlite_version}"
    return DatabaseFacts(server=server, old=False, unsafe=_unsafe(connection), size=pages * page)


def _of_postgres(connection: Connection) -> DatabaseFacts:
    version = int(str(_one(connection, "SHOW server_version_num")))
    return DatabaseFacts(
        server=f"PostgreSQL {_one(connection, 'SHOW server_version')}",
        old=version < POSTGRES_MIN,
        unsafe=_unsafe(connection),
        size=int(str(_one(connection, "SELECT pg_database_size(current_database())"))),
        unfit=_unfit(connection),
        withheld=_withheld(connection),
    )


def _withheld(connection: Connection) -> tuple[str, ...]:
    """Return the tables on which the role lacks rights; of what never changes it need only add to those."""
    lacking: set[str] = set()
    for rights, classes in _RIGHTS.items():
        names = [name for name, table in METADATA.tables.items() if table.info[CLASS] in classes]
        lacking.update(connection.execute(_LACKING, {"names": names, "rights": list(rights)}).scalars())
    return tuple(sorted(lacking))


def _unfit(connection: Connection) -> str | None:
    if _one(connection, "SELECT pg_is_in_recovery()"):
        return "the server is a replica, which follows another one, perhaps from afar: name the one that is written"
    if _one(connection, "SHOW transaction_read_only") == "on":
        return "nothing can be written over this connection: default_transaction_read_only is on"
    return unfit(cast("psycopg.Connection[tuple[object, ...]]", connection.connection.driver_connection))


def _one(connection: Connection, statement: str) -> object:
    return connection.exec_driver_sql(statement).scalar_one()
