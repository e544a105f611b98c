"""An auditor's directory: what it spares, what it refuses, and what two of them find when they meet."""

from pathlib import Path

import pytest

from node.services.audits.audit_state import NOTE_SUFFIX, STATE_SUFFIX, AuditState
from node.services.audits.auditing import Audited, Auditing, Held, anchors_of, held_by
from protocol.agreement import SignedAgreement
from protocol.audit.accuse import Accusation
from protocol.audit.evidence import encode_evidence
from protocol.audit.findings import Verdict
from protocol.audit.kept import StateInvalid
from protocol.audit.verify import verify_file
from protocol.checkpoint import Checkpoint
from protocol.errors import CouldNotCheck
from protocol.merkle import EMPTY_ROOT
from tests.support.audits import Alliance, Half, MemorySource, alliance, busy_alliance, signed_checkpoint, verifier_of
from tests.support.documents import AURORA, BLUEBIRD, signed_agreement
from tests.support.ledger import open_holder
from tests.support.settled_logs import settled_alliance

FILLERS = 12


def sources(made: Alliance) -> list[MemorySource]:
    return [MemorySource(half.files(), half.name) for half in made.halves]


def resumed(audited: Audited) -> list[int]:
    return [log.resumed for log in audited.report.logs]


def codes(audited: Audited) -> list[str]:
    return [finding.code for log in audited.report.logs for finding in log.findings]


def history(name: str, *, more: int = 0) -> Half:
    """Return a ledger whose members have this name: another name is another history of the same log."""
    half = alliance().destination
    for number in range(FILLERS + more):
        open_holder(half.ledger, f"{name} {number}")
    return half


def seen_by(directory: Path, *halves: Half) -> AuditState:
    """Return the state of an auditor who was shown these logs."""
    state = AuditState(directory)
    report = Auditing(seen=state).audit([MemorySource(half.files(), half.name) for half in halves]).report
    assert report.verdict is Verdict.HELD
    return state


def test_the_next_audit_goes_on_from_what_held(tmp_path: Path) -> None:
    made = busy_alliance()
    seen = AuditState(tmp_path / "state")
    first = Auditing(seen=seen).audit(sources(made))
    made.converted("more")
    second = Auditing(seen=seen).audit(sources(made))
    assert resumed(first) == [0, 0]
    assert resumed(second) == [log.size for log in first.report.logs]
    assert second.report.verdict is Verdict.HELD
    assert resumed(Auditing(seen=AuditState(seen.directory, fresh=True)).audit(sources(made))) == [0, 0]


def test_what_did_not_hold_is_not_kept(tmp_path: Path) -> None:
    made = busy_alliance()
    files = made.source.files()
    files["tile/0/000.p/19"] = bytes(19 * 32)
    seen = AuditState(tmp_path)
    audited = Auditing(seen=seen).audit([MemorySource(files), MemorySource(made.destination.files())])
    assert audited.report.verdict is Verdict.BROKEN
    assert [state.replay.ledger.ledger for state in seen.states() if state.replay.ledger] == [BLUEBIRD.ledger]
    assert [each.origin for each in seen.checkpoints()] == [BLUEBIRD.ledger]


def test_what_was_kept_is_reported_again_without_any_log(tmp_path: Path) -> None:
    made = settled_alliance()
    seen = AuditState(tmp_path)
    first = Auditing(seen=seen).audit(sources(made))
    recalled = Auditing(seen=seen).recall()
    assert {log.ledger: log.figures for log in recalled.report.logs} == {
        log.ledger: log.figures for log in first.report.logs
    }
    assert recalled.report.verdict is Verdict.HELD
    assert recalled.report.pairs
    with pytest.raises(CouldNotCheck, match="holds no state"):
        Auditing(seen=AuditState(tmp_path / "other")).recall()


def found_of(auditing_found: list[Accusation]) -> None:
    """Hold that each file of evidence convinces a stranger who has the agreement alone."""
    assert auditing_found
    for evidence, proved in auditing_found:
        assert proved.accused == BLUEBIRD.ledger
        judged = verify_file(encode_evidence(evidence), agreements=[signed_agreement()])
        assert judged.verdict is Verdict.HELD, judged


@pytest.mark.parametrize("more", [0, 3, -3])
def test_a_brand_that_shows_two_auditors_two_histories_is_found_when_they_meet(tmp_path: Path, more: int) -> None:
    one = seen_by(tmp_path / "one", history("one"))
    other = seen_by(tmp_path / "other", history("another", more=more))
    found: list[Accusation] = []
    # Nobody is asked for anything: the two directories are enough.
    met = Auditing(seen=one, others=(held_by(other),), accuse=found.append, thrifty=True).recall()
    assert (met.report.verdict, codes(met)) == (Verdict.BROKEN, ["forked"])
    found_of(found)
    # With the brand at hand, the same is found in what it shows now.
    found.clear()
    shown = [MemorySource(history("one", more=1).files())]
    asked = Auditing(others=(held_by(other),), accuse=found.append, thrifty=True).audit(shown)
    assert (asked.report.verdict, codes(asked)) == (Verdict.BROKEN, ["forked"])
    found_of(found)


def test_two_auditors_of_one_history_agree(tmp_path: Path) -> None:
    one = seen_by(tmp_path / "one", history("one"))
    other = seen_by(tmp_path / "other", history("one", more=3))
    found: list[Accusation] = []
    for ours, theirs in ((one, other), (other, one)):
        met = Auditing(seen=ours, others=(held_by(theirs),), accuse=found.append).recall()
        assert met.report.verdict is Verdict.HELD
    assert found == []


def test_a_witness_s_checkpoint_is_enough(tmp_path: Path) -> None:
    half = history("another")
    note = signed_checkpoint(BLUEBIRD, [sealed.data for sealed in half.ledger.sealed])
    one = seen_by(tmp_path, history("one"))
    found: list[Accusation] = []
    held = Held(label="witness", notes=(note,))
    met = Auditing(seen=one, others=(held,), accuse=found.append).recall()
    assert codes(met) == ["forked"]
    found_of(found)
    nonsense = Auditing(seen=one, others=(Held(label="file", notes=(b"nonsense",)),)).recall()
    assert nonsense.report.verdict is Verdict.HELD


def test_a_brand_that_rewrites_an_old_entry_and_signs_everything_anew_is_found(tmp_path: Path) -> None:
    seen = seen_by(tmp_path, history("one"))
    kept = {path: path.read_bytes() for path in tmp_path.iterdir()}
    found: list[Accusation] = []
    rewritten = [MemorySource(history("another", more=5).files())]
    audited = Auditing(seen=seen, accuse=found.append, thrifty=True).audit(rewritten)
    assert (audited.report.verdict, codes(audited), resumed(audited)) == (Verdict.BROKEN, ["forked"], [0])
    found_of(found)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == kept


def test_an_agreement_is_what_a_key_is_known_by() -> None:
    made = busy_alliance()
    known = Auditing(agreements=(signed_agreement(),)).audit(sources(made))
    assert [log.key_given for log in known.report.logs] == [True, True]
    assert set(anchors_of([signed_agreement()])) == {verifier_of(AURORA), verifier_of(BLUEBIRD)}
    half_signed = SignedAgreement(agreement=signed_agreement().agreement, signatures=signed_agreement().signatures[:1])
    with pytest.raises(CouldNotCheck):
        anchors_of([half_signed])


def test_a_state_that_is_damaged_or_of_another_ledger_is_refused_with_a_hint(tmp_path: Path) -> None:
    made = busy_alliance()
    seen = AuditState(tmp_path)
    Auditing(seen=seen).audit(sources(made))
    first, second = sorted(tmp_path.glob(f"*{STATE_SUFFIX}"))
    first_data, second_data = first.read_bytes(), second.read_bytes()
    for wrong in (b"", first_data[:-3], second_data):
        first.write_bytes(wrong)
        with pytest.raises(StateInvalid, match="--fresh"):
            list(seen.states())
    fresh = AuditState(tmp_path, fresh=True)
    assert Auditing(seen=fresh).audit(sources(made)).report.verdict is Verdict.HELD
    assert first.read_bytes() == first_data
    first.unlink()
    first.mkdir()
    with pytest.raises(StateInvalid, match="cannot be read"):
        list(seen.states())


def test_a_damaged_state_leaves_the_audit_unchecked_and_never_held(tmp_path: Path) -> None:
    made = busy_alliance()
    Auditing(seen=AuditState(tmp_path)).audit(sources(made))
    for path in tmp_path.glob(f"*{STATE_SUFFIX}"):
        path.write_bytes(b"")
    audited = Auditing(seen=AuditState(tmp_path)).audit(sources(made))
    assert audited.report.verdict is Verdict.INCOMPLETE
    assert set(codes(audited)) == {"state_invalid"}
    assert all("--fresh" in log.findings[0].detail for log in audited.report.logs)


def test_nothing_is_left_of_a_file_that_was_being_written(tmp_path: Path) -> None:
    made = busy_alliance()
    Auditing(seen=AuditState(tmp_path)).audit(sources(made))
    assert {path.suffix for path in tmp_path.iterdir()} == {NOTE_SUFFIX, STATE_SUFFIX}
    # What a kill left half written is never read.
    for path in list(tmp_path.iterdir()):
        path.with_name(path.name + ".new").write_bytes(b"half")
    assert resumed(Auditing(seen=AuditState(tmp_path)).audit(sources(made))) == [19, 13]


def test_what_has_no_ledger_s_name_has_no_state(tmp_path: Path) -> None:
    assert AuditState(tmp_path).find(Checkpoint(origin="nonsense", size=0, root=EMPTY_ROOT)) is None


def test_a_directory_without_checkpoints_is_nothing_to_compare_with(tmp_path: Path) -> None:
    with pytest.raises(CouldNotCheck, match="holds no checkpoint"):
        held_by(AuditState(tmp_path))
