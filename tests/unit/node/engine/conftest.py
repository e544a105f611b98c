"""An engine over a fresh store on each database, with a ledger that has one member."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from node.engine.engine import Committed, Engine
from node.engine.work import Answer, Work
from node.store.database import Database
from node.store.reader import StoreReader
from protocol.entries import AnyEntry, decode_entry
from protocol.ledger.commands import AnyCommand
from tests.support.documents import AURORA, NOW
from tests.support.keyrings import SeededRandomness, SideKeyring
from tests.support.ledger import genesis_of
from tests.support.nodes import FaultPoints
from tests.unit.node.engine.faulty_writer import FaultyWriter, faulty_writer
from tests.unit.node.engine.works import opening, work

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what no database has a part in."""

START = datetime.fromisoformat(NOW).astimezone(UTC)


@dataclass(slots=True)
class Bench:
    """An engine, its store, and a clock that stands still."""

    database: Database
    store: FaultyWriter
    engine: Engine
    reader: StoreReader
    faults: FaultPoints
    now: datetime = START

    def commit(self, *works: Work[object]) -> list[object]:
        """Return the results of one commit."""
        return self.engine.commit(works, self.now)[0]

    def committed(self, *works: Work[object]) -> Committed:
        """Return what one commit added."""
        return self.engine.commit(works, self.now)[1]

    def do(self, *asked: AnyCommand) -> list[Answer]:
        """Execute commands, all in one commit, each in a work of its own; raise what one of them raises."""
        answers: list[Answer] = []
        for result in self.commit(*(work(command) for command in asked)):
            if isinstance(result, Exception):
                raise result
            assert isinstance(result, list)
            answers += result
        return answers

    def entries(self) -> list[AnyEntry]:
        """Return the whole stored log."""
        return [decode_entry(data) for data in self.reader.entries(0, self.engine.size + 10)]

    def reopen(self) -> None:
        """Start another engine over the same store."""
        self.engine = engine_over(self.store, self.faults)

    def advance(self, seconds: float) -> None:
        """Set the clock forwards or back."""
        self.now += timedelta(seconds=seconds)


def engine_over(store: FaultyWriter, faults: FaultPoints) -> Engine:
    keyring, randomness = SideKeyring(AURORA), SeededRandomness(f"engine {store.head().size}")
    return Engine(store, keyring=keyring, randomness=randomness, faults=faults)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database.open(database_url) as opened:
        opened.migrate()
        yield opened


@pytest.fixture
def empty(database: Database) -> Iterator[Bench]:
    """Yield an engine without an entry."""
    faults = FaultPoints()
    with faulty_writer(database) as store:
        yield Bench(database, store, engine_over(store, faults), database.reader(), faults)


@pytest.fixture
def bench(empty: Bench) -> Bench:
    """Return an engine with two entries: genesis, and ann's account."""
    empty.do(genesis_of(AURORA))
    empty.do(opening("ann"))
    return empty
