"""The register of appeals: each as it stood at the end of a day, overdue from the day after its deadline on."""

from protocol.appeal_entries import AppealOutcome
from protocol.audit.appeals import OVERDUE, UNDECIDED, AppealLine
from protocol.audit.log import audit_log
from protocol.audit.papers import make_papers
from protocol.audit.report import make_report
from tests.support.appeals import appeal, rule
from tests.support.audits import Alliance, MemorySource, alliance
from tests.support.documents import uuid
from tests.support.ledger import issue


def appeals(made: Alliance, as_of: str) -> tuple[AppealLine, ...]:
    audits = [audit_log(MemorySource(half.files(), half.name)) for half in made.halves]
    return make_papers(make_report(audits), audits, as_of=as_of, samples={}).programmes[0].appeals


def test_an_appeal_is_undecided_then_overdue_then_decided() -> None:
    made = alliance()
    ledger, member = made.pair.source, made.pair.sender
    opened = appeal(ledger, member, days=2, about=None)
    days = [ledger.wall[:10]]
    for _ in range(5):
        ledger.advance(days=1)
        days.append(ledger.wall[:10])
        if len(days) == 5:
            rule(ledger, AppealOutcome.UPHELD)
    issue(ledger, member, 1)
    found = [appeals(made, day)[0] for day in days]
    states = [line.state for line in found]
    assert states == [UNDECIDED, UNDECIDED, OVERDUE, OVERDUE, "upheld", "upheld"]
    assert {line.opened_seq for line in found} == {opened.entry.seq}
    assert [line.decided_seq for line in found[:4]] == [None] * 4
    assert found[-1].decided_seq == ledger.sealed[-2].entry.seq
    assert found[0].appeal == uuid("appeal")
    assert found[0].account == member
