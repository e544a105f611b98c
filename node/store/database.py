"""One ledger's database: how it is reached, brought up to date, written and read."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeAlias

from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event, make_url
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

_QUOTING: Final = "in a user's name and a password, @ is written as %40, : as %3A, / as %2F and % as %25"
_SECRETS: Final = ("password", "sslpassword")
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
# A writer that has nothing to write for an hour is at work all the same. One whose wait for the standby is cancelled
# must hear the warning of it.
_POSTGRES_OPTIONS: Final = (
    f"-c synchronous_commit=on -c client_min_messages=warning -c idle_session_timeout=0 -c {MARK}=on"
)

# Either side of a connection learns within 15 seconds that the other one is out of reach; the system's own time is two
# hours, during which the server would keep the lock of a writer whose machine is gone. Of several servers only one that
# follows none has all that was committed. A new version's change of a large store's tables takes long, and `fsck` is
# silent for long amid a transaction, whatever time others have there. A URL may say otherwise.
_POSTGRES_SESSION: Final = (
    "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=2 -c tcp_user_timeout=15000"
    " -c statement_timeout=0 -c idle_in_transaction_session_timeout=0"
)
_POSTGRES_CONNECTION: Final = {
    "connect_timeout": 10,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
    "target_session_attrs": "primary",
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
    def open(cls, url: StoreUrl, *, made: bool = False) -> Self:
        """Return the database at `url`, `sqlite:///FILE` or `postgresql+psycopg://…`; it may still be empty.

        Raises `StoreFailed` for other URLs, and when an SQLite file is neither there nor can be made: nor is one that
        was `made` before made again, for an empty one would cost the log that lies beside it.
        """
        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError):
            # Neither is told: they show a part of the URL, which may be one of its password.
            raise StoreFailed(f"the database's URL cannot be read: {_QUOTING}") from None
        if isinstance(url, str) and parsed.get_backend_name() != "sqlite" and url.count("@") > 1:
            # What follows the first one, perhaps the rest of a password, would be sought as a host and told in errors.
            raise StoreFailed(f"the database's URL has more than one @: {_QUOTING}")
        place = parsed.database or ""
        if parsed.drivername not in _DRIVERS or not place or place.startswith((":memory:", "file:")):
            raise StoreFailed("a database is sqlite:///FILE or postgresql+psycopg://…")
        if parsed.get_backend_name() == "sqlite":
            # The lock lies beside the file itself: two links to one file would have a lock each.
            path = Path(place).absolute().resolve()
            _find_or_make(path, make=not made)
            parsed = parsed.set(database=str(path))
        return cls(parsed)

    @property
    def name(self) -> str:
        """Return where the database is, without a password."""
        return self._engine.url.difference_update_query(_SECRETS).render_as_string(hide_password=True)

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

    def migrate(self, begin: Callable[[], None] | None = None) -> None:
        """Bring the tables up to date; raise `StoreBusy` where that is needed while a writer is at work.

        `begin` is called before they are changed, which takes long where there is much in them.
        """
        if self.is_current():
            return
        with self.locked():
            if begin is not None:
                begin()
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
        """Return whether the tables are those of this version of the program; raise `StoreNewer` for a newer one's."""
        with self.connection() as connection:
            return version_of(connection) == newest()

    def writer(self, *, copy_beside: bool = False) -> StoreWriter:
        """Return the one writer, or raise `StoreBusy` while there is another in this process or elsewhere.

        With `copy_beside` it has a thread of its own that copies SQLite's log into the file beside its commits.
        Raises `StoreFailed` where the tables are not those that this version of the program knows.
        """
        writer = StoreWriter(self._writer_engine, copy_beside=copy_beside)
        try:
            # Only under the lock: another version of the program may have changed them since they were looked at.
            if not self.is_current():
                raise StoreFailed("the database's tables are not up to date: open it once more")
        except BaseException:
            writer.close()
            raise
        return writer

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
    except (ArgumentError, ValueError):
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
        event.listen(engine, "do_connect", _find_sqlite)
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


def _find_sqlite(_dialect: Dialect, _entry: ConnectionPoolEntry, place: Sequence[str], _more: object) -> None:
    """Refuse to connect to a file that is gone: SQLite would make an empty one, and remove the log beside it."""
    if not Path(place[0]).exists():
        raise sqlite3.OperationalError(f"there is no file {place[0]}")


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    assert isinstance(connection, sqlite3.Connection)
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").close()


def _prepare_sqlite_writer(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    assert isinstance(connection, sqlite3.Connection)
    connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}").close()


def _find_or_make(path: Path, *, make: bool) -> None:
    """Make an empty file that only its owner can read, unless one is there; those beside it get the same rights.

    One that is there is not opened: closing it again would end the locks of all of SQLite's connections in this process
    (POSIX locks). The next process that closes the database would think itself the last one, and remove the log that
    this one goes on writing to.
    """
    try:
        if make:
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        if not path.is_file():
            raise StoreFailed(f"the database file cannot be opened: {path} is no file")
    except OSError as error:
        raise StoreFailed(f"the database file cannot be opened: {error}") from error
