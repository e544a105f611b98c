"""Serving a node as one process: open it, speak with partners, answer requests, stop when told, lose nothing."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import structlog
from starlette.types import ASGIApp

from node.api.app import create_app
from node.app.access import server_tls
from node.app.at_work import at_work
from node.app.listening import Listener
from node.app.memory import settle
from node.app.open import OpenedNode, PortOverrides, open_node
from node.app.tls import check_certificate
from node.app.turns import shorten_turns
from node.telemetry import configure_logging

_LOG: Final = structlog.get_logger()


class NodeServer:
    """A node that answers on a socket. `run` returns after `stop`, which any thread may call."""

    def __init__(self, opened: OpenedNode, app: ASGIApp | None = None) -> None:
        self._opened = opened
        tls = server_tls(opened.directory, opened.config)
        self._listener = Listener(opened.config, app or app_of(opened), tls=tls, on_stop=lambda: wake_all(opened))
        self.port = self._listener.port

    @property
    def url(self) -> str:
        """Return where this node can be reached on this machine."""
        return self._listener.url

    def run(self, on_ready: Callable[[str], None] | None = None) -> None:
        """Open the channels to partners, then answer requests until `stop`; call `on_ready` with the URL at first."""
        with at_work(self._opened):
            self._listener.run(on_ready)

    def stop(self) -> None:
        """Finish the requests that are under way and take no more."""
        self._listener.stop()


def serve(
    directory: Path,
    *,
    settings: Mapping[str, object] | None = None,
    ports: PortOverrides | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the node in `directory` until SIGTERM or SIGINT; call `on_ready` with its URL once it answers.

    `settings` override its configuration, `ports` the world around it. Raises what `open_node` raises, and
    `AddressUnavailable`. The store's lock is taken before anything else is done, and given back last.
    """
    with open_node(directory, settings=settings, ports=ports) as opened:
        configure_logging(level=opened.config.log_level, form=opened.config.log_format)
        _look_at_certificates(opened)
        server = NodeServer(opened)
        settle()
        shorten_turns()
        server.run(on_ready)


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
        view = check_certificate(opened.directory / name, now=opened.ports.clock.now())
        for text in (*view.problems, *view.warnings):
            _LOG.warning("certificate", file=Path(name).name, finding=text)
