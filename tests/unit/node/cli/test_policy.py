"""`verify --policy` and `audit --policy`: the quorum decides, and a file that is no policy is said to be none."""

from pathlib import Path

import pytest

from protocol.note import format_vkey
from tests.support.audits import files_of, verifier_of
from tests.support.documents import AURORA
from tests.support.node_stand_in import NodeStandIn, answer
from tests.unit.node.cli.conftest import Command
from tests.unit.protocol.audit.test_judged_by_policy import ENTRIES, cosigned, policy_bytes, receipt

TWO = ("group two 2 w1.example w2.example w3.example", "quorum two")


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "policy"
    path.write_bytes(policy_bytes(*TWO))
    return str(path)


def package_of(directory: Path, note: bytes) -> str:
    for path, data in {**files_of(AURORA, ENTRIES), "checkpoint": note}.items():
        place = directory / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return str(directory)


def test_a_receipt_is_judged_by_a_policy(tallystick: Command, policy: str, tmp_path: Path) -> None:
    file = tmp_path / "entry.tlog-proof"
    file.write_bytes(receipt(cosigned(0, 1)))
    held = tallystick("verify", str(file), "--policy", policy)
    assert held.status == 0
    assert held.out.endswith("these are as many witnesses as the policy asks for\n")
    file.write_bytes(receipt(cosigned(0)))
    assert tallystick("verify", str(file), "--policy", policy).status == 3
    assert tallystick("verify", str(file), "--vkey", format_vkey(verifier_of(AURORA))).status == 0


def test_an_audit_is_judged_by_a_policy(tallystick: Command, policy: str, tmp_path: Path) -> None:
    enough, few = package_of(tmp_path / "enough", cosigned(0, 1)), package_of(tmp_path / "few", cosigned(0))
    assert tallystick("audit", enough, "--policy", policy).status == 0
    missing = tallystick("audit", few, "--policy", policy)
    assert missing.status == 3
    assert "(quorum_missing)" in missing.out


def test_a_file_that_is_no_policy_is_said_to_be_none(tallystick: Command, policy: str, tmp_path: Path) -> None:
    file = tmp_path / "entry.tlog-proof"
    file.write_bytes(receipt(cosigned(0, 1)))
    for command in (["verify", str(file)], ["audit", package_of(tmp_path / "log", cosigned(0))]):
        failed = tallystick(*command, "--policy", str(file))
        assert failed.status == 3
        assert "is no policy to check by" in failed.out + failed.err
        assert tallystick(*command, "--policy", str(tmp_path / "absent")).status != 0


def test_the_witnesses_of_a_node_are_listed(tallystick: Command, node: NodeStandIn) -> None:
    one = {"name": "w1.example", "url": "https://w1.example/w", "vkey": "w1.example+00+AA", "cosigned_size": 7}
    two = {"name": "w2.example", "url": "https://w2.example/w", "vkey": "w2.example+00+AA", "last_failure": "refused"}
    node.on("GET", "/v1/witnesses", answer({"witnesses": [one, two]}))
    shown = tallystick("witnesses")
    assert shown.status == 0
    assert all(word in shown.out for word in ("w1.example+00+AA", "7", "refused"))
    assert '"cosigned_size"' in tallystick("witnesses", "--json").out
