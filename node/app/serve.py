"""Serving a node as one process: open it, speak with partners, answer requests, stop when told, lose nothing."""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import structlog
import uvicorn
from starlette.types import ASGIApp

from node.api.app import create_app
from node.app.directory import STATE_NAME
from node.app.memory import settle
from node.app.open import OpenedNode, PortOverrides, open_node
from node.config import NodeConfig
from node.services.node import Node
from node.telemetry import configure_logging
from node.workers import close_windows, expire_holds, gather_evidence, keep_state, prove_partners, send_papers
from node.workers import cosign as cosign_worker
from node.workers.close_windows import CloseWindows
from node.workers.cosign import Cosign
from node.workers.deliver import Deliver
from node.workers.expire_holds import ExpireHolds
from node.workers.gather_evidence import GatherEvidence
from node.workers.keep_state import KeepState
from node.workers.prove_partners import ProvePartners
from node.workers.runner import Runner, Step
from node.workers.send_papers import SendPapers
from protocol.errors import TallystickError

BACKLOG: Final = 1_024
KEEP_ALIVE_SECONDS: Final = 30
DELIVER_SECONDS: Final = 0.5
"""How long delivery sleeps at most, and so how long it may take to notice that the node stops."""

_LOG: Final = structlog.get_logger()


class AddressUnavailable(TallystickError):
    """The node cannot listen where it is told to."""

    code = "address_unavailable"


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling, which ends the process by the signal even after a clean stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.on_ready: Callable[[], None] = lambda: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, then say so."""
        await super().startup(sockets)
        self.on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the caller."""
        yield


class NodeServer:
    """A node that answers on a socket. `run` returns after `stop`, which any thread may call."""

    def __init__(self, opened: OpenedNode, app: ASGIApp | None = None) -> None:
        self._opened = opened
        self._socket = _listen(opened.config)
        self._server = _Server(_settings(opened.config, app or create_app(opened.node)))
        self.port: int = self._socket.getsockname()[1]

    @property
    def url(self) -> str:
        """Return where this node can be reached on this machine."""
        return f"http://{self._opened.config.host}:{self.port}"

    def run(self, on_ready: Callable[[str], None] | None = None) -> None:
        """Open the channels to partners, then answer requests until `stop`; call `on_ready` with the URL at first."""
        node = self._opened.node
        if self._opened.config.start_answers == "all":
            node.start_question.ask()
        node.exchange.open()
        deliver, cosign = Deliver(node.exchange, node.clock), Cosign(node.cosigning, node.acknowledging)
        prove = ProvePartners(node.proving)
        runner = self._start_workers(deliver, cosign, prove)
        try:
            with asyncio.Runner(loop_factory=self._server.config.get_loop_factory()) as loop:
                loop.run(self._serve(on_ready))
        finally:
            runner.stop(wake=node.agreements.wake)
            deliver.close()
            cosign.close()
            prove.close()

    def stop(self) -> None:
        """Finish the requests that are under way and take no more."""
        self._server.should_exit = True
        self._opened.node.conversions.wake_all()

    async def _serve(self, on_ready: Callable[[str], None] | None) -> None:
        def ready() -> None:
            _LOG.info("listening", url=self.url)
            if on_ready is not None:
                on_ready(self.url)

        self._handle_signals()
        self._server.on_ready = ready
        await self._server.serve(sockets=[self._socket])
        _LOG.info("stopped")

    def _handle_signals(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, self.stop)

    def _start_workers(self, deliver: Deliver, cosign: Cosign, prove: ProvePartners) -> Runner:
        opened, runner = self._opened, Runner()
        node = opened.node
        papers = SendPapers(node.agreements, node.papers, node.clock)
        state = KeepState(node.log, opened.directory / STATE_NAME, holds=lambda: node.gate.behind is None)
        runner.run("deliver", deliver.step, every_seconds=DELIVER_SECONDS, wait=deliver.wait)
        runner.run("cosign", cosign.step, every_seconds=cosign_worker.INTERVAL_SECONDS, wait=cosign.wait)
        runner.run("papers", papers.step, every_seconds=send_papers.INTERVAL_SECONDS, wait=papers.wait)
        expire, close = ExpireHolds(node.points), CloseWindows(node.settlement)
        runner.run("expire_holds", _while_open(node, expire.step), every_seconds=expire_holds.INTERVAL_SECONDS)
        runner.run("close_windows", _while_open(node, close.step), every_seconds=close_windows.INTERVAL_SECONDS)
        gather = GatherEvidence(node.accusations)
        runner.run("gather_evidence", gather.step, every_seconds=gather_evidence.INTERVAL_SECONDS)
        runner.run("prove_partners", prove.step, every_seconds=prove_partners.INTERVAL_SECONDS)
        runner.run("keep_state", state.step, every_seconds=keep_state.INTERVAL_SECONDS)
        return runner


def _while_open(node: Node, step: Step) -> Step:
    """Return a step that is passed over while the ledger may not be written."""

    def run() -> None:
        if node.may_write():
            step()

    return run


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
        server = NodeServer(opened)
        settle()
        server.run(on_ready)


def _settings(config: NodeConfig, app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="auto",
        http="auto",
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=config.stop_within_seconds,
    )


def _listen(config: NodeConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, config.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise AddressUnavailable(f"cannot listen on {config.host}:{config.port}: {error.strerror}") from error
