"""`http.transfers` and `conversions`: real node processes over loopback, every answer durable before it is given."""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from itertools import permutations
from typing import Final
from uuid import UUID

import msgspec

from node.cli.request import JsonObject
from node.client import read_token
from scripts.alliance.alliance import BACKEND, Alliance, running_alliance
from scripts.alliance.brands import AURORA, BLUEBIRD, Brand, rate
from scripts.alliance.members import Person, link, open_account
from scripts.alliance.process import AllianceFailed
from scripts.benchmark.callers import Caller, at_a_pace, at_once
from scripts.benchmark.figures import ROUNDS, Figure, timed
from scripts.benchmark.places import SQLITE, Place

TRANSFERS: Final = "http.transfers"
CONVERSIONS: Final = "conversions"
BATCHES: Final = ((1, 200), (10, 60), (100, 30), (1_000, 8), (8_000, 2))
"""Transfers a request, and how many requests a round has."""

CALLERS: Final = 32
MEMBERS: Final = 2_000
PEOPLE: Final = 32
POINTS: Final = 100_000_000
PACE: Final = 100
SEED: Final = 1
_WAIT_SECONDS: Final = 30


class _Conversion(msgspec.Struct, frozen=True):
    state: str


class _Result(msgspec.Struct, frozen=True):
    status: int


class _Results(msgspec.Struct, frozen=True):
    results: tuple[_Result, ...]


_CONVERSION: Final = msgspec.json.Decoder(_Conversion)
_RESULTS: Final = msgspec.json.Decoder(_Results)


class Ids:
    """Random UUIDs from one seed."""

    def __init__(self, seed: int) -> None:
        """Begin."""
        self.rng = random.Random(seed)

    def __call__(self) -> str:
        """Return the next id."""
        return str(UUID(int=self.rng.getrandbits(128), version=4))


# --- Transfers.


def measure_transfers(place: Place) -> Iterator[Figure]:
    """Yield the figures of one node: batches from one caller, and single transfers from many."""
    for store in place.stores:
        with _alliance(place, store, (AURORA,)) as alliance, ExitStack() as stack:
            callers = [stack.enter_context(_caller(alliance, AURORA)) for _ in range(CALLERS)]
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


# --- Conversions.


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two nodes with members who can convert, and callers of the source."""

    callers: Sequence[Caller]
    people: Sequence[Person]
    ids: Ids

    def order(self, caller: Caller, number: int) -> None:
        """Order a conversion and wait until both ledgers have it."""
        conversion = self.ids()
        person = self.people[number % len(self.people)]
        body = {
            "id": conversion,
            "account": person.account(AURORA),
            "partner": BLUEBIRD.ledger,
            "amount": rate(AURORA, BLUEBIRD).source_step,
        }
        caller.post("/v1/conversions", body)
        # The source captures what the destination has credited: then it is final at both.
        found = _CONVERSION.decode(caller.get(f"/v1/conversions/{conversion}?wait={_WAIT_SECONDS}"))
        if found.state != "completed":
            raise AllianceFailed(f"a conversion of the benchmark is {found.state}")


def measure_conversions(place: Place) -> Iterator[Figure]:
    """Yield the figures of two nodes: orders one by one at a pace, and as many as 32 callers can have done."""
    for store in place.stores:
        with _alliance(place, store, (AURORA, BLUEBIRD)) as alliance, ExitStack() as stack:
            callers = [stack.enter_context(_caller(alliance, AURORA)) for _ in range(CALLERS)]
            pair = _Pair(callers, _people(alliance), Ids(SEED + 1))
            many = range(place.few(ROUNDS, quick=1))
            count = place.few(3 * PACE, quick=PACE)
            rounds = [at_a_pace(callers, pair.order, count=count, per_second=PACE) for _ in many]
            yield place.conditions.figure(CONVERSIONS, rounds, store=store, callers=CALLERS, offered=PACE)
            rounds = [at_once(callers, pair.order, each=place.few(40, quick=10)) for _ in many]
            yield place.conditions.figure(CONVERSIONS, rounds, store=store, callers=CALLERS)


def _people(alliance: Alliance) -> list[Person]:
    ids = Ids(SEED)
    with ExitStack() as stack:
        clients = {brand: stack.enter_context(alliance.client(brand)) for brand in alliance.nodes}
        people = []
        for _ in range(PEOPLE):
            person = Person({brand: ids() for brand in clients})
            for brand, client in clients.items():
                open_account(client, person.ids[brand])
                giving: JsonObject = {"id": ids(), "type": "issue", "account": person.account(brand), "amount": POINTS}
                client.post("/v1/transactions", giving)
            for source, destination in permutations(clients, 2):
                link(clients, source, destination, person=person, ids=(ids(), ids()))
            people.append(person)
        return people


# --- Nodes.


@contextmanager
def _alliance(place: Place, store: str, brands: Sequence[Brand]) -> Iterator[Alliance]:
    urls = {} if store == SQLITE else {brand: place.database(store) for brand in brands}
    folder = place.fresh("nodes")
    with running_alliance(folder, port_base=None, ephemeral=True, brands=brands, database_urls=urls) as alliance:
        yield alliance


def _caller(alliance: Alliance, brand: Brand) -> Caller:
    node = alliance.nodes[brand]
    return Caller(node.url, read_token(node.token_file(BACKEND)))
