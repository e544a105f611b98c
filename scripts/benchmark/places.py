"""Where a benchmark keeps its data: folders, and databases of a throwaway PostgreSQL server."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from scripts.benchmark.figures import Conditions

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"
LOTS: Final = 100_000
ENTRIES: Final = 100_000
START_ENTRIES: Final = 1_000_000
MEMBERS: Final = 1_000_000


class Server(Protocol):
    """A PostgreSQL server on which everything is durable."""

    def create_database(self) -> str:
        """Make a database and return its name."""

    def url(self, database: str) -> str:
        """Return how a node names a database."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a benchmark is given: an empty folder, the server if there is one, whether to be `quick`, and sizes.

    `lots` expire, `entries` are audited, `entries_at_start` there when a node starts, `members` are a large ledger's.
    """

    folder: Path
    server: Server | None
    conditions: Conditions
    quick: bool
    lots: int = LOTS
    entries: int = ENTRIES
    entries_at_start: int = START_ENTRIES
    members: int = MEMBERS

    @property
    def stores(self) -> tuple[str, ...]:
        """Return the stores to measure."""
        return (SQLITE,) if self.server is None else (SQLITE, POSTGRESQL)

    def fresh(self, name: str) -> Path:
        """Return a folder that is not there yet."""
        number = sum(1 for _ in self.folder.glob(f"{name}-*"))
        return self.folder / f"{name}-{number}"

    def database(self, store: str) -> str:
        """Return the URL of a new database, or an empty text for a file in a node's own folder."""
        if store == SQLITE:
            return ""
        assert self.server is not None, "the store was offered"
        return self.server.url(self.server.create_database())

    def few(self, count: int, *, quick: int) -> int:
        """Return `count`, or `quick` where a rough figure is enough."""
        return quick if self.quick else count
