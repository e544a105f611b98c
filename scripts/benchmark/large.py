"""`start` and `memory`: a node over a large store, how soon it is ready, its memory, and how it reads while it writes.

A large store is filled through the engine, in big commits: members' accounts, points for each, and transfers.
"""

import random
import time
from collections.abc import Iterator, Sequence
from math import ceil
from threading import Event, Thread
from typing import Final

from node.cli.request import JsonObject
from protocol.identifiers import Account
from scripts.alliance.process import AllianceFailed, NodeProcess
from scripts.benchmark.callers import Caller
from scripts.benchmark.engine import commit_all, engine_at, fill, transfers
from scripts.benchmark.figures import ROUNDS, Figure, Round
from scripts.benchmark.members import Ids, transfer
from scripts.benchmark.nodes import caller_of, new_node, peak_mib, running, wait_until
from scripts.benchmark.places import SQLITE, Place

START: Final = "start"
COMPUTED: Final = "start.computed"
MEMORY: Final = "memory"
MEMORY_OF_TWO: Final = "memory.workers"
QUICK: Final = 8_000
ENTRIES_A_MEMBER: Final = 5
COMPUTED_ENTRIES: Final = 10_000_000
PART: Final = 10
"""The start is measured over a tenth too: both lead to what it takes over more than is there."""

WRITE_BATCH: Final = 100
SATURATION_SECONDS: Final = 5
READING_SECONDS: Final = 20
READS_PER_SECOND: Final = 100
POINTS: Final = 10_000
SEED: Final = 1


class _Filling:
    """A node whose store is filled: who its members are, and what comes next."""

    def __init__(self, place: Place) -> None:
        self.node = new_node(place.fresh("large"))
        self.ids = Ids(SEED)
        self.members: list[Account] = []

    def grow(self, *, members: int, entries: int) -> None:
        """Let there be so many members, each with points, and about so many entries."""
        with engine_at(self.node.directory) as (engine, _):
            self.members += fill(engine, self.ids, members - len(self.members), points=POINTS)
            commit_all(engine, transfers(self.members, entries - engine.size, self.ids))


def measure_start(place: Place) -> Iterator[Figure]:
    """Yield how soon a node is ready over a store, and what follows for one of ten million entries."""
    filling, entries = _Filling(place), place.few(place.entries_at_start, quick=QUICK)
    ready = {}
    for size in (entries // PART, entries):
        filling.grow(members=size // ENTRIES_A_MEMBER, entries=size)
        rounds = [_started(filling.node, size) for _ in range(place.few(ROUNDS, quick=1))]
        figure = place.conditions.figure(START, rounds, store=SQLITE, batch=size)
        ready[size] = figure.p50_ms / 1_000
        yield figure
    slope = max(0.0, (ready[entries] - ready[entries // PART]) / (entries - entries // PART))
    seconds = ready[entries] + slope * (COMPUTED_ENTRIES - entries)
    computed = Round(units=COMPUTED_ENTRIES, seconds=seconds, calls=(seconds,))
    yield place.conditions.figure(COMPUTED, [computed], store=SQLITE, batch=COMPUTED_ENTRIES)


def _started(node: NodeProcess, entries: int) -> Round:
    with running(node) as seconds:
        return Round(units=entries, seconds=seconds, calls=(seconds,))


def measure_memory(place: Place) -> Iterator[Figure]:
    """Yield reads of balances of a large ledger while it is written at half of what it can; with start and memory.

    Once by one process, which writes and answers, and once by two, of which one writes and the other answers.
    """
    filling, members = _Filling(place), place.few(place.members, quick=QUICK // ENTRIES_A_MEMBER)
    filling.grow(members=members, entries=members * ENTRIES_A_MEMBER)
    for name, workers in ((MEMORY, 1), (MEMORY_OF_TWO, 2)):
        filling.node.workers = workers
        yield _measured(place, filling, name)


def _measured(place: Place, filling: _Filling, name: str) -> Figure:
    node = filling.node
    with running(node) as ready_seconds:
        if node.workers > 1:
            # A connection that is made before stays with the process that writes.
            wait_until(lambda: any("not_sharing" in line for line in node.log_lines()))
        with caller_of(node) as caller:
            saturation = _saturation(caller, filling, place.few(SATURATION_SECONDS, quick=1))
        rounds = [
            _read_while_writing(filling, per_second=saturation / 2, seconds=place.few(READING_SECONDS, quick=1))
            for _ in range(place.few(ROUNDS, quick=1))
        ]
        return place.conditions.figure(
            name,
            rounds,
            store=SQLITE,
            batch=len(filling.members),
            offered=READS_PER_SECOND,
            resident_mib=peak_mib(node),
            ready_ms=round(ready_seconds * 1_000, 1),
        )


def _batch(filling: _Filling) -> list[JsonObject]:
    return [transfer(filling.members, filling.ids) for _ in range(WRITE_BATCH)]


def _write(caller: Caller, items: Sequence[JsonObject]) -> None:
    caller.post_each("/v1/transactions/batch", items)


def _saturation(caller: Caller, filling: _Filling, seconds: float) -> float:
    """Return how many transfers a second one caller can have written in batches."""
    begun, count = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        _write(caller, _batch(filling))
        count += WRITE_BATCH
    return count / (time.perf_counter() - begun)


def _read_while_writing(filling: _Filling, *, per_second: float, seconds: float) -> Round:
    stop, failed = Event(), []
    # Made ahead: who reads shares an interpreter with who writes, and would wait for the making of orders.
    batches = [_batch(filling) for _ in range(ceil(per_second * seconds / WRITE_BATCH))]

    def write() -> None:
        with caller_of(filling.node) as caller:
            begun = time.perf_counter()
            for number, batch in enumerate(batches):
                if stop.wait(max(0.0, begun + number * WRITE_BATCH / per_second - time.perf_counter())):
                    return
                try:
                    _write(caller, batch)
                except (AllianceFailed, OSError) as error:
                    failed.append(error)
                    return

    writer = Thread(target=write)
    writer.start()
    rng, taken, begun = random.Random(SEED), [], time.perf_counter()
    with caller_of(filling.node) as caller:
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
