"""`/v1/windows` and `/v1/statements` of two whole nodes that speak with each other."""

import asyncio
import csv
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import httpx
import pytest

from node.api.app import create_app
from node.services.access.credentials import CallerRole
from node.services.context import WriteWork
from node.services.node import REQUEST_KEY_SETTING, Node, Ports
from node.store.rows import PutSetting
from tests.support.api import Json, KeptPapers
from tests.support.differing import invent
from tests.support.documents import AURORA, BLUEBIRD, uuid
from tests.support.keyrings import SeededRandomness, SideKeyring
from tests.support.nodes import Alliance, LocalNode, alliance, convert, make_alliance
from tests.support.settling import LocalLogs, settlers, work

SIDES = (AURORA, BLUEBIRD)
SUMS = ("source_points", "destination_points", "fee_points", "value", "disputed")
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
            logs=LocalLogs(local.network),
        )
        node = Node(reader=local.reader, writer=local.writer, ports=ports, url=local.url)
        self.ledger = local.ledger
        roles: list[CallerRole] = [each for each in CallerRole if each not in {CallerRole.MEMBER, CallerRole.PARTNER}]
        self.tokens: dict[CallerRole, str] = {
            role: node.credentials.issue(role, name=str(role)).result() for role in roles
        }
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(create_app(node)), base_url="http://node")
        self._runner = runner

    def call(
        self, method: str, path: str, body: object = None, *, role: CallerRole = CallerRole.ADMINISTRATOR
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


def settled(nodes: Alliance, served: tuple[Served, Served], window: int, **signing: object) -> Json:
    """Close a window, propose with adjustments, agree to what was proposed, and return the row of the statement."""
    first, second = served
    first.done("/v1/windows/close", {"partner": second.ledger, "window": window})
    nodes.talk()
    first.done("/v1/statements", {"partner": second.ledger, "window": window, **signing})
    nodes.talk()
    shown = second.call("GET", f"/v1/statements/proposals?partner={first.ledger}")
    (proposal,) = shown.json()["proposals"]
    assert (proposal["by"], proposal["window"]) == (first.ledger, window)
    assert second.call("GET", f"/v1/statements/{proposal['digest']}").json()["state"] == "proposed"
    agreed = {"partner": first.ledger, "window": window, "proposal": proposal["digest"]}
    assert second.done("/v1/statements", agreed)["kind"] == "statement_agreed"
    nodes.talk()
    return first.rows("statements")[0]


def test_a_billed_line_is_given_back_and_a_payment_comes_back(nodes: Alliance, served: tuple[Served, Served]) -> None:
    first, _ = served
    conversion = convert(*nodes.pair)
    nodes.talk()
    path = f"/v1/statements/{settled(nodes, served, 1)['digest']}"
    assert first.done(f"{path}/payment", {"id": uuid("pay"), "reference": "RF 18"})["kind"] == "payment_made"
    assert first.done(f"{path}/return", {"id": uuid("return")})["kind"] == "payment_returned"
    refused = first.call("POST", f"{path}/return", {"id": uuid("again")})
    assert (refused.status_code, refused.json()["code"]) == (409, "window_not_paid")
    adjusted = {"conversion": conversion, "reason": "taken_back", "value": 10_000}
    row = settled(nodes, served, 2, adjustments=[adjusted])
    assert (row["payer"], row["minor_units"]) == (served[1].ledger, "1")
    window, statement = first.rows("windows")[1], first.call("GET", f"/v1/statements/{row['digest']}").json()
    assert window["sent"] == {**dict.fromkeys(SUMS, "0"), "count": 0}
    assert statement["signed"]["statement"]["directions"][0]["adjustments"][0]["value"] == -10_000


def test_lists_have_cursors(nodes: Alliance, served: tuple[Served, Served]) -> None:
    first, second = served
    for window in (1, 2):
        settled(nodes, served, window)
    for what, count in (("windows", 3), ("statements", 2)):
        everything = first.call("GET", f"/v1/{what}").json()
        assert (len(everything[what]), everything["next"]) == (count, None)
        rows: list[Json] = []
        cursor = ""
        for left in range(count - 1, -1, -1):
            page = first.call("GET", f"/v1/{what}?limit=1&partner={second.ledger}{cursor}").json()
            rows += page[what]
            cursor = f"&after={page['next']}"
            assert (page["next"] is None) == (not left)
        assert rows == everything[what]
    for wrong in ("0/aurora.example/main.1", "1", "1/aurora.example", "x"):
        assert first.call("GET", f"/v1/windows?after={wrong}").status_code == 422


def test_the_lines_of_an_open_window_are_listed_by_both(nodes: Alliance, served: tuple[Served, Served]) -> None:
    first, second = served
    source, destination = nodes.pair
    conversions = [convert(source, destination, name=name) for name in ("one", "two", "three")]
    nodes.talk()
    pages = []
    for of, partner, way in ((first, second, "out"), (second, first, "in")):
        place = f"/v1/windows/lines?partner={partner.ledger}&window=1&direction={way}"
        page = of.call("GET", f"{place}&limit=2").json()
        rest = of.call("GET", f"{place}&limit=2&after={page['next']}", role=CallerRole.AUDITOR).json()
        assert ([each["dec_seq"] for each in page["lines"]], page["next"], rest["next"]) == ([1, 2], 2, None)
        pages.append(page["lines"] + rest["lines"])
    assert pages[0] == pages[1]
    assert {line["conversion"] for line in pages[0]} == set(conversions)
    assert {(each["line"]["value"], each["line"]["currency"]) for each in pages[0]} == {(5_000_000, "USD")}
    assert {(each["dispute"], each["billed"]) for each in pages[0]} == {(None, None)}
    none = first.call("GET", f"/v1/windows/lines?partner={second.ledger}&window=1&direction=in").json()
    assert (none["lines"], none["next"]) == ([], None)
    stranger = first.call("GET", "/v1/windows/lines?partner=nobody.example/main.1&window=1&direction=in")
    assert (stranger.status_code, stranger.json()["code"]) == (404, "partner_unknown")
    assert first.call("GET", f"/v1/windows/lines?partner={second.ledger}&window=1").status_code == 422


def test_a_line_that_the_partner_alone_has_is_shown_and_entered(nodes: Alliance, served: tuple[Served, Served]) -> None:
    first, second = served
    source, destination = nodes.pair
    kept = convert(source, destination)
    nodes.talk()
    invented = invent(source, destination, kept)
    nodes.talk()
    one, other = settlers(nodes)
    first.done("/v1/windows/close", {"partner": second.ledger, "window": 1})
    nodes.talk()
    place = f"/v1/windows/differences?partner={second.ledger}&window=1"
    waiting = first.call("GET", place).json()
    assert (waiting["state"], waiting["reason"], waiting["differences"]) == ("mismatch", "lines_awaited", [])
    work(nodes, one, other)
    (row,) = first.call("GET", place, role=CallerRole.AUDITOR).json()["differences"]
    assert (row["conversion"], row["reason"], row["ours"]) == (invented, "unknown", None)
    listed = first.call("GET", "/v1/exceptions").json()["exceptions"]
    assert [(each["conversion"], each["reason"]) for each in listed] == [(None, None), (invented, "unknown")]
    dispute = {
        "id": uuid("dispute"),
        "partner": second.ledger,
        "window": 1,
        "direction": "out",
        "lines": [invented],
        "reason": "missing",
    }
    refused = first.call("POST", "/v1/windows/disputes", dispute)
    assert (refused.status_code, refused.json()["code"]) == (404, "line_unknown")
    done = first.done("/v1/windows/disputes", {**dispute, "enter": True})
    fields = done["fields"]
    assert isinstance(fields, dict)
    assert [line["id"] for line in fields["entered"]] == [invented]
    work(nodes, one, other)
    assert [each.rows("statements")[0]["state"] for each in served] == ["agreed", "agreed"]


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
        if name != "json":
            assert response.headers["cache-control"] == "no-store"
            assert response.headers["x-content-type-options"] == "nosniff"
    page = first.call("GET", f"{path}?format=html")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page.text
    assert '<th scope="row">Payment</th>' in page.text
    assert "<th>" not in page.text
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
