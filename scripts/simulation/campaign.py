"""Many seeds, one after the other or in several processes, and what they add up to."""

import gc
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from typing import Final

from scripts.simulation.mutations import mutated
from scripts.simulation.run import Outcome, Settings, Simulation
from scripts.simulation.shrink import shrink

_SEEDS_AT_ONCE: Final = 10


@dataclass(slots=True)
class Totals:
    """What clean seeds add up to."""

    seeds: int = 0
    steps: int = 0
    entries: int = 0
    conversions: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """Count one seed."""
        self.seeds += 1
        self.steps += len(outcome.taken)
        self.entries += outcome.entries
        self.conversions += outcome.conversions
        self.faults += outcome.faults


def run_seed(seed: int, *, settings: Settings, mutation: str | None = None) -> Outcome:
    """Run one seed; the lines of a clean one are dropped."""
    with mutated(mutation), _collecting_afterwards():
        outcome = Simulation(seed, settings).run()
    return outcome if outcome.violation else replace(outcome, lines=())


def run_seeds(seeds: Iterable[int], *, settings: Settings, mutation: str | None, jobs: int) -> Iterator[Outcome]:
    """Yield the outcome of each seed, in their order."""
    run = partial(run_seed, settings=settings, mutation=mutation)
    if jobs == 1:
        yield from map(run, seeds)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        try:
            yield from pool.map(run, seeds, chunksize=_SEEDS_AT_ONCE)
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _collecting_afterwards() -> Iterator[None]:
    """Keep the garbage collector from looking at a world while it lives; then drop all of it, and nothing older."""
    gc.disable()
    try:
        yield
    finally:
        gc.collect(0)
        gc.enable()


def shortest(failed: Outcome, *, settings: Settings, mutation: str | None) -> Outcome:
    """Return the shortest trace found that fails as `failed` does."""
    with mutated(mutation):
        return shrink(failed, settings)
