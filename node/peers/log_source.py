"""Where an audit reads a log from: a node over HTTP, or an audit package, under the same paths (specs/audit.md)."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import httpx

from node.peers.bounded import read_bounded
from node.peers.connections import FAILURES, NoCookies
from node.peers.deadlines import bounded
from node.peers.package_source import FILE_BYTES_MAX, ClosedSource, Opening, PackageSource
from node.ports import TransportFailed
from protocol.errors import CouldNotCheck

__all__ = ["FILE_BYTES_MAX", "HttpSource", "LogSource", "PackageSource", "open_source"]

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 60.0
FILE_SECONDS: Final = 600.0
"""The longest time over one file, however steadily it trickles in."""

ATTEMPTS_MAX: Final = 4
PAUSE_SECONDS: Final = 0.5
PAUSE_SECONDS_MAX: Final = 30.0

_PLAIN: Final = "identity"
_LASTING: Final = (httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeError)
"""Failures that asking again does not mend."""

_BUSY: Final = frozenset({httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE})
_FORBIDDEN: Final = frozenset({httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN})


class LogSource(Protocol):
    """The files of one log, to be closed when they have been read."""

    @property
    def label(self) -> str:
        """Return how a person would name the place."""

    def fetch(self, path: str) -> bytes | None:
        """Return the file at `path`, or None if there is none; raise `CouldNotCheck` if that cannot be known."""

    def close(self) -> None:
        """Give back what the source holds open."""


class HttpSource(ClosedSource):
    """A log as its node serves it: one request at a time, and fewer when the node asks for patience."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Read from the node at `url`, with an auditor's `token` if it is given."""
        self._url = url.rstrip("/")
        # One with a transport of its own is this process's alone.
        self.opening = None if transport else Opening(place=self._url, token=token, is_remote=True)
        self._pause = pause
        headers = {"accept-encoding": _PLAIN} | ({"authorization": f"Bearer {token}"} if token else {})
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        self._client = httpx.Client(
            headers=headers, timeout=timeout, cookies=NoCookies(), follow_redirects=False, transport=transport
        )
        if transport is None:
            bounded(self._client, seconds=ANSWER_SECONDS + FILE_SECONDS)

    @property
    def label(self) -> str:
        """Return the node's URL."""
        return self._url

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def fetch(self, path: str) -> bytes | None:
        """Return the file at `path`, or None when the node has none; raise `CouldNotCheck` for every other answer."""
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                status, data, wait = self._get(path)
            except FAILURES as error:
                if attempt == ATTEMPTS_MAX or isinstance(error, _LASTING):
                    raise CouldNotCheck(f"{self._url}/{path}: {type(error).__name__}: {error}") from error
                wait = PAUSE_SECONDS * 2**attempt
            except TransportFailed as error:
                raise CouldNotCheck(str(error)) from error
            else:
                if status == httpx.codes.OK:
                    return data
                if status == httpx.codes.NOT_FOUND:
                    return None
                if status not in _BUSY:
                    hint = ": an auditor's token is needed (--token-file)" if status in _FORBIDDEN else ""
                    raise CouldNotCheck(f"{self._url}/{path} answered {status}{hint}")
            if attempt < ATTEMPTS_MAX:
                self._pause(min(wait, PAUSE_SECONDS_MAX))
        raise CouldNotCheck(f"{self._url}/{path}: the node stays too busy to answer")

    def _get(self, path: str) -> tuple[int, bytes, float]:
        with self._client.stream("GET", f"{self._url}/{path}") as response:
            what = f"{self._url}/{path}"
            # Packed, it could be any number of times as large as what was sent; as it is, it would look like a lie.
            if response.headers.get("content-encoding", _PLAIN) != _PLAIN:
                raise CouldNotCheck(f"{what} was answered packed, which nobody asked for")
            data = read_bounded(response.iter_bytes(), FILE_BYTES_MAX, seconds_max=FILE_SECONDS, what=what)
            after = response.headers.get("retry-after", "")
            wait = float(after) if after.isascii() and after.isdigit() else PAUSE_SECONDS
            return response.status_code, data, wait


def open_source(place: str, *, token: str | None = None) -> LogSource:
    """Return the source at `place`, a URL or the path of a package, or raise `CouldNotCheck`."""
    if place.startswith(("http://", "https://")):
        return HttpSource(place, token)
    path = Path(place)
    if not path.exists():
        raise CouldNotCheck(f"{place} is no file here, and no URL of a node like http://127.0.0.1:8420")
    return PackageSource(path)
