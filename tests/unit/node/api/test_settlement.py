"""`/v1/windows` and `/v1/statements` of two whole nodes that speak with each other."""

import asyncio
import csv
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import httpx
import pytest

from node.api.app import create_app
from node.services.context import WriteWork
from node.services.credentials import CallerRole
from node.services.node import REQUEST_KEY_SETTING, Node, Ports
from node.store.rows import PutSetting
from tests.support.api import Json, KeptPapers
from tests.support.documents import AURORA, BLUEBIRD, uuid
from tests.support.nodes import Alliance, LocalNode, SeededRandomness, SideKeyring, alliance, convert, make_alliance
from tests.support.settling import settlers, work

SIDES = (AURORA, BLUEBIRD)
FORMATS = {"csv": "text/csv", "html": "text/html", "json": "application/json"}


class Served:
    """The application of one node, and its callers."""

    def __init__(self, local: LocalNode, runner: asyncio.Runner) -> None:
        local.run(WriteWork([PutSetting(REQUEST_KEY_SETTING, "00" * 32)]))
        ports = Ports(
            keyring=SideKeyring(local.side),
            clock=local.clock,
            randomness=SeededRandomness("served"),
            transport=local.network,
            papers=KeptPapers(),
            faults=local.faults,
        )
        node = Node(reader=local.reader, writer=local.writer, ports=ports, url=local.url)
        self.ledger = local.ledger
        self.tokens = {role: node.credentials.issue(role, name=str(role)).result() for role in CallerRole}
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(create_app(node)), base_url="http://node")
        self._runner = runner

    def call(
        self, method: str, path: str, body: object = None, *, role: CallerRole = CallerRole.OPERATOR
    ) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.tokens[role]}"}
        return self._runner.run(self.client.request(method, path, json=body, headers=headers))

    def done(self, path: str, body: object) -> Json:
        response = self.call("POST", path, body)
        assert response.is_success, response.text
        assert self.call("POST", path, body).content == response.content
        answer: Json = response.json()
        return answer

    def rows(self, what: str) -> list[Json]:
        response = self.call("GET", f"/v1/{what}?limit=10")
        assert response.is_success, response.text
        found: list[Json] = response.json()[what]
        return found


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Alliance]:
    make_alliance(tmp_path, SIDES)
    with alliance(tmp_path, SIDES) as made:
        yield made


@pytest.fixture
def served(nodes: Alliance) -> Iterator[tuple[Served, Served]]:
    with asyncio.Runner() as runner:
        first, second = (Served(local, runner) for local in nodes.pair)
        yield first, second
        for each in (first, second):
            runner.run(each.client.aclose())


def test_a_window_is_closed_signed_paid_and_confirmed(nodes: Alliance, served: tuple[Served, Served]) -> None:
    first, second = served
    conversion, disputed = convert(*nodes.pair), convert(*nodes.pair, name="disputed")
    nodes.talk()
    body = {
        "id": uuid("dispute"),
        "partner": second.ledger,
        "window": 1,
        "direction": "out",
        "lines": [disputed],
        "reason": "terms",
    }
    assert first.done("/v1/windows/disputes", body)["kind"] == "lines_disputed"
    assert first.done("/v1/windows/close", {"partner": second.ledger, "window": 1})["kind"] == "window_closed"
    nodes.talk()
    assert [(row["window"], row["state"]) for row in second.rows("windows")] == [(2, "open"), (1, "reconciled")]
    proposed = first.done("/v1/statements", {"partner": second.ledger, "window": 1})
    assert proposed["kind"] == "statement_proposed"
    nodes.talk()
    agreed = second.done("/v1/statements", {"partner": first.ledger, "window": 1})
    assert agreed["kind"] == "statement_agreed"
    nodes.talk()

    (row,) = first.rows("statements")
    assert [row["digest"]] == [each["digest"] for each in second.rows("statements")]
    path = f"/v1/statements/{row['digest']}"
    assert first.call("GET", path).json()["signed"] == second.call("GET", path).json()["signed"]
    listed = list(csv.DictReader(StringIO(second.call("GET", f"{path}?format=csv").text)))
    assert {line["conversion"]: line["kind"] for line in listed} == {conversion: "billed", disputed: "disputed"}

    assert row["payer"] == first.ledger
    refused = second.call("POST", f"{path}/payment", {"id": uuid("wrong"), "reference": "RF"})
    assert (refused.status_code, refused.json()["code"]) == (409, "payment_mismatch")
    assert first.done(f"{path}/payment", {"id": uuid("pay"), "reference": "RF 18"})["kind"] == "payment_made"
    nodes.talk()
    assert second.done(f"{path}/confirmation", {"id": uuid("confirm")})["kind"] == "payment_confirmed"
    nodes.talk()
    assert [each.rows("statements")[0]["state"] for each in served] == ["confirmed", "confirmed"]


def test_a_page_loads_nothing_and_each_format_has_its_type(nodes: Alliance, served: tuple[Served, Served]) -> None:
    first, _ = served
    convert(*nodes.pair)
    one, other = settlers(nodes)
    one.service.close(other.node.ledger, 1).result()
    nodes.talk()
    work(nodes, one, other)
    path = f"/v1/statements/{first.rows('statements')[0]['digest']}"
    for name, media_type in FORMATS.items():
        response = first.call("GET", f"{path}?format={name}", role=CallerRole.AUDITOR)
        assert response.headers["content-type"].startswith(media_type)
    page = first.call("GET", f"{path}?format=html")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "src=" not in page.text
    assert "href=" not in page.text
    assert first.ledger in page.text


def test_only_operators_act_and_backends_see_nothing(served: tuple[Served, Served]) -> None:
    first, second = served
    close = {"partner": second.ledger, "window": 1}
    for role in (CallerRole.AUDITOR, CallerRole.BACKEND):
        assert first.call("POST", "/v1/windows/close", close, role=role).status_code == 403
    for path in ("/v1/windows", "/v1/statements"):
        assert first.call("GET", path, role=CallerRole.BACKEND).status_code == 403
        assert first.call("GET", f"{path}?partner={second.ledger}", role=CallerRole.AUDITOR).is_success
    unknown = first.call("GET", f"/v1/statements/{'00' * 32}")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
