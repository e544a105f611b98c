"""Serving a node as one process: open it, speak with partners, answer requests, stop when told, lose nothing.

A server of a database may end the writer's connection, and with it its lock: then nothing is committed on it any more.
The node is closed and opened again, as a start after a crash would.
"""

import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Final

import structlog
from starlette.types import ASGIApp

from node.api.app import create_app
from node.app.access import server_tls
from node.app.at_work import at_work
from node.app.listening import Listener
from node.app.memory import settle
from node.app.open import OpenedNode, PortOverrides, open_node
from node.app.tls import CertificateUnreadable, check_certificate
from node.app.turns import shorten_turns
from node.app.watching import watched
from node.store.errors import StoreCorrupt, StoreFailed, StoreNewer
from node.telemetry import configure_logging

AGAIN_SECONDS: Final = 1.0
"""How long it waits before it is opened once more, where the server cannot be reached."""

_LOG: Final = structlog.get_logger()


class NodeServer:
    """A node that answers on a socket. `run` returns after `stop`, which any thread may call."""

    def __init__(self, opened: OpenedNode, app: ASGIApp | None = None) -> None:
        self._opened = opened
        tls = server_tls(opened.directory, opened.config)
        self._listener = Listener(opened.config, app or app_of(opened), tls=tls, on_stop=lambda: wake_all(opened))
        self._told = False
        self.port = self._listener.port

    @property
    def told(self) -> bool:
        """Return whether a signal has asked for the end, also after this one had ended by itself."""
        return self._told or self._listener.told

    @property
    def url(self) -> str:
        """Return where this node can be reached on this machine."""
        return self._listener.url

    def run(self, on_ready: Callable[[str], None] | None = None) -> None:
        """Open the channels to partners, then answer requests until `stop`; call `on_ready` with the URL at first."""
        with at_work(self._opened):
            self._listener.run(on_ready)
            self._hear()

    def stop(self) -> None:
        """Finish the requests that are under way and take no more."""
        self._listener.stop()

    def _hear(self) -> None:
        """Go on hearing signals: uvloop leaves handlers behind that do nothing any more."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._tell)

    def _tell(self, _number: int, _frame: FrameType | None) -> None:
        self._told = True


def serve(
    directory: Path,
    *,
    settings: Mapping[str, object] | None = None,
    ports: PortOverrides | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the node in `directory` until SIGTERM or SIGINT; call `on_ready` with its URL once it answers.

    `settings` override its configuration, `ports` the world around it. Raises what `open_node` raises, and
    `AddressUnavailable`. The store's lock is taken before anything else is done, and given back last. A node that has
    answered and whose database server is away for a while is opened again once it is back.
    """
    served = _Served(directory, settings=settings, ports=ports, on_ready=on_ready)
    again = True
    while again:
        try:
            again = served.once()
        except StoreFailed as failure:
            if isinstance(failure, StoreCorrupt | StoreNewer) or not served.has_answered:
                raise
            _LOG.warning("cannot_open", reason=str(failure))
            time.sleep(AGAIN_SECONDS)
            again = not served.told


class _Served:
    """A node in a directory, opened as often as it takes."""

    def __init__(
        self,
        directory: Path,
        *,
        settings: Mapping[str, object] | None,
        ports: PortOverrides | None,
        on_ready: Callable[[str], None] | None,
    ) -> None:
        self._directory, self._settings = directory, settings
        self._ports, self._on_ready = ports or PortOverrides(), on_ready
        self.has_answered = False
        self._server: NodeServer | None = None

    @property
    def told(self) -> bool:
        """Return whether a signal has asked for the end since the node answered last."""
        return self._server is not None and self._server.told

    def once(self) -> bool:
        """Serve until there is to be an end; return whether that is because the writer's connection is lost."""
        with open_node(self._directory, settings=self._settings, ports=self._ports) as opened:
            configure_logging(level=opened.config.log_level, form=opened.config.log_format)
            _look_at_certificates(opened)
            if not opened.config.agent:
                # Whoever has typed the passphrase may have gone.
                self._ports = replace(self._ports, keyring=opened.ports.keyring)
            if self.told:
                return False
            server = self._server = NodeServer(opened)
            if not self.has_answered:
                settle()
                shorten_turns()
            with watched(opened, server.stop) as lost:
                server.run(self._ready)
            return lost.is_set() and not self.told

    def _ready(self, url: str) -> None:
        self.has_answered = True
        if self._on_ready is not None:
            self._on_ready(url)


def app_of(opened: OpenedNode) -> ASGIApp:
    """Return the application that serves a node as its configuration says."""
    config = opened.config
    return create_app(opened.node, origins=config.member_origins, partners_show_certificates=bool(config.tls_client_ca))


def wake_all(opened: OpenedNode) -> None:
    """Answer those who wait for something to happen: the node stops."""
    opened.node.conversions.wake_all()
    opened.node.events.close()


def _look_at_certificates(opened: OpenedNode) -> None:
    """Say which certificates have ended or soon will."""
    config = opened.config
    for name in {config.tls_certificate, config.partner_certificate} - {""}:
        try:
            view = check_certificate(opened.directory / name, now=opened.ports.clock.now())
            findings = (*view.problems, *view.warnings)
            opened.node.metrics.certificate(Path(name).name, view.ends_at)
        except CertificateUnreadable as error:
            # Whether it can be used is for OpenSSL to say.
            findings = (str(error),)
        for text in findings:
            _LOG.warning("certificate", file=Path(name).name, finding=text)
