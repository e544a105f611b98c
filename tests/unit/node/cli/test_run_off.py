"""`tallystick partner show` and `end`: each command does what can be done now, and says who is to act next."""

import json
from collections.abc import Iterable
from pathlib import Path

import httpx
import pytest

from node.cli import run_off
from protocol.agreement import encode_signed_agreement
from tests.support.documents import signed_agreement
from tests.support.node_stand_in import NodeStandIn, answer, refuse
from tests.unit.node.cli.conftest import Command

PARTNER = "bluebird.example/main.1"
PATH = "/v1/partners/run-off"
DIGEST = "ab" * 32
MATTERS = ("agreement", "conversions", "window", "disputes", "payment")
WRITTEN = {"id": "x", "kind": "x", "seq": 9, "leaf": DIGEST, "time": "t", "occurred_on": "2026-02-01"}


def state(name: str, *open_matters: str, act: str | None = None, who: str = "us", **more: object) -> dict[str, object]:
    steps = [
        {
            "step": matter,
            "done": matter not in open_matters,
            "detail": "something is open" if matter in open_matters else "",
            "who": who if matter in open_matters else "nobody",
            "to_do": "act" if matter in open_matters else "",
            "act": act if matter in open_matters[:1] else None,
            "digest": DIGEST if act == "give_notice" else None,
            "window": 3 if act == "close_window" else None,
        }
        for matter in MATTERS
    ]
    return {"partner": PARTNER, "state": name, "suspended": False, "steps": steps, "ended_seq": None, **more}


ENDED = state("ended", ended_seq=9, suspended=True)


def prepare(node: NodeStandIn, states: Iterable[dict[str, object]]) -> None:
    node.on("GET", PATH, *map(answer, states))
    document = {"digest": DIGEST, "partner": PARTNER, "number": 1, "entered_at": "t", "superseded_at": None}
    terms = json.loads(encode_signed_agreement(signed_agreement()))
    node.on("GET", f"/v1/agreements/{DIGEST}", answer({**document, "agreement": terms, "ends_at": None}))
    node.on("POST", f"/v1/agreements/{DIGEST}/end", answer(WRITTEN, status=201))
    node.on("POST", "/v1/windows/close", answer(WRITTEN, status=201))
    node.on("POST", "/v1/partners/endings", answer(WRITTEN, status=201))
    node.on("POST", "/v1/partners/suspensions", answer(WRITTEN, status=201))
    node.on("GET", "/checkpoint", lambda _request: httpx.Response(200, content=b"origin\n10\nroot\n"))


def asked(node: NodeStandIn) -> list[str]:
    return [request.url.path for request in node.requests if request.method == "POST"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_off, "LOOK_SECONDS", 0.01)


def test_what_is_open_is_shown_with_who_is_to_act(tallystick: Command, node: NodeStandIn) -> None:
    prepare(node, [state("winding_down", "window", "payment", act="close_window")])
    told = tallystick("partner", "show", "bluebird.example")
    assert told.status == 0
    assert "winding down" in told.out
    assert "something is open" in told.out
    shown = json.loads(tallystick("partner", "show", "bluebird.example", "--json").out)
    assert [step["step"] for step in shown["steps"]] == list(MATTERS)


def test_notice_is_given_and_then_it_waits(tallystick: Command, node: NodeStandIn) -> None:
    prepare(node, [state("active", "agreement", act="give_notice")] * 2 + [state("notice", "agreement")])
    told = tallystick("partner", "end", "bluebird.example")
    assert told.status == 3
    assert asked(node) == [f"/v1/agreements/{DIGEST}/end"]
    assert "notice" in told.out


def test_the_last_window_is_closed_and_what_is_ready_ends(tallystick: Command, node: NodeStandIn) -> None:
    window = state("winding_down", "window", act="close_window")
    prepare(node, [window, window, state("ready"), ENDED])
    told = tallystick("partner", "end", "bluebird.example", "--reason", "merger")
    assert told.status == 0, told.err
    assert asked(node) == ["/v1/windows/close", "/v1/partners/endings"]
    (ending,) = [one.content for one in node.requests if one.url.path == "/v1/partners/endings"]
    assert json.loads(ending) == {"partner": PARTNER, "reason": "merger"}
    assert "is a partner no more (entry 9)" in told.out


def test_at_once_it_is_suspended_with_notice(tallystick: Command, node: NodeStandIn) -> None:
    node.on("GET", "/v1/partners", answer({"partners": [{"ledger": PARTNER, "points": "BLU", "agreement": DIGEST}]}))
    prepare(node, [state("active", "agreement", act="give_notice"), state("ready", suspended=True), ENDED])
    assert tallystick("partner", "end", "bluebird.example", "--immediately").status == 0
    assert asked(node) == ["/v1/partners/suspensions", f"/v1/agreements/{DIGEST}/end", "/v1/partners/endings"]


def test_what_somebody_else_was_quicker_to_do_is_no_failure(tallystick: Command, node: NodeStandIn) -> None:
    window = state("winding_down", "window", act="close_window")
    prepare(node, [window])
    node.on("POST", "/v1/windows/close", refuse(409, "window_closed"))
    assert tallystick("partner", "end", "bluebird.example").status == 3
    node.on("POST", "/v1/windows/close", refuse(409, "window_mismatch"))
    told = tallystick("partner", "end", "bluebird.example")
    assert (told.status, "window_mismatch" in told.err) == (1, True)


def test_others_are_waited_for_as_long_as_was_said(tallystick: Command, node: NodeStandIn) -> None:
    waiting = state("winding_down", "payment", who="partner", act="pay")
    prepare(node, [waiting, waiting, waiting, state("ready"), ENDED])
    assert tallystick("partner", "end", "bluebird.example", "--wait", "60").status == 0


def test_a_partner_that_has_ended_stays_so(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    prepare(node, [ENDED])
    archive = tmp_path / "archive.zip"
    archive.write_bytes(b"is there already")
    told = tallystick("partner", "end", "bluebird.example", "--archive", str(archive), "--json")
    assert told.status == 0
    assert json.loads(told.out)["ended_seq"] == 9
    assert asked(node) == []


def test_the_archive_is_written_once_the_end_is_published(
    tallystick: Command, node: NodeStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(node, [ENDED])
    sizes = [b"origin\n9\nroot\n", b"origin\n10\nroot\n"]
    node.on("GET", "/checkpoint", *(lambda _request, found=each: httpx.Response(200, content=found) for each in sizes))
    written: list[tuple[str, str | None, Path]] = []
    monkeypatch.setattr(run_off, "export_node", lambda *found: written.append(found))
    archive = tmp_path / "archive.zip"
    assert tallystick("partner", "end", "bluebird.example", "--archive", str(archive)).status == 0
    assert [path for _, _, path in written] == [archive]
    assert [one.url.path for one in node.requests].count("/checkpoint") == 2


def test_nobody_waits_for_ever_for_a_checkpoint(
    tallystick: Command, node: NodeStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(node, [ENDED])
    node.on("GET", "/checkpoint", refuse(404, "not_found"))
    monkeypatch.setattr(run_off, "PUBLISHED_SECONDS", 0.05)
    assert tallystick("partner", "end", "bluebird.example").status == 0
