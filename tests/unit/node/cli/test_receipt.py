"""`tallystick receipt`: fetched by the entry's number, and made better by what was cosigned since."""

from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from protocol.note import format_vkey
from tests.support.audits import verifier_of
from tests.support.documents import AURORA
from tests.support.node_stand_in import Answer, NodeStandIn, refuse
from tests.unit.node.cli.conftest import Command
from tests.unit.protocol.audit.test_judged_by_policy import cosigned, policy_bytes, receipt

SEQ = 5
PATH = f"/v1/entries/{SEQ}/receipt"
TWO = ("group two 2 w1.example w2.example w3.example", "quorum two")


def served(*numbers: int) -> Answer:
    return lambda _request: httpx.Response(200, content=receipt(cosigned(*numbers)))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "entry.tlog-proof"
    path.write_bytes(receipt(cosigned(0)))
    return path


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "policy"
    path.write_bytes(policy_bytes(*TWO))
    return str(path)


@pytest.mark.parametrize("command", [("receipt",), ("receipt", "fetch")])
def test_a_receipt_is_fetched_by_its_number(
    tallystick: Command, node: NodeStandIn, tmp_path: Path, command: Sequence[str]
) -> None:
    node.on("GET", PATH, served(1))
    out = tmp_path / "new"
    assert tallystick(*command, str(SEQ), str(out)).status == 0
    assert out.read_bytes() == receipt(cosigned(1))


def test_an_old_receipt_comes_to_meet_a_policy(tallystick: Command, node: NodeStandIn, file: Path, policy: str) -> None:
    before = tallystick("verify", str(file), "--policy", policy)
    assert before.status == 3
    assert "the quorum 'two' asks for 2 of 3: 'w1.example' has cosigned, 'w2.example' is missing" in before.out
    node.on("GET", PATH, served(2))
    done = tallystick("receipt", "refresh", str(file), "--policy", policy)
    assert done.status == 0
    assert "cosigned by 2 witnesses" in done.out
    assert done.out.endswith("these are as many witnesses as the policy asks for\n")
    assert tallystick("verify", str(file), "--policy", policy).status == 0
    assert list(file.parent.glob(".*")) == []


def test_a_receipt_that_nobody_cosigned_since_says_who_is_missing(
    tallystick: Command, node: NodeStandIn, file: Path, policy: str
) -> None:
    node.on("GET", PATH, served())
    kept = file.read_bytes()
    done = tallystick("receipt", "refresh", str(file), "--policy", policy)
    assert (done.status, file.read_bytes()) == (3, kept)
    assert "'w3.example' is missing: not enough" in done.out
    as_json = tallystick("receipt", "refresh", str(file), "--policy", policy, "--json")
    assert (as_json.status, '"code":"quorum_missing"' in as_json.out) == (3, True)


def test_without_a_policy_it_is_only_fetched(tallystick: Command, node: NodeStandIn, file: Path) -> None:
    node.on("GET", PATH, served(0, 1, 2))
    done = tallystick("receipt", "refresh", str(file))
    assert (done.status, done.out) == (0, f"wrote {file}: 7 entries, cosigned by 3 witnesses\n")
    again = tallystick("receipt", "refresh", str(file), "--vkey", format_vkey(verifier_of(AURORA)))
    assert again.status == 0
    assert again.out.startswith(f"kept {file}: ")
    assert "Held: receipt" in again.out


def test_another_entry_replaces_nothing(tallystick: Command, node: NodeStandIn, file: Path) -> None:
    kept = file.read_bytes()
    changed = kept.replace(b"index 5", b"index 4")
    node.on("GET", PATH, lambda _request: httpx.Response(200, content=changed), refuse(404, "not_found"))
    assert tallystick("receipt", "refresh", str(file)).status == 1
    assert tallystick("receipt", "refresh", str(file)).status == 1
    assert file.read_bytes() == kept


def test_what_is_no_receipt_is_not_refreshed(tallystick: Command, node: NodeStandIn, tmp_path: Path) -> None:
    path = tmp_path / "nothing"
    assert tallystick("receipt", "refresh", str(path)).status == 3
    path.write_bytes(b"nothing")
    assert tallystick("receipt", "refresh", str(path)).status == 1
    lines = receipt(cosigned(0)).split(b"\n")
    path.write_bytes(b"\n".join(line for line in lines if not line.startswith(b"extra ")))
    assert tallystick("receipt", "refresh", str(path)).status == 1
    assert node.requests == []


def test_the_help_names_both_commands(tallystick: Command) -> None:
    shown = tallystick("receipt", "--help")
    assert shown.status == 0
    assert all(word in shown.out for word in ("fetch", "refresh"))
