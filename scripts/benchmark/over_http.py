"""`http.transfers`: a real node process over loopback, every answer durable before it is given."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus
from typing import Final

import msgspec

from scripts.alliance.brands import AURORA
from scripts.alliance.process import AllianceFailed
from scripts.benchmark.callers import Caller
from scripts.benchmark.figures import ROUNDS, Figure, Round, timed
from scripts.benchmark.lean import Due, Target, ask_all
from scripts.benchmark.members import Ids, issue, open_members, transfer
from scripts.benchmark.nodes import caller_of, nodes_at, target_of
from scripts.benchmark.places import Place

TRANSFERS: Final = "http.transfers"
BATCHES: Final = ((1, 200), (10, 60), (100, 30), (1_000, 8), (8_000, 2))
"""Transfers a request, and how many requests a round has."""

CALLERS: Final = 32
MEMBERS: Final = 2_000
POINTS: Final = 100_000_000
SEED: Final = 1


_ENCODER: Final = msgspec.json.Encoder()


def measure_transfers(place: Place) -> Iterator[Figure]:
    """Yield the figures of one node: batches from one caller, and single transfers from many."""
    for store in place.stores:
        with nodes_at(place, store, (AURORA,)) as alliance, ExitStack() as stack:
            node = alliance.nodes[AURORA]
            caller, target = stack.enter_context(caller_of(node)), target_of(node)
            ids = Ids(SEED)
            members = open_members(caller, ids, MEMBERS)
            issue(caller, ids, members, POINTS)
            for batch, requests in BATCHES:
                rounds = []
                for _ in range(place.few(ROUNDS, quick=1)):
                    bodies = [[transfer(members, ids) for _ in range(batch)] for _ in range(requests)]
                    rounds.append(timed([partial(_transact, caller, each) for each in bodies], units=batch))
                yield place.conditions.figure(TRANSFERS, rounds, store=store, batch=batch)
            rounds = []
            each = place.few(50, quick=10)
            for _ in range(place.few(ROUNDS, quick=1)):
                singles = [Due(0, _single(target, members, ids)) for _ in range(each * CALLERS)]
                rounds.append(_at_once(target, singles))
            yield place.conditions.figure(TRANSFERS, rounds, store=store, callers=CALLERS)


def _single(target: Target, members: Sequence[str], ids: Ids) -> bytes:
    return target.post("/v1/transactions", _ENCODER.encode(transfer(members, ids)))


def _at_once(target: Target, singles: Sequence[Due]) -> Round:
    """Let all callers ask one after the other, and each of them at the same time as the others."""
    waiting = iter(singles)
    begun = time.perf_counter()
    answers = ask_all(target, [lambda: next(waiting, None)] * CALLERS)
    if any(each.status != HTTPStatus.CREATED for each in answers):
        raise AllianceFailed("a transfer of the benchmark was refused")
    calls = tuple(each.seconds for each in answers)
    return Round(units=len(calls), seconds=time.perf_counter() - begun, calls=calls)


def _transact(caller: Caller, items: Sequence[Mapping[str, object]]) -> None:
    if len(items) == 1:
        caller.post("/v1/transactions", items[0])
        return
    caller.post_each("/v1/transactions/batch", items)
