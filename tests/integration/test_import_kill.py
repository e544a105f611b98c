"""An import that is killed, node and command at once, counts for nothing, and is finished once by the same command."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import pytest

from node.cli.importing import Outcome
from protocol.import_entries import BalanceImported, ImportBegun, ImportFinished
from tests.support.crashing_node import Kill, Nursery, poll, stop_all
from tests.support.documents import uuid
from tests.support.lone_node import SECONDS_MAX, LoneNode

pytestmark = pytest.mark.integration

ROWS: Final = 3_500
"""Four commits of rows, after the one that begins."""

POINTS: Final = sum(range(ROWS))


def write_file(path: Path) -> None:
    lines = [f"{uuid(f'holder {number}')},{number},2025-12-24" for number in range(ROWS)]
    path.write_text("\n".join(["account,points,earned_on", *lines, f"trailer,{ROWS},{POINTS}"]) + "\n")


@dataclass(frozen=True, slots=True)
class Place:
    """A node, and the file whose balances it is to take in."""

    node: LoneNode
    file: Path

    @property
    def importing(self) -> tuple[str, ...]:
        """Return the import as a command."""
        return "import-balances", str(self.file), *self.node.to_it, "--json"

    def imported(self) -> str:
        """Run the import to its end, and return what it says has come of it."""
        return msgspec.json.decode(self.said(*self.importing), type=Outcome).outcome

    def said(self, *arguments: str) -> bytes:
        """Return what a command says that must succeed."""
        with self.node.command(*arguments) as process:
            said, wrong = process.communicate(timeout=SECONDS_MAX)
        assert process.returncode == 0, f"{said}\n{wrong}"
        return said.encode()


@pytest.fixture
def place(lone: LoneNode, tmp_path: Path) -> Place:
    write_file(tmp_path / "balances.csv")
    return Place(lone, tmp_path / "balances.csv")


@pytest.mark.parametrize("kill", [Kill("commit.before", 3), Kill("commit.after", 3)], ids=lambda kill: kill.point)
def test_a_killed_import_counts_once_or_not_at_all(place: Place, forked: Nursery, kill: Kill) -> None:
    process = place.node.start(forked, kill)
    process.arm()
    with place.node.command(*place.importing) as killed:
        assert process.is_killed_within(SECONDS_MAX), process.log()
        os.kill(killed.pid, signal.SIGKILL)
    process = place.node.start(forked)
    nothing_counts(place.node)
    assert (place.imported(), place.imported()) == ("imported", "imported_before")
    last = place.node.call("GET", f"/v1/accounts/member/{uuid(f'holder {ROWS - 1}')}").json()
    assert last["available"] == ROWS - 1
    audit = place.said("audit", place.node.url, *place.node.to_it[2:], "--json")
    assert f'"imported":"{POINTS}"'.encode() in audit
    assert f'"closing":"{POINTS}"'.encode() in audit
    stop_all([process])
    judge(place.node)


def nothing_counts(node: LoneNode) -> None:
    (state,) = poll(lambda: node.call("GET", "/v1/imports").json()["imports"] or None, "the import to be seen")
    assert state["state"] == "under_way"
    assert 0 < state["rows_done"] < ROWS
    for holder in (0, ROWS - 1):
        shown = node.call("GET", f"/v1/accounts/member/{uuid(f'holder {holder}')}").json()
        assert shown["code"] in {"account_importing", "account_unknown"}


def judge(node: LoneNode) -> None:
    entries = node.entries()
    rows = [entry.row for entry in entries if isinstance(entry, BalanceImported)]
    assert rows == list(range(1, ROWS + 1))
    assert sum(isinstance(entry, ImportBegun | ImportFinished) for entry in entries) == 2
