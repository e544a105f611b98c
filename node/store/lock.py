"""The single writer's lock: held by one `StoreWriter` of one process, and gone when that process is gone."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from sqlalchemy import Engine, bindparam, func, select

from node.store.errors import StoreBusy, StoreFailed
from node.store.session import Session

ADVISORY_SPACE: Final = 0x74616C6C
"""The first half of our advisory lock's name on PostgreSQL: "tall"; the second is the schema's hash."""

_TAKE: Final = select(func.pg_try_advisory_lock(bindparam("space"), func.hashtext(func.current_schema())))
_GIVE: Final = select(func.pg_advisory_unlock(bindparam("space"), func.hashtext(func.current_schema())))
_BUSY: Final = "another process, or another writer of this one, holds this ledger: only one may write"


class WriterLock(Protocol):
    """A lock that is held from its making to `release`."""

    def release(self) -> None:
        """Let another writer take over."""


class FileLock:
    """A lock file beside the SQLite file; the file stays, for a name that comes and goes can be held twice."""

    def __init__(self, path: Path) -> None:
        """Take the lock, or raise `StoreBusy`; `StoreFailed` when the file cannot be made."""
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreFailed(f"the lock file cannot be opened: {error}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise StoreBusy(_BUSY) from error

    def release(self) -> None:
        """Let another writer take over."""
        os.close(self._file)


class AdvisoryLock:
    """PostgreSQL's advisory lock of the writer's own session: it ends with the connection, and so do the commits."""

    def __init__(self, session: Session) -> None:
        """Take the lock, or raise `StoreBusy`; `StoreFailed` where the session has no schema to name it by."""
        ((taken,),) = session.query(_TAKE, {"space": ADVISORY_SPACE})
        if taken is None:
            raise StoreFailed("no schema that search_path names is there for this role to keep the tables in")
        if not taken:
            raise StoreBusy(_BUSY)
        self._session = session

    def release(self) -> None:
        """Let another writer take over at once: the server frees it a moment after the session's end in any case."""
        with suppress(StoreFailed):
            self._session.query(_GIVE, {"space": ADVISORY_SPACE})


def take_lock(engine: Engine, session: Session) -> WriterLock:
    """Take the lock of the store behind `engine` for its `session`, or raise `StoreBusy`."""
    if engine.dialect.name == "sqlite":
        return FileLock(Path(f"{engine.url.database}.lock"))
    return AdvisoryLock(session)
