"""A node killed while it forgets somebody: it has done so wholly or not said so, and the same command finishes it."""

from dataclasses import dataclass
from functools import partial
from typing import Final

import pytest

from node.store.columns import METADATA
from protocol.member_entries import AccountErased
from tests.support.crashing_node import SECONDS_MAX, Kill, Nursery, poll, stop_all
from tests.support.documents import uuid
from tests.support.lone_node import UNREACHABLE, LoneNode

pytestmark = pytest.mark.integration

ENTRIES: Final = 600
"""More than two pages of metadata."""

WHO: Final = {"external_ref": "needle", "display_name": "needle", "email": "needle@example.com"}


def erase(lone: LoneNode) -> int:
    """Run the command line, the same each time, and return its exit status."""
    return lone.run("account", "erase", f"member/{uuid('ann')}", "--forfeit", "--id", str(uuid("erase")))


def _opened(lone: LoneNode) -> bool | None:
    return lone.call("POST", "/v1/accounts", {"id": uuid("ann"), "kind": "member"}).is_success or None


def live(lone: LoneNode) -> None:
    """Open a member's account, once the node takes orders, with a history that says something about the member."""
    poll(partial(_opened, lone), "the node to take orders")
    account = f"member/{uuid('ann')}"
    lone.call("PUT", f"/v1/accounts/{account}/personal", WHO).raise_for_status()
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
    lone.call("POST", "/v1/transactions/batch", {"atomic": True, "items": items}).raise_for_status()


@dataclass(frozen=True, slots=True)
class Found:
    """How often the log says that somebody was forgotten, and how many rows still know something."""

    erased: int
    rows: int


def found(lone: LoneNode) -> Found:
    """Look at the store as it lies on disk, which must hold."""
    erased = sum(isinstance(entry, AccountErased) for entry in lone.entries())
    with lone.open() as database, database.snapshot() as dump:
        return Found(erased, sum("needle" in str(row) for name in METADATA.tables for row in dump.rows(name)))


@pytest.mark.parametrize(
    "kill",
    [Kill("commit.before", 2), Kill("commit.after", 2), Kill("commit.before", 4), Kill("commit.after", 4)],
    ids=str,
)
def test_an_erasure_that_was_killed_is_finished_by_the_same_command(
    lone: LoneNode, forked: Nursery, kill: Kill
) -> None:
    process = lone.start(forked, kill)
    live(lone)
    process.arm()
    assert erase(lone) == UNREACHABLE
    assert process.is_killed_within(SECONDS_MAX)
    # The entry is there if and only if nothing is left.
    killed = found(lone)
    assert killed.erased == (0 if killed.rows else 1)
    process = lone.start(forked)
    poll(lambda: erase(lone) == 0 or None, "the node to go on")
    stop_all([process])
    assert found(lone) == Found(erased=1, rows=0)
