"""`http.transfers`: a real node process over loopback, every answer durable before it is given."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus
from typing import Final

import msgspec

from scripts.alliance.brands import AURORA
from scripts.alliance.process import AllianceFailed
from scripts.benchmark.callers import Caller, at_once
from scripts.benchmark.figures import ROUNDS, Figure, timed
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


_RESULTS: Final = msgspec.json.Decoder(_Results)


def measure_transfers(place: Place) -> Iterator[Figure]:
    """Yield the figures of one node: batches from one caller, and single transfers from many."""
    for store in place.stores:
        with nodes_at(place, store, (AURORA,)) as alliance, ExitStack() as stack:
            callers = [stack.enter_context(caller_of(alliance, AURORA)) for _ in range(CALLERS)]
            ids = Ids(SEED)
            members = _members(callers[0], ids)
            for batch, requests in BATCHES:
                rounds = []
                for _ in range(place.few(ROUNDS, quick=1)):
                    bodies = [_batch(members, ids, batch) for _ in range(requests)]
                    rounds.append(timed([partial(_transact, callers[0], each) for each in bodies], units=batch))
                yield place.conditions.figure(TRANSFERS, rounds, store=store, batch=batch)
            rounds = []
            each = place.few(50, quick=10)
            for _ in range(place.few(ROUNDS, quick=1)):
                singles = [_transfer(members, ids) for _ in range(each * CALLERS)]

                def call(caller: Caller, number: int, singles: Sequence[object] = singles) -> None:
                    caller.post("/v1/transactions", singles[number])

                rounds.append(at_once(callers, call, each=each))
            yield place.conditions.figure(TRANSFERS, rounds, store=store, callers=CALLERS)


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
