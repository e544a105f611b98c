"""`tallystick sandbox`: a partner node for integrators, whose answers are scripted by amount (specs/sandbox.md)."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from node.api.app import create_app
from node.app import sandbox_host
from node.app.directory import create_node_directory, token_path
from node.app.open import OpenedNode, PortOverrides, open_node
from node.app.sandbox_host import SandboxHost
from node.app.sandbox_parts import Performance, SandboxEngine, SpoilingApp, SpoilingTransport
from node.app.sandbox_script import SCRIPT
from node.app.serve import NodeServer
from node.app.system import SystemClock
from node.config import FILE_NAME
from node.peers.http import HttpTransport
from node.ports import Clock
from node.services.access.credentials import CallerRole
from node.telemetry import configure_logging
from node.workers.runner import Runner

PROGRAM: Final = "sandbox.example"
LEDGER: Final = f"{PROGRAM}/main.1"
POINTS: Final = "SBX"
CURRENCIES: Final = ("AUD", "CAD", "CHF", "EUR", "GBP", "JPY", "SEK", "USD")
HOST: Final = "127.0.0.1"

Rows = list[tuple[int, str, str]]


def script_rows() -> Rows:
    """Return the script as a table: the ending of the steps, what the sandbox does, where that leads."""
    return [(row.ending, row.does, row.leads_to) for row in SCRIPT]


def make_sandbox(directory: Path, *, port: int, clock: Clock | None = None) -> None:
    """Make the sandbox's directory unless it is there; raise what `create_node_directory` raises."""
    if (directory / FILE_NAME).exists():
        return
    create_node_directory(
        directory,
        ledger=LEDGER,
        points=POINTS,
        points_name="Sandbox points",
        url=f"http://{HOST}:{port}",
        currencies=CURRENCIES,
        settings={"host": HOST, "port": port},
        clock=clock,
    )


def serve_sandbox(directory: Path, *, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve the sandbox until SIGTERM or SIGINT; call `on_ready` with its URL once it answers."""
    performance, transport = Performance(SystemClock()), HttpTransport()
    ports = PortOverrides(transport=SpoilingTransport(transport, performance))
    settings = {"port": port, "url": f"http://{HOST}:{port}", "start_answers": "none"}
    with open_node(
        directory, settings=settings, ports=ports, make_engine=partial(SandboxEngine, performance=performance)
    ) as opened:
        configure_logging(level=opened.config.log_level, form=opened.config.log_format)
        try:
            _serve(opened, performance, on_ready)
        finally:
            transport.close()


def _serve(opened: OpenedNode, performance: Performance, on_ready: Callable[[str], None]) -> None:
    host = SandboxHost(opened.node, opened.directory, performance)
    server = NodeServer(opened, SpoilingApp(create_app(opened.node), performance))
    runner = Runner()

    def ready(url: str) -> None:
        runner.run("sandbox", host.step, every_seconds=sandbox_host.INTERVAL_SECONDS)
        on_ready(url)

    try:
        server.run(ready)
    finally:
        runner.stop(wake=lambda: None)


def guide(directory: Path, url: str) -> str:
    """Return the command lines by which a brand becomes the sandbox's partner and tries the script."""
    token = token_path(directory, CallerRole.ADMINISTRATOR)
    link = directory / sandbox_host.LINKS / "YOUR_LEDGER.json"
    return f"""\
The sandbox partner {LEDGER} listens on {url}; with TALLYSTICK_NODE and TALLYSTICK_TOKEN_FILE naming your
own node and its operator's token:

  sandbox="--node {url} --token-file {token}"
  tallystick partner invite --out ours.json
  tallystick partner accept ours.json --reply theirs.json $sandbox
  tallystick partner accept theirs.json
  tallystick agreement propose {PROGRAM} --sends 1:1 --sends-price 0.01 --takes 1:1 --takes-price 0.01
  tallystick link accept YOUR_ACCOUNT {link}
  tallystick convert YOUR_ACCOUNT {PROGRAM} 102 --wait

It accepts every proposal, and lays a link for your member there. The last two digits of a conversion's steps choose
what it does with it: 102 comes back with {SCRIPT[1].code}, 100 completes. `tallystick sandbox --table` shows all.
"""
