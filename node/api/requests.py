"""Requests read strictly: who calls is known before the body is read, and the body is bounded while it is read.

A query holds the route's own parameters, each once: `?cursor=` where a list's pages go on by `after` would be answered
with the first page for ever.

JSON is taken only in the reading on which all parsers agree: UTF-8, no duplicate keys, no NaN, no lone surrogates,
bounded nesting.
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from typing import Final, NoReturn
from urllib.parse import unquote_to_bytes

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette import types

from node.api.auth import Requires
from node.api.problems import ProblemRaised
from node.services.access.credentials import Scope
from node.services.refusals import NodeCode
from protocol.exchange_file import FILE_BYTES_MAX
from protocol.limits import DOCUMENT_BYTES_MAX, NESTING_DEPTH_MAX, PARCEL_BYTES_MAX

BODY_BYTES_MAX: Final = DOCUMENT_BYTES_MAX
LARGE_BODY_BYTES_MAX: Final = PARCEL_BYTES_MAX
LARGE_BODY: Final = {"x-body-bytes-max": LARGE_BODY_BYTES_MAX}
"""What a route states in its OpenAPI, and is held to, when it takes more than `BODY_BYTES_MAX`."""

LENGTH_DIGITS_MAX: Final = len(str(FILE_BYTES_MAX))
"""Of the longest body that any route takes: what has more digits is not made a number."""

RESOURCES: Final = "/v1/"
"""Where queries are read strictly: what caches and the public ask elsewhere may carry words of others."""

_JSON: Final = "application/json"
_NAME_MAX: Final = 64


class StrictRequest(Request):
    """A request whose body is bounded, and whose JSON has one reading."""

    bytes_max: int = BODY_BYTES_MAX

    async def body(self) -> bytes:
        """Return the body, or raise `payload_too_large` as soon as it is known to be."""
        if not hasattr(self, "_body"):
            self._body = await self._read()
        return self._body

    async def json(self) -> object:
        """Return the body's JSON, or raise `json_invalid`."""
        return parse_json(await self.body())

    async def _read(self) -> bytes:
        declared = self.headers.get("content-length", "")
        if declared.isdecimal() and (len(declared) > LENGTH_DIGITS_MAX or int(declared) > self.bytes_max):
            self._refuse()
        data = bytearray()
        async for chunk in self.stream():
            data += chunk
            if len(data) > self.bytes_max:
                self._refuse()
        return bytes(data)

    def _refuse(self) -> NoReturn:
        raise ProblemRaised(NodeCode.PAYLOAD_TOO_LARGE, f"a body here has at most {self.bytes_max} bytes")


class StrictRoute(APIRoute):
    """A route that asks for the credential first, then for query and media type, then reads the body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[None, None, Response]]:
        """Return what answers a request."""
        handler = super().get_route_handler()
        gates = [each.dependency for each in self.dependencies if isinstance(each.dependency, Requires)]
        is_members = any(gate.scope is Scope.ME for gate in gates)
        extra = self.openapi_extra or {}
        bytes_max = extra.get("x-body-bytes-max", BODY_BYTES_MAX)
        parameters = frozenset(_parameters(self.dependant)) if self.path.startswith(RESOURCES) else None

        async def handle(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            strict.bytes_max = bytes_max
            for gate in gates:
                await gate(strict)
            if parameters is not None and request.scope["query_string"]:
                _check_query(strict, parameters)
            if self.body_field is not None:
                _require_json(strict)
            answer = await handler(strict)
            if is_members:
                # A browser may be another's soon, and gives what it keeps to whoever goes back in its history.
                answer.headers["Cache-Control"] = "no-store"
            return answer

        return handle


def first_headers(scope: types.Scope) -> Mapping[bytes, bytes]:
    """Return the headers of a request: of two that have one name, that which stands first."""
    return dict(reversed(scope["headers"]))


def plain_length(headers: Mapping[bytes, bytes], bytes_max: int) -> int | None:
    """Return how long the body is said to be, or None where that is not plain or is more than `bytes_max`."""
    given = headers.get(b"content-length", b"")
    if b"transfer-encoding" in headers or not given.isdigit() or len(given) > LENGTH_DIGITS_MAX:
        return None
    length = int(given)
    return length if length <= bytes_max else None


def parse_json(data: bytes) -> object:
    """Return the value of a JSON text, or raise `json_invalid`."""
    try:
        value: object = json.loads(data.decode(), object_pairs_hook=_object, parse_constant=_constant)
        _check(value, 1)
    except (ValueError, RecursionError) as error:  # UnicodeError and JSONDecodeError are ValueErrors.
        raise ProblemRaised(NodeCode.JSON_INVALID, _reason(error)) from None
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object names a key twice")
    return found


def _constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _check(value: object, depth: int) -> None:
    if isinstance(value, str):
        if not value.isascii():
            value.encode()
        return
    if not isinstance(value, dict | list):
        return
    if depth > NESTING_DEPTH_MAX:
        raise ValueError(f"nested deeper than {NESTING_DEPTH_MAX} levels")
    if isinstance(value, dict):
        for key in value:
            _check(key, depth)
    for item in value.values() if isinstance(value, dict) else value:
        _check(item, depth + 1)


def _reason(error: Exception) -> str:
    # The parsers' own words may quote the body; these do not.
    if isinstance(error, json.JSONDecodeError):
        return f"the body is not JSON: line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return "the body is not UTF-8"
    if isinstance(error, UnicodeEncodeError):
        return "a string holds a lone surrogate"
    if isinstance(error, RecursionError):
        return f"nested deeper than {NESTING_DEPTH_MAX} levels"
    return str(error) if type(error) is ValueError and len(error.args[0]) < 60 else "a number is too long"  # noqa: PLR2004


def _parameters(dependant: Dependant) -> Iterator[str]:
    for field in dependant.query_params:
        yield field.alias
    for each in dependant.dependencies:
        yield from _parameters(each)


def _check_query(request: Request, parameters: Collection[str]) -> None:
    try:
        unquote_to_bytes(request.scope["query_string"]).decode()
    except UnicodeDecodeError:
        raise ProblemRaised(NodeCode.REQUEST_INVALID, "the query is not UTF-8") from None
    names = Counter(name for name, _ in request.query_params.multi_items())
    known = f"those here are {', '.join(sorted(parameters))}" if parameters else "the resource has none"
    errors = [
        (name[:_NAME_MAX], "stands more than once" if name in parameters else f"no such parameter; {known}")
        for name, times in names.items()
        if times > 1 or name not in parameters
    ]
    if errors:
        raise ProblemRaised(NodeCode.REQUEST_INVALID, f"{errors[0][0]}: {errors[0][1]}", errors=errors)


def _require_json(request: Request) -> None:
    given = request.headers.get("content-type")
    if (
        given is None
        and request.headers.get("content-length", "0") == "0"
        and "transfer-encoding" not in request.headers
    ):
        return
    if (given or "").partition(";")[0].strip().lower() != _JSON:
        raise ProblemRaised(NodeCode.UNSUPPORTED_MEDIA_TYPE, f"the body must be {_JSON}")
