"""An audit makes the files that prove to strangers who did what it found, and none where nothing was done."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from node.cli.main import run
from node.services.audits.audit_state import AuditState
from node.services.audits.auditing import audit
from protocol.__main__ import main
from protocol.agreement import encode_signed_agreement
from protocol.audit.accuse import Accusation
from protocol.audit.evidence import Subject, encode_evidence
from protocol.audit.findings import Verdict
from protocol.audit.verify import verify_file
from protocol.errors import CouldNotCheck
from protocol.messages import Fulfil, Prepare
from tests.support import parcels
from tests.support.audits import (
    Alliance,
    Half,
    MemorySource,
    alliance,
    answer,
    busy_alliance,
    checkpoint_of,
    hand_over,
    signed_checkpoint,
)
from tests.support.documents import AURORA, BLUEBIRD, fulfil, query, reject, signed_agreement
from tests.support.ledger import ask_cancel, open_holder, receive

SIGNED = signed_agreement()
FILLERS = 12


def sources(made: Alliance) -> list[MemorySource]:
    return [MemorySource(half.files(), half.name) for half in made.halves]


def found_in(halves: list[MemorySource], *, seen: AuditState | None = None) -> list[Accusation]:
    """Return what an audit of these logs hands out; every file is accepted with the two brands' keys alone."""
    found: list[Accusation] = []
    report = audit(halves, seen=seen, accuse=found.append)
    assert report.verdict is (Verdict.BROKEN if found else Verdict.HELD)
    for evidence, proved in found:
        judged = verify_file(encode_evidence(evidence), agreements=[SIGNED])
        assert judged.verdict is Verdict.HELD, judged
        assert proved.accused in judged.lines[0]
    return found


def entries_of(half: Half) -> list[bytes]:
    return [sealed.data for sealed in half.ledger.sealed]


def asking(made: Alliance, checkpoint: bytes) -> None:
    """Let BLUEBIRD say something to AURORA with a checkpoint."""
    ask = msgspec.structs.replace(query(), source=BLUEBIRD.ledger, destination=AURORA.ledger)
    hand_over(made.destination, made.source, [ask], checkpoint=checkpoint)


def another_leaf_at_a_promised_place() -> list[MemorySource]:
    made, other = alliance(), alliance()
    prepare = made.ordered("one")
    open_holder(made.destination.ledger, "somebody")
    body = made.destination.ledger.body(answer(made.source, made.destination, prepare))
    answer(made.destination, made.source, body)
    other.converted("one")
    for number in range(FILLERS):
        open_holder(other.destination.ledger, f"filler {number}")
    return [sources(made)[0], sources(other)[1]]


def a_promise_beyond_the_end() -> list[MemorySource]:
    made = alliance()
    promised = made.decided("one")
    size = len(made.destination.ledger.sealed) - 1
    short = signed_checkpoint(BLUEBIRD, entries_of(made.destination)[:size])
    answer(made.destination, made.source, promised, checkpoint=short)
    return sources(made)


def another_history_than_a_partner_was_shown() -> list[MemorySource]:
    made = alliance()
    asking(made, signed_checkpoint(BLUEBIRD, [*entries_of(made.destination)[:3], b"{}"]))
    return sources(made)


def two_roots_of_a_size_beyond_the_log() -> list[MemorySource]:
    made = alliance()
    for last in (b"{}", b"[]"):
        asking(made, signed_checkpoint(BLUEBIRD, [*entries_of(made.destination), b"", last]))
    return [sources(made)[0]]


def two_decisions() -> list[MemorySource]:
    made = alliance()
    prepare = made.ordered("one")
    assert isinstance(prepare, Prepare)
    credit = answer(made.source, made.destination, prepare)
    answer(made.destination, made.source, made.destination.ledger.body(credit))
    lie = msgspec.structs.replace(reject(prepare), entry=credit.reference)
    hand_over(made.destination, made.source, [lie])
    return sources(made)


def two_decisions_of_two_epochs(*, applied: int) -> list[MemorySource]:
    """Let AURORA keep a decision and sign how much it had applied, once BLUEBIRD was back from an old copy."""
    made = alliance()
    prepare = made.ordered("one")
    assert isinstance(prepare, Prepare)
    hand_over(made.destination, made.source, [fulfil(prepare)])
    wish = made.source.ledger.body(ask_cancel(made.source.ledger, name="one"))
    fence = parcels.acknowledgement(epoch=2, before=(1, applied))
    hand_over(made.source, made.destination, [wish], acknowledges=fence)
    refusal = made.destination.ledger.body(receive(made.destination.ledger, wish))
    hand_over(made.destination, made.source, [refusal], epoch=2)
    receive(made.source.ledger, refusal)
    return sources(made)


FOUND: dict[Callable[[], list[MemorySource]], Subject] = {
    another_leaf_at_a_promised_place: Subject.PROMISE,
    another_history_than_a_partner_was_shown: Subject.LOG,
    two_roots_of_a_size_beyond_the_log: Subject.LOG,
    two_decisions: Subject.DECISION,
}


@pytest.mark.parametrize("act", FOUND, ids=lambda act: act.__name__)
def test_what_an_audit_finds_is_handed_out_as_a_file(act: Callable[[], list[MemorySource]]) -> None:
    (accusation,) = found_in(act())
    assert (accusation[1].accused, accusation[1].subject) == (BLUEBIRD.ledger, FOUND[act])


def test_a_promise_that_was_kept_later_is_evidence_all_the_same() -> None:
    """The log has the entry now, so the audit holds; what was signed with the promise lacked it."""
    found: list[Accusation] = []
    report = audit(a_promise_beyond_the_end(), accuse=found.append)
    assert report.verdict is Verdict.HELD
    ((evidence, proved),) = found
    assert proved.subject is Subject.PROMISE
    assert verify_file(encode_evidence(evidence), agreements=[SIGNED]).verdict is Verdict.HELD


def test_two_orders_are_found_in_the_messages_of_the_one_who_got_them() -> None:
    made = alliance()
    prepare = made.ordered("one")
    answer(made.source, made.destination, prepare)
    assert isinstance(prepare, Prepare)
    hand_over(
        made.source, made.destination, [msgspec.structs.replace(prepare, accept_by="2026-03-01T12:09:00.000000Z")]
    )
    found: list[Accusation] = []
    audit(sources(made), accuse=found.append)
    assert [(proved.accused, proved.subject) for _, proved in found] == [(AURORA.ledger, Subject.ORDER)]


def test_what_the_accused_can_answer_is_no_evidence() -> None:
    found: list[Accusation] = []
    audit(two_decisions_of_two_epochs(applied=2), accuse=found.append)
    assert [(proved.accused, proved.subject) for _, proved in found] == [(BLUEBIRD.ledger, Subject.DECISION)]
    found = []
    audit(two_decisions_of_two_epochs(applied=1), accuse=found.append)
    assert found == []


def test_honest_logs_lead_to_no_evidence() -> None:
    made = busy_alliance()
    asking(made, signed_checkpoint(BLUEBIRD, entries_of(made.destination)))
    asking(made, signed_checkpoint(BLUEBIRD, entries_of(made.destination)[:-2]))
    assert found_in(sources(made)) == []


def test_a_history_that_replaced_the_one_seen_before_is_found(tmp_path: Path) -> None:
    made, other = alliance(), alliance()
    made.converted("one")
    other.converted("another")
    for number in range(FILLERS):
        open_holder(other.destination.ledger, f"filler {number}")
    seen = AuditState(tmp_path / "state")
    assert found_in(sources(made)[1:], seen=seen) == []
    ((evidence, proved),) = found_in(sources(other)[1:], seen=seen)
    assert proved.name == f"{BLUEBIRD.ledger} {len(made.destination.ledger.sealed)}"
    assert evidence.__struct_config__.tag == "fork"


def test_what_is_remembered_and_cannot_be_read_is_said(tmp_path: Path) -> None:
    seen = AuditState(tmp_path)
    seen.remember(checkpoint_of(AURORA, [b"one"]), signed_checkpoint(AURORA, [b"one"]))
    (path,) = tmp_path.iterdir()
    assert list(seen.notes()) == [path.read_bytes()]
    path.unlink()
    path.mkdir()
    with pytest.raises(CouldNotCheck):
        list(seen.notes())


def packed(logs: list[MemorySource], tmp_path: Path) -> list[str]:
    """Return the audit packages of `logs`."""
    made = []
    for place, source in enumerate(logs):
        made.append(str(tmp_path / f"{place}.zip"))
        with zipfile.ZipFile(made[-1], "w") as archive:
            for name, data in source.files.items():
                archive.writestr(name, data)
    return made


@pytest.fixture
def packages(tmp_path: Path) -> list[str]:
    return packed(another_leaf_at_a_promised_place(), tmp_path)


def test_the_command_writes_them(packages: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", *packages, "--evidence", str(tmp_path / "found")]) == 1
    (path,) = (tmp_path / "found").iterdir()
    assert path.name.startswith("promise-")
    assert f"wrote {path}: {BLUEBIRD.ledger} about its entry" in capsys.readouterr().err
    paper = tmp_path / "agreement.json"
    paper.write_bytes(encode_signed_agreement(SIGNED))
    assert run(["verify", str(path), "--agreement", str(paper)]) == 0
    (tmp_path / "file").touch()
    assert run(["audit", *packages, "--evidence", str(tmp_path / "file")]) == 3
    # Without the option nothing is written.
    assert run(["audit", *packages]) == 1


def accused(tmp_path: Path, *, applied: int) -> tuple[str, str, list[str]]:
    """Return a file against BLUEBIRD, BLUEBIRD's package, and the options that name the keys of both."""
    aurora, bluebird = two_decisions_of_two_epochs(applied=applied)
    _, package = packed([aurora, bluebird], tmp_path)
    found: list[Accusation] = []
    audit([aurora], accuse=found.append)
    file, paper = tmp_path / "evidence.json", tmp_path / "agreement.json"
    file.write_bytes(encode_evidence(found[0][0]))
    paper.write_bytes(encode_signed_agreement(SIGNED))
    return str(file), package, ["--agreement", str(paper)]


def test_the_accused_answers_from_its_own_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, package, keys = accused(tmp_path, applied=1)
    assert run(["verify", file, *keys]) == 0
    answer_file = str(tmp_path / "answer.json")
    assert run(["evidence", "answer", file, package, answer_file, *keys]) == 0
    assert f"wrote the answer, for verify --answer: {answer_file}" in capsys.readouterr().out
    assert run(["verify", answer_file, *keys]) == 0
    assert run(["verify", file, "--answer", answer_file, *keys]) == 1
    assert main(["verify", file, "--answer", answer_file, *keys]) == 1
    assert capsys.readouterr().out.count("DISPROVED: contradiction\n  the FULFIL of bluebird.example/main.1") == 2


def test_there_is_no_answer_to_what_was_applied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, package, keys = accused(tmp_path, applied=2)
    assert run(["evidence", "answer", file, package, str(tmp_path / "answer.json"), *keys]) == 3
    assert "it stands" in capsys.readouterr().err
    assert not (tmp_path / "answer.json").exists()
    assert run(["evidence", "answer", package, package, str(tmp_path / "answer.json"), *keys]) != 0


def test_a_fulfil_without_evidence_stays_without(tmp_path: Path) -> None:
    made = alliance()
    honest = made.decided("one")
    assert isinstance(honest, Fulfil)
    answer(made.destination, made.source, honest, checkpoint=signed_checkpoint(BLUEBIRD, entries_of(made.destination)))
    assert found_in(sources(made)) == []
    assert list(tmp_path.iterdir()) == []
