"""An end to each request of an HTTP client, however steadily its answer trickles in.

httpx bounds each silence, and what reads a body can bound the body; but the head of an answer may come a byte at a time
for days, and nobody outside of the client sees that it does.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol
from weakref import WeakSet

import httpx


class _Stream(Protocol):
    """A connection, as httpcore's `NetworkStream` is."""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes: ...
    def write(self, buffer: bytes, timeout: float | None = None) -> None: ...
    def close(self) -> None: ...
    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> "_Stream": ...
    def get_extra_info(self, info: str) -> object: ...


class _BoundedStream:
    """A connection on which each request, from its first byte to its answer's last, may take `seconds`."""

    def __init__(self, inner: _Stream, seconds: float, note: "Callable[[_BoundedStream], None]") -> None:
        self._inner, self._seconds, self._note = inner, seconds, note
        self._end = time.monotonic() + seconds
        self._asks = False
        note(self)

    def cut(self) -> None:
        """End what waits for this connection; any thread may call this."""
        inner = self._inner.get_extra_info("socket")
        if isinstance(inner, socket.socket):
            with suppress(OSError):
                # As a plain socket, also under TLS: whoever reads from it on another thread is to find its end.
                socket.socket.shutdown(inner, socket.SHUT_RDWR)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._asks = False
        return self._inner.read(max_bytes, self._left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not self._asks:
            self._asks, self._end = True, time.monotonic() + self._seconds
        self._inner.write(buffer, self._left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> "_BoundedStream":
        return _BoundedStream(self._inner.start_tls(ssl_context, server_hostname, timeout), self._seconds, self._note)

    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)

    def _left(self, timeout: float | None) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpx.ReadTimeout(f"the answer takes more than {self._seconds:g} seconds")
        return left if timeout is None else min(left, timeout)


class _BoundedBackend:
    """Makes connections that are bounded, as httpcore's `NetworkBackend` makes others."""

    def __init__(self, connect: Callable[..., _Stream], seconds: float) -> None:
        self._connect, self._seconds = connect, seconds
        self._lock = threading.Lock()
        self._streams: WeakSet[_BoundedStream] = WeakSet()
        self._is_over = False

    def connect_tcp(self, **where: object) -> _BoundedStream:
        return _BoundedStream(self._connect(**where), self._seconds, self._note)

    def end(self) -> None:
        """Cut every connection, and from now on each that is made."""
        with self._lock:
            self._is_over, streams = True, list(self._streams)
        for stream in streams:
            stream.cut()

    def _note(self, stream: _BoundedStream) -> None:
        with self._lock:
            self._streams.add(stream)
        if self._is_over:
            stream.cut()


def bounded(client: httpx.Client, *, seconds: float) -> httpx.Client:
    """Return `client`, whose requests all end within `seconds`, with an answer or `httpx.ReadTimeout`.

    `client` has made no connection yet, and has the transports of httpx.
    """
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001 - httpx has no setting for it
        if transport is not None:
            assert isinstance(transport, httpx.HTTPTransport), "one of httpx's own"
            pool = transport._pool  # noqa: SLF001 - as above
            connect = pool._network_backend.connect_tcp  # noqa: SLF001 - as above
            setattr(pool, "_network_backend", _BoundedBackend(connect, seconds))  # noqa: B010 - a part of its type alone
    return client


def end_all(client: httpx.Client) -> None:
    """Let every request of a `bounded` client fail at once, those that are under way and those to come."""
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001 - as above
        if isinstance(transport, httpx.HTTPTransport):
            backend: object = transport._pool._network_backend  # noqa: SLF001 - as above
            assert isinstance(backend, _BoundedBackend), "one that was put in place by `bounded`"
            backend.end()
