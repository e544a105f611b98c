"""A trust policy decides what counts: for one file, and for a whole log."""

import json
from pathlib import Path

import pytest

from protocol.__main__ import main
from protocol.audit.findings import FindingCode, Verdict
from protocol.audit.log import LogAudit, audit_log
from protocol.audit.pages import CHECKPOINT_PATH
from protocol.audit.report import make_report
from protocol.audit.verify import verify_file
from protocol.checkpoint import parse_checkpoint, sign_cosignature
from protocol.keys import SigningKey
from protocol.merkle import MemoryTree, leaf_hash
from protocol.note import KeyType, Verifier, format_note, format_vkey, parse_note
from protocol.policy import Policy, parse_policy
from protocol.proof import Receipt, format_receipt
from tests.support.audits import MemorySource, files_of, signed_checkpoint, verifier_of
from tests.support.documents import AURORA, BLUEBIRD
from tests.support.ledger import issue, new_ledger, open_holder


def entries() -> list[bytes]:
    """Return the entries of a log without partners."""
    ledger = new_ledger(AURORA, needs=False)
    ann = open_holder(ledger, "ann", points=500)
    for amount in (10, 20, 30, 40):
        issue(ledger, ann, amount)
    return [sealed.data for sealed in ledger.sealed]


ENTRIES = entries()
KEYS = [SigningKey(bytes([number]) * 32) for number in (1, 2, 3)]
NAMES = [f"w{number}.example" for number in (1, 2, 3)]


def policy(*lines: str, log: str | None = None) -> Policy:
    return parse_policy(policy_bytes(*lines, log=log))


def policy_bytes(*lines: str, log: str | None = None) -> bytes:
    witnesses = [
        f"witness {name} {format_vkey(Verifier(name, key.public, KeyType.COSIGNATURE))}"
        for name, key in zip(NAMES, KEYS, strict=True)
    ]
    logs = [f"log {log or format_vkey(verifier_of(AURORA))}"]
    return "".join(f"{line}\n" for line in (*logs, *witnesses, *lines)).encode()


TWO = policy("group two 2 w1.example w2.example w3.example", "quorum two")
OTHER_LOG = policy("quorum none", log=format_vkey(verifier_of(BLUEBIRD)))
NO_LOG = parse_policy(policy_bytes("quorum w1.example").partition(b"\n")[2])


def cosigned(*numbers: int, time_seconds: int = 1) -> bytes:
    note = parse_note(signed_checkpoint(AURORA, ENTRIES))
    checkpoint = parse_checkpoint(note.text)
    lines = [
        sign_cosignature(checkpoint, name=NAMES[number], key=KEYS[number], time_seconds=time_seconds)
        for number in numbers
    ]
    return format_note(note.with_signatures(lines))


def spoiled() -> bytes:
    """Return a checkpoint with a known witness's line that does not verify, and two that do."""
    note = cosigned(0, 1, 2).decode().split("\n")
    note[-2] = note[-2][:-9] + ("A" if note[-2][-9] != "A" else "B") + note[-2][-8:]
    return "\n".join(note).encode()


def receipt(note: bytes) -> bytes:
    proof = MemoryTree(map(leaf_hash, ENTRIES)).inclusion_proof(5)
    return format_receipt(Receipt(extra=ENTRIES[5], index=5, proof=proof, checkpoint=note))


def audited(note: bytes, by: Policy) -> LogAudit:
    return audit_log(MemorySource({**files_of(AURORA, ENTRIES), CHECKPOINT_PATH: note}), policy=by)


ONE_AND_THREE = "'w1.example' has cosigned, 'w2.example' is missing, 'w3.example' has cosigned"


@pytest.mark.parametrize("data", [cosigned(0, 2), receipt(cosigned(0, 2))])
def test_a_file_with_enough_cosignatures_holds(data: bytes) -> None:
    result = verify_file(data, policy=TWO)
    assert (result.verdict, result.code) == (Verdict.HELD, None)
    assert result.lines[-4:] == (
        "w1.example cosigned it as a witness",
        "w3.example cosigned it as a witness",
        f"the quorum 'two' asks for 2 of 3: {ONE_AND_THREE}: enough",
        "these are as many witnesses as the policy asks for",
    )


@pytest.mark.parametrize("data", [cosigned(), cosigned(1), receipt(cosigned(1)), receipt(cosigned(1, 1))])
def test_a_file_with_too_few_is_not_proved_and_not_disproved(data: bytes) -> None:
    result = verify_file(data, policy=TWO)
    assert (result.verdict, result.code) == (Verdict.INCOMPLETE, "quorum_missing")
    assert "w1.example" in result.lines[0]
    assert result.lines[1].startswith("the quorum 'two' asks for 2 of 3: 'w1.example' is missing, 'w2.example' ")
    assert result.lines[1].endswith(": not enough")


@pytest.mark.parametrize("data", [spoiled(), receipt(spoiled())])
def test_a_line_of_a_known_witness_that_does_not_verify_disproves_it(data: bytes) -> None:
    result = verify_file(data, policy=TWO)
    assert (result.verdict, result.code) == (Verdict.BROKEN, "signature_invalid")


def test_a_log_that_the_policy_does_not_know_cannot_be_checked() -> None:
    assert verify_file(cosigned(0, 1, 2), policy=OTHER_LOG).code == "could_not_check"
    assert verify_file(cosigned(0), policy=NO_LOG, verifiers=[verifier_of(AURORA)]).verdict is Verdict.HELD


def test_a_log_with_enough_cosignatures_holds_and_the_report_names_them() -> None:
    report = make_report([audited(cosigned(0, 2), TWO)])
    assert report.verdict is Verdict.HELD
    assert report.logs[0].witnesses == ("w1.example", "w3.example")
    assert report.logs[0].key_given
    assert [line.strip() for line in report.lines() if "witness" in line] == [
        "w1.example cosigned the checkpoint as a witness",
        "w3.example cosigned the checkpoint as a witness",
    ]


@pytest.mark.parametrize(
    ("note", "by", "verdict", "code"),
    [
        (cosigned(1), TWO, Verdict.INCOMPLETE, FindingCode.QUORUM_MISSING),
        (cosigned(1), OTHER_LOG, Verdict.INCOMPLETE, FindingCode.KEY_UNKNOWN),
        (cosigned(1), NO_LOG, Verdict.INCOMPLETE, FindingCode.QUORUM_MISSING),
        (spoiled(), TWO, Verdict.BROKEN, "signature_invalid"),
    ],
)
def test_a_log_that_the_policy_does_not_accept(note: bytes, by: Policy, verdict: Verdict, code: str) -> None:
    findings = audited(note, by).findings
    assert findings.verdict is verdict
    assert [(each.place, each.code) for each in findings.listed] == [(CHECKPOINT_PATH, code)]


def test_a_policy_without_logs_leaves_them_to_genesis() -> None:
    audit = audited(cosigned(0), NO_LOG)
    assert audit.findings.verdict is Verdict.HELD
    assert not audit.key_given


def test_the_module_reads_a_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "policy").write_bytes(policy_bytes("quorum w1.example"))
    (tmp_path / "receipt").write_bytes(receipt(cosigned(0)))
    (tmp_path / "bare").write_bytes(receipt(cosigned()))
    by = ["--policy", str(tmp_path / "policy")]
    assert main(["verify", str(tmp_path / "receipt"), *by]) == 0
    assert main(["verify", str(tmp_path / "bare"), *by]) == 3
    capsys.readouterr()
    assert main(["verify", str(tmp_path / "bare"), "--json", "--policy", str(tmp_path / "receipt")]) == 3
    said = json.loads(capsys.readouterr().out)
    assert (said["code"], said["kind"]) == ("could_not_check", None)
    assert "is no policy to check by" in said["lines"][0]
