"""A node killed amid an expiry run: the same command goes on, every lot is posted once, and the books hold."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import pytest

from protocol.point_entries import PointsExpired
from tests.support.crashing_node import SECONDS_MAX, Kill, Nursery, poll, stop_all
from tests.support.documents import uuid
from tests.support.lone_node import UNREACHABLE, LoneNode

pytestmark = pytest.mark.integration

MEMBERS: Final = 3
LOTS: Final = 200
"""Of each member: together more than two commits post."""


def _opened(lone: LoneNode, name: str) -> bool | None:
    return lone.call("POST", "/v1/accounts", {"id": name, "kind": "member"}).is_success or None


def give_lots(lone: LoneNode) -> None:
    """Give members points that expired yesterday, once the node takes orders."""
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    names = [uuid(f"member {number}") for number in range(MEMBERS)]
    for name in names:
        poll(partial(_opened, lone, name), "the node to take orders")
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
    lone.call("POST", "/v1/transactions/batch", {"atomic": True, "items": items}).raise_for_status()


def posted(lone: LoneNode) -> Counter[tuple[str, int, int]]:
    """Return how often each lot was posted, from the log as it lies on disk, in a store that holds."""
    expired = [entry for entry in lone.entries() if isinstance(entry, PointsExpired)]
    return Counter((entry.account, lot.seq, lot.part) for entry in expired for lot in entry.lots)


@pytest.mark.parametrize("kill", [Kill("commit.before", 2), Kill("commit.after", 2)], ids=str)
def test_an_expiry_run_that_was_killed_is_resumed_by_the_same_command(
    lone: LoneNode, forked: Nursery, kill: Kill
) -> None:
    process = lone.start(forked, kill)
    give_lots(lone)
    process.arm()
    assert lone.run("expire") == UNREACHABLE
    assert process.is_killed_within(SECONDS_MAX)
    before = posted(lone)
    assert 0 < before.total() < MEMBERS * LOTS
    process = lone.start(forked)
    poll(lambda: lone.run("expire") == 0 or None, "the node to go on")
    stop_all([process])
    found = posted(lone)
    assert (len(found), set(found.values())) == (MEMBERS * LOTS, {1})
    assert before.items() <= found.items()
