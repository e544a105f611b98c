"""`tallystick agreement check|end`, `conversion force-release` and `exceptions`."""

import json
from pathlib import Path

import pytest

from node.cli.exceptions import age
from protocol.agreement import encode_signed_agreement
from protocol.points import Step
from tests.support.documents import AURORA, BLUEBIRD, COPPER, agreement, direction, signed_agreement, uuid
from tests.support.node_stand_in import NodeStandIn, answer
from tests.unit.node.cli.conftest import Command

DIGEST = "ab" * 32
WRITTEN = {"id": "i", "kind": "k", "seq": 9, "leaf": DIGEST, "time": "t", "occurred_on": "2026-03-01"}
RATE = {"source": "a", "destination": "b", "gives": 400, "gets": 250, "agreement": DIGEST, "promotion": "spring"}
LOOP = {
    "kind": "loop",
    "path": ["a", "b", "a"],
    "ratio": "15/8",
    "rates": [RATE, RATE],
    "direct": None,
    "by_proposal": True,
}
DETOUR = {**LOOP, "kind": "detour", "direct": RATE}


def file_of(folder: Path, name: str, *, back: int = 360) -> str:
    path = folder / name
    document = agreement(back=direction(BLUEBIRD, AURORA, step=Step(source=250, destination=back)))
    path.write_bytes(encode_signed_agreement(signed_agreement(document)))
    return str(path)


def test_files_are_checked_without_a_node(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    done = tallystick("agreement", "check", file_of(tmp_path, "fair"))
    assert (done.status, done.out) == (0, "1 agreements: 0 loops multiply points, 0 ways around beat a rate\n")
    growing = tallystick("agreement", "check", file_of(tmp_path, "growing", back=401))
    assert growing.status == 1
    assert "multiplies points by 401/400 (steps 400:250, 250:401)" in growing.out
    assert node.requests == []


def test_files_are_checked_together(tallystick: Command, tmp_path: Path) -> None:
    names = [file_of(tmp_path, "direct")]
    for first, second, there in ((AURORA, COPPER, 1), (BLUEBIRD, COPPER, 2)):
        path = tmp_path / f"{first.points} {second.points}"
        document = agreement(
            first, second,
            there=direction(first, second, step=Step(source=there, destination=1)),
            back=direction(second, first, step=Step(source=1, destination=there)),
        )  # fmt: skip
        path.write_bytes(encode_signed_agreement(signed_agreement(document)))
        names.append(str(path))
    done = tallystick("agreement", "check", *names, "--json")
    report = json.loads(done.out)
    assert (done.status, report["agreements"], report["multiplies"]) == (1, 3, True)


def test_the_node_is_asked_when_there_are_no_files(tallystick: Command, node: NodeStandIn) -> None:
    report = {"agreements": 3, "multiplies": True, "findings": [LOOP, DETOUR]}
    node.on("POST", "/v1/agreements/check", answer(report))
    done = tallystick("agreement", "check", "--proposal", DIGEST)
    assert done.status == 1
    assert done.out.splitlines() == [
        "loop: a > b > a multiplies points by 15/8 (steps 400:250 (spring), 400:250 (spring))",
        "detour: a > b > a gives 15/8, more than 400:250 directly",
        "3 agreements: 1 loops multiply points, 1 ways around beat a rate",
    ]
    assert node.body() == {"digest": DIGEST}


def test_neither_files_nor_a_node_is_wrong_usage(tallystick: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TALLYSTICK_NODE")
    assert tallystick("agreement", "check").status == 2


def test_notice_is_given(tallystick: Command, node: NodeStandIn) -> None:
    node.on("POST", f"/v1/agreements/{DIGEST}/end", answer(WRITTEN, status=201))
    done = tallystick("agreement", "end", DIGEST, "2026-12-31T00:00:00Z")
    assert (done.status, node.body()) == (0, {"ends_at": "2026-12-31T00:00:00Z"})
    assert "the agreement ends at 2026-12-31T00:00:00Z" in done.out
    assert tallystick("agreement", "end", "abc", "2026-12-31T00:00:00Z").status == 2


def test_more_terms_come_from_files_and_force_is_said(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    more = tmp_path / "more.json"
    more.write_text('{"cap": 5, "in_flight": {"conversions": 2}}')
    node.on("GET", "/ledger.json", answer({"ledger": AURORA.ledger, "vkey": "v"}))
    proposal = {"digest": DIGEST, "partner": "p", "direction": "sent", "received_at": "t", "proposal": {}}
    node.on("POST", "/v1/agreements/proposals", answer(proposal, status=201))
    done = tallystick(
        "agreement", "propose", "bluebird.example", "--sends", "400:250", "--sends-price", "3", "--takes", "1:1",
        "--takes-price", "6", "--sends-terms", str(more), "--force",
    )  # fmt: skip
    assert done.status == 0, done.err
    body = node.body()
    terms = body["terms"]
    assert isinstance(terms, dict)
    assert body["force"] is True
    assert terms["directions"][0]["cap"] == 5
    assert "cap" not in terms["directions"][1]


def test_a_conversion_is_released_by_force(tallystick: Command, node: NodeStandIn) -> None:
    conversion = uuid("conversion")
    node.on("POST", f"/v1/conversions/{conversion}/force-release", answer(WRITTEN, status=201))
    done = tallystick("conversion", "force-release", conversion, "--reason", "partner_gone", "--id", uuid("force"))
    assert (done.status, node.body()) == (0, {"id": uuid("force"), "reason": "partner_gone"})
    assert "at your own risk" in done.out


def test_an_order_names_a_quotes_agreement_or_what_it_refunds(tallystick: Command, node: NodeStandIn) -> None:
    node.on("POST", "/v1/conversions", answer(WRITTEN, status=201))
    account = f"member/{uuid('ann')}"
    done = tallystick("convert", account, "bluebird.example", "400", "--agreement", DIGEST)
    assert (done.status, node.body()["agreement"]) == (0, DIGEST)
    done = tallystick("convert", account, "bluebird.example", "400", "--refund-of", uuid("original"))
    assert (done.status, node.body()["refund_of"]) == (0, uuid("original"))


def test_exceptions_are_a_table(tallystick: Command, node: NodeStandIn) -> None:
    row = {
        "kind": "over_limit", "partner": "bluebird", "conversion": "c", "reason": "cap_reached", "since": "t",
        "age_seconds": 90_061, "points": 812, "value": 5_000_000, "currency": "USD", "to_do": "pay",
    }  # fmt: skip
    partner = {
        **row,
        "kind": "waiting_for_partner",
        "conversion": None,
        "age_seconds": None,
        "points": 0,
        "currency": None,
    }
    node.on(
        "GET",
        "/v1/exceptions",
        answer({"exceptions": [row, partner], "more": True}),
        answer({"exceptions": [], "more": False}),
    )
    done = tallystick("exceptions", "--older-than", "60")
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[1].split() == [
        "over",
        "limit",
        "(cap_reached)",
        "bluebird",
        "c",
        "1",
        "d",
        "1",
        "h",
        "812",
        "5.00",
        "USD",
        "pay",
    ]
    assert lines[2].split()[:2] == ["waiting", "for"]
    assert lines[3] == "there are more than are listed"
    assert dict(node.requests[-1].url.params) == {"older_than_seconds": "60"}
    assert tallystick("exceptions").out == "nothing to look at\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min 0 s"), (3_661, "1 h 1 min"), (90_061, "1 d 1 h"), (None, None)],
)
def test_an_age_is_in_two_units(seconds: int | None, text: str | None) -> None:
    assert age(seconds) == text
