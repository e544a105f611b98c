"""Stores whose growth is measured: bytes by class of table, and flushes of the disk while something is done."""

import re
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import psycopg

from node.store.columns import CLASS, METADATA

DATABASE: Final = "ledger.sqlite"
CLASSES: Final = ("log", "derived", "evidence", "operational")
_SQLITE: Final = """
    SELECT m.tbl_name, SUM(s.pgsize) FROM dbstat AS s JOIN sqlite_master AS m ON m.name = s.name
    WHERE s.aggregate = TRUE GROUP BY m.tbl_name
"""
_POSTGRESQL: Final = "SELECT relname, pg_total_relation_size(relid) FROM pg_stat_user_tables"
_FLUSHED: Final = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?f(?:data)?sync$", re.MULTILINE)
_ATTACH_SECONDS: Final = 1.0
_TOLD_SECONDS_MAX: Final = 20.0
_STATISTICS_SECONDS: Final = 11.0
"""How long a PostgreSQL session may take to tell what it has done."""


class Store(Protocol):
    """A ledger's database."""

    def sizes(self) -> Mapping[str, int]:
        """Return the bytes of each table with its indexes."""

    def flushes(self, act: Callable[[], object]) -> int | None:
        """Do something, and return how often the disk was flushed for it, or None where that cannot be counted."""


@dataclass(frozen=True, slots=True)
class SqliteStore:
    """A file, which the process `pid` writes and flushes."""

    path: Path
    pid: int

    def sizes(self) -> Mapping[str, int]:
        """Return the bytes of each table with its indexes, those still in the journal too."""
        with closing(sqlite3.connect(self.path)) as connection:
            return dict(connection.execute(_SQLITE).fetchall())

    def flushes(self, act: Callable[[], object]) -> int | None:
        """Do something under strace, and return how often the process flushed, or None where it cannot be traced."""
        command = ["strace", "-f", "-c", "-e", "trace=fsync,fdatasync", "-p", str(self.pid)]
        try:
            traced = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        except FileNotFoundError:
            act()
            return None
        assert traced.stderr is not None, "it is a pipe"
        attached = traced.stderr.readline()
        # Its threads follow the first one by and by.
        time.sleep(_ATTACH_SECONDS)
        try:
            act()
        finally:
            traced.send_signal(signal.SIGINT)
            told = traced.stderr.read()
            traced.wait(_TOLD_SECONDS_MAX)
        return flushes_told(told) if "attached" in attached else None


@dataclass(frozen=True, slots=True)
class PostgresqlStore:
    """A database of a server that keeps nothing else; `conninfo` is psycopg's."""

    conninfo: str

    def sizes(self) -> Mapping[str, int]:
        """Return the bytes of each table with its indexes."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            return dict(connection.execute(_POSTGRESQL).fetchall())

    def flushes(self, act: Callable[[], object]) -> int | None:
        """Do something, and return how often the server flushed its journal meanwhile, in its background too."""
        before = self._flushed()
        act()
        return self._flushed() - before

    def _flushed(self) -> int:
        time.sleep(_STATISTICS_SECONDS)
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            row = connection.execute("SELECT wal_sync FROM pg_stat_wal").fetchone()
        assert row is not None, "the view has one row"
        return int(row[0])


def postgresql_store(stack: ExitStack) -> tuple[str, PostgresqlStore]:
    """Start a throwaway server of its own for one ledger; return how a node names its database, and the database."""
    # The server that the tests use; SQLite's figures need none of the tests' own parts.
    from tests.support.postgres import SUPERUSER, running_server  # noqa: PLC0415 - see above

    server = stack.enter_context(running_server())
    name = server.create_database()
    return server.url(name), PostgresqlStore(f"host={server.directory} user={SUPERUSER} dbname={name}")


def flushes_told(summary: str) -> int:
    """Return how often the disk was flushed by the summary that strace writes at its end."""
    return sum(map(int, _FLUSHED.findall(summary)))


def growth(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """Return by how many bytes the tables of each class have grown."""
    grown: Counter[str] = Counter(dict.fromkeys(CLASSES, 0))
    for name, table in METADATA.tables.items():
        grown[str(table.info[CLASS])] += after.get(name, 0) - before.get(name, 0)
    return dict(grown)
