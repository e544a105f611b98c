"""Lines that were entered in dispute, in the working papers: open from then on."""

from collections import Counter

import pytest

from protocol.audit.kept import decode_state, encode_state
from protocol.audit.log import LogAudit, audit_log
from protocol.audit.open_items import ItemKind, open_items
from protocol.audit.outcome import audit_of_state
from protocol.audit.papers import ProgrammePapers, last_day, make_papers
from protocol.audit.registers import Register
from protocol.audit.report import make_report
from protocol.statement import Line
from tests.support.audits import Half, MemorySource
from tests.support.ledger import MemoryLedger, Pair, convert, pair_of
from tests.support.settled import doubt, rejected_and_credited
from tests.support.succession import recovered
from tests.support.successions import all_files
from tests.support.windows import agree, close_both, dispute, take


def entered_in_dispute(pair: Pair) -> tuple[Line, int]:
    """Let the source enter a line on the destination's word alone, and return it, and how long its log was before."""
    one, other = pair.source, pair.destination
    claimed = rejected_and_credited(pair)
    convert(one, other, pair.sender, 400, name="kept")
    close_both(one, other, 1)
    size = len(one.sealed)
    take(other, one.body(dispute(one, other, doubt(claimed), source=one.name, entered=(claimed,))))
    return claimed, size


def audit_of(ledger: MemoryLedger) -> LogAudit:
    return audit_log(MemorySource(all_files(Half(ledger)), ledger.name))


def papers_of(audit: LogAudit) -> ProgrammePapers:
    found = make_papers(make_report([audit]), [audit], as_of=last_day([audit]), since=None, samples={})
    (programme,) = found.programmes
    return programme


@pytest.mark.parametrize("lost", [False, True])
def test_a_line_that_was_entered_in_dispute_is_unbilled(*, lost: bool) -> None:
    pair = pair_of()
    one, other = pair.source, pair.destination
    claimed, size = entered_in_dispute(pair)
    audit = audit_of(recovered(one, size, other) if lost else one)
    found = papers_of(audit)
    assert [position.difference for position in found.positions] == ["0"]
    assert Counter(item.kind for item in found.open_items) == {ItemKind.UNBILLED: 1}
    assert open_items(audit, "2026-02-28") == (), "nothing was owed on the day before"
    (entered,) = (row for row in found.registers[Register.ADJUSTMENTS] if row.why == "entered")
    assert (entered.partner, entered.amount) == (other.name, str(claimed.value))


def test_a_line_that_was_entered_in_dispute_is_disputed_once_a_statement_lists_it() -> None:
    pair = pair_of()
    entered_in_dispute(pair)
    agree(pair.source, pair.destination, 1)
    found = papers_of(audit_of(pair.source))
    assert [position.difference for position in found.positions] == ["0"]
    assert Counter(item.kind for item in found.open_items) == {ItemKind.UNPAID: 1, ItemKind.DISPUTED: 1}


def test_an_audit_that_goes_on_knows_the_lines_that_were_entered_before() -> None:
    pair = pair_of()
    entered_in_dispute(pair)
    whole = audit_of(pair.source)
    state = decode_state(encode_state(whole.state))
    assert papers_of(audit_of_state(state, whole.label)) == papers_of(whole)
