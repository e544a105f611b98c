"""People with an account at each brand, linked in all directions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import permutations

import msgspec

from node.cli.request import JsonObject
from node.client import NodeClient
from protocol.encoding import JsonValue
from scripts.alliance.brands import Brand

Clients = Mapping[Brand, NodeClient]


class _Linked(msgspec.Struct, frozen=True):
    document: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, by the UUIDs of their accounts."""

    ids: Mapping[Brand, str]

    def account(self, brand: Brand) -> str:
        """Return the person's account at a brand."""
        return f"member/{self.ids[brand]}"


def open_account(client: NodeClient, account_id: str) -> None:
    """Open a member's account."""
    client.post("/v1/accounts", {"id": account_id, "kind": "member"})


def link(clients: Clients, source: Brand, destination: Brand, *, person: Person, ids: tuple[str, str]) -> None:
    """Let the person's points go from one brand to another, as a member would: fetch a link, hand it over."""
    body = {"id": ids[0], "account": person.account(destination), "partner": source.ledger}
    document: JsonValue = msgspec.json.decode(
        bytes(clients[destination].post("/v1/links", body).read(_Linked).document)
    )
    accepting: JsonObject = {"id": ids[1], "account": person.account(source), "document": document}
    clients[source].post("/v1/links/accept", accepting)


def join_all(clients: Clients, person: Person, make_id: Callable[[], str]) -> None:
    """Open the person's accounts at all of `clients` and link them in all directions."""
    for brand, client in clients.items():
        open_account(client, person.ids[brand])
    for source, destination in permutations(clients, 2):
        link(clients, source, destination, person=person, ids=(make_id(), make_id()))
