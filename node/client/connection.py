"""A connection to one node: requests out, answers or exceptions back, sent again by the rules of `retries`."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import httpx
import msgspec

from node.client.problems import NodeUnreachable, Problem, TokenUnreadable, raised_by
from node.client.retries import ONCE_MORE, Retries
from node.kinds import known
from protocol.encoding import JsonValue

TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)
JSON: Final = "application/json"
PROBLEM_JSON: Final = "application/problem+json"
_BROKEN: Final = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
_LATER: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_T = TypeVar("_T")
_ENCODER: Final = msgspec.json.Encoder()

Query = Mapping[str, str | int | None]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer's bytes, exactly as the node sent them."""

    data: bytes

    def read(self, kind: type[_T]) -> _T:
        """Return the answer as `kind`, or raise `NodeUnreachable`: what answers so is no node of this version."""
        try:
            return msgspec.json.decode(self.data, type=known(kind))
        except msgspec.MsgspecError as error:
            raise NodeUnreachable(f"the answer is not what a node gives: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    method: str
    path: str
    params: Mapping[str, str | int] | None = None
    content: bytes | None = None
    media_type: str = JSON


class _Cursor(msgspec.Struct, frozen=True):
    next: str | int | None = None


class Connection:
    """Sends requests to one node; `token` is the credential, if there is one. Every failure is a `TallystickError`."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        retries: Retries = ONCE_MORE,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Connect at the first request; `sleep` and `transport` are for tests."""
        self.url = url.rstrip("/")
        self._retries = retries
        self._sleep = sleep
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
        return self._reply(_Request(method="GET", path=path, params=kept or None))

    def find(self, path: str) -> bytes | None:
        """Return the bytes at `path`, or None where the node has none."""
        response = self._response(_Request(method="GET", path=path))
        return None if response.status_code == HTTPStatus.NOT_FOUND else _checked(response)

    def post(self, path: str, body: JsonValue) -> Reply:
        """Return the answer to POST of `body`, or raise `RequestRefused` or `NodeUnreachable`.

        Members of an object that are None are left out: the node then takes its own default.
        """
        if isinstance(body, Mapping):
            body = {name: value for name, value in body.items() if value is not None}
        return self._reply(_Request(method="POST", path=path, content=_ENCODER.encode(body)))

    def put(self, path: str, body: JsonValue) -> Reply:
        """Return the answer to PUT of `body`, or raise `RequestRefused` or `NodeUnreachable`."""
        return self._reply(_Request(method="PUT", path=path, content=_ENCODER.encode(body)))

    def delete(self, path: str) -> Reply:
        """Return the answer to DELETE, or raise `RequestRefused` or `NodeUnreachable`."""
        return self._reply(_Request(method="DELETE", path=path))

    def post_file(self, path: str, data: bytes, media_type: str) -> Reply:
        """Return the answer to POST of a file's bytes, or raise `RequestRefused` or `NodeUnreachable`."""
        return self._reply(_Request(method="POST", path=path, content=data, media_type=media_type))

    def pages(self, path: str, query: Query, kind: type[_T], following: str = "after") -> Iterator[_T]:
        """Yield each page of a list: the query parameter `following` takes the cursor that a page names as `next`."""
        cursor: str | int | None = None
        while True:
            reply = self.get(path, {**query, following: cursor})
            yield reply.read(kind)
            cursor = reply.read(_Cursor).next
            if cursor is None:
                return

    def _reply(self, request: _Request) -> Reply:
        return Reply(_checked(self._response(request)))

    def _response(self, request: _Request) -> httpx.Response:
        for attempt in range(1, self._retries.attempts + 1):
            is_last = attempt == self._retries.attempts
            asked: str | None = None
            try:
                response = self._sent(request)
            except _BROKEN as error:
                if is_last:
                    raise NodeUnreachable(f"{self.url} broke off the connection: {error}") from error
            except httpx.TransportError as error:
                # What is no URL of a node does not become one by waiting.
                if isinstance(error, httpx.UnsupportedProtocol) or is_last or not self._retries.waits:
                    text = f"{self.url} cannot be reached: {type(error).__name__}: {error}"
                    raise NodeUnreachable(text) from error
            else:
                if is_last or not self._retries.waits or response.status_code not in _LATER:
                    return response
                asked = response.headers.get("retry-after")
            if self._retries.waits:
                part = random.random()  # noqa: S311 - it only keeps callers from asking all at once
                self._sleep(self._retries.seconds(attempt, asked=asked, part=part))
        raise AssertionError("the last attempt returns or raises")

    def _sent(self, request: _Request) -> httpx.Response:
        headers = {"Content-Type": request.media_type} if request.content is not None else {}
        return self._http.request(
            request.method, request.path, params=request.params, content=request.content, headers=headers
        )


def read_token(path: Path) -> str:
    """Return the token that the file at `path` holds, or raise `TokenUnreadable`."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise TokenUnreadable(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeError as error:
        raise TokenUnreadable(f"{path} holds no token: it is no ASCII text") from error
    if len(token.split()) > 1:
        raise TokenUnreadable(f"{path} holds no token: that is one line")
    return token


def _checked(response: httpx.Response) -> bytes:
    """Return the content of a success, or raise what the answer says."""
    if response.is_success:
        return response.content
    kind = response.headers.get("content-type", "")
    if not kind.startswith(PROBLEM_JSON):
        raise NodeUnreachable(f"{response.url} answered {response.status_code} with no problem document: not a node?")
    try:
        problem = msgspec.json.decode(response.content, type=known(Problem))
    except msgspec.MsgspecError as error:
        raise NodeUnreachable(f"{response.url} answered {response.status_code}: {error}") from error
    raise raised_by(problem, str(response.url))
