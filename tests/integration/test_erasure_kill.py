"""A node killed while it forgets somebody: it has done so wholly or not said so, and the same command finishes it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import pytest

from node.app.directory import create_node_directory, token_path
from node.cli.main import run
from node.services.credentials import CallerRole
from node.services.fsck import fsck
from node.store.columns import METADATA
from node.store.database import Database
from protocol.audit.findings import Verdict
from protocol.entries import decode_entry
from protocol.member_entries import AccountErased
from scripts.alliance.process import HOST, find_free_ports
from tests.support.crashing_node import SECONDS_MAX, Kill, Nursery, nursery, poll, stop_all
from tests.support.documents import AURORA, uuid

pytestmark = pytest.mark.integration

ENTRIES: Final = 600
"""More than two pages of metadata."""

UNREACHABLE: Final = 3
WHO: Final = {"external_ref": "needle", "display_name": "needle", "email": "needle@example.com"}


@dataclass(frozen=True, slots=True)
class Place:
    """A node's directory, and where it listens."""

    directory: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def token(self) -> Path:
        return token_path(self.directory, CallerRole.ADMINISTRATOR)

    def call(self, method: str, path: str, body: object) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.token.read_text().strip()}"}
        return httpx.request(method, f"{self.url}{path}", json=body, headers=headers, timeout=60)

    def erase(self) -> int:
        """Run the command line, the same each time, and return its exit status."""
        account, request = f"member/{uuid('ann')}", str(uuid("erase"))
        options = ["--forfeit", "--id", request, "--node", self.url, "--token-file", str(self.token)]
        return run(["account", "erase", account, *options])


@pytest.fixture(scope="module")
def forked() -> Iterator[Nursery]:
    with nursery() as lent:
        yield lent


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (port,) = find_free_ports(1)
    create_node_directory(
        tmp_path / "node",
        ledger=AURORA.ledger,
        points=AURORA.points,
        points_name=AURORA.points,
        url=f"http://{HOST}:{port}",
        currencies=("USD",),
        settings={"host": HOST, "port": port},
    )
    return Place(tmp_path / "node", port)


def _opened(place: Place) -> bool | None:
    return place.call("POST", "/v1/accounts", {"id": uuid("ann"), "kind": "member"}).is_success or None


def live(place: Place) -> None:
    """Open a member's account, once the node takes orders, with a history that says something about the member."""
    poll(partial(_opened, place), "the node to take orders")
    account = f"member/{uuid('ann')}"
    place.call("PUT", f"/v1/accounts/{account}/personal", WHO).raise_for_status()
    items = [
        {
            "id": uuid(f"earn {number}"),
            "type": "issue",
            "account": account,
            "amount": 1,
            "metadata": {"said": f"needle {number}"},
        }
        for number in range(ENTRIES)
    ]
    place.call("POST", "/v1/transactions/batch", {"atomic": True, "items": items}).raise_for_status()


@dataclass(frozen=True, slots=True)
class Found:
    """How often the log says that somebody was forgotten, and how many rows still know something."""

    erased: int
    rows: int


def found(place: Place) -> Found:
    """Look at the store as it lies on disk, which must hold."""
    with Database.open(f"sqlite:///{place.directory / 'ledger.sqlite'}") as database:
        report = fsck(database)
        assert report.verdict is Verdict.HELD, "\n".join(report.lines())
        entries = [decode_entry(data) for data in database.reader().entries_from(0, 10_000)]
        with database.snapshot() as dump:
            rows = sum("needle" in str(row) for name in METADATA.tables for row in dump.rows(name))
    return Found(sum(isinstance(entry, AccountErased) for entry in entries), rows)


@pytest.mark.parametrize(
    "kill",
    [Kill("commit.before", 2), Kill("commit.after", 2), Kill("commit.before", 4), Kill("commit.after", 4)],
    ids=str,
)
def test_an_erasure_that_was_killed_is_finished_by_the_same_command(place: Place, forked: Nursery, kill: Kill) -> None:
    process = forked.start(place.directory, port=place.port, kill=kill)
    process.wait_until_ready()
    live(place)
    process.arm()
    assert place.erase() == UNREACHABLE
    assert process.is_killed_within(SECONDS_MAX)
    # The entry is there if and only if nothing is left.
    killed = found(place)
    assert killed.erased == (0 if killed.rows else 1)
    process = forked.start(place.directory, port=place.port)
    process.wait_until_ready()
    poll(lambda: place.erase() == 0 or None, "the node to go on")
    stop_all([process])
    assert found(place) == Found(erased=1, rows=0)
