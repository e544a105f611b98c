"""`http.transfers`: a real node process over loopback, every answer durable before it is given."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus
from typing import Final

import msgspec

from node.client import read_token
from scripts.alliance.alliance import BACKEND
from scripts.alliance.brands import AURORA
from scripts.alliance.process import HOST, AllianceFailed
from scripts.benchmark.callers import Caller
from scripts.benchmark.figures import ROUNDS, Figure, Round, timed
from scripts.benchmark.lean import Due, Target, ask_all
from scripts.benchmark.nodes import Ids, caller_of, nodes_at
from scripts.benchmark.places import Place

TRANSFERS: Final = "http.transfers"
BATCHES: Final = ((1, 200), (10, 60), (100, 30), (1_000, 8), (8_000, 2))
"""Transfers a request, and how many requests a round has."""

CALLERS: Final = 32
MEMBERS: Final = 2_000
POINTS: Final = 100_000_000
SEED: Final = 1


class _Result(msgspec.Struct, frozen=True):
    status: int


class _Results(msgspec.Struct, frozen=True):
    results: tuple[_Result, ...]


_ENCODER: Final = msgspec.json.Encoder()
_RESULTS: Final = msgspec.json.Decoder(_Results)


def measure_transfers(place: Place) -> Iterator[Figure]:
    """Yield the figures of one node: batches from one caller, and single transfers from many."""
    for store in place.stores:
        with nodes_at(place, store, (AURORA,)) as alliance, ExitStack() as stack:
            caller = stack.enter_context(caller_of(alliance, AURORA))
            node = alliance.nodes[AURORA]
            target = Target(HOST, node.port, read_token(node.token_file(BACKEND)))
            ids = Ids(SEED)
            members = _members(caller, ids)
            for batch, requests in BATCHES:
                rounds = []
                for _ in range(place.few(ROUNDS, quick=1)):
                    bodies = [_batch(members, ids, batch) for _ in range(requests)]
                    rounds.append(timed([partial(_transact, caller, each) for each in bodies], units=batch))
                yield place.conditions.figure(TRANSFERS, rounds, store=store, batch=batch)
            rounds = []
            each = place.few(50, quick=10)
            for _ in range(place.few(ROUNDS, quick=1)):
                singles = [Due(0, _single(target, members, ids)) for _ in range(each * CALLERS)]
                rounds.append(_at_once(target, singles))
            yield place.conditions.figure(TRANSFERS, rounds, store=store, callers=CALLERS)


def _single(target: Target, members: Sequence[str], ids: Ids) -> bytes:
    return target.post("/v1/transactions", _ENCODER.encode(_transfer(members, ids)))


def _at_once(target: Target, singles: Sequence[Due]) -> Round:
    """Let all callers ask one after the other, and each of them at the same time as the others."""
    waiting = iter(singles)
    begun = time.perf_counter()
    answers = ask_all(target, [lambda: next(waiting, None)] * CALLERS)
    if any(each.status != HTTPStatus.CREATED for each in answers):
        raise AllianceFailed("a transfer of the benchmark was refused")
    calls = tuple(each.seconds for each in answers)
    return Round(units=len(calls), seconds=time.perf_counter() - begun, calls=calls)


def _members(caller: Caller, ids: Ids) -> list[str]:
    members = [ids() for _ in range(MEMBERS)]
    for each in members:
        caller.post("/v1/accounts", {"id": each, "kind": "member"})
    accounts = [f"member/{each}" for each in members]
    _transact(caller, [{"id": ids(), "type": "issue", "account": each, "amount": POINTS} for each in accounts])
    return accounts


def _transfer(members: Sequence[str], ids: Ids) -> Mapping[str, object]:
    source, destination = ids.rng.sample(members, 2)
    return {"id": ids(), "type": "transfer", "account": source, "to": destination, "amount": ids.rng.randint(1, 100)}


def _batch(members: Sequence[str], ids: Ids, count: int) -> list[Mapping[str, object]]:
    return [_transfer(members, ids) for _ in range(count)]


def _transact(caller: Caller, items: Sequence[Mapping[str, object]]) -> None:
    if len(items) == 1:
        caller.post("/v1/transactions", items[0])
        return
    found = _RESULTS.decode(caller.post("/v1/transactions/batch", {"atomic": False, "items": items}))
    if any(each.status != HTTPStatus.CREATED for each in found.results):
        raise AllianceFailed("a transfer of the benchmark was refused")
