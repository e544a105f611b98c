"""The OpenAPI document is complete: every route, every refusal, every credential, every answer closed."""

import json
from collections.abc import Iterator

import pytest
from starlette.types import Message

from node.api.app import create_app, routes_of
from node.api.auth import SCHEME, Requires
from node.api.log_reading import OPTIONAL, READS_LOG
from node.api.openapi import PATH, PIECE_BYTES
from node.api.problems import MEDIA_TYPE
from tests.support.api import Api, Json

WITNESS = "POST /witness/v1/add-checkpoint"
"""Another standard's route, with answers of its own: words and sizes, and a body of any media type."""

NO_PROBLEMS = {WITNESS: {"400", "403", "404", "409", "422"}, "GET /readyz": {"503"}}


GUARDED = {
    f"{method} {route.path.replace(':path', '')}"
    for route in routes_of()
    if any(isinstance(each.dependency, Requires) for each in route.dependencies)
    for method in route.methods or ()
}
OPEN_OR_CLOSED = {
    f"GET {route.path.replace(':path', '')}"
    for route in routes_of()
    if any(each.dependency is READS_LOG for each in route.dependencies)
}


@pytest.fixture(scope="module")
def document(api: Api) -> Json:
    found: Json = api.call("GET", "/openapi.json", role=None).json()
    return found


def operations(document: Json) -> Iterator[tuple[str, Json]]:
    paths = document["paths"]
    assert isinstance(paths, dict)
    for path, item in paths.items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def responses_of(operation: Json) -> dict[str, Json]:
    responses = operation["responses"]
    assert isinstance(responses, dict)
    return responses


def test_every_route_is_described(document: Json) -> None:
    routes = {f"{method} {route.path.replace(':path', '')}" for route in routes_of() for method in route.methods or ()}
    assert {name for name, _ in operations(document)} == routes
    for name, operation in operations(document):
        assert operation["description"], name


def test_every_refusal_is_a_problem(document: Json) -> None:
    for name, operation in operations(document):
        for status, response in responses_of(operation).items():
            if status >= "400" and status not in NO_PROBLEMS.get(name, set()):
                content = response["content"]
                assert isinstance(content, dict)
                assert list(content) == [MEDIA_TYPE], (name, status)
    assert "HTTPValidationError" not in str(document)


def test_guarded_routes_name_their_credential_and_how_it_is_refused(document: Json) -> None:
    for name, operation in operations(document):
        security = operation.get("security")
        assert (security == [{SCHEME: []}]) == (name in GUARDED), name
        assert (security == OPTIONAL["security"]) == (name in OPEN_OR_CLOSED), name
        refused = {"401", "403"} <= responses_of(operation).keys()
        assert refused == (name in GUARDED | OPEN_OR_CLOSED), name


def test_routes_with_a_body_say_how_it_is_refused(document: Json) -> None:
    for name, operation in operations(document):
        if "requestBody" in operation:
            expected = {"400", "413", "422"} | ({"415"} if name != WITNESS else set())
            assert expected <= responses_of(operation).keys(), name


def test_objects_are_closed(document: Json) -> None:
    components = document["components"]
    assert isinstance(components, dict)
    for name, schema in components["schemas"].items():
        if "properties" in schema:
            assert schema["additionalProperties"] is False, name


def test_every_operation_has_a_name_of_its_own(document: Json) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(map(str, names))) == len(names)


def test_whoever_asks_for_the_document_costs_little(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Json] = []
    app = create_app(api.node)
    build = app.openapi

    def counted() -> Json:
        made.append(build())
        return made[-1]

    monkeypatch.setattr(app, "openapi", counted)
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": PATH, "headers": [], "query_string": b"", "extensions": {}}
    for _ in range(3):
        sent.clear()
        api.runner.run(app({**scope, "asgi": {"spec_version": "2.4"}}, receive, send))
        pieces = [each["body"] for each in sent if each["type"] == "http.response.body"]
        assert json.loads(b"".join(pieces)) == made[0]
        assert max(map(len, pieces)) <= PIECE_BYTES
    assert len(made) == 1
