"""Transfers between members: on hold until the recipient has decided, at the program's fee and in its time."""

import msgspec
import pytest

from protocol.errors import Code
from protocol.fields import days_later, later
from protocol.identifiers import Account
from protocol.ledger import commands
from protocol.ledger.program_state import LIMIT_USE, TRANSFERS, TransferRecord, TransferState
from protocol.ledger.state import BALANCES
from protocol.ledger.transfers import hold_of
from protocol.program import ExpiryRule, KindPolicy, ProgramTerms, TransferTerms
from protocol.program_entries import ConversionOrder, TransferAccepted, TransferOffered, TransferOrder
from tests.support.documents import AURORA, BLUEBIRD, TODAY, uuid
from tests.support.governing import (
    accept,
    ask_review,
    close_review,
    decline,
    freeze,
    govern,
    limited,
    offer,
    unfreeze,
)
from tests.support.ledger import MemoryLedger, holder, new_ledger, open_holder, refused, replay, rows_of

TERMS = ProgramTerms(
    transfers=TransferTerms(
        minimum=10, fee_per_transfer=3, fee_per_mille=20, accept_within_hours=24, cooling_off_hours=6
    )
)
HOUR = 3_600
ROLLING = ProgramTerms(expiry=ExpiryRule(kind="rolling", months=1), transfers=TransferTerms(accept_within_hours=1_000))


@pytest.fixture
def ledger() -> MemoryLedger:
    ledger = new_ledger()
    open_holder(ledger, "ann", points=1_000, expires_on="2026-12-31")
    open_holder(ledger, "bob")
    return ledger


@pytest.fixture
def ann() -> Account:
    return holder("ann")


@pytest.fixture
def bob() -> Account:
    return holder("bob")


def transfer(ledger: MemoryLedger, name: str = "gift") -> TransferRecord:
    record = ledger.state.get(TRANSFERS, uuid(name))
    assert record is not None
    return record


def issue(ledger: MemoryLedger, account: Account, amount: int, *, expires_on: str | None = None) -> None:
    name = uuid(f"issue {amount} of {ledger.wall}")
    ledger.execute(commands.IssuePoints(id=name, account=account, amount=amount, expires_on=expires_on))


def test_points_wait_and_then_are_the_recipients(ledger: MemoryLedger, ann: Account, bob: Account) -> None:
    govern(ledger, TERMS)
    offered = offer(ledger, ann, bob, 100).entry
    assert isinstance(offered, TransferOffered)
    assert (offered.fee, offered.accept_from) == (5, later(offered.time, seconds=6 * HOUR))
    assert offered.accept_by == later(offered.accept_from, seconds=24 * HOUR)
    assert (ledger.account(ann).held, ledger.account(bob).posted) == (105, 0)
    ledger.advance(seconds=6 * HOUR + 1)
    accepted = accept(ledger).entry
    assert isinstance(accepted, TransferAccepted)
    assert [(posting.account, posting.amount) for posting in accepted.postings] == [
        (ann, -100),
        (bob, 100),
        (ann, -5),
        ("fees", 5),
    ]
    assert (ledger.account(ann).posted, ledger.account(ann).held) == (895, 0)
    assert ledger.lots(bob) == [("2026-12-31", 100)]
    fees = ledger.state.get(BALANCES, (Account("fees"), AURORA.points))
    assert fees is not None
    assert fees.amount == 5
    assert transfer(ledger).state is TransferState.ACCEPTED
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_whoever_accepted_once_need_not_wait_again(ledger: MemoryLedger, ann: Account, bob: Account) -> None:
    govern(ledger, TERMS)
    offer(ledger, ann, bob, 100)
    ledger.advance(seconds=6 * HOUR + 1)
    accept(ledger)
    again = offer(ledger, ann, bob, 100, name="again").entry
    assert isinstance(again, TransferOffered)
    assert again.accept_from == again.time
    accept(ledger, "again")
    back = offer(ledger, bob, ann, 100, name="back").entry
    assert isinstance(back, TransferOffered)
    assert back.accept_from > back.time, "the other way, nobody has accepted yet"


def test_transfer_cooling_off_when_it_is_accepted_too_soon(ledger: MemoryLedger, ann: Account, bob: Account) -> None:
    govern(ledger, TERMS)
    offer(ledger, ann, bob, 100)
    ledger.advance(seconds=6 * HOUR - 1)
    with refused(Code.TRANSFER_COOLING_OFF, ledger):
        accept(ledger)


def test_transfer_lapsed_when_it_is_accepted_too_late(ledger: MemoryLedger, ann: Account, bob: Account) -> None:
    govern(ledger, TERMS)
    offer(ledger, ann, bob, 100)
    ledger.advance(seconds=30 * HOUR + 1)
    with refused(Code.TRANSFER_LAPSED, ledger):
        accept(ledger)
    decline(ledger, by="time")
    assert transfer(ledger).state is TransferState.LAPSED
    assert ledger.account(ann).available == 1_000


@pytest.mark.parametrize(("hours", "accepted"), [(11, True), (13, False)])
def test_transfer_lapsed_when_its_points_expired_meanwhile(
    ledger: MemoryLedger, ann: Account, bob: Account, *, hours: int, accepted: bool
) -> None:
    issue(ledger, ann, 50, expires_on=TODAY)
    offer(ledger, ann, bob, 60)
    ledger.advance(seconds=hours * HOUR)
    if accepted:
        accept(ledger)
        assert ledger.lots(bob) == [(TODAY, 50), ("2026-12-31", 10)]
        return
    with refused(Code.TRANSFER_LAPSED, ledger):
        accept(ledger)
    decline(ledger, by="recipient")
    assert ledger.lots(ann) == [(days_later(TODAY, days=15), 50), ("2026-12-31", 1_000)]
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_the_last_day_of_points_on_offer_is_that_of_the_senders_clock(
    ledger: MemoryLedger, ann: Account, bob: Account
) -> None:
    """A clock that runs out while they wait, and starts again with what the sender does, decides."""
    govern(ledger, ROLLING)
    issue(ledger, ann, 50)
    offer(ledger, ann, bob, 50)
    ledger.advance(seconds=32 * 24 * HOUR)
    with refused(Code.TRANSFER_LAPSED, ledger):
        accept(ledger)
    issue(ledger, ann, 1)
    accept(ledger)
    assert sum(amount for _, amount in ledger.lots(bob)) == 50
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_transfer_not_lapsed_when_there_is_time_to_accept(ledger: MemoryLedger, ann: Account, bob: Account) -> None:
    offer(ledger, ann, bob, 100)
    with refused(Code.TRANSFER_NOT_LAPSED, ledger):
        decline(ledger, by="time")


@pytest.mark.parametrize(("by", "state"), [("recipient", TransferState.DECLINED), ("sender", TransferState.CANCELLED)])
def test_either_side_can_say_no(
    ledger: MemoryLedger, ann: Account, bob: Account, *, by: str, state: TransferState
) -> None:
    lots = ledger.lots(ann)
    offer(ledger, ann, bob, 100)
    decline(ledger, by="sender" if by == "sender" else "recipient")
    assert transfer(ledger).state is state
    assert ledger.lots(ann) == lots
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_transfer_closed_when_it_was_decided(ledger: MemoryLedger, ann: Account, bob: Account) -> None:
    offer(ledger, ann, bob, 100)
    accept(ledger)
    with refused(Code.TRANSFER_CLOSED, ledger):
        accept(ledger, as_name="again")
    with refused(Code.TRANSFER_CLOSED, ledger):
        decline(ledger)


def test_transfer_unknown_when_nobody_offered_it(ledger: MemoryLedger) -> None:
    with refused(Code.TRANSFER_UNKNOWN, ledger):
        accept(ledger)
    with refused(Code.TRANSFER_UNKNOWN, ledger):
        decline(ledger)


def test_transfer_too_small_when_it_is_below_the_minimum(ledger: MemoryLedger, ann: Account, bob: Account) -> None:
    govern(ledger, TERMS)
    with refused(Code.TRANSFER_TOO_SMALL, ledger):
        offer(ledger, ann, bob, 9)


def test_same_account_when_somebody_would_give_to_themselves(ledger: MemoryLedger, ann: Account) -> None:
    with refused(Code.SAME_ACCOUNT, ledger):
        offer(ledger, ann, ann, 100)


def test_insufficient_points_when_the_fee_is_not_there(ledger: MemoryLedger, ann: Account, bob: Account) -> None:
    govern(ledger, TERMS)
    with refused(Code.INSUFFICIENT_POINTS, ledger):
        offer(ledger, ann, bob, 1_000)
    with refused(Code.AMOUNT_INVALID, ledger):
        offer(ledger, ann, bob, 0)


def test_transfer_mismatch_when_an_entry_has_other_terms(ledger: MemoryLedger, ann: Account, bob: Account) -> None:
    govern(ledger, TERMS)
    copy = new_ledger(needs=False)
    copy.sealed, copy.state = [*ledger.sealed], replay(ledger)
    offered = offer(copy, ann, bob, 100).entry
    assert isinstance(offered, TransferOffered)
    for wrong in ({"fee": 0}, {"accept_by": "2027-01-01T00:00:00.000000Z"}, {"accept_from": offered.time}):
        with refused(Code.TRANSFER_MISMATCH, ledger):
            ledger.judge(msgspec.structs.replace(offered, **wrong))
    ledger.judge(offered)


def test_a_frozen_side_stops_what_is_not_final(ledger: MemoryLedger, ann: Account, bob: Account) -> None:
    offer(ledger, ann, bob, 100)
    for account in (ann, bob):
        freeze(ledger, account, name=f"freeze {account}")
        with refused(Code.ACCOUNT_FROZEN, ledger):
            accept(ledger)
        with refused(Code.ACCOUNT_FROZEN, ledger):
            offer(ledger, ann, bob, 100, name="another")
        unfreeze(ledger, account, name=f"unfreeze {account}")
    freeze(ledger, ann)
    decline(ledger)
    assert ledger.account(ann).held == 0


def test_account_unknown_when_there_is_no_recipient(ledger: MemoryLedger, ann: Account) -> None:
    with refused(Code.ACCOUNT_UNKNOWN, ledger):
        offer(ledger, ann, holder("nobody"), 100)


def test_the_hold_of_a_transfer_is_nobodys_to_capture(ledger: MemoryLedger, ann: Account, bob: Account) -> None:
    offer(ledger, ann, bob, 100)
    assert ledger.hold(hold_of(uuid("gift"))).remaining == 100
    with refused(Code.HOLD_UNKNOWN, ledger):
        ledger.execute(commands.CaptureHold(id=uuid("c"), hold=uuid("gift"), amount=None, final=True))


def test_limits_of_the_sender_are_reserved_and_given_back(ledger: MemoryLedger, ann: Account, bob: Account) -> None:
    govern(ledger, limited(100, "transfer_out"))
    offer(ledger, ann, bob, 60)
    with refused(Code.LIMIT_REACHED, ledger):
        offer(ledger, ann, bob, 41, name="more")
    decline(ledger)
    use = ledger.state.get(LIMIT_USE, (ann, "transfer_out"))
    assert use is not None
    assert (use.day_points, use.day_count, use.year_points, use.year_count) == (0, 0, 0, 0)
    offer(ledger, ann, bob, 100, name="more")
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_limits_of_the_recipient_count_when_it_accepts(ledger: MemoryLedger, ann: Account, bob: Account) -> None:
    govern(ledger, limited(100, "transfer_in"))
    offer(ledger, ann, bob, 60)
    offer(ledger, ann, bob, 60, name="second")
    accept(ledger)
    with refused(Code.LIMIT_REACHED, ledger):
        accept(ledger, "second")
    ledger.advance(days=1)
    accept(ledger, "second")


def test_kind_not_allowed_when_the_recipient_may_not_receive(ledger: MemoryLedger, ann: Account) -> None:
    shop = holder("shop", "supplier")
    ledger.execute(commands.OpenAccount(id=uuid("open shop"), account=shop))
    govern(ledger, ProgramTerms(kinds=(KindPolicy(kind="supplier", may_transfer=False),)))
    with refused(Code.KIND_NOT_ALLOWED, ledger):
        offer(ledger, ann, shop, 100)


def test_review_required_when_a_transfer_is_large(ledger: MemoryLedger, ann: Account, bob: Account) -> None:
    govern(ledger, ProgramTerms(transfers=TransferTerms(review_above=100)))
    offer(ledger, ann, bob, 100)
    with refused(Code.REVIEW_REQUIRED, ledger):
        offer(ledger, ann, bob, 101, name="large")
    ask_review(ledger, ann, 101, TransferOrder(recipient=bob, amount=101), name="large", screen="amount")
    with refused(Code.REVIEW_REQUIRED, ledger):
        offer(ledger, ann, bob, 101, name="large")
    close_review(ledger, approved=True, name="large")
    offer(ledger, ann, bob, 101, name="large")
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_review_required_of_this_very_transfer(ledger: MemoryLedger, ann: Account, bob: Account) -> None:
    govern(ledger, ProgramTerms(transfers=TransferTerms(review_above=100)))
    eve = open_holder(ledger, "eve", points=500)
    looked_at = (
        ("another amount", ann, TransferOrder(recipient=bob, amount=101)),
        ("another recipient", ann, TransferOrder(recipient=eve, amount=200)),
        ("another sender", eve, TransferOrder(recipient=bob, amount=200)),
        ("a conversion", ann, ConversionOrder(destination=BLUEBIRD.ledger, amount=200, agreement=None)),
    )
    for name, account, order in looked_at:
        ask_review(ledger, account, 101, order, name=name, screen="amount")
        close_review(ledger, approved=True, name=name)
        with refused(Code.REVIEW_REQUIRED, ledger):
            offer(ledger, ann, bob, 200, name=name)
