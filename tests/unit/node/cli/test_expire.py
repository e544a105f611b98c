"""`tallystick expire` and `tallystick points reverse`: page by page, with totals a month; the same command goes on."""

import json

import pytest

from node.cli import expire
from tests.support.node_stand_in import NodeStandIn, answer, refuse
from tests.unit.node.cli.conftest import Command

ID = "3f0e9a52-7d2c-4c8e-9d52-1f6a3f1f9b01"
OTHER = "8a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
MEMBER = f"member/{ID}"
NEXT = f"d/2026-02-28/{MEMBER}"


def page(month: str, lots: int, points: int, *, after: str | None = None, refused: int = 0) -> dict[str, object]:
    return {
        "as_of": "2026-03-02",
        "entries": lots,
        "lots": lots,
        "points": points,
        "months": [{"month": month, "lots": lots, "points": points}] if lots else [],
        "refused": refused,
        "next": after,
    }


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expire, "PAUSE_SECONDS", 0)


def test_expire_posts_page_by_page_and_sums_by_month(tallystick: Command, node: NodeStandIn) -> None:
    pages = [page("2026-01", 2, 1_500, after=NEXT), page("2026-01", 1, 500, after="c/1-none/"), page("2026-02", 1, 7)]
    node.on("POST", "/v1/expiry", *map(answer, pages))
    done = tallystick("expire")
    assert done.status == 0
    assert [line.split() for line in done.out.splitlines()] == [
        ["month", "lots", "points"],
        ["2026-01", "3", "2,000"],
        ["2026-02", "1", "7"],
        ["posted", "as", "of", "2026-03-02:", "2,007", "points", "in", "4", "lots"],
    ]
    bodies = [node.body(place) for place in range(3)]
    assert bodies == [
        {},
        {"as_of": "2026-03-02", "after": NEXT},
        {"as_of": "2026-03-02", "after": "c/1-none/"},
    ]


def test_expire_dry_run_asks_and_posts_nothing(tallystick: Command, node: NodeStandIn) -> None:
    node.on("GET", "/v1/expiry", answer(page("2026-01", 2, 9, after=NEXT)), answer(page("2026-02", 0, 0)))
    done = tallystick("expire", "--dry-run", "--as-of", "2026-03-02", "--json")
    assert json.loads(done.out) == {
        "as_of": "2026-03-02",
        "dry_run": True,
        "entries": 2,
        "lots": 2,
        "points": 9,
        "refused": 0,
        "months": [{"month": "2026-01", "lots": 2, "points": 9}],
    }
    assert [request.method for request in node.requests] == ["GET", "GET"]
    assert dict(node.requests[0].url.params) == {"as_of": "2026-03-02"}


def test_expire_tells_of_accounts_it_passed_over_and_how_far_it_is(
    tallystick: Command, node: NodeStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expire, "_PROGRESS_PAGES", 1)
    node.on("POST", "/v1/expiry", answer(page("2026-01", 1, 5, refused=1)))
    done = tallystick("expire")
    assert "passed over: 1 accounts that are not open" in done.out
    assert "1 lots, 5 points" in done.err


def test_expire_of_a_day_to_come_is_refused(tallystick: Command, node: NodeStandIn) -> None:
    node.on("POST", "/v1/expiry", refuse(422, "date_invalid"))
    done = tallystick("expire", "--as-of", "2099-01-01")
    assert (done.status, "date_invalid" in done.err) == (1, True)


def test_points_reverse_says_how_many_were_moved(tallystick: Command, node: NodeStandIn) -> None:
    written = {"id": OTHER, "kind": "points_reversed", "seq": 7, "leaf": "00", "time": "t", "occurred_on": "2026-03-02"}
    postings = [[MEMBER, "AUR", -30], ["issuance", "AUR", 30]]
    node.on(
        "POST", "/v1/transactions", answer({**written, "reverses": ID, "asked": 50, "postings": postings}, status=201)
    )
    done = tallystick("points", "reverse", ID, "50", "--partial", "--id", OTHER)
    assert (done.status, done.out) == (0, f"reversed 30 of {ID} (entry 7, id {OTHER})\n")
    assert node.body() == {"id": OTHER, "type": "reverse", "reverses": ID, "amount": 50, "partial": True}
    tallystick("points", "reverse", ID, "--id", OTHER)
    assert node.body() == {"id": OTHER, "type": "reverse", "reverses": ID}
