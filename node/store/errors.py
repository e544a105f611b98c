"""How the store fails, each way with a stable code, and the translation of both drivers' own errors."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import psycopg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from protocol.errors import EncodingInvalid, TallystickError


class StoreFailed(TallystickError):
    """The store could not do what was asked. A transaction that raised this or a subclass has left nothing behind.

    The one exception: when the connection breaks during a commit, only `StoreWriter.head` tells whether it was kept.
    """

    code = "store_failed"


class StoreBusy(StoreFailed):
    """Another writer holds this store."""

    code = "store_busy"


class ForkRefused(StoreFailed):
    """The stored log is not the one that this commit was made on: to go on would fork it."""

    code = "fork_refused"


class StoreFull(StoreFailed):
    """There is no space left for the database."""

    code = "store_full"


class StoreReadOnly(StoreFailed):
    """The database cannot be written."""

    code = "store_read_only"


class StoreCorrupt(StoreFailed):
    """What is stored cannot be read, or contradicts itself."""

    code = "store_corrupt"


class StoreNewer(StoreFailed):
    """The tables are those of a newer version of the program than this one."""

    code = "store_newer"


class ValueUnstorable(StoreFailed):
    """A text or a number is one that no column of its type can hold."""

    code = "value_unstorable"


_PRIMARY_CODE: Final = 0xFF
"""SQLite's extended codes carry the primary one in their lowest byte."""

_SQLITE: Final[Mapping[int, type[StoreFailed]]] = {
    sqlite3.SQLITE_BUSY: StoreBusy,
    sqlite3.SQLITE_FULL: StoreFull,
    # Whoever opens the database makes its -shm file: where the disk is full SQLite calls this an I/O error.
    sqlite3.SQLITE_IOERR_SHMSIZE: StoreFull,
    sqlite3.SQLITE_READONLY: StoreReadOnly,
    sqlite3.SQLITE_CORRUPT: StoreCorrupt,
    sqlite3.SQLITE_NOTADB: StoreCorrupt,
}
_POSTGRES: Final[Mapping[str, type[StoreFailed]]] = {
    "22003": ValueUnstorable,
    "22021": ValueUnstorable,
    "53100": StoreFull,
    "25006": StoreReadOnly,
    "55P03": StoreBusy,
    "XX001": StoreCorrupt,
    "XX002": StoreCorrupt,
}


def store_error(error: Exception) -> StoreFailed:
    """Return a driver's or SQLAlchemy's `error` as one of ours."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    kind: type[StoreFailed] = StoreFailed
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0)
        kind = _SQLITE.get(code) or _SQLITE.get(code & _PRIMARY_CODE, StoreFailed)
    elif isinstance(cause, psycopg.DataError) and cause.sqlstate is None:
        # The driver itself refuses a NUL in text, before the server could.
        kind = ValueUnstorable
    elif isinstance(cause, psycopg.Error):
        kind = _POSTGRES.get(cause.sqlstate or "", StoreFailed)
    return kind(f"the database says: {cause}".rstrip())


@contextmanager
def translated() -> Iterator[None]:
    """Raise every error of the database, and of a value that it cannot hold, as a `StoreFailed`."""
    try:
        yield
    except (OverflowError, UnicodeEncodeError, EncodingInvalid) as error:
        raise ValueUnstorable(f"the database cannot hold a value: {error}") from error
    except (sqlite3.Error, psycopg.Error, SQLAlchemyError) as error:
        raise store_error(error) from error
