"""The server hands over single transactions, and says the same on the wire as by the application's longer way."""

import json
from http import HTTPStatus

import pytest
from starlette.types import Receive, Scope, Send

from node.api import direct
from node.api.quick import QuickWay
from node.services.access import api_keys
from node.services.node import Node
from node.services.program.points import PointsService
from tests.support.documents import uuid
from tests.unit.node.app.conftest import ANN, Served, issue, read_answer


@pytest.fixture
def by_application(served: Served, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by each path that the application is asked for; the caller is known by now."""
    monkeypatch.setattr(api_keys, "REMEMBERED_SECONDS", 3_600.0)
    served.asked(served.post(b"{}"))
    paths: list[str] = []
    call = QuickWay.__call__

    async def asked(quick: QuickWay, scope: Scope, receive: Receive, send: Send) -> None:
        paths.append(scope["path"])
        await call(quick, scope, receive, send)

    monkeypatch.setattr(QuickWay, "__call__", asked)
    return paths


def in_chunks(served: Served, body: bytes) -> bytes:
    """Return a request of a kind that the application itself takes."""
    return served.head("Transfer-Encoding: chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize(
    "changes",
    [{}, {"metadata": {"a": 1}}, {"type": "redeem", "amount": 10**12}, {"account": f"member/{uuid('nobody')}"}],
)
def test_what_is_said_is_to_the_byte_what_the_application_says(
    served: Served, by_application: list[str], changes: dict[str, object]
) -> None:
    body = issue(f"same {changes}", **changes)
    (straight,) = served.asked(served.post(body))
    assert by_application == []
    (long,) = served.asked(in_chunks(served, body))
    assert by_application == ["/v1/transactions"]
    assert straight == long
    assert straight.startswith(
        b"HTTP/1.1 201" if changes.get("account", ANN) == ANN and "type" not in changes else b"HTTP/1.1 4"
    )


def test_a_request_may_come_in_pieces_and_several_at_once(served: Served, by_application: list[str]) -> None:
    whole = served.post(issue("pieces"))
    (first,) = served.asked(whole[:30], whole[30:-9], whole[-9:])
    assert json.loads(first.partition(b"\r\n\r\n")[2])["id"] == uuid("wire pieces")
    several = [served.post(issue(f"several {number}")) for number in range(3)]
    answers = served.asked(b"".join(several), answers=3)
    assert [json.loads(each.partition(b"\r\n\r\n")[2])["id"] for each in answers] == [
        uuid(f"wire several {number}") for number in range(3)
    ]
    assert by_application == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"id":', HTTPStatus.BAD_REQUEST),
        (issue("extra", more=1), HTTPStatus.UNPROCESSABLE_ENTITY),
        (issue("long", metadata={"text": "x" * direct.BODY_BYTES_MAX}), HTTPStatus.UNPROCESSABLE_ENTITY),
    ],
)
def test_what_is_not_plain_is_for_the_application(
    served: Served, by_application: list[str], monkeypatch: pytest.MonkeyPatch, *, body: bytes, status: HTTPStatus
) -> None:
    counted: list[object] = []
    monkeypatch.setattr(served.opened.node.callers, "count", counted.append)
    (answer,) = served.asked(served.post(body))
    assert int(answer.split()[1]) == status
    assert by_application == ["/v1/transactions"]
    assert len(counted) == 1


def test_a_stranger_is_sent_away_by_the_application(served: Served, by_application: list[str]) -> None:
    (answer,) = served.asked(served.post(issue("stranger"), token="ts_backend_00000000_" + "x" * 43))
    assert answer.startswith(b"HTTP/1.1 401")
    assert by_application == ["/v1/transactions"]


def test_who_waits_for_leave_is_given_it(served: Served, by_application: list[str]) -> None:
    body = issue("leave")
    with served.connect() as connection, connection.makefile("rb") as answer:
        connection.sendall(served.head(f"Content-Length: {len(body)}", "Expect: 100-continue"))
        assert answer.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert answer.readline() == b"\r\n"
        connection.sendall(body)
        assert read_answer(answer.readline, answer.read).startswith(b"HTTP/1.1 201")
    assert by_application == ["/v1/transactions"]


def test_what_is_too_much_and_what_fails_are_told(
    served: Served, by_application: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(Node, "has_room", lambda _node, _items: False)
        (busy,) = served.asked(served.post(issue("busy")))
    assert busy.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 1\r\n" in busy

    def broken(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as bug:
        bug.setattr(PointsService, "write", broken)
        (failed,) = served.asked(served.post(issue("bug")))
    assert (failed.split()[1], json.loads(failed.partition(b"\r\n\r\n")[2])["code"]) == (b"500", "internal")
    with monkeypatch.context() as bug:
        bug.setattr(direct, "encode_answer", broken)
        (failed,) = served.asked(served.post(issue("late bug")))
    assert failed.startswith(b"HTTP/1.1 500")
    assert by_application == []
    # Nothing of them is counted as at work for ever.
    assert served.asked(served.post(issue("after")))[0].startswith(b"HTTP/1.1 201")


def test_a_connection_is_closed_where_its_caller_asks_for_it(served: Served) -> None:
    with served.connect() as connection, connection.makefile("rb") as answer:
        connection.sendall(served.post(issue("close"), "Connection: close"))
        assert b"connection: close\r\n" in read_answer(answer.readline, answer.read)
        assert answer.read() == b""


def test_who_goes_away_disturbs_nobody(served: Served) -> None:
    with served.connect() as connection:
        connection.sendall(served.post(issue("gone")))
    assert served.asked(served.post(issue("still there")))[0].startswith(b"HTTP/1.1 201")


def test_bodies_sent_ahead_come_to_their_requests(served: Served) -> None:
    bodies = [issue(f"ahead {number}", metadata={"text": "x" * size}) for number, size in enumerate((10, 3_000, 900))]
    ids = [json.loads(body)["id"] for body in bodies]
    several = [served.post(body) if size % 2 else in_chunks(served, body) for size, body in enumerate(bodies * 10)]
    answers = served.asked(b"".join(several), answers=30)
    assert [json.loads(each.partition(b"\r\n\r\n")[2])["id"] for each in answers] == ids * 10


def test_requests_sent_ahead_are_all_refused_while_there_is_no_room(
    served: Served, by_application: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each refusal is given at once, and lets the next request begin.
    requests = [served.post(issue(f"no room {number}")) for number in range(400)]
    room = iter([True])
    with monkeypatch.context() as full:
        full.setattr(Node, "has_room", lambda _node, _items: next(room, False))
        first, *others = served.asked(b"".join(requests), answers=400)
    assert first.startswith(b"HTTP/1.1 201")
    assert {each.split()[1] for each in others} == {b"503"}
    assert by_application == []


@pytest.mark.parametrize("framed", ["at once", "in pieces", "in chunks", "long", "without a body"])
def test_an_offer_of_another_protocol_is_passed_over(served: Served, framed: str) -> None:
    offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA"
    body = issue(f"offer {framed}")
    match framed:
        case "in chunks":
            pieces = [served.head("Transfer-Encoding: chunked", offer), b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)]
        case "without a body":
            pieces = [f"GET /livez HTTP/1.1\r\nHost: node\r\n{offer}\r\n\r\n".encode()]
        case _:
            whole = served.post(b" " * 9_000 * (framed == "long") + body, offer)
            pieces = [whole] if framed != "in pieces" else [whole[:-40], whole[-40:-3], whole[-3:]]
    expected = b"HTTP/1.1 200" if framed == "without a body" else b"HTTP/1.1 201"
    next_one = served.post(issue(f"after {framed}"), offer)
    for answers in (served.asked(*pieces, next_one, answers=2), served.asked(b"".join([*pieces, next_one]), answers=2)):
        assert answers[0].startswith(expected)
        assert answers[1].startswith(b"HTTP/1.1 201")
