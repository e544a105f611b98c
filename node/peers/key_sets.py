"""The public keys by which an identity provider signs, as it publishes them (RFC 7517 §5): over HTTP, or as a file."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import httpx

from node.peers.bounded import read_bounded
from node.peers.connections import FAILURES
from node.peers.deadlines import bounded
from node.ports import TransportFailed

KEY_SET_BYTES_MAX: Final = 65_536
_CONNECT_SECONDS: Final = 2.0
_SECONDS: Final = 3.0
"""The longest silence of an identity provider, and the longest time over its key set: a member waits meanwhile."""


class HttpKeySet:
    """Reads a key set from its URL, with a connection of its own each time: that is rare."""

    def __init__(self, url: str) -> None:
        """Read from `url`."""
        self._url = url

    def fetch(self) -> bytes:
        """Return the document, or raise `TransportFailed`."""
        timeout = httpx.Timeout(_SECONDS, connect=_CONNECT_SECONDS)
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        try:
            with (
                bounded(httpx.Client(timeout=timeout), seconds=2 * _SECONDS) as client,
                client.stream("GET", self._url, headers=headers) as response,
            ):
                if response.status_code != httpx.codes.OK:
                    raise TransportFailed(f"the issuer answered {response.status_code}")
                return _checked(response.iter_raw())
        except FAILURES as error:
            raise TransportFailed(type(error).__name__) from error


class FileKeySet:
    """Reads a key set from a file, which may be replaced while the node runs."""

    def __init__(self, path: Path) -> None:
        """Read from `path`."""
        self._path = path

    def fetch(self) -> bytes:
        """Return the document, or raise `TransportFailed`."""
        try:
            with self._path.open("rb") as file:
                data = file.read(KEY_SET_BYTES_MAX + 1)
        except OSError as error:
            raise TransportFailed(f"{self._path.name}: {error.strerror}") from error
        return _checked([data])


def _checked(chunks: Iterable[bytes]) -> bytes:
    return read_bounded(chunks, KEY_SET_BYTES_MAX, seconds_max=_SECONDS, what="the key set")
