"""The quick way: it answers as the routes do, counts nobody twice, and refuses what is too much before it is read."""

from collections.abc import AsyncIterator

import msgspec
import pytest
from starlette.types import Message, Scope

from node.api import admission
from node.api.admission import Admission
from node.api.app import create_app
from node.services.refusals import NodeCode, NodeRefusal
from tests.support.api import ANN, BOB, Api, Json, request_id


def issue(name: str, **changes: object) -> Json:
    return {"id": request_id(f"quick {name}"), "type": "issue", "account": ANN, "amount": 3, **changes}


def counted(api: Api, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return a list that grows by each caller that is counted."""
    seen: list[object] = []
    monkeypatch.setattr(api.node.callers, "count", seen.append)
    return seen


def test_either_way_gives_the_same_bytes(api: Api) -> None:
    body = msgspec.json.encode(issue("either", metadata={"a": 1}))
    quick = api.call("POST", "/v1/transactions", content=body, headers={"content-type": "application/json"})

    async def in_pieces() -> AsyncIterator[bytes]:
        yield body

    headers = {"content-type": "application/json", "authorization": f"Bearer {api.token()}"}
    long = api.runner.run(api.client.post("/v1/transactions", content=in_pieces(), headers=headers))
    assert (quick.status_code, quick.content) == (long.status_code, long.content)
    assert quick.headers.keys() == long.headers.keys()


@pytest.mark.parametrize("amount", [3, 0])
def test_a_request_is_counted_once_whichever_way_it_goes(
    api: Api, monkeypatch: pytest.MonkeyPatch, amount: int
) -> None:
    api.get(f"/v1/accounts/{ANN}")
    seen = counted(api, monkeypatch)
    assert api.post("/v1/transactions", issue(f"once {amount}", amount=amount)).status_code in {201, 422}
    assert api.get(f"/v1/accounts/{BOB}").status_code == 200
    assert len(seen) == 2


def test_what_is_too_much_is_refused_before_it_is_read(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.get(f"/v1/accounts/{ANN}")
    monkeypatch.setattr(api.node, "has_room", lambda _items: False)
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("nothing of it is to be read")

    async def send(message: Message) -> None:
        sent.append(message)

    before = api.rows()
    api.runner.run(create_app(api.node)(scope_of(api), receive, send))
    assert sent[0]["status"] == 503
    assert dict(sent[0]["headers"])[b"retry-after"] == b"1"
    assert msgspec.json.decode(sent[1]["body"])["code"] == "busy"
    assert api.rows() == before
    # Who reads is served all the same.
    assert api.get(f"/v1/accounts/{ANN}").status_code == 200


def scope_of(api: Api) -> Scope:
    headers = {"authorization": f"Bearer {api.token()}", "content-type": "application/json", "content-length": "200"}
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/transactions",
        "raw_path": b"/v1/transactions",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "server": ("node", 80),
        "client": ("caller", 1),
    }


def test_bytes_are_bounded_while_they_are_at_work(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "ORDERS_BYTES_MAX", 100)
    door = Admission(api.node)
    with door.let_in(1_000):
        pass
    with door.let_in(60):
        with door.let_in(40), pytest.raises(NodeRefusal) as refused, door.let_in(1):
            pass
        with door.let_in(40):
            pass
    assert refused.value.code == NodeCode.BUSY
