"""`tallystick evidence` and the rows of `exceptions` that name evidence."""

import json
from pathlib import Path

import httpx

from protocol.audit.evidence import encode_evidence
from tests.support.documents import BLUEBIRD, NOW, uuid
from tests.support.evidence import EVERY_KIND
from tests.support.node_stand_in import NodeStandIn, answer, refuse
from tests.unit.node.cli.conftest import Command

DIGEST = "ab" * 32
FILE = encode_evidence(EVERY_KIND["FULFIL and REJECT"])
PAGE = {
    "evidence": [
        {
            "digest": DIGEST,
            "partner": BLUEBIRD.ledger,
            "kind": "contradiction",
            "subject": "decision",
            "name": uuid("one"),
            "conversion": uuid("one"),
            "found_at": NOW,
        },
        {
            "digest": "cd" * 32,
            "partner": BLUEBIRD.ledger,
            "kind": "fork",
            "subject": "log",
            "name": "bluebird.example/main.1 5",
            "conversion": None,
            "found_at": NOW,
        },
    ],
    "next": 7,
}


def test_list_shows_what_there_is(tallystick: Command, node: NodeStandIn) -> None:
    node.on("GET", "/v1/evidence", answer(PAGE))
    done = tallystick("evidence", "list")
    assert done.status == 0
    for word in (DIGEST, "decision", uuid("one"), "bluebird.example/main.1 5", "--before 7"):
        assert word in done.out
    assert json.loads(tallystick("evidence", "list", "--json", "--before", "9").out) == PAGE
    assert node.requests[-1].url.params["before"] == "9"


def test_list_says_when_there_is_none(tallystick: Command, node: NodeStandIn) -> None:
    node.on("GET", "/v1/evidence", answer({"evidence": [], "next": None}))
    assert "no partner has signed anything" in tallystick("evidence", "list").out


def test_export_writes_the_file_as_it_is(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    node.on("GET", f"/v1/evidence/{DIGEST}", lambda _request: httpx.Response(200, content=FILE))
    done = tallystick("evidence", "export", DIGEST, str(tmp_path / "out"))
    assert (done.status, (tmp_path / "out").read_bytes()) == (0, FILE)


def test_export_of_nothing_fails(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    node.on("GET", f"/v1/evidence/{DIGEST}", refuse(404, "not_found"))
    done = tallystick("evidence", "export", DIGEST, str(tmp_path / "out"))
    assert (done.status, "not_found" in done.err) == (1, True)
    assert not (tmp_path / "out").exists()


def test_exceptions_name_the_command_that_writes_it(tallystick: Command, node: NodeStandIn) -> None:
    row = {
        "kind": "misconduct", "partner": BLUEBIRD.ledger, "conversion": uuid("one"), "window": None,
        "reason": "decision", "since": NOW, "age_seconds": 60, "points": 250, "value": 1_000_000, "currency": "USD",
        "to_do": "show it", "evidence": DIGEST,
    }  # fmt: skip
    node.on("GET", "/v1/exceptions", answer({"exceptions": [row], "more": False}))
    done = tallystick("exceptions")
    assert "misconduct (decision)" in done.out
    assert "tallystick evidence export" in done.out
