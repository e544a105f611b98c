"""Three brands that are partners and convert, and people with accounts at them, called over their own HTTP."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import parse_qs, urlsplit

import httpx

from node.services.access.credentials import CallerRole
from node.services.audits.auditing import audit
from node.services.fsck.fsck import fsck
from node.services.logs.package import StoreSource
from node.store.database import Database
from protocol.audit.findings import Verdict
from protocol.identifiers import Id
from scripts.alliance.brands import AURORA, BLUEBIRD, CEDAR, CURRENCY, Brand
from tests.support.documents import uuid
from tests.support.nodes import FakeClock
from tests.support.whole_nodes import JSON, Street, WholeNode, street

Json: TypeAlias = dict[str, object]

BRANDS: Final = (AURORA, BLUEBIRD, CEDAR)
POINTS: Final = 100_000
STEP: Final = 100
"""Points of a step, the same out and in."""


@dataclass
class Linked:
    """The brands, and a count that gives each request an id of its own."""

    street: Street
    count: int = field(default=0)

    def fresh(self) -> Id:
        """Return an id that was not used yet."""
        self.count += 1
        return uuid(f"linked {self.count}")

    def node(self, brand: Brand) -> WholeNode:
        """Return a brand's node."""
        return self.street.nodes[brand]

    def call(self, brand: Brand, method: str, path: str, body: object = None) -> httpx.Response:
        """Send a request of the brand's administrator and return its answer."""
        node = self.node(brand)
        token = node.created.tokens[CallerRole.ADMINISTRATOR].read_text().strip()
        headers = {"authorization": f"Bearer {token}", "content-type": JSON}
        content = None if body is None else json.dumps(body).encode()
        return node.loop.run(node.client.request(method, path, content=content, headers=headers))

    def done(self, brand: Brand, path: str, body: Mapping[str, object]) -> Json:
        """Send a POST that must succeed."""
        response = self.call(brand, "POST", path, body)
        assert response.is_success, response.text
        answer: Json = response.json()
        return answer

    def read(self, brand: Brand, path: str) -> Json:
        """Send a GET that must succeed."""
        response = self.call(brand, "GET", path)
        assert response.is_success, response.text
        answer: Json = response.json()
        return answer

    def refused(self, brand: Brand, path: str, body: Mapping[str, object]) -> str:
        """Send a POST that must be refused, and return the code."""
        response = self.call(brand, "POST", path, body)
        assert not response.is_success, response.text
        return str(response.json()["code"])

    def open(self, brand: Brand, *, points: int = POINTS) -> str:
        """Open a member's account with points on it, and return its name."""
        account = self.done(brand, "/v1/accounts", {"id": self.fresh(), "kind": "member"})["account"]
        if points:
            body = {"id": self.fresh(), "type": "issue", "account": account, "amount": points}
            self.done(brand, "/v1/transactions", body)
        return str(account)

    def typed_code(self, issuer: Brand, account: str, audience: Brand, **limits: object) -> str:
        """Let a member consent at `issuer` to a link with `audience`, and return the code to type."""
        body = {"account": account, "partner": audience.ledger, **limits}
        return str(self.done(issuer, "/v1/links/codes", body)["code"])

    def link(self, issuer: Brand, there: str, audience: Brand, here: str, **limits: object) -> str:
        """Link a member's accounts by a typed code and return the alias: points can go from `audience` to `issuer`."""
        code = self.typed_code(issuer, there, audience, **limits)
        body = {"id": self.fresh(), "account": here, "partner": issuer.ledger, "code": code}
        return str(self.done(audience, "/v1/links/typed", body)["alias"])

    def convert(self, source: Brand, account: str, destination: Brand, amount: int = STEP) -> Json:
        """Order a conversion, let the nodes talk, and return where it stands."""
        body = {
            "id": self.fresh(),
            "account": account,
            "partner": destination.ledger,
            "amount": amount,
            "accept_within_seconds": 3_600,
        }
        ordered = self.done(source, "/v1/conversions", body)
        self.street.talk()
        return self.read(source, f"/v1/conversions/{ordered['id']}")

    def check(self) -> None:
        """Hold that every store is whole, and that an auditor of all three logs finds nothing."""
        self.street.talk()
        for node in self.street.nodes.values():
            with Database.open(f"sqlite:///{node.created.directory / 'ledger.sqlite'}") as database:
                report = fsck(database)
                assert report.verdict is Verdict.HELD, report.lines()
        readers = [node.node.reader for node in self.street.nodes.values()]
        found = audit([StoreSource(reader) for reader in readers])
        assert found.verdict is Verdict.HELD, found


def query_of(url: str) -> dict[str, str]:
    """Return the fields of an address's query, each once."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


@contextmanager
def linked(directory: Path) -> Iterator[Linked]:
    """Lend three brands with agreements between all of them."""
    clock = FakeClock("2026-03-02T00:00:00.000000Z")
    with street(directory, dict.fromkeys(BRANDS, ""), clock=clock, currencies=(CURRENCY,), seed="linked") as nodes:
        found = Linked(nodes)
        for first, second in combinations(BRANDS, 2):
            invitation = found.done(first, "/v1/partners/invitations", {})
            reply = found.done(second, "/v1/partners", {"invitation": invitation})["reply"]
            found.done(first, "/v1/partners", {"invitation": reply})
        nodes.talk()
        for first, second in combinations(BRANDS, 2):
            ways = [
                {"source": source.ledger, "step": {"source": STEP, "destination": STEP}, "price": 1_000_000}
                for source in (first, second)
            ]
            terms = {"currency": CURRENCY, "directions": ways}
            proposed = found.done(first, "/v1/agreements/proposals", {"partner": second.ledger, "terms": terms})
            nodes.work()
            found.done(second, "/v1/agreements", {"digest": proposed["digest"]})
            nodes.work()
        yield found
