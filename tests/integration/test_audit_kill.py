"""An audit that is killed in the middle of a log goes on from what it had verified, and comes to the same."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Final

import pytest

from tests.support.audits import alliance
from tests.support.ledger import open_holder
from tests.support.serving import LocalServer, QuietHandler, serving

pytestmark = pytest.mark.integration

ENTRIES: Final = 1_100
STUCK: Final = "/tile/entries/003"
"""The bundle that the node does not answer for while it is to be killed."""

SECONDS_MAX: Final = 60


class Node(LocalServer):
    """Serves a log's files, notes what was asked for, and keeps one of them back."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(_Handler)
        self.files = files
        self.asked: list[str] = []
        self.stuck, self.released = Event(), Event()


class _Handler(QuietHandler):
    server: Node

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path == STUCK:
            self.server.stuck.set()
            self.server.released.wait(SECONDS_MAX)
        data = self.server.files.get(self.path.removeprefix("/"))
        with suppress(OSError):  # Whoever asked may have been killed.
            self.answer(200 if data is not None else 404, data or b"")


@pytest.fixture
def node() -> Iterator[Node]:
    half = alliance().source
    for number in range(ENTRIES):
        open_holder(half.ledger, f"holder {number}")
    with serving(Node(half.files())) as server:
        yield server
        server.released.set()


def audit(url: str, state: Path, *options: str) -> list[str]:
    command = [sys.executable, "-m", "node.cli.main", "audit", url, "--state", str(state)]
    return [*command, "--state-every", "256", "--json", *options]


def test_an_audit_that_was_killed_goes_on_where_it_was(node: Node, tmp_path: Path) -> None:
    state = tmp_path / "state"
    process = subprocess.Popen(audit(node.url, state), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        assert node.stuck.wait(SECONDS_MAX)
        # What comes before the bundle that does not is verified and kept; no checkpoint is, since nothing is whole.
        (kept,) = state.glob("*.state")
        assert list(state.glob("*.checkpoint")) == []
        process.send_signal(signal.SIGKILL)
        assert process.wait(SECONDS_MAX) == -signal.SIGKILL
    assert kept.stat().st_size > 0
    node.released.set()
    node.asked.clear()
    again = subprocess.run(audit(node.url, state), check=True, capture_output=True, timeout=SECONDS_MAX)
    (log,) = json.loads(again.stdout)["logs"]
    assert (log["verdict"], log["resumed"]) == ("held", 768)
    assert next(path for path in node.asked if path.startswith("/tile/entries/")) == STUCK
    assert len(list(state.glob("*.checkpoint"))) == 1
    fresh = subprocess.run(audit(node.url, state, "--fresh"), check=True, capture_output=True, timeout=SECONDS_MAX)
    (whole,) = json.loads(fresh.stdout)["logs"]
    assert whole == {**log, "resumed": 0}


def test_killed_at_any_moment_it_comes_to_the_same(node: Node, tmp_path: Path) -> None:
    node.released.set()
    expected = subprocess.run(audit(node.url, tmp_path / "other"), check=True, capture_output=True, timeout=SECONDS_MAX)
    (whole,) = json.loads(expected.stdout)["logs"]
    state = tmp_path / "state"
    for pause in (0.45, 0.55, 0.65, 0.75):
        process = subprocess.Popen(audit(node.url, state), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(pause)
        process.kill()
        process.wait(SECONDS_MAX)
    again = subprocess.run(audit(node.url, state), check=True, capture_output=True, timeout=SECONDS_MAX)
    (log,) = json.loads(again.stdout)["logs"]
    assert {**log, "resumed": 0} == whole
