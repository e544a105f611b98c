import msgspec
import pytest

from protocol.audit.findings import FindingCode, Findings, Verdict
from protocol.audit.log import LogAudit, audit_log
from protocol.audit.matching import PairReport, match_pair
from protocol.audit.report import make_report
from protocol.audit.settlements import Half as Side
from protocol.audit.settlements import Notice, WindowBook, Word, match_notices, match_settlement
from protocol.ledger.state import AGREEMENTS
from protocol.messages import EntryReference
from tests.support.audits import Alliance, Half, MemorySource, alliance, hand_over
from tests.support.documents import AURORA, digest
from tests.support.ledger import give_notice, receive
from tests.support.settled_logs import agreed, paid, reconciled, settled_alliance
from tests.support.windows import compute, propose


def audited(half: Half, *, size: int | None = None) -> LogAudit:
    return audit_log(MemorySource(half.files(size=size), label=half.name))


def matched(made: Alliance) -> PairReport:
    return match_pair(audited(made.source), audited(made.destination))


def test_two_logs_that_settled_match_and_show_what_is_due_and_paid() -> None:
    made = settled_alliance()
    one, two = audited(made.source), audited(made.destination)
    report = match_pair(one, two)
    assert (report.verdict, report.findings) == (Verdict.HELD, ())
    assert (report.statements, report.payments) == (1, 1)
    assert {one.findings.verdict, two.findings.verdict} == {Verdict.HELD}
    assert one.figures is not None
    lines = {line.account: int(line.amount) for line in one.figures.money}
    assert lines["paid"] > 0
    assert lines["due"] == 0
    assert lines["payable"] == 12_500_000
    text = "\n".join(make_report([one, two]).lines())
    assert "1 statements agreed, 1 payments confirmed" in text


def test_what_the_partner_has_not_heard_of_yet_is_no_fault() -> None:
    made = reconciled()
    agreed(made, heard=False)
    report = matched(made)
    assert (report.verdict, report.statements) == (Verdict.HELD, 0)
    made = reconciled()
    agreed(made)
    paid(made, heard=False)
    report = matched(made)
    assert (report.verdict, report.statements, report.payments) == (Verdict.HELD, 1, 0)


def test_a_log_that_was_given_only_in_part_is_behind() -> None:
    made = settled_alliance()
    whole, part = audited(made.source), audited(made.destination, size=len(made.destination.ledger.sealed) - 1)
    report = match_pair(whole, part)
    assert report.verdict is Verdict.INCOMPLETE
    assert {finding.code for finding in report.findings} == {FindingCode.BEHIND}


def test_a_statement_over_another_root_of_its_own_log_is_broken() -> None:
    made = reconciled()
    one, other = made.source, made.destination
    document = compute(one.ledger, other.ledger, 1)
    first, second = document.checkpoints
    wrong = msgspec.structs.replace(
        document, checkpoints=(msgspec.structs.replace(first, root=digest("another")), second)
    )
    propose(one.ledger, other.ledger, wrong)
    audit = audited(one)
    assert {finding.code for finding in audit.findings.listed} == {FindingCode.FORKED}
    wrong = msgspec.structs.replace(
        document, checkpoints=(first, msgspec.structs.replace(second, root=digest("another")))
    )
    made = reconciled()
    propose(made.source.ledger, made.destination.ledger, wrong)
    report = matched(made)
    assert {finding.code for finding in report.findings} == {FindingCode.FORKED}


def test_a_message_that_an_entry_of_settlement_rests_on_is_missing() -> None:
    made = settled_alliance()
    made.source.received = made.source.received[:1]
    codes = {finding.code for finding in audited(made.source).findings.listed}
    assert codes == {FindingCode.MESSAGE_MISSING}


def ended(made: Alliance, *, heard: bool = True) -> None:
    """Let the first party give notice of the agreement's end."""
    one, other = made.source, made.destination
    (record,) = (record for _, record in one.ledger.state.rows(AGREEMENTS))
    body = one.ledger.body(give_notice(one.ledger, record.signed))
    if heard:
        hand_over(one, other, [body])
        receive(other.ledger, body)


def test_an_agreement_that_both_know_to_end_ends_at_one_time() -> None:
    made = alliance()
    ended(made)
    assert (matched(made).verdict, matched(made).findings) == (Verdict.HELD, ())
    part = match_pair(audited(made.source, size=len(made.source.ledger.sealed) - 1), audited(made.destination))
    assert [(finding.verdict, finding.code) for finding in part.findings] == [(Verdict.INCOMPLETE, "behind")]
    made = alliance()
    ended(made, heard=False)
    assert matched(made).verdict is Verdict.HELD


def notice(seq: int, name: str, *, promised: int | None = None) -> Notice:
    cited = None if promised is None else EntryReference(seq=promised, leaf=digest("leaf"))
    word = Word(digest=digest(name), seq=seq, promised=cited)
    return Notice(ends_at=f"2027-01-0{seq}T00:00:00.000000Z", word=word)


@pytest.mark.parametrize(
    ("ours", "theirs", "code"),
    [
        (notice(1, "end"), notice(2, "end", promised=1), None),
        (notice(1, "end"), None, None),
        (notice(1, "end"), notice(2, "another", promised=1), FindingCode.AGREEMENTS_DIFFER),
        (None, notice(2, "end", promised=1), FindingCode.AGREEMENTS_DIFFER),
        (None, notice(2, "end", promised=9), FindingCode.BEHIND),
    ],
)
def test_an_agreement_ends_at_both_by_the_same_notices(
    ours: Notice | None, theirs: Notice | None, code: FindingCode | None
) -> None:
    name = (digest("agreement"), AURORA.ledger)
    for swap in (False, True):
        findings = Findings()
        halves = [
            Side(name=who, size=9, windows={}, notices={} if one is None else {name: one})
            for who, one in (("one", ours), ("two", theirs))
        ]
        match_notices(halves[swap], halves[not swap], findings)
        assert {finding.code for finding in findings.listed} == ({str(code)} if code else set())


WORD = Word(digest=digest("one"), seq=3, promised=EntryReference(seq=5, leaf=digest("leaf")))


def book(**fields: object) -> WindowBook:
    found = WindowBook()
    for name, value in fields.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize(
    ("ours", "theirs", "code"),
    [
        (book(agreed=WORD), book(agreed=Word(digest=digest("two"), seq=4)), FindingCode.STATEMENTS_DIFFER),
        (book(agreed=WORD), book(), FindingCode.STATEMENTS_DIFFER),
        (book(confirmed=WORD), book(), FindingCode.STATEMENTS_DIFFER),
        (book(announced={digest("one"): WORD}), book(), FindingCode.STATEMENTS_DIFFER),
        (book(announced={digest("one"): WORD}), book(sent={digest("one"): 5}), None),
        (book(agreed=Word(digest=digest("one"), seq=3)), book(), None),
    ],
)
def test_statements_differ_where_one_log_has_what_the_other_denies(
    ours: WindowBook, theirs: WindowBook, code: FindingCode | None
) -> None:
    for swap in (False, True):
        findings = Findings()
        halves = [Side(name="one", size=9, windows={1: ours}), Side(name="two", size=9, windows={1: theirs})]
        match_settlement(halves[swap], halves[not swap], findings)
        assert {finding.code for finding in findings.listed} == ({str(code)} if code else set())
