"""The application is fuzzed from its own OpenAPI document: no 5xx, and no answer that the document does not describe.

Where the document asks for an account, a partner or an id, the fuzzer is given ones that exist among ones that do not,
so that requests get past the first check. A member's routes are asked by a member, all others by an administrator.
"""

import os
from collections.abc import Iterator
from typing import Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation, BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from node.api.app import routes_of
from node.api.auth import Requires
from node.services.access.credentials import Scope
from protocol.identifiers import HOLDER_PATTERN, LEDGER_PATTERN, UUID_PATTERN
from tests.support.api import ANN, BOB, Api, Json, agree, api_of, link_ann, meet, open_accounts, request_id
from tests.support.documents import BLUEBIRD, COPPER, uuid
from tests.support.issuers import claims_at, signed, with_issuer

EXAMPLES: Final = int(os.environ.get("TALLYSTICK_FUZZ_EXAMPLES", "12"))
"""Requests of each operation, well formed and not; 40 make more than 10,000 in all."""

STREAMED: Final = "/v1/me/events"
"""It is answered for as long as it is listened to: here, no longer than at once."""

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
IDS: Final = [uuid("ann"), uuid("bob"), request_id("welcome"), request_id("hold"), request_id("conversion")]
KNOWN: Final = {
    f"^{HOLDER_PATTERN}$": [ANN, BOB, f"member/{uuid('nobody')}"],
    f"^{LEDGER_PATTERN}$": [BLUEBIRD.ledger, COPPER.ledger],
    f"^{UUID_PATTERN}$": [*IDS, *(uuid(f"fuzz {number}") for number in range(5))],
}
OPERATIONS: Final = [
    (method.lower(), route.path.replace(":path", "")) for route in routes_of() for method in route.methods or ()
]
MEMBERS: Final = {
    route.path.replace(":path", "")
    for route in routes_of()
    if any(isinstance(each.dependency, Requires) and each.dependency.scope is Scope.ME for each in route.dependencies)
}


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    directory = tmp_path_factory.mktemp("fuzz")
    settings = {**with_issuer(directory), "rates": ("administrator 10000000", "member 10000000")}
    with api_of(directory / "aurora", settings=settings) as api:
        open_accounts(api)
        meet(api)
        agree(api)
        link_ann(api)
        api.done("/v1/holds", {"id": request_id("hold"), "account": ANN, "amount": 100})
        order = {"id": request_id("conversion"), "account": ANN, "partner": BLUEBIRD.ledger, "amount": 900}
        api.done("/v1/conversions", order)
        yield api


@pytest.fixture(scope="module")
def schema(fuzzed: Api) -> BaseSchema:
    document = steered(fuzzed.call("GET", "/openapi.json", role=None).json())
    listen_at_once(document)
    for media_type in media_types(document):
        schemathesis.serializer(media_type)(as_bytes)
    return schemathesis.openapi.from_dict(document)


def listen_at_once(document: Json) -> None:
    """Let no stream stay open."""
    paths = document["paths"]
    assert isinstance(paths, dict)
    for parameter in paths[STREAMED]["get"]["parameters"]:
        if parameter["name"] == "seconds":
            parameter.update(required=True, schema={"type": "integer", "enum": [0]})


def media_types(document: Json) -> set[str]:
    """Return the media types of bodies that are no JSON, which the fuzzer does not know how to write."""
    paths = document["paths"]
    assert isinstance(paths, dict)
    bodies = [each.get("requestBody", {}) for item in paths.values() for each in item.values()]
    return {name for body in bodies for name in body.get("content", {}) if "json" not in name}


def as_bytes(_context: object, value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def steered(schema: object) -> Json:
    found = replaced(schema)
    assert isinstance(found, dict)
    return found


def replaced(schema: object) -> object:
    if isinstance(schema, list):
        return [replaced(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("pattern") in KNOWN:
        return {"type": "string", "enum": KNOWN[schema["pattern"]]}
    # The test sends a credential with every request, so that the fuzzer's own play with it would mean nothing.
    return {name: replaced(each) for name, each in schema.items() if name != "security"}


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_answer_is_undocumented(
    fuzzed: Api, schema: BaseSchema, *, method: str, path: str, mode: GenerationMode
) -> None:
    operation = schema[path][method]
    if mode is GenerationMode.NEGATIVE and path == STREAMED:
        pytest.skip("without its time the stream would stay open")
    if mode is GenerationMode.NEGATIVE and not takes_anything(operation):
        pytest.skip("nothing of this operation can be wrong")
    checks = [*CHECKS, negative_data_rejection] if mode is GenerationMode.NEGATIVE else CHECKS
    if path == STREAMED:
        # Its events are lines of a stream, of which the document says only that they are text.
        checks = [check for check in checks if check is not response_schema_conformance]

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def fuzz(case: schemathesis.Case) -> None:  # type: ignore[type-arg]
        sent = requests.Request(**case.as_transport_kwargs(base_url="http://node")).prepare()
        headers = {
            name: str(value, "latin-1") if isinstance(value, bytes) else value for name, value in sent.headers.items()
        }
        headers["authorization"] = f"Bearer {token_for(fuzzed, path)}"
        content = sent.body.encode() if isinstance(sent.body, str) else sent.body
        assert isinstance(content, bytes | None)
        request = fuzzed.client.request(str(sent.method), str(sent.url), content=content, headers=headers)
        case.validate_response(fuzzed.runner.run(request), checks=checks)

    fuzz()


def token_for(api: Api, path: str) -> str:
    if path in MEMBERS:
        return signed(claims_at(api.clock.now().timestamp(), sub=ANN))
    return api.token()


def takes_anything(operation: APIOperation) -> bool:  # type: ignore[type-arg]
    bodies = [body for body in operation.body if "json" in body.media_type]
    return bool(bodies) or any(operation.iter_parameters())
