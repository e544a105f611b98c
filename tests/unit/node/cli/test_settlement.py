"""`tallystick window` and `tallystick statement`: what they ask of the node, and what people are told."""

import json
from pathlib import Path
from typing import Final

import httpx
import msgspec
import pytest

from protocol.settlement.statements import Corrections
from tests.support.documents import AURORA, BLUEBIRD, uuid
from tests.support.node_stand_in import NodeStandIn, answer
from tests.support.settlement import disputed, lines, signed_statement, statement
from tests.unit.node.cli.conftest import Command

DIGEST: Final = "cd" * 32
PATH: Final = f"/v1/statements/{DIGEST}"
WRITTEN: Final = {
    "id": uuid("request"), "kind": "any", "seq": 7, "leaf": "ab" * 32, "time": "2026-03-01T12:00:00.000000Z",
    "occurred_on": "2026-03-01",
}  # fmt: skip
SUMS: Final = {"count": 2, "value": "5250000"}
WINDOW: Final = {
    "partner": BLUEBIRD.ledger, "window": 3, "state": "open", "opened_at": "2026-03-01T00:00:00.000000Z",
    "sent": SUMS, "received": SUMS, "proposed": None, "statement": None,
}  # fmt: skip
ROW: Final = {
    "digest": DIGEST, "partner": BLUEBIRD.ledger, "window": 1, "state": "agreed", "currency": "USD",
    "minor_unit": 10_000, "payer": AURORA.ledger, "minor_units": "525", "due_at": "2026-03-06T00:00:00.000000Z",
}  # fmt: skip
SIGNED: Final = signed_statement(statement(lines(1, [2_500_000])))
DOCUMENT: Final = json.loads(msgspec.json.encode(SIGNED))
SHOWN: Final = {"partner": BLUEBIRD.ledger, "window": 1, "state": "agreed", "signed": DOCUMENT}


def test_windows_are_listed(tallystick: Command, node: NodeStandIn) -> None:
    node.on("GET", "/v1/windows", answer({"windows": [WINDOW], "more": False}))
    done = tallystick("window", "list", "--partner", "bluebird.example")
    assert done.status == 0
    assert node.requests[-1].url.params["partner"] == BLUEBIRD.ledger
    assert "5.25" in done.out
    assert json.loads(tallystick("window", "list", "--json").out)["windows"][0]["window"] == 3


def test_a_window_is_closed(tallystick: Command, node: NodeStandIn) -> None:
    node.on("POST", "/v1/windows/close", answer(WRITTEN, status=201))
    done = tallystick("window", "close", "bluebird.example", "3")
    assert node.body() == {"partner": BLUEBIRD.ledger, "window": 3}
    assert "window 3 is closed here (entry 7" in done.out


def test_statements_are_listed_and_shown(tallystick: Command, node: NodeStandIn) -> None:
    node.on("GET", "/v1/statements", answer({"statements": [ROW], "more": False}))
    node.on("GET", PATH, answer(SHOWN))
    assert "5.25 USD" in tallystick("statement", "list").out
    assert json.loads(tallystick("statement", "list", "--json").out)["statements"] == [ROW]
    shown = tallystick("statement", "show", DIGEST).out
    assert f"{AURORA.ledger} to {BLUEBIRD.ledger}" in shown
    assert "2.50 USD" in shown
    assert json.loads(tallystick("statement", "show", DIGEST, "--json").out) == SHOWN
    assert tallystick("statement", "show", "no digest").status == 2


def test_lines_and_page_are_written_to_files(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    node.on("GET", PATH, lambda request: httpx.Response(200, text=request.url.params["format"]))
    done = tallystick("statement", "show", DIGEST, "--csv", str(tmp_path / "a"), "--html", str(tmp_path / "b"))
    assert done.status == 0
    assert [(tmp_path / name).read_text() for name in ("a", "b")] == ["csv", "html"]


@pytest.mark.parametrize(
    ("how", "asked"),
    [
        ("upheld", {"reason": "upheld"}),
        ("waived", {"reason": "waived"}),
        ("1.25", {"reason": "reduced", "value": 1_250_000}),
        ("taken_back", {"reason": "taken_back"}),
        ("taken_back:0.50", {"reason": "taken_back", "value": 500_000}),
    ],
)
def test_a_statement_is_signed(tallystick: Command, node: NodeStandIn, *, how: str, asked: dict[str, object]) -> None:
    node.on("POST", "/v1/statements", answer(WRITTEN, status=201))
    done = tallystick("statement", "agree", "bluebird.example", "--adjust", f"{uuid('line')}:{how}")
    assert node.body() == {"partner": BLUEBIRD.ledger, "adjustments": [{"conversion": uuid("line"), **asked}]}
    assert "signed (entry 7" in done.out


@pytest.mark.parametrize("how", ["maybe", "upheld:1.00", "taken_back:much"])
def test_an_ending_that_is_none_is_wrong_usage(tallystick: Command, how: str) -> None:
    assert tallystick("statement", "agree", "bluebird.example", "--adjust", f"{uuid('line')}:{how}").status == 2


def test_a_proposal_is_read_and_signed_as_it_is(tallystick: Command, node: NodeStandIn) -> None:
    proposal = {"digest": DIGEST, "partner": BLUEBIRD.ledger, "window": 2, "by": BLUEBIRD.ledger, "signed": DOCUMENT}
    node.on("GET", "/v1/statements/proposals", answer({"proposals": [proposal]}))
    node.on("POST", "/v1/statements", answer(WRITTEN, status=201))
    shown = tallystick("statement", "proposals", "--partner", "bluebird.example").out
    assert DIGEST in shown
    assert "2.50 USD" in shown
    assert json.loads(tallystick("statement", "proposals", "--json").out) == {"proposals": [proposal]}
    tallystick("statement", "agree", "bluebird.example", "--proposal", DIGEST, "--unchecked")
    assert node.body() == {"partner": BLUEBIRD.ledger, "adjustments": [], "proposal": DIGEST, "unchecked": True}


LINE: Final = {"value": 2_500_000, "currency": "USD"}
DIFFERENCE: Final = {
    "source": AURORA.ledger, "dec_seq": 4, "conversion": uuid("line"), "reason": "unknown", "to_do": "ask the partner",
    "ours": None, "theirs": LINE,
}  # fmt: skip


def test_the_lines_of_a_window_are_listed(tallystick: Command, node: NodeStandIn) -> None:
    terms = {**LINE, "source_points": 400, "destination_points": 250, "fee_points": 0}
    line = {"dec_seq": 4, "conversion": uuid("line"), "line": terms, "dispute": "not_credited"}
    found = {"lines": [line], "next": 4}
    node.on("GET", "/v1/windows/lines", answer(found))
    done = tallystick("window", "lines", "bluebird.example", "3", "--received", "--after", "2")
    assert all(part in done.out for part in (uuid("line"), "2.50 USD", "not credited", "more with --after 4"))
    asked = node.requests[-1].url.params
    assert (asked["window"], asked["direction"], asked["after"]) == ("3", "in", "2")
    assert json.loads(tallystick("window", "lines", "bluebird.example", "3", "--json").out) == found
    assert node.requests[-1].url.params["direction"] == "out"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"reason": None, "to_do": None, "differences": [DIFFERENCE], "more": True}, "there are more"),
        ({"reason": None, "to_do": None, "differences": [], "more": False}, "no line differs"),
        ({"reason": "lines_awaited", "to_do": "nothing", "differences": [], "more": False}, "(lines awaited): nothing"),
    ],
)
def test_differences_are_shown(tallystick: Command, node: NodeStandIn, *, found: dict[str, object], said: str) -> None:
    node.on("GET", "/v1/windows/differences", answer(found))
    done = tallystick("window", "differences", "bluebird.example", "3")
    assert (done.status, said in done.out) == (0, True)
    assert ("ask the partner" in done.out) == bool(found["differences"])
    assert node.requests[-1].url.params["window"] == "3"
    assert json.loads(tallystick("window", "differences", "bluebird.example", "3", "--json").out) == found


def test_a_statement_shows_what_it_disputes_and_adjusts(tallystick: Command, node: NodeStandIn) -> None:
    own = lines(1, [2_500_000, 1_000_000])
    doubted = statement(own, corrections=Corrections(disputed={AURORA.ledger: [disputed(own[1])]}))
    document = json.loads(msgspec.json.encode(signed_statement(doubted)))
    node.on("GET", PATH, answer({**SHOWN, "signed": document}))
    shown = tallystick("statement", "show", DIGEST).out
    assert own[1].id in shown
    assert "not_credited" in shown


def test_a_payment_is_said_and_confirmed(tallystick: Command, node: NodeStandIn) -> None:
    node.on("POST", f"{PATH}/payment", answer(WRITTEN, status=201))
    node.on("POST", f"{PATH}/confirmation", answer(WRITTEN, status=201))
    identifier = uuid("request")
    assert tallystick("statement", "pay", DIGEST, "--reference", "RF 18", "--id", identifier).status == 0
    assert node.body() == {"id": identifier, "reference": "RF 18"}
    assert tallystick("statement", "confirm", DIGEST, "--id", identifier).status == 0
    assert node.body() == {"id": identifier}
    node.on("POST", f"{PATH}/return", answer(WRITTEN, status=201))
    assert "due again" in tallystick("statement", "return", DIGEST, "--id", identifier).out
    assert node.body() == {"id": identifier}


@pytest.mark.parametrize(
    ("option", "asked"),
    [
        ((), {"direction": "out"}),
        (("--received",), {"direction": "in"}),
        (("--enter",), {"direction": "out", "enter": True}),
    ],
)
def test_lines_are_disputed(
    tallystick: Command, node: NodeStandIn, *, option: tuple[str, ...], asked: dict[str, object]
) -> None:
    node.on("POST", "/v1/windows/disputes", answer(WRITTEN, status=201))
    identifiers = [uuid("a"), uuid("b")]
    arguments = ("bluebird.example", "3", *identifiers, "--reason", "terms", "--id", uuid("request"), *option)
    assert tallystick("statement", "dispute", *arguments).status == 0
    assert node.body() == {
        "id": uuid("request"),
        "partner": BLUEBIRD.ledger,
        "window": 3,
        "lines": identifiers,
        "reason": "terms",
        **asked,
    }
