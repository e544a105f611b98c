"""A file of evidence is accepted with public keys alone, by both command lines, and refused once it was changed."""

from pathlib import Path

import pytest

from node.cli.main import run
from protocol.__main__ import main
from protocol.agreement import SignedAgreement, encode_signed_agreement
from protocol.audit.evidence import encode_evidence
from protocol.audit.findings import Verdict
from protocol.audit.verify import verify_file
from protocol.keys import Role
from protocol.note import Verifier, format_vkey
from tests.support.documents import AURORA, BLUEBIRD, COPPER, agreement, signed_agreement
from tests.support.evidence import EVERY_KIND

STRIDE = 3
VKEYS = [
    format_vkey(Verifier(side.ledger, side.signing_keys[role].public))
    for side in (AURORA, BLUEBIRD)
    for role in (Role.LOG, Role.CHANNEL)
]
FILES = {what: encode_evidence(evidence) for what, evidence in EVERY_KIND.items()}


def known() -> SignedAgreement:
    return signed_agreement()


@pytest.mark.parametrize("what", FILES)
@pytest.mark.parametrize("by", ["agreement", "keys"])
def test_both_command_lines_accept_it_with_public_keys_alone(
    what: str, by: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, paper = tmp_path / "evidence.json", tmp_path / "agreement.json"
    file.write_bytes(FILES[what])
    paper.write_bytes(encode_signed_agreement(known()))
    keys = [each for vkey in VKEYS for each in ("--vkey", vkey)] if by == "keys" else ["--agreement", str(paper)]
    assert main(["verify", str(file), *keys]) == 0
    assert run(["verify", str(file), *keys]) == 0
    first, second = capsys.readouterr().out.split("Held: ")[1:]
    assert first == second


@pytest.mark.parametrize("what", FILES)
def test_both_command_lines_refuse_it_once_a_byte_was_changed(what: str, tmp_path: Path) -> None:
    file, paper = tmp_path / "evidence.json", tmp_path / "agreement.json"
    paper.write_bytes(encode_signed_agreement(known()))
    data = bytearray(FILES[what])
    data[data.rindex(b"root" if b"root" in data else b"frame") - 8] ^= 1
    file.write_bytes(data)
    assert main(["verify", str(file), "--agreement", str(paper)]) in {1, 3}
    assert run(["verify", str(file), "--agreement", str(paper)]) in {1, 3}


@pytest.mark.parametrize("what", FILES)
def test_no_byte_of_it_can_be_changed_added_or_left_out(what: str) -> None:
    data, papers = FILES[what], [known()]
    assert verify_file(data, agreements=papers).verdict is Verdict.HELD
    for place in range(0, len(data), STRIDE):
        flipped = bytearray(data)
        flipped[place] ^= 1
        assert verify_file(bytes(flipped), agreements=papers).verdict is not Verdict.HELD, place
    for changed in (data + b"\n", data[:-1], b" " + data, data + data):
        assert verify_file(changed, agreements=papers).verdict is not Verdict.HELD


@pytest.mark.parametrize("what", FILES)
def test_it_proves_nothing_to_whoever_knows_other_keys(what: str) -> None:
    assert verify_file(FILES[what]).verdict is Verdict.INCOMPLETE
    others = [signed_agreement(agreement(AURORA, COPPER)), signed_agreement(agreement(BLUEBIRD, COPPER))]
    for each in others:
        by = verify_file(FILES[what], agreements=[each]).verdict
        accused = AURORA if ("fork" in what or "roots" in what or "PREPAREs" in what) else BLUEBIRD
        assert by is (Verdict.HELD if accused.party in each.agreement.parties else Verdict.INCOMPLETE)
