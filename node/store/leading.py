"""Who writes, as the processes of one store tell each other: two beats a second, and an end for the silent.

The lock and the term (`StoreWriter`) are what keeps a second writer out. What is here only finds out when the first
one does nothing any more, and frees its lock. On PostgreSQL any process can do that. A file's lock lasts as long as the
process that holds it, which only whoever has started it can end without taking another one for it.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, cast

import msgspec
from sqlalchemy import select
from sqlalchemy import text as words

from node.kinds import known
from node.store import schema
from node.store.database import Database
from node.store.errors import StoreFailed
from node.store.lock import ADVISORY_SPACE
from protocol.ledger.state import ONLY

FILE_NAME: Final = "writer.json"
"""Where in a node's directory the process that writes an SQLite file says so."""

_TERM: Final = select(schema.WRITER_TERMS.c.term).where(schema.WRITER_TERMS.c.name == ONLY)
_HOLDERS: Final = """
    FROM pg_locks k
    WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 2 AND k.pid <> pg_backend_pid()
    AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND k.classid::bigint = :space AND k.objid::bigint = (hashtext(current_schema())::bigint & 4294967295)
"""
"""The sessions that hold the writer's lock: one, or none where its connection is lost."""

# A beat is of no use later, and waits for no other server: one that waited with the writer's commits while a standby is
# away would let the others take the writer for silent, and end its wait with its session.
_BEAT: Final = words(f"""
    WITH at_once AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
    INSERT INTO leaders (name, term, url, beat_at)
    SELECT name, term, :url, (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    FROM at_once, writer_terms WHERE name = :name AND term = :term AND EXISTS (SELECT 1 {_HOLDERS})
    ON CONFLICT (name) DO UPDATE SET term = excluded.term, url = excluded.url, beat_at = excluded.beat_at
""")  # noqa: S608 - put together from this module's own words
_LEADER: Final = words("""
    SELECT l.url, (extract(epoch FROM clock_timestamp()) * 1000)::bigint - l.beat_at
    FROM leaders l JOIN writer_terms t ON t.name = l.name AND t.term = l.term WHERE l.name = :name
""")
_LASTS: Final = words(f"""
    SELECT EXISTS (SELECT 1 FROM writer_terms WHERE name = :name AND term = :term) AND EXISTS (SELECT 1 {_HOLDERS})
""")  # noqa: S608 - as above
_DEPOSE: Final = words(f"SELECT count(pg_terminate_backend(k.pid)) {_HOLDERS}")


@dataclass(frozen=True, slots=True)
class Leader:
    """Where the process that writes can be reached, and for how long it has said nothing."""

    url: str
    silent_seconds: float


class Leading(Protocol):
    """What one process says and hears about who writes a store; each call may raise `StoreFailed`."""

    def beat(self, *, term: int, url: str) -> bool:
        """Say that the writer of `term` is at work, at `url`; return whether its term lasts and its lock is held."""

    def leader(self) -> Leader | None:
        """Return who writes, or None where the last writer has said nothing of itself."""

    def depose(self) -> int:
        """End what the silent writer holds the lock with, and what it has not committed; return how many that were."""


class _Word(msgspec.Struct, frozen=True):
    """What the process that writes says of itself."""

    term: int
    url: str


class FileLeading:
    """What the processes of one node's directory say and hear about who writes its SQLite file."""

    def __init__(self, database: Database, directory: Path) -> None:
        """Speak over a file in `directory` of who writes `database`."""
        self._database = database
        self._path = directory / FILE_NAME

    def beat(self, *, term: int, url: str) -> bool:
        """Say that this process writes, in `term` and at `url`; return whether its term lasts.

        The lock of a file lasts as long as its process, unless somebody removes the lock's file: then another writes.
        """
        word = _Word(term, url)
        if self._said() != word:
            if self._term() != term:
                return False
            new = self._path.with_name(f"{FILE_NAME}.new")
            try:
                with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
                    file.write(msgspec.json.encode(word))
                new.replace(self._path)
            except OSError as error:
                raise StoreFailed(f"the file that says who writes cannot be written: {error}") from error
        return True

    def leader(self) -> Leader | None:
        """Return who writes in the present term; that it is silent only who has started it can tell."""
        word = self._said()
        if word is None:
            return None
        return Leader(word.url, silent_seconds=0.0) if word.term == self._term() else None

    def depose(self) -> int:
        """End nobody: see the module."""
        return 0

    def _term(self) -> int | None:
        with self._database.connection() as connection:
            return connection.execute(_TERM).scalar_one_or_none()

    def _said(self) -> _Word | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=known(_Word))
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        except OSError as error:
            raise StoreFailed(f"the file that says who writes cannot be read: {error}") from error


class ServerLeading:
    """What one process says and hears about who writes a PostgreSQL store; each call is a transaction of its own."""

    def __init__(self, database: Database) -> None:
        """Speak over the connections of `database`."""
        self._database = database

    def beat(self, *, term: int, url: str) -> bool:
        """Say that the writer of `term` is at work, at `url`; return whether its term lasts and its lock is held."""
        values = {"name": ONLY, "term": term, "url": url, "space": ADVISORY_SPACE}
        with self._database.connection() as connection:
            return connection.execute(_BEAT, values).rowcount == 1

    def lasts(self, term: int) -> bool:
        """Return whether the writer's `term` lasts and its lock is held: where not, its connection is lost."""
        with self._database.connection() as connection:
            values = {"name": ONLY, "term": term, "space": ADVISORY_SPACE}
            return bool(connection.execute(_LASTS, values).scalar_one())

    def leader(self) -> Leader | None:
        """Return who writes, or None where the last writer has said nothing of itself."""
        with self._database.connection() as connection:
            row = connection.execute(_LEADER, {"name": ONLY}).one_or_none()
        if row is None:
            return None
        url, milliseconds = cast("tuple[str, int]", tuple(row))
        return Leader(url, milliseconds / 1000)

    def depose(self) -> int:
        """End the sessions that hold the writer's lock, and with them what they have not committed; return how many."""
        with self._database.connection() as connection:
            return cast("int", connection.execute(_DEPOSE, {"space": ADVISORY_SPACE}).scalar_one())


def leading_of(database: Database, directory: Path) -> Leading:
    """Return how the processes of a node in `directory` tell each other who writes `database`."""
    return FileLeading(database, directory) if database.is_file else ServerLeading(database)
