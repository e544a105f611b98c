"""The end of a partnership in an audit: who is a partner no more, and closing roots that are those of the logs."""

import msgspec
import pytest

from protocol.audit.findings import FindingCode
from protocol.audit.log import LogAudit, audit_log
from protocol.audit.registers import Register, RegisterBook
from protocol.audit.settlements import SettlementBook
from protocol.entries import Sealed, unseal
from protocol.identifiers import Digest
from protocol.ledger import names, rules
from protocol.ledger.run_off_commands import EndPartner
from protocol.ledger.view import Overlay
from protocol.run_off_entries import PartnerEnded
from tests.support.audits import MemorySource, files_of
from tests.support.departing import departed
from tests.support.documents import AURORA, COPPER, digest
from tests.support.ledger import MemoryLedger, add_partner, new_ledger
from tests.support.windows import checkpoint


def ended(ledger: MemoryLedger) -> Sealed:
    return next(sealed for sealed in ledger.sealed if isinstance(sealed.entry, PartnerEnded))


def audit(ledger: MemoryLedger) -> LogAudit:
    return audit_log(MemorySource(files_of(AURORA, [sealed.data for sealed in ledger.sealed])))


def test_the_end_stands_in_the_register_of_keys() -> None:
    book, view = RegisterBook(), Overlay(complete=True)
    ledger = departed().source
    for sealed in ledger.sealed:
        rules.apply(view, unseal(sealed.data))
        book.add(sealed, view)
    (row,) = [row for row in book.of(Register.KEYS, end_seq=len(ledger.sealed)) if row.kind == "partner_ended"]
    assert (row.about, row.why) == ("a partner no more", "contract_over")


@pytest.mark.parametrize("forged", [False, True])
def test_a_closing_root_is_compared_with_the_log(forged: bool) -> None:
    ledger = departed().source
    sealed = ended(ledger)
    assert isinstance(sealed.entry, PartnerEnded)
    entry = sealed.entry
    if forged:
        wrong = msgspec.structs.replace(entry.checkpoint, root=Digest(digest("forged")))
        entry = msgspec.structs.replace(entry, checkpoint=wrong)
    found = audit(ledger)
    book, view = SettlementBook(), Overlay(complete=True)
    for each in ledger.sealed:
        rules.apply(view, unseal(each.data))
        book.add(each, view)
    if forged:
        book.add(Sealed(entry, sealed.data, sealed.leaf), view)
    before = len(found.findings.listed)
    book.check(ledger.name, found.replay, where="log", findings=found.findings)
    told = [each.code for each in found.findings.listed[before:]]
    assert told == ([FindingCode.FORKED] if forged else [])


def test_a_partner_of_whose_log_nothing_was_seen_claims_nothing() -> None:
    ledger = new_ledger()
    add_partner(ledger, COPPER)
    command = EndPartner(
        id=names.partner_ended_id(COPPER.ledger),
        partner=COPPER.ledger,
        reason="contract_over",
        checkpoint=checkpoint(ledger),
        partner_checkpoint=None,
    )
    sealed = ledger.execute(command)
    book = SettlementBook()
    book.add(sealed, ledger.state)
    assert set(book.claims) == {ledger.name}
