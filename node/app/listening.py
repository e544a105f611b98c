"""Answering on a socket: uvicorn, told when to stop and nothing else."""

import asyncio
import contextlib
import functools
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Final, cast

import structlog
import uvicorn
from starlette.types import ASGIApp

from node.app.http_bounds import cut_late
from node.app.http_protocol import NodeProtocol
from node.app.sockets import BACKLOG, listen, place_of
from node.app.tls_door import TlsDoor
from node.app.tls_protocol import TlsProtocol
from node.config import NodeConfig

KEEP_ALIVE_SECONDS: Final = 30
LOOPBACK: Final = "127.0.0.1"
SHARING_SECONDS_MAX: Final = 5.0
TICKS_A_SECOND: Final = 10
"""How often uvicorn looks around."""

_LOG: Final = structlog.get_logger()


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling, which ends the process by the signal even after a clean stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.on_ready: Callable[[], None] = lambda: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, then say so."""
        tls = self.config.ssl
        await super().startup(sockets if tls is None else [])
        if tls is not None:
            doors = [TlsDoor(each, self._make(), tls, self.server_state.connections) for each in sockets or ()]
            self.servers.extend(cast("list[asyncio.Server]", doors))
        self.on_ready()

    async def on_tick(self, counter: int) -> bool:
        """Look around, once a second also at those who are waited for; return whether to end."""
        if counter % TICKS_A_SECOND == 0:
            cut_late(self.server_state.connections)
        return await super().on_tick(counter)

    async def open(self, listening: socket.socket) -> None:
        """Answer at another address, too, which comes first."""
        loop = asyncio.get_running_loop()
        self.servers.insert(0, await loop.create_server(self._make(), sock=listening, backlog=self.config.backlog))

    def _make(self) -> Callable[[], asyncio.Protocol]:
        """Return what makes a connection's protocol."""
        return functools.partial(
            cast("Callable[..., asyncio.Protocol]", self.config.http_protocol_class),
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )

    def leave(self) -> None:
        """Answer no new connections at the first address; those that there are stay."""
        self.servers.pop(0).close()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the caller."""
        yield


class Listener:
    """An application that answers on a socket. `run` returns after `stop`, which any thread may call."""

    def __init__(
        self,
        config: NodeConfig,
        app: ASGIApp,
        *,
        tls: ssl.SSLContext | None = None,
        shared: bool = False,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        """Take the socket, or raise `AddressUnavailable`; `on_stop` is called when there is to be an end.

        A `shared` address is one that other processes listen on, too; this one then has another one for itself.
        """
        self._config = config
        self._shares = shared
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sockets = [listen(config.host, config.port, shared=shared)]
        if shared:
            self._sockets.append(listen(LOOPBACK, 0))
        self._scheme = "http" if tls is None else "https"
        self._server = _Server(_settings(config, app, tls))
        self._on_stop = on_stop
        self.port: int = self._sockets[0].getsockname()[1]
        self.told = False
        """Whether a signal has asked for the end."""

    @property
    def url(self) -> str:
        """Return where the application can be reached on this machine."""
        return f"{self._scheme}://{place_of(self._config.host, self.port)}"

    @property
    def own_url(self) -> str:
        """Return where this very process can be reached on this machine."""
        return f"http://{LOOPBACK}:{self._sockets[1].getsockname()[1]}" if len(self._sockets) > 1 else self.url

    def share(self, *, wanted: bool) -> None:
        """Answer at the shared address, or leave it to the others that do; for another thread than that of `run`.

        Raises `AddressUnavailable` where nothing can listen there any more.
        """
        loop = self._loop
        if loop is not None and wanted is not self._shares and not self._server.should_exit:
            asyncio.run_coroutine_threadsafe(self._share(wanted=wanted), loop).result(SHARING_SECONDS_MAX)

    async def _share(self, *, wanted: bool) -> None:
        if wanted:
            await self._server.open(listen(self._config.host, self._config.port, shared=True))
        else:
            self._server.leave()
        self._shares = wanted
        _LOG.info("sharing" if wanted else "not_sharing", url=self.url)

    def run(self, on_ready: Callable[[str], None] | None = None) -> None:
        """Answer requests until `stop`; call `on_ready` with the URL at first."""
        with asyncio.Runner(loop_factory=self._server.config.get_loop_factory()) as loop:
            loop.run(self._serve(on_ready))

    def stop(self) -> None:
        """Finish the requests that are under way and take no more."""
        self._server.should_exit = True
        self._on_stop()

    async def _serve(self, on_ready: Callable[[str], None] | None) -> None:
        def ready() -> None:
            self._loop = asyncio.get_running_loop()
            _LOG.info("listening", url=self.url)
            if on_ready is not None:
                on_ready(self.url)

        self._handle_signals()
        self._server.on_ready = ready
        await self._server.serve(sockets=self._sockets)
        _LOG.info("stopped")

    def _handle_signals(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, self._tell)

    def _tell(self) -> None:
        self.told = True
        self.stop()


def _settings(config: NodeConfig, app: ASGIApp, tls: ssl.SSLContext | None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="auto",
        http=NodeProtocol if tls is None else TlsProtocol,
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=config.stop_within_seconds,
    )
