"""`tallystick agreement`: rates as people write them, signed documents as files."""

from pathlib import Path

import msgspec
import pytest
import typer

from node.cli.terms import parse_price, parse_step
from protocol.agreement import agreement_digest, encode_signed_agreement
from protocol.points import Step
from tests.support.documents import AURORA, BLUEBIRD, agreement, signed_agreement
from tests.support.node_stand_in import NodeStandIn, answer, refuse
from tests.unit.node.cli.conftest import Command

SIGNED = signed_agreement()
DIGEST = agreement_digest(agreement())
DOCUMENT = msgspec.json.decode(encode_signed_agreement(SIGNED))
ENTERED = {
    "digest": DIGEST,
    "partner": BLUEBIRD.ledger,
    "number": 1,
    "entered_at": "2026-03-01T00:00:00.000000Z",
    "superseded_at": None,
    "agreement": DOCUMENT,
}
PROPOSAL = {
    "digest": DIGEST,
    "partner": BLUEBIRD.ledger,
    "direction": "sent",
    "received_at": "2026-03-01T00:00:00.000000Z",
    "proposal": DOCUMENT,
}
WRITTEN = {
    "id": "i",
    "kind": "agreement_entered",
    "seq": 9,
    "leaf": "ab" * 32,
    "time": "t",
    "occurred_on": "2026-03-01",
}
PROPOSE = ["agreement", "propose", "bluebird.example", "--takes", "1,000:1,000", "--takes-price", "6"]


@pytest.mark.parametrize(
    ("text", "step"),
    [("400:250", (400, 250)), ("3,000:1,000", (3_000, 1_000)), ("1:9007199254740991", (1, 2**53 - 1))],
)
def test_a_step_is_two_whole_numbers(text: str, step: tuple[int, int]) -> None:
    assert parse_step(text) == Step(source=step[0], destination=step[1])


@pytest.mark.parametrize(
    "text",
    ["", "400", "400:", ":250", "0:1", "1:0", "-1:1", "1.5:1", "1:1:1", "a:b", "1 :1", "1:9007199254740992", "²:1"],
)
def test_what_is_no_step_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_step(text)


@pytest.mark.parametrize(
    ("text", "millionths"),
    [("3", 3_000_000), ("3.00", 3_000_000), ("0.000001", 1), ("0", 0), ("12.345678", 12_345_678)],
)
def test_a_price_is_exact(text: str, millionths: int) -> None:
    assert parse_price(text) == millionths


@pytest.mark.parametrize("text", ["", ".5", "1.", "1.0000001", "-1", "1e3", "1,5", "nan", "1_0", "٣"])
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_price(text)


def test_propose_sends_both_directions_and_writes_the_document(
    tallystick: Command, node: NodeStandIn, tmp_path: Path
) -> None:
    node.on("GET", "/ledger.json", answer({"ledger": AURORA.ledger, "vkey": "k"}))
    node.on("POST", "/v1/agreements/proposals", answer(PROPOSAL, status=201))
    out = tmp_path / "proposal.json"
    sends = ["--sends", "400:250", "--sends-price", "2.5", "--sends-fee", "25", "--sends-days", "730"]
    done = tallystick(*PROPOSE, *sends, "--out", str(out))
    assert done.status == 0
    assert f"proposed to {BLUEBIRD.ledger}: {DIGEST}" in done.out
    there = {
        "source": AURORA.ledger,
        "step": {"source": 400, "destination": 250},
        "price": 2_500_000,
        "fee": {"points_per_conversion": 25, "points_per_step": 0},
        "expiry_days": 730,
    }
    back = {
        "source": BLUEBIRD.ledger,
        "step": {"source": 1_000, "destination": 1_000},
        "price": 6_000_000,
        "fee": {"points_per_conversion": 0, "points_per_step": 0},
        "expiry_days": None,
    }
    terms = {"currency": "USD", "directions": [there, back]}
    assert node.body() == {"partner": BLUEBIRD.ledger, "terms": terms, "force": False}
    # What is written is the canonical document, as `verify` and the partner's node read it.
    assert out.read_bytes() == encode_signed_agreement(SIGNED)


def test_a_loop_is_refused_with_advice(tallystick: Command, node: NodeStandIn) -> None:
    node.on("GET", "/ledger.json", answer({"ledger": AURORA.ledger, "vkey": "k"}))
    node.on("POST", "/v1/agreements/proposals", refuse(409, "agreement_loop", "there and back would make points"))
    done = tallystick(*PROPOSE, "--sends", "1:2", "--sends-price", "1")
    assert done.status == 1
    assert done.err.startswith("tallystick: agreement_loop: ")
    assert " -- " in done.err


def test_accept_takes_a_file_or_a_digest(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    written = {**WRITTEN, "partner": BLUEBIRD.ledger, "digest": DIGEST, "agreement": DOCUMENT}
    node.on("POST", "/v1/agreements", answer(written, status=201))
    path = tmp_path / "proposal.json"
    path.write_bytes(encode_signed_agreement(SIGNED))
    done = tallystick("agreement", "accept", str(path))
    assert node.body() == {"proposal": DOCUMENT, "force": False}
    assert f"the agreement with {BLUEBIRD.ledger} binds (entry 9)" in done.out
    assert tallystick("agreement", "accept", DIGEST, "--force").status == 0
    assert node.body() == {"digest": DIGEST, "force": True}


def test_list_shows_what_binds_and_what_waits(tallystick: Command, node: NodeStandIn) -> None:
    superseded = {**ENTERED, "superseded_at": "2026-03-02T00:00:00.000000Z"}
    node.on("GET", "/v1/agreements", answer({"agreements": [ENTERED, superseded]}))
    node.on("GET", "/v1/agreements/proposals", answer({"proposals": [{**PROPOSAL, "direction": "received"}]}))
    states = [" ".join(line.split()[1:3]) for line in tallystick("agreement", "list").out.splitlines()[1:]]
    assert states == ["binds 1", "superseded 1", "received proposal"]


def test_show_finds_what_binds_with_a_partner(tallystick: Command, node: NodeStandIn) -> None:
    partner = {"ledger": BLUEBIRD.ledger, "points": "BLU", "agreement": DIGEST}
    node.on("GET", "/v1/partners", answer({"partners": [partner]}))
    node.on("GET", f"/v1/agreements/{DIGEST}", answer(ENTERED))
    assert "400:250" in tallystick("agreement", "show", "bluebird.example").out
    node.on("GET", "/v1/partners", answer({"partners": [{**partner, "agreement": None}]}))
    none = tallystick("agreement", "show", "bluebird.example")
    assert (none.status, "no agreement with bluebird.example binds now" in none.err) == (2, True)
    unknown = tallystick("agreement", "show", "copper.example")
    assert (unknown.status, "partner_unknown" in unknown.err) == (1, True)


def test_show_prints_the_rates_or_writes_the_document(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    node.on("GET", f"/v1/agreements/{DIGEST}", answer(ENTERED))
    said = tallystick("agreement", "show", DIGEST).out
    assert "400:250" in said
    assert "2.50 USD" in said
    out = tmp_path / "agreement.json"
    assert tallystick("agreement", "show", DIGEST, "--out", str(out)).status == 0
    assert tallystick("verify", str(out)).status == 0
    assert tallystick("verify", str(out), "--agreement", str(out), "--json").status == 0
    out.write_bytes(out.read_bytes().replace(b'"price":2500000', b'"price":2400000'))
    assert tallystick("verify", str(out)).status == 1
