"""Lines that were entered in dispute, in the working papers: open until a statement lists them."""

from collections import Counter

import pytest

from protocol.audit.log import audit_log
from protocol.audit.open_items import ItemKind
from protocol.audit.papers import last_day, make_papers
from protocol.audit.registers import Register
from protocol.audit.report import make_report
from tests.support.audits import Half, MemorySource
from tests.support.ledger import convert, pair_of
from tests.support.settled import doubt, rejected_and_credited
from tests.support.succession import recovered
from tests.support.successions import all_files
from tests.support.windows import close_both, dispute, take


@pytest.mark.parametrize("lost", [False, True])
def test_a_line_that_was_entered_in_dispute_is_unbilled_until_a_statement_lists_it(*, lost: bool) -> None:
    pair = pair_of()
    one, other = pair.source, pair.destination
    claimed = rejected_and_credited(pair)
    convert(one, other, pair.sender, 400, name="kept")
    close_both(one, other, 1)
    size = len(one.sealed)
    take(other, one.body(dispute(one, other, doubt(claimed), source=one.name, entered=(claimed,))))
    ledger = recovered(one, size, other) if lost else one
    audits = [audit_log(MemorySource(all_files(Half(ledger)), ledger.name))]
    found = make_papers(make_report(audits), audits, as_of=last_day(audits), since=None, samples={})
    (programme,) = found.programmes
    assert [position.difference for position in programme.positions] == ["0"]
    assert Counter(item.kind for item in programme.open_items) == {ItemKind.UNBILLED: 1}
    (entered,) = (row for row in programme.registers[Register.ADJUSTMENTS] if row.why == "entered")
    assert (entered.partner, entered.amount) == (other.name, str(claimed.value))
