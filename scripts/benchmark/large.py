"""`start` and `memory`: a node over a large store, how soon it is ready, its memory, and how it reads while it writes.

A large store is filled through the engine, in big commits: members' accounts, points for each, and transfers.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Final
from uuid import UUID

from node.app.directory import create_node_directory, database_url
from node.app.open import keyring_of
from node.app.system import SystemRandomness
from node.config import load_config
from node.engine.engine import Engine
from node.ports import NoFaults
from node.store.database import Database
from protocol.identifiers import Account, Id
from protocol.ledger.commands import AnyCommand, IssuePoints, OpenAccount, TransferPoints
from scripts.alliance.brands import AURORA
from scripts.alliance.process import AllianceFailed
from scripts.benchmark.callers import Caller
from scripts.benchmark.engine import REQUEST, commit
from scripts.benchmark.figures import ROUNDS, Figure, Round
from scripts.benchmark.places import SQLITE, Place
from scripts.benchmark.serving import Served, served

START: Final = "start"
COMPUTED: Final = "start.computed"
MEMORY: Final = "memory"
BATCH: Final = 8_000
QUICK: Final = 8_000
ENTRIES_A_MEMBER: Final = 5
COMPUTED_ENTRIES: Final = 10_000_000
PART: Final = 10
"""The start is measured over a tenth too: both lead to what it takes over more than is there."""

WRITE_BATCH: Final = 100
SATURATION_SECONDS: Final = 5
READING_SECONDS: Final = 20
READS_PER_SECOND: Final = 100
SEED: Final = 1


@dataclass(slots=True)
class _Filling:
    """A store that is filled: who its members are, and what comes next."""

    directory: Path
    rng: random.Random = field(default_factory=lambda: random.Random(SEED))
    members: list[Account] = field(default_factory=list)

    def make_id(self) -> Id:
        return Id(str(UUID(int=self.rng.getrandbits(128), version=4)))

    def fill(self, *, members: int, entries: int) -> None:
        """Let there be so many members, each with points, and about so many entries."""
        with _engine(self.directory) as engine:
            fresh = [Account(f"member/{self.make_id()}") for _ in range(members - len(self.members))]
            self._commit(
                engine, len(fresh), lambda at: OpenAccount(id=self.make_id(), account=fresh[at], request=REQUEST)
            )
            self._commit(
                engine,
                len(fresh),
                lambda at: IssuePoints(id=self.make_id(), account=fresh[at], amount=10_000, request=REQUEST),
            )
            self.members += fresh
            self._commit(engine, entries - engine.size, lambda _: self._transfer())

    def _transfer(self) -> AnyCommand:
        source, destination = self.rng.sample(range(len(self.members)), 2)
        return TransferPoints(
            id=self.make_id(),
            source=self.members[source],
            destination=self.members[destination],
            amount=self.rng.randint(1, 100),
            request=REQUEST,
        )

    @staticmethod
    def _commit(engine: Engine, count: int, make: Callable[[int], AnyCommand]) -> None:
        for begin in range(0, count, BATCH):
            commit(engine, [make(at) for at in range(begin, min(begin + BATCH, count))])


@contextmanager
def _engine(directory: Path) -> Iterator[Engine]:
    config = load_config(directory)
    with Database.open(database_url(directory, config)) as database, database.writer() as writer:
        keyring = keyring_of(directory, config)
        yield Engine(writer, keyring=keyring, randomness=SystemRandomness(), faults=NoFaults())


def _new_store(place: Place) -> _Filling:
    directory = place.fresh("large")
    create_node_directory(
        directory,
        ledger=AURORA.ledger,
        points=AURORA.points,
        points_name=AURORA.points_name,
        url="http://127.0.0.1:1",
    )
    return _Filling(directory)


def measure_start(place: Place) -> Iterator[Figure]:
    """Yield how soon a node is ready over a store, and what follows for one of ten million entries."""
    filling, entries = _new_store(place), place.few(place.entries_at_start, quick=QUICK)
    ready = {}
    for size in (entries // PART, entries):
        filling.fill(members=size // ENTRIES_A_MEMBER, entries=size)
        rounds = [_started(filling.directory, size) for _ in range(place.few(ROUNDS, quick=1))]
        figure = place.conditions.figure(START, rounds, store=SQLITE, batch=size)
        ready[size] = figure.p50_ms / 1_000
        yield figure
    slope = max(0.0, (ready[entries] - ready[entries // PART]) / (entries - entries // PART))
    seconds = ready[entries] + slope * (COMPUTED_ENTRIES - entries)
    computed = Round(units=COMPUTED_ENTRIES, seconds=seconds, calls=(seconds,))
    yield place.conditions.figure(COMPUTED, [computed], store=SQLITE, batch=COMPUTED_ENTRIES)


def _started(directory: Path, entries: int) -> Round:
    with served(directory) as node:
        return Round(units=entries, seconds=node.ready_seconds, calls=(node.ready_seconds,))


def measure_memory(place: Place) -> Iterator[Figure]:
    """Yield reads of balances of a large ledger while it is written at half of what it can; with start and memory."""
    filling, members = _new_store(place), place.few(place.members, quick=QUICK // ENTRIES_A_MEMBER)
    filling.fill(members=members, entries=members * ENTRIES_A_MEMBER)
    with served(filling.directory) as node, node.caller() as caller:
        saturation = _saturation(caller, filling, place.few(SATURATION_SECONDS, quick=1))
        rounds = [
            _read_while_writing(node, filling, per_second=saturation / 2, seconds=place.few(READING_SECONDS, quick=1))
            for _ in range(place.few(ROUNDS, quick=1))
        ]
        yield place.conditions.figure(
            MEMORY,
            rounds,
            store=SQLITE,
            batch=members,
            offered=READS_PER_SECOND,
            resident_mib=node.resident_mib,
            ready_ms=round(node.ready_seconds * 1_000, 1),
        )


def _write(caller: Caller, filling: _Filling) -> None:
    items = []
    for _ in range(WRITE_BATCH):
        source, destination = filling.rng.sample(range(len(filling.members)), 2)
        account, other = filling.members[source], filling.members[destination]
        items.append({"id": filling.make_id(), "type": "transfer", "account": account, "to": other, "amount": 1})
    caller.post("/v1/transactions/batch", {"atomic": False, "items": items})


def _saturation(caller: Caller, filling: _Filling, seconds: float) -> float:
    """Return how many transfers a second one caller can have written in batches."""
    begun, count = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        _write(caller, filling)
        count += WRITE_BATCH
    return count / (time.perf_counter() - begun)


def _read_while_writing(node: Served, filling: _Filling, *, per_second: float, seconds: float) -> Round:
    stop, failed = Event(), []

    def write() -> None:
        with node.caller() as caller:
            begun = time.perf_counter()
            for number in range(10**9):
                if stop.wait(max(0.0, begun + number * WRITE_BATCH / per_second - time.perf_counter())):
                    return
                try:
                    _write(caller, filling)
                except (AllianceFailed, OSError) as error:
                    failed.append(error)
                    return

    writer = Thread(target=write)
    writer.start()
    rng, taken, begun = random.Random(SEED), [], time.perf_counter()
    with node.caller() as caller:
        for number in range(int(seconds * READS_PER_SECOND)):
            time.sleep(max(0.0, begun + number / READS_PER_SECOND - time.perf_counter()))
            before = time.perf_counter()
            caller.get(f"/v1/accounts/{rng.choice(filling.members)}")
            taken.append(time.perf_counter() - before)
    seconds = time.perf_counter() - begun
    stop.set()
    writer.join()
    if failed:
        raise AllianceFailed(f"the large ledger was not written: {failed[0]}")
    return Round(units=len(taken), seconds=seconds, calls=tuple(taken))
