"""Appeals: opened for whoever has an account, about what is in the log, decided once and in time."""

import msgspec
import pytest

from protocol.appeal_entries import (
    APPEAL_DAYS_MAX,
    APPEAL_MESSAGES_MAX,
    AppealDecided,
    AppealMessage,
    AppealOpened,
    AppealOutcome,
    AppealParty,
)
from protocol.errors import Code
from protocol.identifiers import Account, Id
from protocol.ledger import rules
from protocol.ledger.appeal_commands import DecideAppeal
from protocol.ledger.appeal_records import AppealRecord, AppealState
from protocol.ledger.appeals import uphold_by_adjustment
from protocol.ledger.state import APPEALS
from tests.support.appeals import appeal, rule, say
from tests.support.documents import uuid
from tests.support.ledger import MemoryLedger, Pair, issue, open_holder, pair_of, refused, replay, rows_of


@pytest.fixture
def pair() -> Pair:
    return pair_of()


@pytest.fixture
def ledger(pair: Pair) -> MemoryLedger:
    return pair.source


def record(ledger: MemoryLedger, name: str = "appeal") -> AppealRecord:
    found = ledger.state.get(APPEALS, uuid(name))
    assert found is not None
    return found


def test_an_appeal_is_open_until_it_is_decided_and_an_auditor_sees_the_same(pair: Pair, ledger: MemoryLedger) -> None:
    opened = appeal(ledger, pair.sender)
    assert isinstance(opened.entry, AppealOpened)
    assert record(ledger).state is AppealState.OPEN
    assert rules.holders_of(ledger.state, opened.entry) == (pair.sender,)
    said = say(ledger, asks=True)
    assert isinstance(said.entry, AppealMessage)
    assert record(ledger).state is AppealState.WAITING
    assert rules.holders_of(ledger.state, said.entry) == (pair.sender,)
    say(ledger, text="more")
    assert record(ledger).state is AppealState.WAITING
    say(ledger, by=AppealParty.HOLDER, text="answer")
    assert record(ledger).state is AppealState.OPEN
    decided = rule(ledger, AppealOutcome.UPHELD)
    assert isinstance(decided.entry, AppealDecided)
    found = record(ledger)
    assert (found.state, found.decided_seq, found.adjustment) == (AppealState.UPHELD, decided.entry.seq, None)
    assert len(found.entries) == 5
    assert found.entries[0] == found.opened_seq == opened.entry.seq
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


@pytest.mark.parametrize("outcome", list(AppealOutcome))
def test_appeal_decided_when_it_was_decided_before(pair: Pair, ledger: MemoryLedger, outcome: AppealOutcome) -> None:
    appeal(ledger, pair.sender)
    rule(ledger, outcome)
    assert record(ledger).state.value == outcome.value
    with refused(Code.APPEAL_DECIDED, ledger):
        say(ledger)
    with refused(Code.APPEAL_DECIDED, ledger):
        _again(ledger)


def _again(ledger: MemoryLedger) -> None:
    command = DecideAppeal(id=uuid("again"), appeal=uuid("appeal"), outcome=AppealOutcome.UPHELD, reason="again")
    ledger.execute(command)


def test_an_appeal_is_overdue_from_the_day_after_its_deadline_on(pair: Pair, ledger: MemoryLedger) -> None:
    appeal(ledger, pair.sender, days=0)
    today = ledger.wall[:10]
    assert not record(ledger).is_overdue(today)
    ledger.advance(days=1)
    assert record(ledger).is_overdue(ledger.wall[:10])
    rule(ledger, AppealOutcome.WITHDRAWN)
    assert not record(ledger).is_overdue("9999-12-31")


def test_account_unknown_when_nobody_has_the_account(ledger: MemoryLedger) -> None:
    with refused(Code.ACCOUNT_UNKNOWN, ledger):
        appeal(ledger, Account(f"member/{uuid('nobody')}"))


def test_subject_unknown_when_no_entry_has_the_id(pair: Pair, ledger: MemoryLedger) -> None:
    with refused(Code.SUBJECT_UNKNOWN, ledger):
        appeal(ledger, pair.sender, about=uuid("nothing"))
    issued = issue(ledger, pair.sender, 5)
    appeal(ledger, pair.sender, about=Id(issued.entry.id))


@pytest.mark.parametrize("days", [-1, APPEAL_DAYS_MAX + 1])
def test_date_invalid_when_the_deadline_has_passed_or_is_too_late(pair: Pair, ledger: MemoryLedger, days: int) -> None:
    with refused(Code.DATE_INVALID, ledger):
        appeal(ledger, pair.sender, days=days)


def test_appeal_unknown_when_nobody_opened_it(ledger: MemoryLedger) -> None:
    with refused(Code.APPEAL_UNKNOWN, ledger):
        say(ledger)
    with refused(Code.APPEAL_UNKNOWN, ledger):
        rule(ledger, AppealOutcome.UPHELD)


def test_appeal_mismatch_when_the_holder_waits_for_an_answer(pair: Pair, ledger: MemoryLedger) -> None:
    appeal(ledger, pair.sender)
    with refused(Code.APPEAL_MISMATCH, ledger):
        say(ledger, by=AppealParty.HOLDER, asks=True)


def test_appeal_mismatch_when_an_entry_names_another_account(pair: Pair, ledger: MemoryLedger) -> None:
    other = open_holder(ledger, "other")
    appeal(ledger, pair.sender)
    said = say(ledger).entry
    assert isinstance(said, AppealMessage)
    with refused(Code.APPEAL_MISMATCH, ledger):
        ledger.judge(msgspec.structs.replace(said, id=uuid("forged"), account=other))


def test_appeal_full_when_too_much_was_said(pair: Pair, ledger: MemoryLedger) -> None:
    appeal(ledger, pair.sender)
    for number in range(APPEAL_MESSAGES_MAX):
        say(ledger, text=f"message {number}")
    with refused(Code.APPEAL_FULL, ledger):
        say(ledger, text="one more")
    rule(ledger, AppealOutcome.REJECTED)


def test_an_adjustment_that_names_an_appeal_decides_it_once(pair: Pair, ledger: MemoryLedger) -> None:
    appeal(ledger, pair.sender)
    mark = ledger.state.savepoint()
    uphold_by_adjustment(ledger.state, appeal=uuid("appeal"), account=pair.sender, seq=99, adjustment=uuid("given"))
    found = record(ledger)
    assert (found.state, found.decided_seq, found.adjustment) == (AppealState.UPHELD, 99, uuid("given"))
    with refused(Code.APPEAL_DECIDED, ledger):
        rule(ledger, AppealOutcome.REJECTED)
    ledger.state.rollback(mark)
