"""One real node process without partners: its directory, the commands that are given to it, and its log on disk."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from node.app.directory import create_node_directory, token_path
from node.cli.main import run
from node.services.access.credentials import CallerRole
from node.services.fsck.fsck import fsck
from node.store.database import Database
from protocol.audit.findings import Verdict
from protocol.entries import AnyEntry, decode_entry
from scripts.alliance.process import HOST, find_free_ports
from tests.support.crashing_node import Kill, NodeProcess, Nursery
from tests.support.documents import AURORA

UNREACHABLE: Final = 3
"""The exit status of a command whose node was killed under it."""

SECONDS_MAX: Final = 90
"""How long a request or a command may take before a test gives it up."""

_ENTRIES_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class LoneNode:
    """A node's directory, and where it listens."""

    directory: Path
    port: int

    @property
    def url(self) -> str:
        """Return where the node listens."""
        return f"http://{HOST}:{self.port}"

    @property
    def to_it(self) -> tuple[str, ...]:
        """Return the options by which a command talks to this node as its administrator."""
        return "--node", self.url, "--token-file", str(self._token)

    @property
    def _token(self) -> Path:
        return token_path(self.directory, CallerRole.ADMINISTRATOR)

    def start(self, forked: Nursery, kill: Kill | None = None) -> NodeProcess:
        """Start the node's process, and wait until it is ready."""
        process = forked.start(self.directory, port=self.port, kill=kill)
        process.wait_until_ready()
        return process

    def call(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Send the node a request."""
        headers = {"authorization": f"Bearer {self._token.read_text().strip()}"}
        return httpx.request(method, f"{self.url}{path}", json=body, headers=headers, timeout=SECONDS_MAX)

    def run(self, *arguments: str) -> int:
        """Run a command in this process, and return its exit status."""
        return run([*arguments, *self.to_it])

    def command(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command as a process of its own."""
        whole = [sys.executable, "-m", "node.cli.main", *arguments]
        return subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def open(self) -> Database:
        """Open the store as it lies on disk."""
        return Database.open(f"sqlite:///{self.directory / 'ledger.sqlite'}")

    def entries(self) -> list[AnyEntry]:
        """Return the whole log as it lies on disk, in a store that holds."""
        with self.open() as database:
            report = fsck(database)
            assert report.verdict is Verdict.HELD, "\n".join(report.lines())
            return [decode_entry(data) for data in database.reader().entries(0, _ENTRIES_MAX)]


def make_lone_node(directory: Path) -> LoneNode:
    """Make the directory of a node of Aurora."""
    (port,) = find_free_ports(1)
    create_node_directory(
        directory,
        ledger=AURORA.ledger,
        points=AURORA.points,
        points_name=AURORA.points,
        url=f"http://{HOST}:{port}",
        currencies=("USD",),
        settings={"host": HOST, "port": port},
    )
    return LoneNode(directory, port)
