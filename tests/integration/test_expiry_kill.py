"""A node killed amid an expiry run: the same command goes on, every lot is posted once, and the books hold."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import pytest

from node.app.directory import create_node_directory, token_path
from node.cli.main import run
from node.services.credentials import CallerRole
from node.services.fsck import fsck
from node.store.database import Database
from protocol.audit.findings import Verdict
from protocol.entries import decode_entry
from protocol.point_entries import PointsExpired
from scripts.alliance.process import HOST, find_free_ports
from tests.support.crashing_node import SECONDS_MAX, Kill, Nursery, nursery, poll, stop_all
from tests.support.documents import AURORA, uuid

pytestmark = pytest.mark.integration

MEMBERS: Final = 3
LOTS: Final = 200
"""Of each member: together more than two commits post."""

UNREACHABLE: Final = 3


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

    def post(self, path: str, body: object) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.token.read_text().strip()}"}
        return httpx.post(f"{self.url}{path}", json=body, headers=headers, timeout=60)

    def expire(self) -> int:
        """Run the command line, and return its exit status."""
        return run(["expire", "--node", self.url, "--token-file", str(self.token)])


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


def _opened(place: Place, name: str) -> bool | None:
    return place.post("/v1/accounts", {"id": name, "kind": "member"}).is_success or None


def give_lots(place: Place) -> None:
    """Give members points that expired yesterday, once the node takes orders."""
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    names = [uuid(f"member {number}") for number in range(MEMBERS)]
    for name in names:
        poll(partial(_opened, place, name), "the node to take orders")
    items = [
        {
            "id": uuid(f"lot {name} {number}"),
            "type": "issue",
            "account": f"member/{name}",
            "amount": 1,
            "expires_on": yesterday,
            "occurred_on": yesterday,
        }
        for name in names
        for number in range(LOTS)
    ]
    place.post("/v1/transactions/batch", {"atomic": True, "items": items}).raise_for_status()


def posted(place: Place) -> Counter[tuple[str, int, int]]:
    """Return how often each lot was posted, from the log as it lies on disk, in a store that holds."""
    with Database.open(f"sqlite:///{place.directory / 'ledger.sqlite'}") as database:
        report = fsck(database)
        assert report.verdict is Verdict.HELD, "\n".join(report.lines())
        entries = [decode_entry(data) for data in database.reader().entries_from(0, 10_000)]
    expired = [entry for entry in entries if isinstance(entry, PointsExpired)]
    return Counter((entry.account, lot.seq, lot.part) for entry in expired for lot in entry.lots)


@pytest.mark.parametrize("kill", [Kill("commit.before", 2), Kill("commit.after", 2)], ids=str)
def test_an_expiry_run_that_was_killed_is_resumed_by_the_same_command(
    place: Place, forked: Nursery, kill: Kill
) -> None:
    process = forked.start(place.directory, port=place.port, kill=kill)
    process.wait_until_ready()
    give_lots(place)
    process.arm()
    assert place.expire() == UNREACHABLE
    assert process.is_killed_within(SECONDS_MAX)
    before = posted(place)
    assert 0 < before.total() < MEMBERS * LOTS
    process = forked.start(place.directory, port=place.port)
    process.wait_until_ready()
    poll(lambda: place.expire() == 0 or None, "the node to go on")
    stop_all([process])
    found = posted(place)
    assert (len(found), set(found.values())) == (MEMBERS * LOTS, {1})
    assert before.items() <= found.items()
