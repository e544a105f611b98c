"""Figures with their conditions, and how they are taken: medians over rounds, latencies of calls."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

ROUNDS: Final = 3
"""How often each figure is taken: what is told is the median."""

_FLUSHES: Final = 200
_LOOPS: Final = 9
_STEPS: Final = 100_000
_ROWS_MASK: Final = 1_023
_MICROSECONDS: Final = 1_000_000
_PERCENT: Final = 100


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure: `per_second` units of work, in calls of `batch` units from `callers` at once.

    `p50_ms` and `p99_ms` are latencies of whole calls. `offered` is how many units a second were asked for, null where
    it was as many as could be done, and `refused` the share of them that was not. `resident_mib` is the memory of the
    node's process, `resident_from_to_mib` before and after, `ready_ms` how long its start took. Nothing is measured
    that is not on disk before it is answered: `durable`. `loop_ms` is how long a fixed loop of plain Python took right
    after: a shared machine is not equally fast in every minute.
    """

    name: str
    store: str
    batch: int
    callers: int
    per_second: float
    p50_ms: float
    p99_ms: float
    cores: int
    durable: bool
    fdatasync_us: float
    loop_ms: float
    offered: int | None = None
    resident_mib: float | None = None
    ready_ms: float | None = None
    refused: float | None = None
    resident_from_to_mib: tuple[float, float] | None = None


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One round: how many units were done in how many seconds, and how long each call took."""

    units: int
    seconds: float
    calls: tuple[float, ...]

    @property
    def per_second(self) -> float:
        """Return the units done in a second."""
        return self.units / self.seconds


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value that `percent` of `values` do not pass: the nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // _PERCENT) - 1)]


def timed(calls: Sequence[Callable[[], object]], *, units: int) -> Round:
    """Make `calls` one after the other, each of `units` units of work."""
    taken = []
    begun = time.perf_counter()
    for call in calls:
        before = time.perf_counter()
        call()
        taken.append(time.perf_counter() - before)
    return Round(units=units * len(calls), seconds=time.perf_counter() - begun, calls=tuple(taken))


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """Where it is measured: the cores, and how long the disk takes to flush, in microseconds."""

    cores: int
    fdatasync_us: float

    def figure(
        self,
        name: str,
        rounds: Sequence[Round],
        *,
        store: str,
        batch: int = 1,
        callers: int = 1,
        offered: int | None = None,
        durable: bool = True,
        cores: int | None = None,
        resident_mib: float | None = None,
        ready_ms: float | None = None,
    ) -> Figure:
        """Return the figure of the median round; `cores` are those that took part, if not all there are."""
        chosen = sorted(rounds, key=lambda each: each.per_second)[len(rounds) // 2]
        return Figure(
            name=name,
            store=store,
            batch=batch,
            callers=callers,
            per_second=round(chosen.per_second, 1),
            p50_ms=round(percentile(chosen.calls, 50) * 1_000, 3),
            p99_ms=round(percentile(chosen.calls, 99) * 1_000, 3),
            cores=cores or self.cores,
            durable=durable,
            fdatasync_us=self.fdatasync_us,
            loop_ms=loop_ms(),
            offered=offered,
            resident_mib=resident_mib,
            ready_ms=ready_ms,
        )


def loop_ms() -> float:
    """Return how long a fixed loop of plain Python takes now, in milliseconds: the median of some."""
    taken = []
    for _ in range(_LOOPS):
        rows: dict[int, int] = {}
        before = time.perf_counter()
        for number in range(_STEPS):
            rows[number & _ROWS_MASK] = 3 * number
        taken.append(time.perf_counter() - before)
    return round(statistics.median(taken) * 1_000, 2)


def conditions_at(folder: Path) -> Conditions:
    """Measure the disk below `folder` as a database uses it: append a page, flush."""
    path = folder / "flushed"
    taken = []
    with path.open("wb") as file:
        for _ in range(_FLUSHES):
            file.write(bytes(4_096))
            file.flush()
            before = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - before)
    path.unlink()
    cores = len(os.sched_getaffinity(0))
    return Conditions(cores=cores, fdatasync_us=round(statistics.median(taken) * _MICROSECONDS, 1))
