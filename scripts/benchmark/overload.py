"""`overload`: three times what a node can do is asked of it, for a minute; it refuses the rest and keeps its pace."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http import HTTPStatus
from itertools import count
from typing import Final

import msgspec

from scripts.alliance.brands import AURORA
from scripts.benchmark.figures import Figure, loop_ms, percentile
from scripts.benchmark.lean import Answered, Due, Target, ask_all
from scripts.benchmark.members import Ids, issue, open_members, transfer
from scripts.benchmark.nodes import caller_of, nodes_at, resident_mib, target_of
from scripts.benchmark.places import SQLITE, Place

NAME: Final = "overload"
BATCH: Final = 100
TIMES: Final = 3
"""How many times more is asked than can be done."""

CALLERS: Final = 32
CROWD: Final = 512
"""Connections enough that what is asked never waits for one."""

MEMBERS: Final = 2_000
POINTS: Final = 100_000_000
SEED: Final = 7
_ENCODER: Final = msgspec.json.Encoder()


def measure(place: Place) -> Iterator[Figure]:
    """Yield the figure of a node that is asked for too much."""
    with nodes_at(place, SQLITE, (AURORA,)) as alliance:
        node = alliance.nodes[AURORA]
        target, ids = target_of(node), Ids(SEED)
        with caller_of(node) as caller:
            members = open_members(caller, ids, MEMBERS)
            issue(caller, ids, members, POINTS)
        traffic = partial(_batch, target, members, ids)
        can_do = _saturation(target, traffic, seconds=place.few(10, quick=2))
        before, begun = resident_mib(node), time.perf_counter()
        pace = TIMES * can_do / BATCH
        answers = _flood(target, traffic, per_second=pace, seconds=place.few(60, quick=8))
        seconds = time.perf_counter() - begun
        yield _figure(place, answers, offered=pace * BATCH, seconds=seconds, memory=(before, resident_mib(node)))


def _batch(target: Target, members: Sequence[str], ids: Ids) -> bytes:
    """Return a request of transfers between members, each another."""
    items = [transfer(members, ids) for _ in range(BATCH)]
    return target.post("/v1/transactions/batch", _ENCODER.encode({"atomic": False, "items": items}))


def _saturation(target: Target, traffic: Callable[[], bytes], *, seconds: int) -> float:
    """Return how many transfers a second are done when as many are asked for."""
    begun = time.perf_counter()

    def following() -> Due | None:
        return Due(0, traffic()) if time.perf_counter() < begun + seconds else None

    answers = ask_all(target, [following] * CALLERS)
    return BATCH * len(_granted(answers)) / (time.perf_counter() - begun)


def _flood(target: Target, traffic: Callable[[], bytes], *, per_second: float, seconds: int) -> list[Answered]:
    """Ask at a pace, whatever becomes of it."""
    begun = time.perf_counter()
    numbers = count()

    def following() -> Due | None:
        after = next(numbers) / per_second
        return Due(begun + after, traffic()) if after < seconds else None

    return ask_all(target, [following] * CROWD)


def _figure(
    place: Place, answers: Sequence[Answered], *, offered: float, seconds: float, memory: tuple[float, float]
) -> Figure:
    granted = [each.seconds * 1_000 for each in _granted(answers)]
    return Figure(
        name=NAME,
        store=SQLITE,
        batch=BATCH,
        callers=CROWD,
        per_second=round(BATCH * len(granted) / seconds, 1),
        p50_ms=round(percentile(granted, 50), 3),
        p99_ms=round(percentile(granted, 99), 3),
        cores=place.conditions.cores,
        durable=True,
        fdatasync_us=place.conditions.fdatasync_us,
        loop_ms=loop_ms(),
        offered=round(offered),
        refused=round(1 - len(granted) / len(answers), 3),
        resident_from_to_mib=memory,
    )


def _granted(answers: Sequence[Answered]) -> list[Answered]:
    return [each for each in answers if each.status == HTTPStatus.OK]
