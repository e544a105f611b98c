"""Terms are set by an entry, and every later entry is judged by them."""

import msgspec
import pytest

from protocol.errors import Code
from protocol.ledger.program_commands import SetProgram
from protocol.ledger.program_state import PROGRAM, ProgramRecord
from protocol.ledger.programs import terms_of
from protocol.ledger.state import ONLY
from protocol.program import DEFAULT_TERMS, ExpiryRule, ProgramTerms
from protocol.program_entries import ProgramSet
from tests.support.documents import uuid
from tests.support.ledger import MemoryLedger, Pair, issue, pair_of, refused, replay, rows_of
from tests.unit.protocol.test_program import BERLIN


@pytest.fixture
def ledger() -> MemoryLedger:
    return pair_of().source


@pytest.fixture
def pair() -> Pair:
    return pair_of()


def test_terms_are_in_force_from_their_entry_on(ledger: MemoryLedger) -> None:
    assert terms_of(ledger.state) == DEFAULT_TERMS
    entered = ledger.execute(SetProgram(id=uuid("terms"), terms=BERLIN, reason="opening"))
    assert isinstance(entered.entry, ProgramSet)
    assert ledger.state.get(PROGRAM, ONLY) == ProgramRecord(terms=BERLIN, entered_seq=entered.entry.seq)
    assert terms_of(ledger.state) == BERLIN
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_program_unchanged_when_the_terms_are_those_in_force(ledger: MemoryLedger) -> None:
    with refused(Code.PROGRAM_UNCHANGED, ledger):
        ledger.execute(SetProgram(id=uuid("terms"), terms=DEFAULT_TERMS, reason="opening"))
    ledger.execute(SetProgram(id=uuid("terms"), terms=BERLIN, reason="opening"))
    with refused(Code.PROGRAM_UNCHANGED, ledger):
        ledger.execute(SetProgram(id=uuid("again"), terms=BERLIN, reason="opening"))


def test_program_invalid_when_the_terms_contradict_themselves(ledger: MemoryLedger) -> None:
    terms = ProgramTerms(expiry=ExpiryRule(kind="fixed"))
    with refused(Code.PROGRAM_INVALID, ledger):
        ledger.execute(SetProgram(id=uuid("terms"), terms=terms, reason="opening"))


def test_a_day_that_has_not_come_to_the_program_lies_in_the_future(pair: Pair) -> None:
    ledger = pair.source
    issue(ledger, pair.sender, 1, on="2026-03-02")
    west = msgspec.structs.replace(BERLIN.offsets[0], seconds=-5 * 3_600)
    terms = ProgramTerms(time_zone="America/New_York", offsets=(west,))
    ledger.execute(SetProgram(id=uuid("terms"), terms=terms, reason="moved"))
    issue(ledger, pair.sender, 1, on="2026-03-01")
    with refused(Code.DATE_INVALID, ledger):
        issue(ledger, pair.sender, 1, on="2026-03-02")
