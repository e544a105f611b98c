"""A small synchronous client of a node's HTTP API, for the command line and for scripts.

Every POST carries an id of the caller's, so a request whose answer was lost is sent again as it was: the node answers
a repeated request with the same bytes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import httpx
import msgspec

from node.cli.answers import PartnerList, PartnerRow
from protocol.encoding import JsonValue
from protocol.errors import CouldNotCheck, TallystickError
from protocol.identifiers import LEDGER_PATTERN

TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
ATTEMPTS: Final = 2
"""How often a request is sent: a node drops idle connections, and a request may meet one that is just closing."""

JSON: Final = "application/json"
PROBLEM_JSON: Final = "application/problem+json"
_BROKEN: Final = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
_T = TypeVar("_T")
_ENCODER: Final = msgspec.json.Encoder()

Query = Mapping[str, str | int | None]


class FieldFault(msgspec.Struct, frozen=True):
    """One field that a request has wrong."""

    field: str
    reason: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal as a node words it (RFC 9457), with our stable code."""

    status: int
    code: str
    title: str = ""
    detail: str = ""
    errors: tuple[FieldFault, ...] = ()


class RequestRefused(TallystickError):
    """A node answered that it will not do it; `problem.code` says why."""

    def __init__(self, problem: Problem) -> None:
        faults = "".join(f"; {fault.field}: {fault.reason}" for fault in problem.errors)
        super().__init__((problem.detail or problem.title) + faults)
        self.problem = problem
        self.code = problem.code


class NodeUnreachable(CouldNotCheck):
    """A node gave no answer that can be read, or said that it cannot answer now."""

    code = "node_unreachable"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer's bytes, exactly as the node sent them."""

    data: bytes

    def read(self, kind: type[_T]) -> _T:
        """Return the answer as `kind`, or raise `NodeUnreachable`: what answers so is no node of this version."""
        try:
            return msgspec.json.decode(self.data, type=kind)
        except msgspec.MsgspecError as error:
            raise NodeUnreachable(f"the answer is not what a node gives: {error}") from error


class NodeClient:
    """A connection to one node; `token` is sent as the credential when there is one."""

    def __init__(self, url: str, *, token: str | None = None, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            self._http = httpx.Client(base_url=self.url, headers=headers, timeout=TIMEOUT, transport=transport)
        except (httpx.InvalidURL, ValueError) as error:
            raise NodeUnreachable(f"{url} is not a URL: {error}") from error

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, query: Query | None = None) -> Reply:
        """Return the answer to GET, or raise `RequestRefused` or `NodeUnreachable`."""
        kept = {name: value for name, value in (query or {}).items() if value is not None}
        return Reply(self._checked("GET", path, params=kept).content)

    def find(self, path: str) -> bytes | None:
        """Return the bytes at `path`, or None where the node has none."""
        response = self._send("GET", path)
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        return _check(response).content

    def post(self, path: str, body: JsonValue) -> Reply:
        """Return the answer to POST of `body`, or raise `RequestRefused` or `NodeUnreachable`.

        Members of an object that are None are left out: the node then takes its own default.
        """
        if isinstance(body, Mapping):
            body = {name: value for name, value in body.items() if value is not None}
        return Reply(self._checked("POST", path, content=_ENCODER.encode(body)).content)

    def post_file(self, path: str, data: bytes, media_type: str) -> Reply:
        """Return the answer to POST of a file's bytes, or raise `RequestRefused` or `NodeUnreachable`."""
        return Reply(self._checked("POST", path, content=data, media_type=media_type).content)

    def pages(self, path: str, query: Query, kind: type[_T], following: str = "after") -> Iterator[_T]:
        """Yield each page of a list: the query parameter `following` takes the cursor that a page names as `next`."""
        cursor: str | int | None = None
        while True:
            reply = self.get(path, {**query, following: cursor})
            yield reply.read(kind)
            cursor = reply.read(_Cursor).next
            if cursor is None:
                return

    def partner(self, name: str) -> PartnerRow:
        """Return the partner that `name` means: a ledger, a partner (program/shard) or a program, if unique."""
        rows = self.get("/v1/partners").read(PartnerList).partners
        found = [row for row in rows if name in _names_of(row.ledger)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(row.ledger for row in found or rows) or "none"
        why = "means several partners" if found else "is no partner of this node"
        detail = f"{name} {why}; it has: {known}"
        raise RequestRefused(Problem(status=HTTPStatus.NOT_FOUND, code="partner_unknown", detail=detail))

    def _checked(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        content: bytes | None = None,
        media_type: str = JSON,
    ) -> httpx.Response:
        return _check(self._send(method, path, params=params, content=content, media_type=media_type))

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        content: bytes | None = None,
        media_type: str = JSON,
    ) -> httpx.Response:
        headers = {"Content-Type": media_type} if content is not None else {}
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._http.request(method, path, params=params or None, content=content, headers=headers)
            except _BROKEN as error:
                if attempt == ATTEMPTS:
                    raise NodeUnreachable(f"{self.url} broke off the connection: {error}") from error
            except httpx.TransportError as error:
                raise NodeUnreachable(f"{self.url} cannot be reached: {type(error).__name__}: {error}") from error
        raise AssertionError("the last attempt returns or raises")


class _Cursor(msgspec.Struct, frozen=True):
    next: str | int | None = None


def read_token(path: Path) -> str:
    """Return the token that the file at `path` holds, or raise `NodeUnreachable`."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        raise NodeUnreachable(f"the token file {path} cannot be read: {error}") from error


def _names_of(ledger: str) -> tuple[str, str, str]:
    assert "/" in ledger, f"a ledger's name follows {LEDGER_PATTERN}"
    return ledger, ledger.rpartition(".")[0], ledger.partition("/")[0]


def _check(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    kind = response.headers.get("content-type", "")
    if not kind.startswith(PROBLEM_JSON):
        raise NodeUnreachable(f"{response.url} answered {response.status_code} with no problem document: not a node?")
    try:
        problem = msgspec.json.decode(response.content, type=Problem)
    except msgspec.MsgspecError as error:
        raise NodeUnreachable(f"{response.url} answered {response.status_code}: {error}") from error
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise NodeUnreachable(f"{response.url} cannot answer now: {problem.code}: {problem.detail or problem.title}")
    raise RequestRefused(problem)
