"""One ledger's database: how it is reached, brought up to date, written and read."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeAlias

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from node.store.dump import Dump
from node.store.errors import StoreFailed, translated
from node.store.lock import take_lock
from node.store.migrating import newest, upgrade, version_of
from node.store.reader import StoreReader
from node.store.session import Session
from node.store.unfit import MARK
from node.store.writer import StoreWriter

BUSY_TIMEOUT_MS: Final = 5_000
READERS_MAX: Final = 16
READER_WAIT_SECONDS: Final = 10

_DRIVERS: Final = ("sqlite+pysqlite", "sqlite", "postgresql+psycopg")

WAL_PAGES: Final = 8_000
"""How far SQLite's log grows before its pages go into the file: 32 MB, so that a large commit is not written twice."""

WRITER_CACHE_KIB: Final = 65_536
"""What the writer's connection may keep of an SQLite database in memory.

With less, pages of a large commit go to the log before their time, and again when they change again.
"""

# WAL lets reads go on beside the writer; FULL flushes the log at each commit, also on macOS with fullfsync.
_PRAGMAS: Final = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "fullfsync = ON",
    "foreign_keys = ON",
    f"busy_timeout = {BUSY_TIMEOUT_MS}",
    "trusted_schema = OFF",
    f"wal_autocheckpoint = {WAL_PAGES}",
)
# A writer that has nothing to write for an hour is at work all the same.
_POSTGRES_OPTIONS: Final = f"-c synchronous_commit=on -c idle_session_timeout=0 -c {MARK}=on"

# Either side of a connection learns within 15 seconds that the other one is out of reach; the system's own time is two
# hours, during which the server would keep the lock of a writer whose machine is gone. A URL may say otherwise.
_POSTGRES_SESSION: Final = (
    "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=2 -c tcp_user_timeout=15000"
)
_POSTGRES_CONNECTION: Final = {
    "connect_timeout": 10,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
}

StoreUrl: TypeAlias = str | URL
"""Where a database is: as an operator writes it, or as `file_url` has it for a path that no text can name."""


class Database:
    """The store of one ledger. Its reader is for any thread; its writer is one in the whole world."""

    def __init__(self, url: URL) -> None:
        """Prepare to connect to `url`; see `open`."""
        self._engine = _engine(url)
        # The writer's connection is its own: a pool would reconnect it in silence, without its lock.
        self._writer_engine = _engine(url, alone=True)

    @classmethod
    def open(cls, url: StoreUrl) -> Self:
        """Return the database at `url`, `sqlite:///FILE` or `postgresql+psycopg://…`; it may still be empty.

        Raises `StoreFailed` for other URLs, and when an SQLite file is neither there nor can be made.
        """
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise StoreFailed("the database's URL cannot be read") from error
        place = parsed.database or ""
        if parsed.drivername not in _DRIVERS or not place or place.startswith((":memory:", "file:")):
            raise StoreFailed("a database is sqlite:///FILE or postgresql+psycopg://…")
        if parsed.get_backend_name() == "sqlite":
            path = Path(place).absolute()
            _touch(path)
            # The lock lies beside the file itself: two links to one file would have a lock each.
            parsed = parsed.set(database=str(path.resolve()))
        return cls(parsed)

    @property
    def name(self) -> str:
        """Return where the database is, without a password."""
        return self._engine.url.render_as_string(hide_password=True)

    @property
    def is_file(self) -> bool:
        """Return whether the database is an SQLite file, and on no server."""
        return self._engine.dialect.name == "sqlite"

    def __enter__(self) -> Self:
        """Return the database."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the database."""
        self.close()

    def migrate(self) -> None:
        """Bring the tables up to date; raise `StoreBusy` where that is needed while a writer is at work."""
        if self.is_current():
            return
        with self.locked():
            self._upgrade()

    @contextmanager
    def locked(self) -> Iterator[Session]:
        """Lend a session that holds the writer's lock, or raise `StoreBusy` while a writer is at work."""
        session = Session(self._writer_engine)
        try:
            lock = take_lock(self._writer_engine, session)
            try:
                yield session
            finally:
                lock.release()
        finally:
            session.close()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend a connection on which every statement is a transaction of its own."""
        with translated(), self._engine.connect() as connection:
            yield connection

    def vacuum_into(self, path: Path) -> bool:
        """Write all of an SQLite database, as it is at one moment, to a new file; return whether it is one."""
        if not self.is_file:
            return False
        with self.connection() as connection:
            # As bytes, since a path need not be text.
            connection.exec_driver_sql("VACUUM INTO CAST(? AS TEXT)", (os.fsencode(path),))
        return True

    def is_current(self) -> bool:
        """Return whether the tables are those that this version of the program knows."""
        with self.connection() as connection:
            return version_of(connection) == newest()

    def writer(self, *, copy_beside: bool = False) -> StoreWriter:
        """Return the one writer, or raise `StoreBusy` while there is another in this process or elsewhere.

        With `copy_beside` it has a thread of its own that copies SQLite's log into the file beside its commits.
        """
        return StoreWriter(self._writer_engine, copy_beside=copy_beside)

    def reader(self) -> StoreReader:
        """Return the reader that all threads share."""
        return StoreReader(self._engine)

    @contextmanager
    def snapshot(self) -> Iterator[Dump]:
        """Lend a view of all tables as they are now, whatever is written meanwhile."""
        with self.connection() as connection, _transaction(connection, snapshot=True):
            yield Dump(connection)

    def close(self) -> None:
        """Close the connections of all readers."""
        self._engine.dispose()
        self._writer_engine.dispose()

    def _upgrade(self) -> None:
        with translated(), self._writer_engine.begin() as connection, _transaction(connection):
            upgrade(connection)


def file_url(path: Path) -> URL:
    """Return the URL of the SQLite file at `path`, whatever characters its name has."""
    return URL.create("sqlite", database=str(path.absolute()))


def whole_url(url: str) -> str:
    """Return `url` so that it names one place: a relative SQLite file is another one from another working directory."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return url
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database.startswith((":", "file:")):
        return url
    return parsed.set(database=str(Path(parsed.database).absolute())).render_as_string(hide_password=False)


def _engine(url: URL, *, alone: bool = False) -> Engine:
    """Return an engine whose connections are in autocommit: transactions are begun and ended in words."""
    if url.get_backend_name() == "sqlite":
        arguments: dict[str, object] = {"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000}
    else:
        given = url.query.get("options", "")
        arguments = {name: value for name, value in _POSTGRES_CONNECTION.items() if name not in url.query}
        arguments |= {
            "options": f"{_POSTGRES_SESSION} {given} {_POSTGRES_OPTIONS}",
            "application_name": "tallystick",
            # Packed texts are UTF-8, whatever the server, the role or the environment would have a client speak.
            "client_encoding": "UTF8",
        }
    if alone:
        engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool, connect_args=arguments)
    else:
        engine = create_engine(
            url,
            isolation_level="AUTOCOMMIT",
            connect_args=arguments,
            pool_size=READERS_MAX,
            max_overflow=0,
            pool_timeout=READER_WAIT_SECONDS,
            pool_pre_ping=url.get_backend_name() != "sqlite",
        )
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        if alone:
            event.listen(engine, "connect", _prepare_sqlite_writer)
    return engine


@contextmanager
def _transaction(connection: Connection, *, snapshot: bool = False) -> Iterator[None]:
    """Keep all that is said inside, or with `snapshot` only look: one state of the database throughout."""
    if connection.dialect.name == "sqlite":
        begin = "BEGIN" if snapshot else "BEGIN IMMEDIATE"
    else:
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if snapshot else "BEGIN"
    connection.exec_driver_sql(begin)
    try:
        yield
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    assert isinstance(connection, sqlite3.Connection)
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").close()


def _prepare_sqlite_writer(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    assert isinstance(connection, sqlite3.Connection)
    connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}").close()


def _touch(path: Path) -> None:
    """Make an empty file that only its owner can read; SQLite gives the files beside it the same rights."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreFailed(f"the database file cannot be opened: {error}") from error
