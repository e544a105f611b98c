"""A node's whole application over a real store, called without a socket, with the world in the test's hands."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import httpx
import msgspec

from node.api.app import create_app
from node.app.directory import Created, create_node_directory
from node.app.open import PortOverrides, open_node
from node.ports import HookFailed, Hooks, LinkReply, TransportFailed, Witnesses
from node.services.access.credentials import CallerRole
from node.services.node import Node
from node.store.columns import METADATA
from node.store.database import Database
from protocol.agreement import SignedAgreement, encode_signed_agreement, sign_agreement
from protocol.documents import AccountLink, sign_link
from protocol.identifiers import Alias, Id, Ledger
from protocol.keys import Role
from tests.support.documents import (
    AURORA,
    BLUEBIRD,
    NETWORK,
    YESTERDAY,
    Side,
    hex_16,
    introduction,
    invitation_bytes,
    uuid,
)
from tests.support.keyrings import SeededRandomness
from tests.support.nodes import FakeClock

Json: TypeAlias = dict[str, object]
Rows: TypeAlias = dict[str, list[tuple[object, ...]]]

POINTS: Final = 10_000
ANN: Final = f"member/{uuid('ann')}"
BOB: Final = f"member/{uuid('bob')}"
STEP: Final = (400, 250)


class NoTransport:
    """A network on which nobody answers."""

    def exchange(self, url: str, parcel: bytes) -> bytes:
        raise TransportFailed("nobody is there")


class NoLinks:
    """Partners of whom none answers an exchange."""

    def exchange(self, url: str, request: bytes) -> LinkReply:
        raise TransportFailed("nobody is there")


class NoHooks:
    """Receivers of whom any may be named, and none takes anything."""

    def check(self, url: str) -> None:
        """Look nobody up."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        raise HookFailed("nobody is there", reached=False)


@dataclass
class KeptPapers:
    """Takes every document, unless told to fail."""

    sent: list[tuple[str, bytes]] = field(default_factory=list)
    failures: int = 0

    def send(self, url: str, document: bytes) -> None:
        if self.failures:
            self.failures -= 1
            raise TransportFailed("not now")
        self.sent.append((url, document))


@dataclass(kw_only=True)
class Api:
    """A node and a client of its application; `token` is sent unless a request says otherwise."""

    node: Node
    created: Created
    database: Database
    clock: FakeClock
    papers: KeptPapers
    runner: asyncio.Runner
    client: httpx.AsyncClient

    def token(self, role: CallerRole = CallerRole.ADMINISTRATOR) -> str:
        """Return the token that was made with the node."""
        return self.created.tokens[role].read_text().strip()

    def call(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        role: CallerRole | None = CallerRole.ADMINISTRATOR,
    ) -> httpx.Response:
        """Send a request and return its answer."""
        sent = {} if role is None else {"authorization": f"Bearer {self.token(role)}"}
        if body is not None:
            content, sent["content-type"] = json.dumps(body).encode(), "application/json"
        request = self.client.request(method, path, content=content, headers={**sent, **(headers or {})})
        return self.runner.run(request)

    def post(self, path: str, body: object, *, role: CallerRole = CallerRole.ADMINISTRATOR) -> httpx.Response:
        """Send a POST."""
        return self.call("POST", path, body=body, role=role)

    def get(self, path: str, *, role: CallerRole = CallerRole.ADMINISTRATOR) -> httpx.Response:
        """Send a GET."""
        return self.call("GET", path, role=role)

    def done(self, path: str, body: object) -> Json:
        """Send a POST that must succeed, and return its answer."""
        response = self.post(path, body)
        assert response.is_success, response.text
        answer: Json = response.json()
        return answer

    def read(self, path: str) -> Json:
        """Send a GET that must succeed, and return its answer."""
        response = self.get(path)
        assert response.is_success, response.text
        answer: Json = response.json()
        return answer

    def rows(self) -> Rows:
        """Return all rows of all tables, to see later what was written."""
        with self.database.snapshot() as dump:
            return {name: list(dump.rows(name)) for name in METADATA.tables}


@contextmanager
def api_of(
    directory: Path,
    database_url: str | None = None,
    *,
    settings: Mapping[str, object] | None = None,
    witnesses: Witnesses | None = None,
    hooks: Hooks | None = None,
) -> Iterator[Api]:
    """Lend the application of a new node of Aurora in `directory`, which must not exist yet."""
    clock, randomness, papers = FakeClock(), SeededRandomness("api"), KeptPapers()
    created = create_node_directory(
        directory,
        ledger=AURORA.ledger,
        points=AURORA.points,
        points_name="Aurora Miles",
        url="http://aurora.example:8420",
        currencies=("USD",),
        settings={"database_url": database_url or "", **(settings or {})},
        clock=clock,
        randomness=randomness,
    )
    ports = PortOverrides(
        clock=clock,
        randomness=randomness,
        transport=NoTransport(),
        papers=papers,
        witnesses=witnesses,
        hooks=hooks or NoHooks(),
        links=NoLinks(),
    )
    with (
        open_node(directory, ports=ports) as opened,
        Database.open(database_url or f"sqlite:///{directory / 'ledger.sqlite'}") as database,
        asyncio.Runner() as runner,
    ):
        transport = httpx.ASGITransport(create_app(opened.node))
        client = httpx.AsyncClient(transport=transport, base_url="http://node", timeout=60)
        yield Api(
            node=opened.node,
            created=created,
            database=database,
            clock=clock,
            papers=papers,
            runner=runner,
            client=client,
        )
        runner.run(client.aclose())


def request_id(name: str) -> Id:
    """Return the id of a request that a test names."""
    return uuid(f"request {name}")


def open_accounts(api: Api) -> None:
    """Open ann's account, with points, and bob's, without."""
    for name in ("ann", "bob"):
        api.done("/v1/accounts", {"id": uuid(name), "kind": "member"})
    api.done(
        "/v1/transactions",
        {"id": request_id("welcome"), "type": "issue", "account": ANN, "amount": POINTS},
    )


def terms_with(partner: Ledger = BLUEBIRD.ledger) -> Json:
    """Return the terms of an agreement, as an operator states them."""
    there = {
        "source": AURORA.ledger,
        "step": {"source": STEP[0], "destination": STEP[1]},
        "price": 2_500_000,
        "steps_min": 2,
        "steps_max": 20,
        "fee": {"points_per_conversion": 10, "points_per_step": 1},
        "expiry_days": 365,
    }
    back = {"source": partner, "step": {"source": 250, "destination": 360}, "price": 2_400_000}
    return {"currency": "USD", "directions": [there, back]}


def meet(api: Api, who: Side = BLUEBIRD) -> Json:
    """Accept a partner's invitation."""
    invitation = json.loads(invitation_bytes(who))
    return api.done("/v1/partners", {"invitation": invitation, "fingerprint": introduction(who).fingerprint()})


def agree(api: Api, **changes: object) -> str:
    """Propose an agreement to Bluebird, which signs it and sends it back; return its digest."""
    terms = {**terms_with(), **changes}
    proposed = api.done("/v1/agreements/proposals", {"partner": BLUEBIRD.ledger, "terms": terms})
    complete = api.call("POST", "/peer/v1/agreements", content=signed_by_bluebird(proposed["proposal"]), role=None)
    assert complete.is_success, complete.text
    return str(complete.json()["digest"])


def signed_by_bluebird(proposal: object) -> bytes:
    """Return a proposal with Bluebird's signature beside Aurora's."""
    signed = msgspec.convert(proposal, SignedAgreement)
    theirs = sign_agreement(signed.agreement, ledger=BLUEBIRD.ledger, key=BLUEBIRD.signing_keys[Role.APPROVAL])
    both = SignedAgreement(agreement=signed.agreement, signatures=(*signed.signatures, theirs))
    return encode_signed_agreement(both)


def link_from_bluebird(name: str = "ann") -> Json:
    """Return a link that Bluebird has issued for Aurora."""
    link = AccountLink(
        network=NETWORK,
        issuer=BLUEBIRD.ledger,
        audience=AURORA.ledger,
        alias=Alias(hex_16(name)),
        issued_at=YESTERDAY,
    )
    document: Json = json.loads(sign_link(link, key=BLUEBIRD.signing_keys[Role.CHANNEL]))
    return document


def link_ann(api: Api) -> None:
    """Join ann's account with hers at Bluebird."""
    body = {"id": request_id("link ann"), "account": ANN, "document": link_from_bluebird()}
    api.done("/v1/links/accept", body)
