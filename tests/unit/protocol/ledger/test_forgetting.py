"""The account of a person who is forgotten closes; what it still has goes to breakage, and only where that was said."""

import msgspec
import pytest

from protocol.errors import Code
from protocol.ledger import commands
from protocol.ledger.forgetting import apply_erased
from protocol.ledger.state import ACCOUNTS, BALANCES, AccountStatus
from protocol.member_entries import AccountErased
from tests.support.documents import AURORA, BLUEBIRD, uuid
from tests.support.leaving import erase
from tests.support.ledger import holder, issue, new_ledger, open_holder, order, pair_of, refused, replay, rows_of


def test_points_go_to_breakage_lot_by_lot() -> None:
    ledger = new_ledger()
    account = open_holder(ledger, "ann", points=70, expires_on="2026-06-30")
    issue(ledger, account, 30)
    entry = erase(ledger, account).entry
    assert isinstance(entry, AccountErased)
    assert [posting.amount for posting in entry.postings] == [-100, 100]
    record = ledger.state.get(ACCOUNTS, account)
    assert record is not None
    assert (record.status, record.posted, record.held) == (AccountStatus.CLOSED, 0, 0)
    assert ledger.state.lots(account) == []
    breakage = ledger.state.get(BALANCES, (entry.postings[1].account, AURORA.points))
    assert breakage is not None
    assert breakage.amount == 100
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_an_empty_account_needs_no_word_about_points() -> None:
    ledger = new_ledger()
    account = open_holder(ledger, "ann")
    entry = erase(ledger, account, forfeit=False).entry
    assert isinstance(entry, AccountErased)
    assert entry.postings == ()
    with refused(Code.ACCOUNT_CLOSED, ledger):
        issue(ledger, account, 1)
    # Whoever is forgotten twice is forgotten.
    erase(ledger, account, name="again")


def test_points_are_not_given_up_unsaid() -> None:
    ledger = new_ledger()
    account = open_holder(ledger, "ann", points=1)
    with refused(Code.ACCOUNT_NOT_EMPTY, ledger):
        erase(ledger, account, forfeit=False)
    with refused(Code.ACCOUNT_UNKNOWN, ledger):
        erase(ledger, holder("nobody"))


def test_nobody_is_forgotten_while_something_is_open() -> None:
    pair = pair_of()
    order(pair.source, BLUEBIRD.ledger, pair.sender, 400)
    with refused(Code.ACCOUNT_BUSY, pair.source):
        erase(pair.source, pair.sender)
    held = open_holder(pair.source, "held", points=9)
    pair.source.execute(commands.PlaceHold(id=uuid("hold"), account=held, amount=9))
    with refused(Code.ACCOUNT_BUSY, pair.source):
        erase(pair.source, held)


def test_the_postings_are_what_the_account_has() -> None:
    ledger = new_ledger()
    account = open_holder(ledger, "ann", points=5)
    entry = erase(ledger, account).entry
    assert isinstance(entry, AccountErased)
    other = open_holder(ledger, "bob", points=6)
    ledger.state.savepoint()
    with pytest.raises(Exception, match="postings"):
        apply_erased(ledger.state, msgspec.structs.replace(entry, account=other))
