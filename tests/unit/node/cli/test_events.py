"""`tallystick events`, `webhook`, `appeal` and `trace`: what is asked of a node, and what a person reads."""

import json
from pathlib import Path

import pytest

from tests.support.documents import uuid
from tests.support.node_stand_in import NodeStandIn, answer, refuse
from tests.unit.node.cli.conftest import Command

ID = uuid("named")
ANN = f"member/{uuid('ann')}"
WRITTEN = {"id": ID, "kind": "k", "seq": 7, "leaf": "ab" * 32, "time": "t", "occurred_on": "2026-03-01"}
HOOK = {
    "id": ID,
    "url": "https://crm.example/hook",
    "types": [],
    "state": "active",
    "after": "41.-1",
    "waiting": 2,
    "delivered": 40,
    "failing_since": None,
    "last_error": None,
}
APPEAL = {
    "id": ID,
    "account": ANN,
    "state": "open",
    "overdue": True,
    "reason": "not_received",
    "about": None,
    "deadline": "2026-04-01",
    "opened_at": "2026-03-01T00:00:00.000000Z",
}
SAID = {"at": "2026-03-01", "kind": "opened", "by": "holder", "asks": False, "text": None}
WHOLE = {
    **APPEAL,
    "decided_at": None,
    "outcome_reason": None,
    "adjustment": None,
    "waiting_for": "the program is to answer",
    "messages": [SAID],
}
TRACE = {
    "conversion": ID,
    "direction": "out",
    "state": "pending",
    "source": "aurora.example/main.1",
    "destination": "bluebird.example/main.1",
    "account": ANN,
    "steps": [{"at": "12:03", "side": "us", "what": "ordered", "entry": 7}],
    "messages": [{"way": "sent", "kind": "prepare", "digest": "ab" * 32, "waits": True, "said": "on hold"}],
    "partner_log": [{"entry": 9, "outcome": "unreachable", "detail": "its log has no address here"}],
    "settlement": {
        "window": 1,
        "dec_seq": 3,
        "state": "open",
        "statement": "cd" * 32,
        "billed": 2_500_000,
        "currency": "USD",
        "dispute": "late",
    },
    "last_contact": None,
    "last_failure": "connection refused",
    "waiting_for": "bluebird.example is to credit",
    "to_do": "wait",
    "evidence": {"kind": "trace", "v": 1},
}


def test_events_are_listed_with_where_to_go_on(tallystick: Command, node: NodeStandIn) -> None:
    event = {
        "id": "7.0.ab",
        "type": "points.issued",
        "time": "2026-03-01",
        "seq": 7,
        "account": ANN,
        "partner": None,
        "data": {"amount": 5},
    }
    node.on("GET", "/v1/events", answer({"events": [event], "next": "7.-1", "more": True}))
    finished = tallystick("events", "--after", "3", "--type", "points.issued", "--type", "points.redeemed")
    assert finished.status == 0, finished.err
    assert "points.issued" in finished.out
    assert "there is more: --after 7.-1" in finished.out
    assert dict(node.requests[-1].url.params) == {
        "after": "3",
        "types": "points.issued,points.redeemed",
        "limit": "100",
    }
    assert json.loads(tallystick("events", "--json").out)["next"] == "7.-1"


def test_a_webhook_is_named_and_its_secret_shown_once(tallystick: Command, node: NodeStandIn) -> None:
    node.on("POST", "/v1/webhooks", answer({"webhook": HOOK, "secret": "whsec_abc"}, status=201))
    finished = tallystick("webhook", "add", "https://crm.example/hook", "--type", "points.issued", "--id", ID)
    assert finished.status == 0, finished.err
    assert "whsec_abc" in finished.out
    assert node.body() == {"id": ID, "url": "https://crm.example/hook", "types": ["points.issued"]}
    assert json.loads(tallystick("webhook", "add", "https://x.example", "--json").out)["secret"] == "whsec_abc"


@pytest.mark.parametrize(
    ("arguments", "method", "path", "reply", "said"),
    [
        (("list",), "GET", "/v1/webhooks", {"webhooks": [HOOK]}, "https://crm.example/hook"),
        (("remove", ID), "DELETE", f"/v1/webhooks/{ID}", HOOK, "nothing more is sent"),
        (("test", ID), "POST", f"/v1/webhooks/{ID}/test", {"event": "e", "outcome": "delivered"}, "delivered"),
        (("replay", ID, "--after", "7"), "POST", f"/v1/webhooks/{ID}/replay", HOOK, "after 41.-1"),
        (("resume", ID), "POST", f"/v1/webhooks/{ID}/resume", HOOK, "is active"),
        (
            ("rotate-secret", ID, "--overlap", "60"),
            "POST",
            f"/v1/webhooks/{ID}/rotate-secret",
            {"webhook": HOOK, "secret": "whsec_new"},
            "whsec_new",
        ),
        (
            ("deliveries", ID),
            "GET",
            f"/v1/webhooks/{ID}/deliveries",
            {
                "waiting": [
                    {
                        "event": "7.0.ab",
                        "type": "points.issued",
                        "lane": ANN,
                        "attempts": 3,
                        "retry_at": "soon",
                        "last_error": "it answered 500",
                    }
                ],
                "attempts": [
                    {"event": "8.0.ab", "type": "points.issued", "at": "now", "outcome": "delivered", "milliseconds": 4}
                ],
            },
            "it answered 500",
        ),
    ],
)
def test_a_webhook_is_looked_after(
    tallystick: Command,
    node: NodeStandIn,
    *,
    arguments: tuple[str, ...],
    method: str,
    path: str,
    reply: object,
    said: str,
) -> None:
    node.on(method, path, answer(reply))
    finished = tallystick("webhook", *arguments)
    assert finished.status == 0, finished.err
    assert said in finished.out
    assert json.loads(tallystick("webhook", *arguments, "--json").out) == reply


def test_deliveries_may_have_nothing_that_waits(tallystick: Command, node: NodeStandIn) -> None:
    node.on("GET", f"/v1/webhooks/{ID}/deliveries", answer({"waiting": [], "attempts": []}))
    assert "waiting" not in tallystick("webhook", "deliveries", ID).out


def test_a_webhook_that_nobody_knows_is_refused(tallystick: Command, node: NodeStandIn) -> None:
    node.on("POST", f"/v1/webhooks/{ID}/resume", refuse(404, "webhook_unknown"))
    assert tallystick("webhook", "resume", ID).status == 1


@pytest.mark.parametrize(
    ("arguments", "path", "body"),
    [
        (
            ("open", ANN, "--reason", "not_received", "--text", "where?", "--id", ID),
            "/v1/appeals",
            {"id": ID, "account": ANN, "reason": "not_received", "text": "where?"},
        ),
        (
            ("message", ID, "--text", "which day?", "--ask", "--id", ID),
            f"/v1/appeals/{ID}/messages",
            {"id": ID, "text": "which day?", "by": "program", "asks": True},
        ),
        (
            ("decide", ID, "rejected", "--reason", "as_booked", "--id", ID),
            f"/v1/appeals/{ID}/decision",
            {"id": ID, "outcome": "rejected", "reason": "as_booked"},
        ),
    ],
)
def test_an_appeal_is_opened_and_decided(
    tallystick: Command, node: NodeStandIn, *, arguments: tuple[str, ...], path: str, body: dict[str, object]
) -> None:
    node.on("POST", path, answer(WRITTEN, status=201))
    finished = tallystick("appeal", *arguments)
    assert finished.status == 0, finished.err
    assert "entry 7" in finished.out
    assert node.body() == body


def test_appeals_are_listed_and_shown(tallystick: Command, node: NodeStandIn) -> None:
    node.on("GET", "/v1/appeals", answer({"appeals": [APPEAL], "next": None}))
    node.on("GET", f"/v1/appeals/{ID}", answer(WHOLE))
    assert "overdue" in tallystick("appeal", "list", "--account", ANN, "--state", "overdue").out
    assert dict(node.requests[-1].url.params) == {"account": ANN, "state": "overdue", "limit": "100"}
    shown = tallystick("appeal", "show", ID).out
    assert "the program is to answer" in shown
    assert "(no text, or erased)" in shown
    assert json.loads(tallystick("appeal", "list", "--json").out)["next"] is None
    assert json.loads(tallystick("appeal", "show", ID, "--json").out) == WHOLE


def test_a_conversion_is_traced_and_what_proves_it_written(
    tallystick: Command, node: NodeStandIn, tmp_path: Path
) -> None:
    node.on("GET", f"/v1/conversions/{ID}/trace", answer(TRACE))
    out = tmp_path / "trace.json"
    finished = tallystick("trace", ID, "--out", str(out))
    assert finished.status == 0, finished.err
    for said in (
        "aurora.example",
        "the partner's entry 9: unreachable",
        "line 3 of window 1 (open), billed with 2.50 USD, in dispute (late)",
        "never since this node started (connection refused)",
        "waiting for: bluebird.example is to credit -- wait",
    ):
        assert said in finished.out
    assert json.loads(out.read_bytes()) == TRACE["evidence"]
    assert json.loads(tallystick("trace", ID, "--json", "--out", str(out)).out) == TRACE


def test_an_incoming_conversion_is_traced_by_its_partner(tallystick: Command, node: NodeStandIn) -> None:
    done = {**TRACE, "direction": "in", "settlement": None, "waiting_for": None, "to_do": None, "last_failure": None}
    node.on("GET", f"/v1/conversions/{ID}/trace", answer(done))
    finished = tallystick("trace", ID, "--from", "bluebird.example")
    assert finished.status == 0, finished.err
    assert node.requests[-1].url.params["source"] == "bluebird.example/main.1"
    assert "waiting for: nothing" in finished.out
