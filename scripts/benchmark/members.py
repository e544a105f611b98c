"""Whom benchmarks are about: ids of one seed, members of one node with points, people with accounts at several."""

import random
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final
from uuid import UUID

import msgspec

from node.cli.request import JsonObject
from protocol.identifiers import Account, Id
from scripts.alliance.alliance import Alliance
from scripts.alliance.members import Person, join_all
from scripts.benchmark.callers import Caller


class Ids:
    """Random UUIDs from one seed."""

    def __init__(self, seed: int) -> None:
        """Begin."""
        self.rng = random.Random(seed)

    def __call__(self) -> Id:
        """Return the next id."""
        return Id(str(UUID(int=self.rng.getrandbits(128), version=4)))


class _Page(msgspec.Struct, frozen=True):
    conversions: tuple[msgspec.Raw, ...]


_PAGE: Final = msgspec.json.Decoder(_Page)


def open_members(caller: Caller, ids: Ids, count: int) -> list[Account]:
    """Open so many members' accounts."""
    opened = [ids() for _ in range(count)]
    for each in opened:
        caller.post("/v1/accounts", {"id": each, "kind": "member"})
    return [Account(f"member/{each}") for each in opened]


def issue(caller: Caller, ids: Ids, accounts: Sequence[str], points: int) -> None:
    """Give each account so many points, in one batch."""
    items = [{"id": ids(), "type": "issue", "account": each, "amount": points} for each in accounts]
    caller.post_each("/v1/transactions/batch", items)


def transfer(members: Sequence[str], ids: Ids) -> JsonObject:
    """Return the order of a transfer between two members."""
    source, destination = ids.rng.sample(members, 2)
    return {"id": ids(), "type": "transfer", "account": source, "to": destination, "amount": ids.rng.randint(1, 100)}


def linked_people(alliance: Alliance, ids: Ids, count: int, *, points: int) -> list[Person]:
    """Return so many people who have an account with points at each node, all of them linked."""
    with ExitStack() as stack:
        clients = {brand: stack.enter_context(alliance.client(brand)) for brand in alliance.nodes}
        people = [Person({brand: ids() for brand in clients}) for _ in range(count)]
        for person in people:
            join_all(clients, person, ids)
            for brand, client in clients.items():
                client.issue(Account(person.account(brand)), points, request_id=ids())
        return people


def any_conversion(caller: Caller, *, state: str) -> bool:
    """Return whether a conversion from the caller's node is in `state`."""
    return bool(_PAGE.decode(caller.get(f"/v1/conversions?state={state}&limit=1")).conversions)
