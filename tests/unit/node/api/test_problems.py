"""One table from codes to status, complete; and what a bug looks like from outside."""

import json

import pytest

from node.api.app import create_app
from node.api.problems import ERRORS_MAX, STATUS
from node.engine.writer import Busy, Stopped
from node.services.refusals import NodeCode
from node.store.errors import StoreFailed
from protocol.errors import Code, ProtocolError, TallystickError
from tests.support.api import ANN, Api, request_id


def below(root: type[TallystickError]) -> set[type[TallystickError]]:
    return {root}.union(*(below(each) for each in root.__subclasses__()))


def test_every_code_has_a_status() -> None:
    documents = {each.code for each in below(ProtocolError) if each.__module__ == "protocol.errors"}
    assert set(STATUS) == {code.value for code in Code} | {code.value for code in NodeCode} | documents


def test_what_is_not_there_is_404() -> None:
    assert {code for code in STATUS if code.endswith("_unknown")} <= {
        code for code, status in STATUS.items() if status == 404
    }


def test_everything_the_store_and_the_writer_raise_has_a_code_here() -> None:
    assert {each.code for each in below(StoreFailed) | {Busy, Stopped}} <= set(STATUS)


def test_a_bug_is_answered_without_what_it_was_about(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(f"secret {ANN}")

    monkeypatch.setattr(api.node.accounts, "show", fail)
    response = api.get(f"/v1/accounts/{ANN}")
    assert (response.status_code, response.json()["code"]) == (500, "internal")
    assert "secret" not in response.text
    assert response.headers["content-type"] == "application/problem+json"
    monkeypatch.undo()
    assert api.get(f"/v1/accounts/{ANN}").status_code == 200


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("store_full", 507),
        ("store_read_only", 503),
        ("busy", 503),
        ("stopped", 503),
        ("clock", 503),
        ("store_corrupt", 500),
    ],
)
def test_what_the_node_cannot_do_is_told_without_detail(
    api: Api, monkeypatch: pytest.MonkeyPatch, code: str, status: int
) -> None:
    class Failure(TallystickError):
        pass

    def fail(*_: object) -> None:
        failure = Failure("disk /dev/sda1")
        failure.code = code
        raise failure

    monkeypatch.setattr(api.node.points, "write", fail)
    body = {"id": request_id("p"), "type": "issue", "account": ANN, "amount": 1}
    response = api.post("/v1/transactions", body)
    assert response.status_code == status
    assert "sda1" not in response.text
    assert response.headers.get("retry-after") == ("1" if status == 503 else None)


def test_not_more_than_some_errors_are_named(api: Api) -> None:
    items = [{"id": "x"} for _ in range(100)]
    response = api.post("/v1/transactions/batch", {"atomic": False, "items": items})
    assert len(response.json()["errors"]) == ERRORS_MAX


def test_the_openapi_document_is_served_and_closed(api: Api) -> None:
    served = api.call("GET", "/openapi.json", role=None).json()
    assert served == json.loads(json.dumps(create_app(api.node).openapi()))


def test_a_request_id_is_answered_and_taken_up(api: Api) -> None:
    own = api.get("/livez").headers["x-request-id"]
    assert len(own) == 16
    given = api.call("GET", "/livez", headers={"x-request-id": "trace-1.a_b"})
    assert given.headers["x-request-id"] == "trace-1.a_b"
    hostile = api.call("GET", "/livez", headers={"x-request-id": "a b"})
    assert hostile.headers["x-request-id"] != "a b"
