"""Who writes, as the processes of one PostgreSQL store tell each other: a beat a second, and an end for the silent.

The lock and the term (`StoreWriter`) are what keeps a second writer out. What is here only finds out when the first
one does nothing any more, and frees its lock.
"""

from dataclasses import dataclass
from typing import Final, cast

from sqlalchemy import text as words

from node.store.database import Database
from node.store.lock import ADVISORY_SPACE
from protocol.ledger.state import ONLY

_HOLDERS: Final = """
    FROM pg_locks k
    WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 2 AND k.pid <> pg_backend_pid()
    AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND k.classid::bigint = :space AND k.objid::bigint = (hashtext(current_schema())::bigint & 4294967295)
"""
"""The sessions that hold the writer's lock: one, or none where its connection is lost."""

_BEAT: Final = words(f"""
    INSERT INTO leaders (name, term, url, beat_at)
    SELECT name, term, :url, (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    FROM writer_terms WHERE name = :name AND term = :term AND EXISTS (SELECT 1 {_HOLDERS})
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


class Leading:
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
