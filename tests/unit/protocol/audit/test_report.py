import json

import pytest

from protocol.audit.findings import EXIT_STATUS, FINDINGS_MAX, FindingCode, Findings, Verdict, worst
from protocol.audit.log import audit_log
from protocol.audit.report import make_report
from protocol.checkpoint import sign_cosignature
from protocol.identifiers import Ledger, partner_of
from protocol.keys import Role
from protocol.note import KeyType, Verifier, format_note, parse_note
from tests.support.audits import MemorySource, busy_alliance, checkpoint_of, files_of, verifier_of
from tests.support.documents import AURORA, BLUEBIRD, COPPER
from tests.support.ledger import issue, new_ledger, open_holder


def test_the_report_of_two_logs_that_hold() -> None:
    made = busy_alliance()
    verifiers = [verifier_of(AURORA)]
    report = make_report([audit_log(MemorySource(half.files()), verifiers=verifiers) for half in made.halves])
    assert report.verdict is Verdict.HELD
    lines = list(report.lines())
    assert lines[0].startswith("aurora.example/main.1: held, 19 entries under ")
    assert lines[2] == (
        "  AUR: 0 at the start + 100,000 issued + 360 converted in − 3,200 converted out = 97,160; holders have 97,160"
    )
    assert "  the key is the one that genesis names: compare it with what the operator told you" not in lines[:9]
    assert "  receivable bluebird.example/main: 2.40 USD" in lines[:9]
    there, back = f"{AURORA.ledger} to {BLUEBIRD.ledger}", f"{BLUEBIRD.ledger} to {AURORA.ledger}"
    assert lines[-4:] == [
        f"{AURORA.ledger} and {BLUEBIRD.ledger}: held, 1 agreement in both",
        f"  {there}: 2 completed and 2 returned match, 2 pending; 20.00 USD owed, 20.00 expected",
        f"  {back}: 1 completed and 0 returned match, 0 pending; 2.40 USD owed, 2.40 expected",
        "Verdict: held.",
    ]
    document = json.loads(report.json())
    assert (document["v"], document["verdict"], document["unmatched"]) == (1, "held", [])
    assert [log["ledger"] for log in document["logs"]] == [AURORA.ledger, BLUEBIRD.ledger]
    assert [log["key_given"] for log in document["logs"]] == [True, False]
    assert document["logs"][0]["figures"]["roll_forward"]["closing"] == "97160"


def test_a_partner_whose_log_was_not_given_is_named() -> None:
    made = busy_alliance()
    report = make_report([audit_log(MemorySource(made.source.files()))])
    assert (report.verdict, report.pairs, report.unmatched) == (Verdict.HELD, (), (BLUEBIRD.ledger,))
    assert f"Not matched: conversions with {BLUEBIRD.ledger}, whose log was not given." in report.lines()


def test_a_key_of_a_ledger_that_is_not_audited_leaves_the_audit_incomplete() -> None:
    made = busy_alliance()
    audits = [audit_log(MemorySource(made.source.files()))]
    later = Verifier(Ledger(f"{partner_of(AURORA.ledger)}.3"), verifier_of(AURORA).key)
    witness = Verifier("witness.example", verifier_of(BLUEBIRD).key, KeyType.COSIGNATURE)
    known = make_report(audits, vkeys=[verifier_of(AURORA), later, witness])
    assert (known.verdict, known.absent) == (Verdict.HELD, ())
    report = make_report(audits, vkeys=[verifier_of(COPPER), verifier_of(AURORA), verifier_of(BLUEBIRD)])
    assert (report.verdict, report.absent) == (Verdict.INCOMPLETE, (BLUEBIRD.ledger, COPPER.ledger))
    assert list(report.lines())[-2:] == [
        f"incomplete: a key of {COPPER.ledger} was given, and none of these logs is that ledger's.",
        "Verdict: incomplete.",
    ]


def test_findings_are_in_the_report_and_the_worst_one_is_its_verdict() -> None:
    made = busy_alliance()
    broken, incomplete = made.source.files(), made.destination.files()
    broken["tile/0/000.p/19"] = bytes(19 * 32)
    del incomplete["tile/0/000.p/13"]
    report = make_report([audit_log(MemorySource(files)) for files in (incomplete, broken)])
    assert report.verdict is Verdict.BROKEN
    assert [log.verdict for log in report.logs] == [Verdict.INCOMPLETE, Verdict.BROKEN]
    lines = list(report.lines())
    assert "  incomplete: tile 0/000.p/13: memory has no such tile (missing)" in lines
    assert "  broken: tile 0/000.p/19: the hash of entry 0 is not the one that the entries make (tile_differs)" in lines
    assert lines[-1] == "Verdict: broken."


def test_a_log_that_breaks_a_rule_has_no_figures() -> None:
    made = busy_alliance()
    entries = [sealed.data for sealed in made.source.ledger.sealed]
    report = make_report([audit_log(MemorySource(files_of(AURORA, [*entries[:7], *entries[8:]])))])
    assert report.logs[0].figures is None
    first, second, *rest = report.lines()
    assert first.startswith(f"{AURORA.ledger}: broken, 18 entries under ")
    assert second == "  broken: entry 7: the entry does not follow entry 6 (chain_broken)"
    assert rest[-1] == "Verdict: broken."


def test_a_place_without_a_log_is_in_the_report() -> None:
    report = make_report([audit_log(MemorySource({}, label="https://node.example"))])
    assert report.verdict is Verdict.INCOMPLETE
    assert next(iter(report.lines())) == "https://node.example: incomplete, no checkpoint could be read"
    (log,) = report.logs
    assert (log.ledger, log.size, log.root, log.last_time, log.messages, log.figures) == (
        None,
        None,
        None,
        None,
        0,
        None,
    )


def test_only_the_first_of_many_findings_are_listed() -> None:
    findings = Findings()
    for number in range(FINDINGS_MAX + 5):
        findings.broken(FindingCode.MISSING, f"entry {number}", "text")
    assert (len(findings.listed), findings.count, findings.verdict) == (FINDINGS_MAX, FINDINGS_MAX + 5, Verdict.BROKEN)
    made = busy_alliance()
    made.source.received = made.source.received[:1] * (FINDINGS_MAX + 3)
    report = make_report([audit_log(MemorySource(made.source.files()))])
    # The one greeting that stands is no finding, the five decisions without a message are.
    assert list(report.lines())[-3] == "  and 7 more findings"


def test_what_is_zero_is_left_out_of_the_roll_forward() -> None:
    ledger = new_ledger(AURORA)
    open_holder(ledger, "ann")
    report = make_report([audit_log(MemorySource(files_of(AURORA, [sealed.data for sealed in ledger.sealed])))])
    assert "  AUR: 0 at the start = 0; holders have 0" in report.lines()


def test_the_months_in_which_points_are_lost_are_told() -> None:
    ledger = new_ledger(AURORA)
    issue(ledger, open_holder(ledger, "ann"), 5, expires_on="2026-05-31")
    report = make_report([audit_log(MemorySource(files_of(AURORA, [sealed.data for sealed in ledger.sealed])))])
    assert "  last days: 2026-05 5" in report.lines()


@pytest.mark.parametrize(
    ("verdicts", "expected", "status"),
    [
        ([], Verdict.HELD, 0),
        ([Verdict.HELD, Verdict.INCOMPLETE], Verdict.INCOMPLETE, 3),
        ([Verdict.INCOMPLETE, Verdict.BROKEN, Verdict.HELD], Verdict.BROKEN, 1),
    ],
)
def test_the_weightiest_verdict_wins(verdicts: list[Verdict], expected: Verdict, status: int) -> None:
    assert worst(verdicts) is expected
    assert EXIT_STATUS[worst(verdicts)] == status


def test_the_report_says_which_agreements_hold_a_log_s_key_and_what_was_not_read_again() -> None:
    made = busy_alliance()
    audits = [audit_log(MemorySource(half.files())) for half in made.halves]
    report = make_report(audits)
    assert [[anchor.partner for anchor in log.anchors] for log in report.logs] == [[BLUEBIRD.ledger], [AURORA.ledger]]
    lines = list(report.lines())
    assert f"  the key is the one that genesis names, and the agreement that {BLUEBIRD.ledger} signed" in lines
    audits[0].resumed = 7
    assert "  7 of the entries were verified by an earlier audit, and not read again" in make_report(audits).lines()
    # Another ledger's log says nothing of a key, and neither does an agreement about others.
    stranger = new_ledger(COPPER)
    other = audit_log(MemorySource(files_of(COPPER, [sealed.data for sealed in stranger.sealed])))
    assert make_report([other, audits[0]]).logs[0].anchors == ()


def test_the_cosignatures_of_partners_are_verified_and_named() -> None:
    made = busy_alliance()
    files = made.source.files()
    entries = [sealed.data for sealed in made.source.ledger.sealed]
    note, checkpoint = parse_note(files["checkpoint"]), checkpoint_of(AURORA, entries)
    key = BLUEBIRD.signing_keys[Role.WITNESS]
    line = sign_cosignature(checkpoint, name=BLUEBIRD.ledger, key=key, time_seconds=1_772_000_000)
    files["checkpoint"] = format_note(note.with_signatures([line]))
    report = make_report([audit_log(MemorySource(files))])
    assert (report.verdict, report.logs[0].cosigners) == (Verdict.HELD, (BLUEBIRD.ledger,))
    assert f"  {BLUEBIRD.ledger} cosigned the checkpoint as a partner" in report.lines()
    other = sign_cosignature(checkpoint_of(AURORA, entries[:3]), name=BLUEBIRD.ledger, key=key, time_seconds=5)
    files["checkpoint"] = format_note(note.with_signatures([other]))
    broken = make_report([audit_log(MemorySource(files))])
    assert [(finding.place, finding.code) for finding in broken.logs[0].findings] == [
        ("checkpoint", "signature_invalid")
    ]
