"""Where an audit reads a log from: a node over HTTP, or an audit package, under the same paths (specs/audit.md)."""

import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

import httpx

from protocol.audit.pages import PAGE_BYTES_MAX
from protocol.errors import CouldNotCheck

FILE_BYTES_MAX: Final = PAGE_BYTES_MAX
"""No file of a log is larger than a full page of messages may be."""

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 60.0
ATTEMPTS_MAX: Final = 4
PAUSE_SECONDS: Final = 0.5
PAUSE_SECONDS_MAX: Final = 30.0

_BUSY: Final = frozenset({httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE})
_FORBIDDEN: Final = frozenset({httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How another process opens a source again: what `open_source` takes."""

    place: str
    token: str | None = None


class LogSource(Protocol):
    """The files of one log, to be closed when they have been read."""

    @property
    def label(self) -> str:
        """Return how a person would name the place."""

    def fetch(self, path: str) -> bytes | None:
        """Return the file at `path`, or None if there is none; raise `CouldNotCheck` if that cannot be known."""

    def close(self) -> None:
        """Give back what the source holds open."""


class _Closing:
    """Closes a source at the end of a `with` block."""

    def close(self) -> None:
        """Give back what the source holds open; nothing, unless a source says otherwise."""

    def __enter__(self) -> Self:
        """Return the source."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the source."""
        self.close()


class HttpSource(_Closing):
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
        self.opening = None if transport else Opening(place=self._url, token=token)
        self._pause = pause
        headers = {"authorization": f"Bearer {token}"} if token else {}
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        self._client = httpx.Client(headers=headers, timeout=timeout, follow_redirects=False, transport=transport)

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
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                if attempt == ATTEMPTS_MAX or isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
                    raise CouldNotCheck(f"{self._url}/{path}: {type(error).__name__}: {error}") from error
                wait = PAUSE_SECONDS * 2**attempt
            else:
                if status == httpx.codes.OK:
                    return data
                if status == httpx.codes.NOT_FOUND:
                    return None
                if status not in _BUSY:
                    hint = ": an auditor's token is needed" if status in _FORBIDDEN else ""
                    raise CouldNotCheck(f"{self._url}/{path} answered {status}{hint}")
            if attempt < ATTEMPTS_MAX:
                self._pause(min(wait, PAUSE_SECONDS_MAX))
        raise CouldNotCheck(f"{self._url}/{path}: the node stays too busy to answer")

    def _get(self, path: str) -> tuple[int, bytes, float]:
        with self._client.stream("GET", f"{self._url}/{path}") as response:
            data = bytearray()
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > FILE_BYTES_MAX:
                    raise CouldNotCheck(f"{self._url}/{path} is longer than {FILE_BYTES_MAX} bytes")
            after = response.headers.get("retry-after", "")
            wait = float(after) if after.isascii() and after.isdigit() else PAUSE_SECONDS
            return response.status_code, bytes(data), wait


class PackageSource(_Closing):
    """A log in an audit package: a ZIP file, or a directory that one was unpacked into."""

    def __init__(self, path: Path) -> None:
        """Open the package, or raise `CouldNotCheck` when there is none at `path`."""
        self._path = path
        self.opening = Opening(place=str(path))
        self._archive: zipfile.ZipFile | None = None
        if path.is_dir():
            return
        try:
            self._archive = zipfile.ZipFile(path)
        except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
            raise CouldNotCheck(f"{path} is no audit package: {error}") from error

    @property
    def label(self) -> str:
        """Return the package's name."""
        return self._path.name

    def close(self) -> None:
        """Close the file."""
        if self._archive is not None:
            self._archive.close()

    def fetch(self, path: str) -> bytes | None:
        """Return the file at `path`, or None if there is none; raise `CouldNotCheck` when it cannot be read."""
        with self._readable(path):
            data = self._from_archive(self._archive, path) if self._archive else self._from_directory(path)
        if data is not None and len(data) > FILE_BYTES_MAX:
            raise CouldNotCheck(f"{self.label}: {path} is longer than {FILE_BYTES_MAX} bytes")
        return data

    @contextmanager
    def _readable(self, path: str) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise CouldNotCheck(f"{self.label}: {path} cannot be read: {error}") from error

    def _from_archive(self, archive: zipfile.ZipFile, path: str) -> bytes | None:
        try:
            member = archive.getinfo(path)
        except KeyError:
            return None
        with archive.open(member) as file:
            # A member may claim any size: no more is unpacked than a file of a log may have.
            return file.read(FILE_BYTES_MAX + 1)

    def _from_directory(self, path: str) -> bytes | None:
        place = self._path / path
        if not place.is_file():
            return None
        with place.open("rb") as file:
            return file.read(FILE_BYTES_MAX + 1)


def open_source(place: str, *, token: str | None = None) -> LogSource:
    """Return the source at `place`, a URL or the path of a package, or raise `CouldNotCheck`."""
    if place.startswith(("http://", "https://")):
        return HttpSource(place, token)
    return PackageSource(Path(place))
