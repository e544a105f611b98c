"""The OpenAPI document: what FastAPI derives from the routes, with problems described once and answers closed."""

import threading
from collections.abc import AsyncIterator
from typing import Final

import msgspec
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from fastapi.utils import create_model_field
from starlette.responses import Response, StreamingResponse

from node.api.examples import add_examples
from node.api.problems import STATUS

PATH: Final = "/openapi.json"
PIECE_BYTES: Final = 65_536
"""How much of the document is sent at once: no more of it waits for a caller who does not take it."""

DESCRIPTION: Final = (
    "One brand's ledger of points, and its conversions with partners. Requests that write carry an id of the caller's; "
    "the same request again is answered with the same bytes."
)
PROBLEM: Final[dict[str, object]] = {
    "type": "object",
    "description": "Why a request was refused (RFC 9457); programs go by `code`, which never changes.",
    "required": ["type", "title", "status", "code", "detail"],
    "additionalProperties": False,
    "properties": {
        "type": {"type": "string", "pattern": "^urn:tallystick:problem:[a-z_]+$"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "code": {"type": "string", "enum": sorted(STATUS)},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "reason"],
                "additionalProperties": False,
                "properties": {"field": {"type": "string"}, "reason": {"type": "string"}},
            },
        },
        "limit": {
            "type": "object",
            "description": "The limit that was reached, how much of it is left, and from which day on there is more.",
            "required": ["activity", "scope", "per", "measure", "most", "partner", "left", "free_on"],
            "additionalProperties": False,
            "properties": {
                **{name: {"type": "string"} for name in ("activity", "scope", "per", "measure")},
                **{name: {"type": "integer", "minimum": 0} for name in ("most", "left")},
                **{name: {"type": ["string", "null"]} for name in ("partner", "free_on")},
            },
        },
    },
}

ANSWERED: Final = "x-answered"
"""Where a route's responses name what is answered: FastAPI's own key would have its schema built at every start."""


def describe(app: FastAPI) -> None:
    """Make `app` answer its whole OpenAPI document, built at first use."""

    def openapi() -> dict[str, object]:
        if app.openapi_schema is None:
            for route in app.routes:
                if isinstance(route, APIRoute):
                    _build_answers(route)
            document = get_openapi(
                title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes, license_info=_LICENSE
            )
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            for schema in schemas.values():
                if "properties" in schema:
                    schema.setdefault("additionalProperties", False)
            schemas["Problem"] = PROBLEM
            plain = _without_prefix_items(document)
            assert isinstance(plain, dict), "an object stays one"
            add_examples(plain)
            app.openapi_schema = plain
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
    app.add_route(PATH, Served(app).answer, include_in_schema=False)


class Served:
    """The document as it is sent: encoded once, for it is long and whoever asks shows no credential."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._data = b""

    async def answer(self, _request: Request) -> Response:
        """Answer the document."""
        if not self._data:
            await run_in_threadpool(self._encode)
        headers = {"content-length": str(len(self._data))}
        return StreamingResponse(self._pieces(), media_type="application/json", headers=headers)

    def _encode(self) -> None:
        with self._lock:
            self._data = self._data or msgspec.json.encode(self._app.openapi())

    async def _pieces(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._data), PIECE_BYTES):
            yield self._data[start : start + PIECE_BYTES]


def _build_answers(route: APIRoute) -> None:
    """Build the schemas of what a route answers, which nothing but this document reads."""
    found = {status: response[ANSWERED] for status, response in route.responses.items() if ANSWERED in response}
    for status, model in found.items():
        name = f"Response_{status}_{route.unique_id}"
        route.response_fields[status] = create_model_field(name=name, type_=model, mode="serialization")
        route.responses[status] = {key: each for key, each in route.responses[status].items() if key != ANSWERED}


def _without_prefix_items(schema: object) -> object:
    """Return `schema` with an array's places told as one type of item: few tools understand `prefixItems`."""
    if isinstance(schema, list):
        return [_without_prefix_items(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _without_prefix_items(each) for name, each in schema.items()}
    if "prefixItems" in found:
        places = found.pop("prefixItems")
        assert isinstance(places, list), "the places of an array (JSON Schema 2020-12 §10.3.1.1)"
        found["items"] = {"anyOf": [each for at, each in enumerate(places) if each not in places[:at]]}
    return found


_LICENSE: Final[dict[str, str | object]] = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
