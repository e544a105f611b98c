"""Connections over TLS, counted from their first moment on: a handshake, too, keeps a node waiting.

A server of asyncio gives each handshake a minute and counts none of them, so that whoever opens connections and says
nothing takes every file that the process may open. Here, where there are too many, the handshake that has lasted
longest is given up: whoever means to ask is hardly ever that one.
"""

import asyncio
import functools
import socket
import ssl
from collections.abc import Callable, Collection
from typing import Final

import structlog

from node.app.http_bounds import connections_max

HANDSHAKE_SECONDS_MAX: Final = 10
"""How long a caller may take over a handshake."""

_AGAIN_SECONDS: Final = 0.1

_LOG: Final = structlog.get_logger()


class TlsDoor:
    """Takes what connects to a socket; to be closed as a server of asyncio is."""

    def __init__(
        self,
        listening: socket.socket,
        make: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext,
        connections: Collection[object],
    ) -> None:
        """Begin; what `make` returns has the connection after the handshake, and adds itself to `connections`."""
        self._listening = listening.dup()
        self._listening.setblocking(False)  # noqa: FBT003 - the standard library's
        self._make, self._tls, self._connections = make, tls, connections
        self._shaking: dict[asyncio.Task[None], None] = {}
        self._accepting = asyncio.get_running_loop().create_task(self._accept())
        self._accepting.add_done_callback(lambda _: self._listening.close())

    def close(self) -> None:
        """Take nothing more; what has no connection yet is given up."""
        self._accepting.cancel()
        for each in self._shaking:
            each.cancel()

    async def wait_closed(self) -> None:
        """Return once nothing is under way."""
        await asyncio.gather(self._accepting, *self._shaking, return_exceptions=True)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listening)
            except OSError as failure:
                _LOG.warning("cannot_accept", reason=str(failure))
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                self._take(connection)

    def _take(self, connection: socket.socket) -> None:
        if self._shaking and len(self._shaking) + len(self._connections) >= connections_max():
            oldest = next(iter(self._shaking))
            del self._shaking[oldest]
            oldest.cancel()
        task = asyncio.get_running_loop().create_task(self._shake(connection))
        self._shaking[task] = None
        task.add_done_callback(functools.partial(self._shaken, connection))

    async def _shake(self, connection: socket.socket) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(
            self._make, connection, ssl=self._tls, ssl_handshake_timeout=HANDSHAKE_SECONDS_MAX
        )

    def _shaken(self, connection: socket.socket, task: "asyncio.Task[None]") -> None:
        self._shaking.pop(task, None)
        failure = None if task.cancelled() else task.exception()
        if task.cancelled() or failure is not None:
            connection.close()
        if failure is not None and not isinstance(failure, OSError):
            _LOG.error("handshake_bug", exc_info=failure)
