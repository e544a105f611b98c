"""Stores that can be copied while their node runs, and put back while it does not."""

import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import psycopg
from psycopg import sql

from tests.support.postgres import PORT, SUPERUSER, PostgresServer, conninfo, find_binaries

DATABASE: Final = "ledger.sqlite"


class Store(Protocol):
    """Where a node keeps its ledger: it can be copied while the node runs, and put back while it does not."""

    def copy(self, to: Path) -> None:
        """Write a copy of the store as it is now."""

    def put_back(self, copy: Path) -> None:
        """Put a copy in the store's place."""


@dataclass(frozen=True, slots=True)
class SqliteStore:
    """A file in the node's directory."""

    directory: Path

    def copy(self, to: Path) -> None:
        with (
            closing(sqlite3.connect(f"file:{self.directory / DATABASE}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(to)) as target,
        ):
            source.backup(target)

    def put_back(self, copy: Path) -> None:
        for beside in self.directory.glob(f"{DATABASE}-*"):
            beside.unlink()
        place = self.directory / DATABASE
        place.write_bytes(copy.read_bytes())
        place.chmod(0o600)


@dataclass(frozen=True, slots=True)
class PostgresStore:
    """A database of a cluster."""

    server: PostgresServer
    name: str

    def copy(self, to: Path) -> None:
        self._run("pg_dump", "--format=custom", f"--file={to}", self.name)

    def put_back(self, copy: Path) -> None:
        self.server.drop_database(self.name)
        with psycopg.connect(conninfo(self.server.directory), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self.name)))
        self._run("pg_restore", "--exit-on-error", f"--dbname={self.name}", str(copy))

    def _run(self, program: str, *words: str) -> None:
        place = [f"--host={self.server.directory}", f"--port={PORT}", f"--username={SUPERUSER}"]
        subprocess.run([str(find_binaries() / program), *place, *words], check=True, capture_output=True)
