"""`tallystick credential`, `approval`, `points adjust`, `tls`, `dev-issuer`: what they send, what a person reads."""

import json
from pathlib import Path

import pytest

from node.cli.approval import entry_of
from protocol.identifiers import Id, parse_id
from tests.support.documents import uuid
from tests.support.node_stand_in import NodeStandIn, answer
from tests.unit.node.cli.conftest import Command

ACCOUNT = f"member/{uuid('ann')}"
TOKEN = "ts_backend_0a1b2c3d_" + "s" * 43
WRITTEN = {"kind": "x", "seq": 7, "leaf": "0" * 64, "time": "t", "occurred_on": "d"}
KEY = {"id": "0a1b2c3d", "role": "backend", "name": "till", "token": TOKEN, "expires_at": None, "old_until": None}


def test_a_key_is_printed_or_written_for_its_owner_alone(
    tallystick: Command, node: NodeStandIn, tmp_path: Path
) -> None:
    node.on("POST", "/v1/credentials", answer(KEY, status=201))
    assert tallystick("credential", "issue", "backend", "till").out == TOKEN + "\n"
    assert json.loads(node.requests[-1].content) == {"role": "backend", "name": "till"}
    said = tallystick(
        "credential", "issue", "partner", "theirs", "--partner", "bluebird.example", "--out", str(tmp_path / "token")
    )
    assert TOKEN not in said.out
    assert (tmp_path / "token").read_text() == TOKEN + "\n"
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
    assert json.loads(node.requests[-1].content)["partner"] == "bluebird.example/main.1"
    assert json.loads(tallystick("credential", "issue", "backend", "till", "--json").out) == KEY
    nowhere = str(tmp_path / "none" / "token")
    assert tallystick("credential", "issue", "backend", "till", "--out", nowhere).status == 3


def test_keys_are_listed_rotated_and_revoked(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    row = {**KEY, "state": "active", "created_at": "2026-03-01T12:00:00.000000Z", "partner": None}
    node.on("GET", "/v1/credentials", answer({"credentials": [row]}))
    assert "till" in tallystick("credential", "list").out
    assert "till" in tallystick("credential", "list", "--json").out
    rotated = {**KEY, "old_until": "2026-03-02T12:00:00.000000Z"}
    node.on("POST", "/v1/credentials/0a1b2c3d/rotate", answer(rotated, status=201))
    said = tallystick("credential", "rotate", "0a1b2c3d", "--overlap-hours", "2", "--out", str(tmp_path / "t"))
    assert "holds until 2026-03-02T12:00:00" in said.out
    assert json.loads(node.requests[-1].content) == {"overlap_hours": 2}
    node.on("POST", "/v1/credentials/0a1b2c3d/revoke", answer({"credentials": []}))
    assert tallystick("credential", "revoke", "0a1b2c3d").out == "revoked 0a1b2c3d\n"
    assert tallystick("credential", "revoke", "0a1b2c3d", "--json").out == '{"credentials":[]}\n'


@pytest.mark.parametrize("taken", [["--", "-500"], ["-500"]])
def test_an_adjustment_is_proposed_and_says_how_it_is_approved(
    tallystick: Command, node: NodeStandIn, taken: list[str]
) -> None:
    proposal = uuid("proposal")
    node.on("POST", "/v1/approvals", answer({**WRITTEN, "id": proposal}, status=201))
    said = tallystick(
        "points", "adjust", ACCOUNT, "--reason", "goodwill", "--note", "rang twice", "--id", proposal, *taken
    )
    assert f"tallystick approval approve {proposal}" in said.out
    sent = json.loads(node.requests[-1].content)
    assert sent["metadata"] == {"note": "rang twice"}
    assert sent["action"] == {
        "type": "adjustment",
        "entry": entry_of(Id(proposal)),
        "account": ACCOUNT,
        "amount": -500,
        "reason": "goodwill",
    }


@pytest.mark.parametrize("last", "0123456789abcdef")
def test_a_proposals_entry_has_an_id_of_its_own(last: str) -> None:
    proposal = Id(uuid("proposal")[:-1] + last)
    assert parse_id(entry_of(proposal)) != proposal


def test_all_that_needs_two_people_can_be_proposed(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    node.on("POST", "/v1/approvals", answer({**WRITTEN, "id": uuid("proposal")}, status=201))
    terms = tmp_path / "terms.json"
    terms.write_text("{}")
    lines = {
        "forced_release": ["force-release", uuid("conversion"), "--reason", "partner_gone"],
        "program": ["program", str(terms)],
        "agreement": ["agreement", "0" * 64, "--force"],
        "agreement_terms": ["terms", "bluebird.example", str(terms)],
    }
    for kind, line in lines.items():
        assert tallystick("approval", "propose", *line).status == 0
        action = json.loads(node.requests[-1].content)["action"]
        assert action["type"] == kind
        assert ("entry" in action) is (kind in {"forced_release", "program"})


def test_proposals_are_listed_shown_approved_and_refused(tallystick: Command, node: NodeStandIn) -> None:
    proposal = uuid("proposal")
    row = {
        "proposal": proposal,
        "entry": uuid("entry"),
        "state": "proposed",
        "action": {"type": "adjustment", "amount": 5},
        "proposed_by": "0a1b2c3d",
        "proposed_at": "2026-03-01T12:00:00.000000Z",
        "expires_at": "2026-03-04T12:00:00.000000Z",
        "expired": True,
        "decided_by": None,
        "decided_seq": None,
    }
    node.on("GET", "/v1/approvals", answer({"approvals": [row], "next": None}))
    node.on("GET", f"/v1/approvals/{proposal}", answer(row))
    assert "expired" in tallystick("approval", "list", "--state", "proposed").out
    assert proposal in tallystick("approval", "list", "--json").out
    assert "amount: 5" in tallystick("approval", "show", proposal).out
    assert json.loads(tallystick("approval", "show", proposal, "--json").out) == row
    for verb, options in (("approve", []), ("refuse", ["--reason", "not_shown"])):
        node.on("POST", f"/v1/approvals/{proposal}/{verb}", answer({**WRITTEN, "id": uuid(verb)}, status=201))
        assert f"{verb}d {proposal}" in tallystick("approval", verb, proposal, *options).out


def test_certificates_are_made_and_checked(tallystick: Command, tmp_path: Path) -> None:
    authority = ["--authority", str(tmp_path / "authority")]
    made = tallystick("tls", "make", str(tmp_path / "node"), *authority, "--name", "aurora.example")
    assert 'tls_certificate = "tls.pem"' in made.out
    certificate, signer = str(tmp_path / "node" / "tls.pem"), str(tmp_path / "authority" / "ca.pem")
    checked = tallystick("tls", "check", certificate, "--authority", signer, "--name", "aurora.example")
    assert (checked.status, "wrong" in checked.out) == (0, False)
    soon = tallystick("tls", "check", certificate, "--warn-days", "400")
    assert (soon.status, "soon: it ends in" in soon.out) == (0, True)
    wrong = tallystick("tls", "check", certificate, "--name", "bluebird.example", "--json")
    assert (wrong.status, json.loads(wrong.out)[0]["problems"]) == (1, ["it is not for bluebird.example"])
    assert "wrong: it is not for" in tallystick("tls", "check", certificate, "--name", "b.example").out
    assert tallystick("tls", "check", str(tmp_path / "missing")).status == 3
    assert tallystick("tls", "make", str(tmp_path / "node"), *authority).status == 3


def test_an_issuer_for_development_signs_tokens(tallystick: Command, tmp_path: Path) -> None:
    directory = str(tmp_path / "issuer")
    assert (
        'oidc_issuer = "https://id.example"'
        in tallystick("dev-issuer", "init", directory, "--issuer", "https://id.example").out
    )
    token = tallystick("dev-issuer", "token", directory, ACCOUNT).out.strip()
    assert token.count(".") == 2
    assert tallystick("dev-issuer", "token", str(tmp_path / "none"), ACCOUNT).status == 3
