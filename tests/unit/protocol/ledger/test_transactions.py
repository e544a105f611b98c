import msgspec
import pytest

from protocol.entries import Entry, PointsIssued, PointsRedeemed, PointsTransferred, Posting, transfer_postings
from protocol.errors import Code
from protocol.identifiers import Account, Asset
from protocol.ledger import commands
from protocol.ledger.state import BALANCES, Lot
from protocol.limits import INTEGER_MAX
from tests.support.documents import AURORA, TODAY, USD, uuid
from tests.support.history import examples
from tests.support.ledger import MemoryLedger, holder, issue, new_ledger, open_holder, refused

ANN, BOB = holder("ann"), holder("bob")
ISSUANCE, REDEMPTION = Account("issuance"), Account("redemption")
AUR = AURORA.points


def redeem(ledger: MemoryLedger, amount: int, *, on: str | None = None, name: str = "redeem") -> None:
    ledger.execute(commands.RedeemPoints(id=uuid(name), account=ANN, amount=amount, occurred_on=on))


def transfer(ledger: MemoryLedger, amount: int, *, source: Account = ANN, destination: Account = BOB) -> None:
    ledger.execute(commands.TransferPoints(id=uuid("transfer"), source=source, destination=destination, amount=amount))


def balance(ledger: MemoryLedger, account: Account) -> int:
    record = ledger.state.get(BALANCES, (account, AUR))
    return record.amount if record else 0


def test_issuing_makes_one_lot_of_our_own() -> None:
    ledger = new_ledger()
    ann = open_holder(ledger, "ann")
    sealed = issue(ledger, ann, 100, expires_on="2026-12-31", on="2026-02-27")
    assert ledger.account(ann).posted == 100
    assert balance(ledger, ISSUANCE) == -100
    assert ledger.state.lots(ann) == [
        Lot(
            seq=sealed.entry.seq,
            part=0,
            origin="own",
            earned_on="2026-02-27",
            expires_on="2026-12-31",
            remaining=100,
        )
    ]


def test_date_invalid_when_points_would_expire_before_they_are_earned() -> None:
    ledger = new_ledger()
    ann = open_holder(ledger, "ann")
    for day in ("2026-02-28", "2026-06-31"):
        with refused(Code.DATE_INVALID, ledger):
            issue(ledger, ann, 1, expires_on=day)
    issue(ledger, ann, 1, expires_on="2026-03-01")


@pytest.mark.parametrize("amount", [0, -1, INTEGER_MAX + 1])
def test_amount_invalid_unless_it_is_positive_and_json_can_carry_it(amount: int) -> None:
    ledger = new_ledger()
    open_holder(ledger, "ann", points=5)
    open_holder(ledger, "bob")
    for action in (
        lambda: issue(ledger, ANN, amount),
        lambda: redeem(ledger, amount),
        lambda: transfer(ledger, amount),
    ):
        with refused(Code.AMOUNT_INVALID, ledger):
            action()


def test_balance_overflow_for_more_points_than_an_integer_states() -> None:
    ledger = new_ledger()
    open_holder(ledger, "ann", points=INTEGER_MAX)
    open_holder(ledger, "bob", points=1)
    with refused(Code.BALANCE_OVERFLOW, ledger):
        issue(ledger, ANN, 1)
    with refused(Code.BALANCE_OVERFLOW, ledger):
        transfer(ledger, INTEGER_MAX)
    assert balance(ledger, ISSUANCE) == -INTEGER_MAX - 1


def test_insufficient_points_for_what_is_not_there_or_held() -> None:
    ledger = new_ledger()
    open_holder(ledger, "ann", points=10)
    open_holder(ledger, "bob")
    with refused(Code.INSUFFICIENT_POINTS, ledger):
        redeem(ledger, 11)
    ledger.execute(commands.PlaceHold(id=uuid("hold"), account=ANN, amount=4))
    with refused(Code.INSUFFICIENT_POINTS, ledger):
        redeem(ledger, 7)
    with refused(Code.INSUFFICIENT_POINTS, ledger):
        transfer(ledger, 7)
    redeem(ledger, 6)
    assert (ledger.account(ANN).posted, ledger.account(ANN).available) == (4, 0)
    assert balance(ledger, REDEMPTION) == 6


def test_debits_take_the_earliest_expiry_first() -> None:
    ledger = new_ledger()
    ann = open_holder(ledger, "ann")
    for amount, day in ((10, None), (20, "2026-06-30"), (30, "2026-04-30")):
        issue(ledger, ann, amount, expires_on=day)
    redeem(ledger, 35)
    assert ledger.lots(ann) == [("2026-06-30", 15), (None, 10)]


def test_of_equal_expiry_the_earliest_earned_goes_first_then_the_first_in_the_log() -> None:
    ledger = new_ledger()
    ann = open_holder(ledger, "ann")
    first = issue(ledger, ann, 10, expires_on="2026-06-30", on="2026-02-02")
    issue(ledger, ann, 10, expires_on="2026-06-30", on="2026-02-01")
    last = issue(ledger, ann, 10, expires_on="2026-06-30", on="2026-02-02")
    redeem(ledger, 15)
    left = [(lot.seq, lot.remaining) for lot in ledger.state.lots(ann)]
    assert left == [(first.entry.seq, 5), (last.entry.seq, 10)]


def test_expired_lots_are_passed_over_from_the_day_after_their_last() -> None:
    ledger = new_ledger()
    ann = open_holder(ledger, "ann")
    issue(ledger, ann, 10, expires_on="2026-03-01")
    issue(ledger, ann, 5)
    redeem(ledger, 1)
    ledger.advance(days=1)
    with refused(Code.INSUFFICIENT_POINTS, ledger):
        redeem(ledger, 6, name="late")
    redeem(ledger, 5, name="late")
    assert ledger.lots(ann) == [("2026-03-01", 9)]
    redeem(ledger, 9, on="2026-03-01", name="of yesterday")
    assert ledger.account(ann).posted == 0


def test_a_transfer_keeps_origin_day_and_expiry_of_each_piece() -> None:
    ledger = new_ledger()
    open_holder(ledger, "ann")
    open_holder(ledger, "bob", points=1, expires_on="2026-05-31")
    issue(ledger, ANN, 10, expires_on="2026-04-30", on="2026-02-01")
    issue(ledger, ANN, 10, expires_on="2026-06-30", on="2026-01-01")
    transfer(ledger, 15)
    seq = ledger.head.size - 1
    moved = [lot for lot in ledger.state.lots(BOB) if lot.seq == seq]
    assert [(lot.part, lot.origin, lot.earned_on, lot.expires_on, lot.remaining) for lot in moved] == [
        (0, "own", "2026-02-01", "2026-04-30", 10),
        (1, "own", "2026-01-01", "2026-06-30", 5),
    ]
    assert ledger.lots(BOB) == [("2026-04-30", 10), ("2026-05-31", 1), ("2026-06-30", 5)]
    assert ledger.lots(ANN) == [("2026-06-30", 5)]
    assert (ledger.account(ANN).posted, ledger.account(BOB).posted) == (5, 16)


def test_same_account_cannot_give_to_itself() -> None:
    ledger = new_ledger()
    open_holder(ledger, "ann", points=5)
    with refused(Code.SAME_ACCOUNT, ledger):
        transfer(ledger, 5, destination=ANN)


def test_account_unknown_for_a_structural_account_in_a_holders_place() -> None:
    ledger = new_ledger()
    open_holder(ledger, "ann", points=5)
    for account in (ISSUANCE, REDEMPTION, Account("member")):
        with refused(Code.ACCOUNT_UNKNOWN, ledger):
            issue(ledger, account, 5)
        with refused(Code.ACCOUNT_UNKNOWN, ledger):
            transfer(ledger, 5, destination=account)
        with refused(Code.ACCOUNT_UNKNOWN, ledger):
            transfer(ledger, 5, source=account)


def test_postings_invalid_unless_they_are_those_of_the_kind() -> None:
    ledger = new_ledger()
    open_holder(ledger, "ann", points=50)
    open_holder(ledger, "bob", points=50)
    wrong: dict[type[Entry], list[tuple[Posting, ...]]] = {
        PointsIssued: [
            transfer_postings(AUR, 5, debit=BOB, credit=ANN),
            transfer_postings(USD, 5, debit=ISSUANCE, credit=ANN),
            transfer_postings(AUR, 5, debit=ANN, credit=ISSUANCE),
            (Posting(ISSUANCE, AUR, -5), Posting(ANN, AUR, 6)),
            (Posting(ANN, AUR, 5), Posting(ISSUANCE, AUR, -5)),
            (*transfer_postings(AUR, 5, debit=ISSUANCE, credit=ANN), Posting(BOB, AUR, 0)),
        ],
        PointsRedeemed: [
            transfer_postings(AUR, 5, debit=ANN, credit=ISSUANCE),
            transfer_postings(Asset("BLU"), 5, debit=ANN, credit=REDEMPTION),
            (Posting(ANN, AUR, -5), Posting(REDEMPTION, AUR, 4)),
            (Posting(ANN, AUR, 0), Posting(REDEMPTION, AUR, 0)),
        ],
        PointsTransferred: [
            transfer_postings(USD, 5, debit=ANN, credit=BOB),
            (Posting(ANN, AUR, -5), Posting(BOB, AUR, 50)),
            (Posting(ANN, AUR, -5), Posting(BOB, USD, 5)),
            transfer_postings(AUR, 5, debit=ANN, credit=BOB) * 2,
        ],
    }
    for sealed in examples().values():
        for postings in wrong.get(type(sealed.entry), []):
            with refused(Code.POSTINGS_INVALID, ledger):
                on = {"id": uuid("wrong"), "occurred_on": TODAY, "postings": postings}
                ledger.judge(msgspec.structs.replace(sealed.entry, **on))
