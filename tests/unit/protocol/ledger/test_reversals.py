"""Rules by which an issue or a redemption is undone: back to the lots it came from, bounded over all parts."""

import msgspec
import pytest

from protocol.entries import Sealed, transfer_postings
from protocol.errors import Code
from protocol.identifiers import Account, Id
from protocol.ledger import commands
from protocol.ledger.lot_commands import ReversePoints
from protocol.ledger.lot_state import ReversibleRecord
from protocol.ledger.program_commands import FreezeAccount, MergeAccount, SetProgram, UnfreezeAccount
from protocol.ledger.state import BALANCES, REVERSIBLE
from protocol.ledger.transactions import ISSUANCE, REDEMPTION
from protocol.limits import INTEGER_MAX
from protocol.point_entries import PointsReversed
from protocol.program import ExpiryRule, ProgramTerms
from tests.support.documents import AURORA, uuid
from tests.support.ledger import MemoryLedger, holder, issue, new_ledger, open_holder, refused, replay, rows_of

ANN, BOB, CARL = holder("ann"), holder("bob"), holder("carl")
BOUGHT = uuid("bought")


def ledger_with(*lots: tuple[int, str | None]) -> MemoryLedger:
    """Return a ledger with one account and these lots; it is 1 March 2026."""
    ledger = new_ledger()
    open_holder(ledger, "ann")
    for amount, expires_on in lots:
        issue(ledger, ANN, amount, expires_on=expires_on)
    return ledger


def earn(ledger: MemoryLedger, amount: int = 100, expires_on: str | None = None) -> Sealed:
    return ledger.execute(commands.IssuePoints(id=BOUGHT, account=ANN, amount=amount, expires_on=expires_on))


def redeem(ledger: MemoryLedger, amount: int, name: str = "bought") -> Sealed:
    return ledger.execute(commands.RedeemPoints(id=uuid(name), account=ANN, amount=amount))


def reverse(
    ledger: MemoryLedger, amount: int | None = None, *, of: Id = BOUGHT, partial: bool = False, name: str = ""
) -> PointsReversed:
    command = ReversePoints(
        id=uuid(name or f"reverse {len(ledger.sealed)}"), reverses=of, amount=amount, partial=partial
    )
    entry = ledger.execute(command).entry
    assert isinstance(entry, PointsReversed)
    return entry


def left(ledger: MemoryLedger, sealed: Sealed) -> ReversibleRecord:
    record = ledger.state.get(REVERSIBLE, sealed.entry.seq)
    assert record is not None
    return record


def moved(entry: PointsReversed) -> int:
    return entry.postings[1].amount


def balance(ledger: MemoryLedger, account: str) -> int:
    record = ledger.state.get(BALANCES, (Account(account), AURORA.points))
    return record.amount if record else 0


def test_a_returned_purchase_takes_the_points_of_its_own_lot_first() -> None:
    ledger = ledger_with((50, "2026-06-30"))
    sealed = earn(ledger, 100, "2026-12-31")
    entry = reverse(ledger, 30)
    assert entry.postings == transfer_postings(AURORA.points, 30, debit=ANN, credit=ISSUANCE)
    assert ledger.lots(ANN) == [("2026-06-30", 50), ("2026-12-31", 70)]
    reverse(ledger)
    assert (ledger.lots(ANN), ledger.account(ANN).posted) == ([("2026-06-30", 50)], 50)
    assert (left(ledger, sealed).remaining, balance(ledger, ISSUANCE)) == (0, -50)
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_what_was_spent_of_a_returned_purchase_is_taken_of_other_points() -> None:
    ledger = ledger_with((50, "2026-12-31"))
    earn(ledger, 100, "2026-06-30")
    redeem(ledger, 80, "spent")
    reverse(ledger, 60)
    assert ledger.lots(ANN) == [("2026-12-31", 10)]


def test_insufficient_points_for_a_returned_purchase_unless_part_of_it_will_do() -> None:
    ledger = ledger_with()
    sealed = earn(ledger)
    redeem(ledger, 80, "spent")
    with refused(Code.INSUFFICIENT_POINTS, ledger):
        reverse(ledger)
    entry = reverse(ledger, partial=True)
    assert (entry.asked, moved(entry), left(ledger, sealed).remaining) == (100, 20, 80)
    with refused(Code.INSUFFICIENT_POINTS, ledger):
        reverse(ledger, partial=True)
    issue(ledger, ANN, 500)
    assert moved(reverse(ledger, partial=True)) == 80


def test_reversal_exceeded_and_account_closed_come_before_that_nothing_is_there() -> None:
    ledger = ledger_with()
    earn(ledger)
    redeem(ledger, 80, "spent")
    reverse(ledger, 20)
    with refused(Code.INSUFFICIENT_POINTS, ledger):
        reverse(ledger, 80, partial=True)
    with refused(Code.REVERSAL_EXCEEDED, ledger):
        reverse(ledger, 81, partial=True)
    ledger.execute(commands.CloseAccount(id=uuid("close"), account=ANN))
    with refused(Code.ACCOUNT_CLOSED, ledger):
        reverse(ledger, 80, partial=True)


def test_amount_mismatch_for_less_than_is_there() -> None:
    ledger = ledger_with()
    earn(ledger)
    redeem(ledger, 80, "spent")
    draft = reverse(ledger, 20)
    issue(ledger, ANN, 10)
    less = transfer_postings(AURORA.points, 5, debit=ANN, credit=ISSUANCE)
    with refused(Code.AMOUNT_MISMATCH, ledger):
        ledger.judge(msgspec.structs.replace(draft, id=uuid("less"), postings=less))
    more = transfer_postings(AURORA.points, 11, debit=ANN, credit=ISSUANCE)
    with refused(Code.INSUFFICIENT_POINTS, ledger):
        ledger.judge(msgspec.structs.replace(draft, id=uuid("more"), asked=11, postings=more))


def test_pending_points_are_taken_back_before_any_other() -> None:
    ledger = ledger_with((50, "2026-06-30"))
    terms = ProgramTerms(pending_days=14)
    ledger.execute(SetProgram(id=uuid("program"), terms=terms, reason="returns"))
    earn(ledger, 100)
    issue(ledger, ANN, 5)
    reverse(ledger, 100)
    assert ledger.lots(ANN) == [("2026-06-30", 50), (None, 5)]


def test_a_redemption_goes_back_to_the_lots_it_took_the_last_taken_first() -> None:
    ledger = ledger_with((60, "2026-06-30"), (60, "2026-12-31"))
    sealed = redeem(ledger, 100)
    entry = reverse(ledger, 50)
    assert entry.postings == transfer_postings(AURORA.points, 50, debit=REDEMPTION, credit=ANN)
    assert ledger.lots(ANN) == [("2026-06-30", 10), ("2026-12-31", 60)]
    assert (left(ledger, sealed).remaining, len(left(ledger, sealed).pieces)) == (50, 1)
    reverse(ledger)
    assert (ledger.lots(ANN), balance(ledger, REDEMPTION)) == ([("2026-06-30", 60), ("2026-12-31", 60)], 0)
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_points_come_back_for_a_while_when_their_day_has_passed() -> None:
    ledger = ledger_with((60, "2026-03-01"), (60, "2026-12-31"))
    redeem(ledger, 100)
    ledger.advance(days=1)
    entry = reverse(ledger)
    assert [(lot.seq, lot.part, lot.expires_on, lot.remaining) for lot in ledger.state.lots(ANN)] == [
        (entry.seq, 0, "2026-03-16", 60),
        (3, 0, "2026-12-31", 60),
    ]


def test_a_captured_hold_can_be_reversed() -> None:
    ledger = ledger_with((60, "2026-06-30"))
    ledger.execute(commands.PlaceHold(id=uuid("hold"), account=ANN, amount=40))
    ledger.execute(commands.CaptureHold(id=BOUGHT, hold=uuid("hold"), amount=30, final=True))
    reverse(ledger, 10)
    assert ledger.lots(ANN) == [("2026-06-30", 40)]


def test_reversal_exceeded_beyond_the_original_over_all_parts() -> None:
    ledger = ledger_with((100, None))
    redeem(ledger, 50)
    reverse(ledger, 30)
    with refused(Code.REVERSAL_EXCEEDED, ledger):
        reverse(ledger, 21)
    reverse(ledger, 20)
    for amount in (1, None):
        with refused(Code.REVERSAL_EXCEEDED, ledger):
            reverse(ledger, amount)


def test_reversal_unknown_of_what_neither_issued_nor_redeemed() -> None:
    ledger = ledger_with((100, None))
    open_holder(ledger, "bob")
    ledger.execute(commands.TransferPoints(id=uuid("transfer"), source=ANN, destination=holder("bob"), amount=5))
    redeem(ledger, 5)
    reverse(ledger, name="reversed")
    for of in (uuid("nothing"), uuid("transfer"), uuid("open ann"), uuid("reversed")):
        with refused(Code.REVERSAL_UNKNOWN, ledger):
            reverse(ledger, of=of)


@pytest.mark.parametrize("amount", [0, -1, INTEGER_MAX + 1])
def test_amount_invalid_for_what_is_no_amount(amount: int) -> None:
    ledger = ledger_with((100, None))
    redeem(ledger, 5)
    with refused(Code.AMOUNT_INVALID, ledger):
        reverse(ledger, amount)


def test_postings_invalid_unless_they_undo_the_original() -> None:
    ledger = ledger_with((100, None))
    redeem(ledger, 50)
    draft = reverse(ledger, 5)
    wrong = transfer_postings(AURORA.points, 5, debit=ISSUANCE, credit=ANN)
    with refused(Code.POSTINGS_INVALID, ledger):
        ledger.judge(msgspec.structs.replace(draft, id=uuid("wrong"), postings=wrong))
    short = transfer_postings(AURORA.points, 4, debit=REDEMPTION, credit=ANN)
    with refused(Code.AMOUNT_MISMATCH, ledger):
        ledger.judge(msgspec.structs.replace(draft, id=uuid("short"), postings=short))


def test_balance_overflow_when_more_comes_back_than_an_account_can_have() -> None:
    ledger = ledger_with((100, None))
    redeem(ledger, 50)
    issue(ledger, ANN, INTEGER_MAX - 50)
    with refused(Code.BALANCE_OVERFLOW, ledger):
        reverse(ledger)


def test_an_account_that_is_closed_gets_nothing_back() -> None:
    ledger = ledger_with((50, None))
    redeem(ledger, 50)
    ledger.execute(commands.CloseAccount(id=uuid("close"), account=ANN))
    with refused(Code.ACCOUNT_CLOSED, ledger):
        reverse(ledger)


def test_points_return_to_the_clock_they_follow() -> None:
    ledger = new_ledger()
    open_holder(ledger, "ann")
    terms = ProgramTerms(expiry=ExpiryRule(kind="rolling", months=12))
    ledger.execute(SetProgram(id=uuid("program"), terms=terms, reason="rolling"))
    issue(ledger, ANN, 100)
    redeem(ledger, 100)
    ledger.advance(days=300)
    issue(ledger, ANN, 1)
    ledger.advance(days=300)
    reverse(ledger)
    (back, _) = ledger.state.lots(ANN)
    assert (back.seq, back.clock, back.remaining) == (3, "12-none", 100)


def merge(ledger: MemoryLedger, account: Account, survivor: Account) -> None:
    ledger.execute(MergeAccount(id=uuid(f"merge {account}"), account=account, survivor=survivor, reason="joined_twice"))


def test_what_a_merged_account_redeemed_comes_back_to_the_last_of_its_survivors() -> None:
    ledger = ledger_with((60, "2026-06-30"), (60, "2026-12-31"))
    open_holder(ledger, "bob")
    open_holder(ledger, "carl")
    sealed = redeem(ledger, 100)
    merge(ledger, ANN, BOB)
    ledger.execute(commands.RedeemPoints(id=uuid("rest"), account=BOB, amount=20))
    merge(ledger, BOB, CARL)
    entry = reverse(ledger, 70)
    assert entry.postings == transfer_postings(AURORA.points, 70, debit=REDEMPTION, credit=CARL)
    found = [(lot.seq, lot.part, lot.expires_on, lot.remaining) for lot in ledger.state.lots(CARL)]
    assert found == [(entry.seq, 0, "2026-06-30", 30), (entry.seq, 1, "2026-12-31", 40)]
    assert left(ledger, sealed).remaining == 30
    reverse(ledger, of=uuid("rest"))
    assert sum(points for _, points in ledger.lots(CARL)) == 90
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_what_followed_the_clock_of_a_merged_account_comes_back_with_the_day_it_had_there() -> None:
    ledger = new_ledger()
    for name in ("ann", "bob"):
        open_holder(ledger, name)
    terms = ProgramTerms(expiry=ExpiryRule(kind="rolling", months=12))
    ledger.execute(SetProgram(id=uuid("program"), terms=terms, reason="rolling"))
    issue(ledger, ANN, 100)
    redeem(ledger, 100)
    merge(ledger, ANN, BOB)
    ledger.advance(days=300)
    issue(ledger, BOB, 1)
    reverse(ledger, 60)
    assert ("2027-03-01", 60) in ledger.lots(BOB), "what the survivor does since is no activity of the one that is gone"
    ledger.advance(days=100)
    reverse(ledger)
    assert ("2027-04-19", 40) in ledger.lots(BOB), "fourteen days, for its last day has passed"
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_what_was_issued_to_a_merged_account_is_taken_back_of_its_survivor() -> None:
    ledger = ledger_with((10, "2026-06-30"))
    open_holder(ledger, "bob")
    sealed = earn(ledger, 100)
    merge(ledger, ANN, BOB)
    entry = reverse(ledger, 30)
    assert entry.postings == transfer_postings(AURORA.points, 30, debit=BOB, credit=ISSUANCE)
    assert ledger.lots(BOB) == [(None, 80)], "no lot is that of the issue any more: what is spent first is taken first"
    ledger.execute(commands.RedeemPoints(id=uuid("spent"), account=BOB, amount=75))
    with refused(Code.INSUFFICIENT_POINTS, ledger):
        reverse(ledger, 6)
    assert moved(reverse(ledger, 6, partial=True)) == 5
    assert left(ledger, sealed).remaining == 65
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_a_survivor_that_is_frozen_gets_points_back_and_one_that_is_closed_does_not() -> None:
    ledger = ledger_with((50, None))
    open_holder(ledger, "bob")
    redeem(ledger, 50)
    merge(ledger, ANN, BOB)
    ledger.execute(FreezeAccount(id=uuid("freeze"), account=BOB, reason="fraud"))
    reverse(ledger, 20)
    reverse(ledger, 20, name="again")
    assert ledger.lots(BOB) == [(None, 20), (None, 20)]
    ledger.execute(UnfreezeAccount(id=uuid("unfreeze"), account=BOB, reason="cleared"))
    ledger.execute(commands.RedeemPoints(id=uuid("all"), account=BOB, amount=40))
    ledger.execute(commands.CloseAccount(id=uuid("close"), account=BOB))
    with refused(Code.ACCOUNT_CLOSED, ledger):
        reverse(ledger, 10)
