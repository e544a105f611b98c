"""The client: what it sends, what it makes of each kind of answer, and when it sends again."""

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from node.client import (
    PATIENT,
    Forbidden,
    NodeClient,
    NodeUnavailable,
    NodeUnreachable,
    NotFound,
    RequestConflicts,
    RequestInvalid,
    RequestRefused,
    TokenUnreadable,
    TooManyRequests,
    Unauthorized,
    read_token,
)
from node.client.answers import AccountRow
from protocol.errors import TallystickError
from tests.support.node_stand_in import Answer, NodeStandIn, answer, be_away, break_off, refuse

PARTNERS = {
    "partners": [
        {"ledger": "bluebird.example/main.1", "points": "BLU"},
        {"ledger": "cedar.example/main.1", "points": "CED"},
        {"ledger": "cedar.example/east.1", "points": "CED"},
    ]
}
ROW = {"account": "member/x", "status": "open", "posted": 5, "held": 1, "available": 4, "more": "is passed over"}


@pytest.fixture
def node() -> NodeStandIn:
    return NodeStandIn()


def client_of(node: NodeStandIn, token: str | None = "ts_backend_00000000_x") -> NodeClient:
    return NodeClient("http://node.example/", token=token, transport=node.transport)


def test_a_request_carries_the_token_and_leaves_out_what_is_none(node: NodeStandIn) -> None:
    node.on("POST", "/v1/accounts", answer({}, status=201))
    client_of(node).post("/v1/accounts", {"id": "1", "occurred_on": None})
    assert node.requests[0].headers["authorization"] == "Bearer ts_backend_00000000_x"
    assert node.body() == {"id": "1"}


def test_without_a_token_there_is_no_header(node: NodeStandIn) -> None:
    node.on("GET", "/checkpoint", answer({}))
    client_of(node, token=None).get("/checkpoint", {"after": None, "limit": 3})
    assert "authorization" not in node.requests[0].headers
    assert node.requests[0].url.query == b"limit=3"


def test_an_answer_is_read_as_what_it_is(node: NodeStandIn) -> None:
    node.on("GET", "/v1/accounts/member/x", answer(ROW))
    assert client_of(node).get("/v1/accounts/member/x").read(AccountRow).available == 4


def test_an_answer_of_another_shape_is_no_node(node: NodeStandIn) -> None:
    node.on("GET", "/v1/accounts/member/x", answer({"hello": "world"}))
    with pytest.raises(NodeUnreachable, match="not what a node gives"):
        client_of(node).get("/v1/accounts/member/x").read(AccountRow)


@pytest.mark.parametrize(
    ("detail", "told"),
    [
        ("the request has faults", "the request has faults; amount: must be positive; id: is no UUID"),
        ("amount: must be positive", "amount: must be positive; id: is no UUID"),
    ],
)
def test_a_refusal_has_its_code_and_names_each_field_once(node: NodeStandIn, detail: str, told: str) -> None:
    faults = [{"field": "amount", "reason": "must be positive"}, {"field": "id", "reason": "is no UUID"}]
    node.on("POST", "/v1/holds", refuse(422, "request_invalid", detail, errors=faults))
    with pytest.raises(RequestRefused) as caught:
        client_of(node).post("/v1/holds", {"id": "1"})
    assert str(caught.value) == told
    assert (caught.value.code, caught.value.problem.status) == ("request_invalid", 422)


@pytest.mark.parametrize("status", [500, 503, 507])
def test_a_node_in_trouble_is_not_a_refusal(node: NodeStandIn, status: int) -> None:
    node.on("GET", "/v1/partners", refuse(status, "busy"))
    with pytest.raises(NodeUnreachable, match="cannot answer now: busy"):
        client_of(node).get("/v1/partners")


@pytest.mark.parametrize("content", [b"<html>gateway</html>", b"", b"\xff"])
def test_a_failure_that_is_no_problem_document_is_no_node(node: NodeStandIn, content: bytes) -> None:
    node.on("GET", "/v1/partners", lambda _request: httpx.Response(502, content=content))
    with pytest.raises(NodeUnreachable, match="502"):
        client_of(node).get("/v1/partners")


def test_a_malformed_problem_document_is_no_refusal(node: NodeStandIn) -> None:
    headers = {"Content-Type": "application/problem+json"}
    node.on("GET", "/v1/partners", lambda _request: httpx.Response(404, content=b"{}", headers=headers))
    with pytest.raises(NodeUnreachable, match="404"):
        client_of(node).get("/v1/partners")


def test_a_lost_answer_is_asked_for_once_more_with_the_same_bytes(node: NodeStandIn) -> None:
    node.on("POST", "/v1/accounts", break_off, answer({}, status=201))
    client_of(node).post("/v1/accounts", {"id": "1"})
    assert [request.content for request in node.requests] == [b'{"id":"1"}'] * 2


def test_an_answer_lost_twice_is_an_error(node: NodeStandIn) -> None:
    node.on("POST", "/v1/accounts", break_off)
    with pytest.raises(NodeUnreachable, match="broke off"):
        client_of(node).post("/v1/accounts", {"id": "1"})
    assert len(node.requests) == 2


def test_a_node_that_is_away_is_not_asked_again(node: NodeStandIn) -> None:
    node.on("GET", "/v1/partners", be_away)
    with pytest.raises(NodeUnreachable, match="cannot be reached"):
        client_of(node).get("/v1/partners")
    assert len(node.requests) == 1


def test_find_tells_what_is_not_there_from_what_may_not_be_seen(node: NodeStandIn) -> None:
    node.on("GET", "/messages/0", refuse(401, "unauthorized"))
    client = client_of(node)
    assert client.find("/tile/0/000") is None
    with pytest.raises(RequestRefused) as caught:
        client.find("/messages/0")
    assert caught.value.code == "unauthorized"


@pytest.mark.parametrize("name", ["bluebird.example", "bluebird.example/main", "bluebird.example/main.1"])
def test_a_partner_is_found_by_each_of_its_names(node: NodeStandIn, name: str) -> None:
    node.on("GET", "/v1/partners", answer(PARTNERS))
    assert client_of(node).partner(name).ledger == "bluebird.example/main.1"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("cedar.example", "means several partners"),
        ("dahlia.example", "is no partner of this node"),
        ("", "is no partner"),
    ],
)
def test_a_partner_that_is_unknown_or_ambiguous_is_refused(node: NodeStandIn, name: str, why: str) -> None:
    node.on("GET", "/v1/partners", answer(PARTNERS))
    with pytest.raises(RequestRefused, match=why) as caught:
        client_of(node).partner(name)
    assert caught.value.code == "partner_unknown"


def test_pages_follow_the_cursor_to_its_end(node: NodeStandIn) -> None:
    node.on("GET", "/v1/x", answer({"rows": [1], "next": "a/b"}), answer({"rows": [2], "next": None}))
    pages = [page["rows"] for page in client_of(node).pages("/v1/x", {"limit": 1}, dict[str, object])]
    assert pages == [[1], [2]]
    assert node.requests[1].url.params["after"] == "a/b"


def test_a_token_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("ts_auditor_0\n")
    assert read_token(tmp_path / "token") == "ts_auditor_0"
    with pytest.raises(TokenUnreadable, match="missing"):
        read_token(tmp_path / "missing")
    for content in (b"ts_auditor_0\nand more", b"\xff\xfe"):
        (tmp_path / "other").write_bytes(content)
        with pytest.raises(TokenUnreadable, match="no token"):
            read_token(tmp_path / "other")
    assert issubclass(TokenUnreadable, NodeUnreachable)


@pytest.mark.parametrize("url", ["", "not a url", "ftp://node.example", "http://[", "http://x:y"])
def test_what_is_no_url_is_an_error_of_ours(url: str) -> None:
    with pytest.raises(NodeUnreachable), NodeClient(url) as client:
        client.get("/checkpoint")


def test_what_is_no_url_is_not_asked_again() -> None:
    slept: list[float] = []
    with pytest.raises(NodeUnreachable), NodeClient("node.example:8420", retries=PATIENT, sleep=slept.append) as client:
        client.get("/checkpoint")
    assert slept == []


def patient(node: NodeStandIn, slept: list[float], *, attempts: int = PATIENT.attempts) -> NodeClient:
    retries = replace(PATIENT, attempts=attempts)
    return NodeClient("http://node.example", transport=node.transport, retries=retries, sleep=slept.append)


def later(status: int, after: str | None) -> Answer:
    refused = refuse(status, "busy")

    def answered(request: httpx.Request) -> httpx.Response:
        response = refused(request)
        if after is not None:
            response.headers["retry-after"] = after
        return response

    return answered


def test_a_patient_client_waits_as_long_as_the_node_says(node: NodeStandIn) -> None:
    slept: list[float] = []
    node.on("POST", "/v1/accounts", later(503, "7"), later(429, None), be_away, answer({"ok": 1}, status=201))
    assert patient(node, slept).post("/v1/accounts", {"id": "1"}).data == b'{"ok":1}'
    assert [request.content for request in node.requests] == [b'{"id":"1"}'] * 4
    assert slept[0] == 7.0
    assert all(0 < each <= PATIENT.most_seconds for each in slept[1:])


def test_waits_grow_to_a_bound_and_no_asked_time_is_endless() -> None:
    waits = [PATIENT.seconds(attempt, asked=None, part=1.0) for attempt in range(1, 9)]
    assert waits == sorted(waits)
    assert waits[-1] == PATIENT.most_seconds
    assert PATIENT.seconds(1, asked="86400", part=0.0) == 60.0
    assert PATIENT.seconds(1, asked="Wed, 21 Oct 2026 07:28:00 GMT", part=0.0) == PATIENT.first_seconds / 2


def test_patience_ends(node: NodeStandIn) -> None:
    slept: list[float] = []
    node.on("GET", "/v1/partners", later(503, None))
    with pytest.raises(NodeUnavailable, match="cannot answer now: busy") as caught:
        patient(node, slept, attempts=3).get("/v1/partners")
    assert (caught.value.problem.code, len(node.requests), len(slept)) == ("busy", 3, 2)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (409, RequestConflicts),
        (422, RequestInvalid),
        (429, TooManyRequests),
        (503, NodeUnavailable),
    ],
)
def test_a_problem_is_an_exception_of_its_kind_with_the_code(
    node: NodeStandIn, status: int, kind: type[TallystickError]
) -> None:
    node.on("GET", "/v1/partners", refuse(status, "some_code", "why"))
    with pytest.raises(kind, match="why") as caught:
        client_of(node).get("/v1/partners")
    assert type(caught.value) is kind
    assert isinstance(caught.value, RequestRefused | NodeUnavailable)
    assert caught.value.problem.code == "some_code"
    assert caught.value.problem.type == "urn:tallystick:problem:some_code"


def test_other_methods_are_sent_as_they_are(node: NodeStandIn) -> None:
    node.on("PUT", "/v1/program", answer({}))
    node.on("DELETE", "/v1/webhooks/1", answer({}))
    client = client_of(node)
    client.put("/v1/program", {"reason": None})
    client.delete("/v1/webhooks/1")
    assert [(one.method, one.content) for one in node.requests] == [("PUT", b'{"reason":null}'), ("DELETE", b"")]
