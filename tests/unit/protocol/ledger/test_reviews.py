"""An order under review keeps its points on hold; whoever decides frees them, once."""

import pytest

from protocol.errors import Code
from protocol.identifiers import Account
from protocol.ledger import rules
from protocol.ledger.names import review_id
from protocol.ledger.program_commands import CloseReview
from protocol.ledger.program_state import REVIEWS, ReviewState
from protocol.program_entries import ConversionOrder, ReviewOpened, TransferOrder
from tests.support.documents import BLUEBIRD, uuid
from tests.support.governing import ask_review, close_review, freeze, offer
from tests.support.ledger import MemoryLedger, holder, new_ledger, open_holder, refused, replay, rows_of

ORDER = ConversionOrder(destination=BLUEBIRD.ledger, amount=400, agreement=None)


@pytest.fixture
def ledger() -> MemoryLedger:
    ledger = new_ledger()
    open_holder(ledger, "ann", points=1_000)
    return ledger


@pytest.fixture
def ann() -> Account:
    return holder("ann")


def test_points_wait_until_somebody_has_looked(ledger: MemoryLedger, ann: Account) -> None:
    opened = ask_review(ledger, ann, 400, ORDER)
    assert isinstance(opened.entry, ReviewOpened)
    assert opened.entry.id == review_id(uuid("suspect"))
    assert ledger.account(ann).held == 400
    assert rules.holders_of(ledger.state, opened.entry) == (ann,)
    closed = close_review(ledger, approved=False)
    assert ledger.account(ann).held == 0
    record = ledger.state.get(REVIEWS, uuid("suspect"))
    assert record is not None
    assert (record.state, record.closed_seq) == (ReviewState.REJECTED, closed.entry.seq)
    assert rules.holders_of(ledger.state, closed.entry) == (ann,)
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_review_closed_when_it_was_decided(ledger: MemoryLedger, ann: Account) -> None:
    ask_review(ledger, ann, 400, ORDER)
    close_review(ledger, approved=True)
    with refused(Code.REVIEW_CLOSED, ledger):
        ledger.execute(rejecting("again"))


def rejecting(name: str) -> CloseReview:
    return CloseReview(id=uuid(name), order_id=uuid("suspect"), approved=False, reason="looked_at")


def test_review_unknown_when_there_is_none(ledger: MemoryLedger) -> None:
    with refused(Code.REVIEW_UNKNOWN, ledger):
        close_review(ledger, approved=True)


def test_an_order_that_was_carried_out_is_under_no_review(ledger: MemoryLedger, ann: Account) -> None:
    bob = open_holder(ledger, "bob")
    offer(ledger, ann, bob, 100, name="suspect")
    with refused(Code.ID_REUSED, ledger):
        ask_review(ledger, ann, 100, TransferOrder(recipient=bob, amount=100))


def test_only_points_that_are_there_can_wait(ledger: MemoryLedger, ann: Account) -> None:
    with refused(Code.INSUFFICIENT_POINTS, ledger):
        ask_review(ledger, ann, 1_001, ORDER)
    with refused(Code.AMOUNT_INVALID, ledger):
        ask_review(ledger, ann, 0, ORDER)
    freeze(ledger, ann)
    with refused(Code.ACCOUNT_FROZEN, ledger):
        ask_review(ledger, ann, 1, ORDER)
