"""An import that is killed, node and command at once, counts for nothing, and is finished once by the same command."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import msgspec
import pytest

from node.app.directory import create_node_directory, token_path
from node.cli.importing import Outcome
from node.services.credentials import CallerRole
from node.services.fsck import fsck
from node.store.database import Database
from protocol.audit.findings import Verdict
from protocol.entries import AnyEntry, decode_entry
from protocol.import_entries import BalanceImported, ImportBegun, ImportFinished
from scripts.alliance.process import HOST, find_free_ports
from tests.support.crashing_node import Kill, Nursery, nursery, poll, stop_all
from tests.support.documents import AURORA, uuid

pytestmark = pytest.mark.integration

ROWS: Final = 3_500
"""Four commits of rows, after the one that begins."""

POINTS: Final = sum(range(ROWS))
SECONDS_MAX: Final = 90


@pytest.fixture(scope="module")
def forked() -> Iterator[Nursery]:
    with nursery() as lent:
        yield lent


def write_file(path: Path) -> None:
    lines = [f"{uuid(f'holder {number}')},{number},2025-12-24" for number in range(ROWS)]
    path.write_text("\n".join(["account,points,earned_on", *lines, f"trailer,{ROWS},{POINTS}"]) + "\n")


class Place:
    """A node's directory, where it listens, and the command that imports into it."""

    def __init__(self, root: Path) -> None:
        self.directory, self.file = root / "aurora", root / "balances.csv"
        self.port = find_free_ports(1)[0]
        create_node_directory(
            self.directory,
            ledger=AURORA.ledger,
            points=AURORA.points,
            points_name="Aurora Miles",
            url=f"http://{HOST}:{self.port}",
            currencies=("USD",),
            settings={"host": HOST, "port": self.port},
        )
        write_file(self.file)
        self.token = token_path(self.directory, CallerRole.ADMINISTRATOR)

    @property
    def url(self) -> str:
        """Return where the node listens."""
        return f"http://{HOST}:{self.port}"

    def command(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command with the administrator's token."""
        whole = [sys.executable, "-m", "node.cli.main", *arguments, "--token-file", str(self.token), "--json"]
        return subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *arguments: str) -> bytes:
        """Return what a command says that must succeed."""
        with self.command(*arguments) as process:
            said, wrong = process.communicate(timeout=SECONDS_MAX)
        assert process.returncode == 0, f"{said}\n{wrong}"
        return said.encode()

    def imported(self) -> str:
        """Run the import to its end, and return what it says has come of it."""
        return msgspec.json.decode(self.run(*self.importing), type=Outcome).outcome

    @property
    def importing(self) -> tuple[str, ...]:
        """Return the import as a command."""
        return "import-balances", str(self.file), "--node", self.url

    def get(self, path: str) -> httpx.Response:
        """Ask the node."""
        headers = {"authorization": f"Bearer {self.token.read_text().strip()}"}
        return httpx.get(f"{self.url}{path}", headers=headers, timeout=SECONDS_MAX)

    def entries(self) -> list[AnyEntry]:
        """Return the whole log as it lies on disk."""
        with Database.open(f"sqlite:///{self.directory / 'ledger.sqlite'}") as database:
            return [decode_entry(data) for data in database.reader().entries(0, 2 * ROWS)]


@pytest.mark.parametrize("kill", [Kill("commit.before", 3), Kill("commit.after", 3)], ids=lambda kill: kill.point)
def test_a_killed_import_counts_once_or_not_at_all(tmp_path: Path, forked: Nursery, kill: Kill) -> None:
    place = Place(tmp_path)
    node = forked.start(place.directory, port=place.port, kill=kill)
    node.wait_until_ready()
    node.arm()
    with place.command(*place.importing) as killed:
        assert node.is_killed_within(SECONDS_MAX), node.log()
        os.kill(killed.pid, signal.SIGKILL)
    node = forked.start(place.directory, port=place.port)
    node.wait_until_ready()
    nothing_counts(place)
    assert (place.imported(), place.imported()) == ("imported", "imported_before")
    last = place.get(f"/v1/accounts/member/{uuid(f'holder {ROWS - 1}')}").json()
    assert last["available"] == ROWS - 1
    audit = place.run("audit", place.url)
    assert f'"imported":"{POINTS}"'.encode() in audit
    assert f'"closing":"{POINTS}"'.encode() in audit
    stop_all([node])
    judge(place)


def nothing_counts(place: Place) -> None:
    (state,) = poll(lambda: place.get("/v1/imports").json()["imports"] or None, "the import to be seen")
    assert state["state"] == "under_way"
    assert 0 < state["rows_done"] < ROWS
    for holder in (0, ROWS - 1):
        shown = place.get(f"/v1/accounts/member/{uuid(f'holder {holder}')}").json()
        assert shown["code"] in {"account_importing", "account_unknown"}


def judge(place: Place) -> None:
    entries = place.entries()
    rows = [entry.row for entry in entries if isinstance(entry, BalanceImported)]
    assert rows == list(range(1, ROWS + 1))
    assert sum(isinstance(entry, ImportBegun | ImportFinished) for entry in entries) == 2
    with Database.open(f"sqlite:///{place.directory / 'ledger.sqlite'}") as database:
        report = fsck(database)
        assert report.verdict is Verdict.HELD, "\n".join(report.lines())
