"""`overload`: three times what a node can do is asked of it, for a minute; it refuses the rest and keeps its pace."""

import random
import time
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from node.client import read_token
from scripts.alliance.alliance import BACKEND, running_alliance
from scripts.alliance.brands import AURORA
from scripts.alliance.process import HOST, AllianceFailed, NodeProcess
from scripts.benchmark.figures import Figure, percentile
from scripts.benchmark.lean import Answered, Due, Target, ask_all
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


class Traffic:
    """Requests of transfers between members, each another."""

    def __init__(self, target: Target) -> None:
        """Open the members' accounts and give each of them points."""
        self._target = target
        self._random = random.Random(SEED)
        ids = [self._id() for _ in range(MEMBERS)]
        self._members = [f"member/{each}" for each in ids]
        opening = iter([target.post("/v1/accounts", _ENCODER.encode({"id": each, "kind": "member"})) for each in ids])
        self._ask(opening)
        issued = [{"id": self._id(), "type": "issue", "account": each, "amount": POINTS} for each in self._members]
        self._ask(iter([self._batch(issued)]))

    def __call__(self) -> bytes:
        """Return the next request."""
        return self._batch([self._transfer() for _ in range(BATCH)])

    def _ask(self, requests: Iterator[bytes]) -> None:
        answers = ask_all(self._target, [lambda: next((Due(0, each) for each in requests), None)] * CALLERS)
        if any(each.status >= HTTPStatus.BAD_REQUEST for each in answers):
            raise AllianceFailed("the members of the benchmark cannot be made")

    def _batch(self, items: Sequence[object]) -> bytes:
        return self._target.post("/v1/transactions/batch", _ENCODER.encode({"atomic": False, "items": items}))

    def _transfer(self) -> object:
        source, to = self._random.sample(self._members, 2)
        amount = self._random.randint(1, 100)
        return {"id": self._id(), "type": "transfer", "account": source, "to": to, "amount": amount}

    def _id(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))


def measure(place: Place) -> Iterator[Figure]:
    """Yield the figure of a node that is asked for too much."""
    with running_alliance(place.fresh("nodes"), port_base=None, ephemeral=True, brands=(AURORA,)) as alliance:
        node = alliance.nodes[AURORA]
        target = Target(HOST, node.port, read_token(node.token_file(BACKEND)))
        traffic = Traffic(target)
        can_do = _saturation(target, traffic, seconds=place.few(10, quick=2))
        before, begun = _resident_mib(node), time.perf_counter()
        pace = TIMES * can_do / BATCH
        answers = _flood(target, traffic, per_second=pace, seconds=place.few(60, quick=8))
        seconds = time.perf_counter() - begun
        yield _figure(place, answers, offered=pace * BATCH, seconds=seconds, memory=(before, _resident_mib(node)))


def _saturation(target: Target, traffic: Traffic, *, seconds: int) -> float:
    """Return how many transfers a second are done when as many are asked for."""
    begun = time.perf_counter()

    def following() -> Due | None:
        return Due(0, traffic()) if time.perf_counter() < begun + seconds else None

    answers = ask_all(target, [following] * CALLERS)
    return BATCH * len(_granted(answers)) / (time.perf_counter() - begun)


def _flood(target: Target, traffic: Traffic, *, per_second: float, seconds: int) -> list[Answered]:
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
        offered=round(offered),
        refused=round(1 - len(granted) / len(answers), 3),
        resident_from_to_mib=memory,
    )


def _granted(answers: Sequence[Answered]) -> list[Answered]:
    return [each for each in answers if each.status == HTTPStatus.OK]


def _resident_mib(node: NodeProcess) -> float:
    """Return the memory that a node's process has, or 0 where the system does not say (proc(5))."""
    status = Path(f"/proc/{node.pid}/status")
    if not status.exists():
        return 0.0
    line = next(each for each in status.read_text(encoding="ascii").splitlines() if each.startswith("VmRSS"))
    return round(int(line.split()[1]) / 1_024, 1)
