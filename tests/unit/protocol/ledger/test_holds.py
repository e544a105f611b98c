from collections.abc import Callable

import msgspec
import pytest

from protocol.entries import HoldCaptured, HoldReleased, Posting, transfer_postings
from protocol.errors import Code
from protocol.fields import later
from protocol.identifiers import Account
from protocol.ledger import commands, names
from protocol.ledger.state import BALANCES
from tests.support.documents import AURORA, NOW, USD, uuid
from tests.support.history import examples
from tests.support.ledger import MemoryLedger, holder, issue, new_ledger, open_holder, order, pair_of, refused

ANN = holder("ann")
HOLD = uuid("hold")
REDEMPTION = Account("redemption")


def place(ledger: MemoryLedger, amount: int, *, seconds: int | None = None, name: str = "hold") -> None:
    expires_at = None if seconds is None else later(ledger.wall, seconds=seconds)
    ledger.execute(commands.PlaceHold(id=uuid(name), account=ANN, amount=amount, expires_at=expires_at))


def capture(ledger: MemoryLedger, amount: int | None, *, final: bool = False, name: str = "capture") -> None:
    ledger.execute(commands.CaptureHold(id=uuid(name), hold=HOLD, amount=amount, final=final))


def release(ledger: MemoryLedger, *, name: str = "release") -> None:
    ledger.execute(commands.ReleaseHold(id=uuid(name), hold=HOLD))


def expire(ledger: MemoryLedger) -> None:
    ledger.execute(commands.ReleaseHold(id=names.expired_id(HOLD), hold=HOLD, expired=True))


def with_points(*lots: tuple[int, str | None]) -> MemoryLedger:
    ledger = new_ledger()
    open_holder(ledger, "ann")
    for amount, expires_on in lots:
        issue(ledger, ANN, amount, expires_on=expires_on)
    return ledger


def test_a_hold_takes_pieces_out_of_lots_and_posts_nothing() -> None:
    ledger = with_points((10, None), (10, "2026-06-30"))
    place(ledger, 15)
    record = ledger.account(ANN)
    assert (record.posted, record.held, record.available) == (20, 15, 5)
    assert ledger.lots(ANN) == [(None, 5)]
    hold = ledger.hold(HOLD)
    assert [(piece.expires_on, piece.amount) for piece in hold.pieces] == [("2026-06-30", 10), (None, 5)]
    assert (hold.account, hold.amount, hold.remaining, hold.conversion) == (ANN, 15, 15, False)
    assert hold.placed_seq == ledger.head.size - 1


def test_a_release_returns_the_pieces_to_their_lots() -> None:
    ledger = with_points((10, None), (10, "2026-06-30"))
    place(ledger, 15)
    release(ledger)
    assert ledger.account(ANN).available == 20
    assert ledger.lots(ANN) == [("2026-06-30", 10), (None, 10)]
    assert (ledger.hold(HOLD).remaining, ledger.hold(HOLD).pieces) == (0, ())


def test_a_release_returns_points_whose_day_has_passed_for_a_while() -> None:
    ledger = with_points((10, "2026-03-01"))
    place(ledger, 6)
    ledger.advance(days=1)
    release(ledger)
    assert ledger.lots(ANN) == [("2026-03-01", 4), ("2026-03-16", 6)]
    with refused(Code.INSUFFICIENT_POINTS, ledger):
        place(ledger, 7, name="again")
    place(ledger, 6, name="again")


def test_captures_in_part_leave_the_rest_on_hold() -> None:
    ledger = with_points((10, "2026-06-30"), (10, None))
    place(ledger, 15)
    capture(ledger, 4)
    assert [(piece.expires_on, piece.amount) for piece in ledger.hold(HOLD).pieces] == [("2026-06-30", 6), (None, 5)]
    assert (ledger.account(ANN).posted, ledger.account(ANN).held) == (16, 11)
    capture(ledger, 6, name="second")
    capture(ledger, None, name="third")
    record = ledger.account(ANN)
    assert (record.posted, record.held, ledger.hold(HOLD).remaining) == (5, 0, 0)
    redeemed = ledger.state.get(BALANCES, (REDEMPTION, AURORA.points))
    assert redeemed is not None
    assert redeemed.amount == 15


@pytest.mark.parametrize("amount", [4, 14, 15, None])
def test_a_final_capture_gives_back_what_it_does_not_take(amount: int | None) -> None:
    ledger = with_points((10, "2026-06-30"), (10, None))
    place(ledger, 15)
    capture(ledger, amount, final=True)
    taken = 15 if amount is None else amount
    record = ledger.account(ANN)
    assert (record.posted, record.held, ledger.hold(HOLD).remaining) == (20 - taken, 0, 0)
    assert sum(remaining for _, remaining in ledger.lots(ANN)) == 20 - taken


def test_hold_unknown_for_what_was_never_placed() -> None:
    ledger = with_points((10, None))
    for action in (capture_all, release, expire):
        with refused(Code.HOLD_UNKNOWN, ledger):
            action(ledger)


def capture_all(ledger: MemoryLedger) -> None:
    capture(ledger, None)


@pytest.mark.parametrize("end", [capture_all, release])
def test_hold_closed_once_nothing_remains(end: Callable[[MemoryLedger], None]) -> None:
    ledger = with_points((10, None))
    place(ledger, 5)
    end(ledger)
    again: list[Callable[[], None]] = [
        lambda: capture(ledger, None, name="again"),
        lambda: release(ledger, name="again"),
        lambda: expire(ledger),
    ]
    for action in again:
        with refused(Code.HOLD_CLOSED, ledger):
            action()


def test_hold_too_small_for_more_than_remains() -> None:
    ledger = with_points((10, None))
    place(ledger, 5)
    with refused(Code.HOLD_TOO_SMALL, ledger):
        capture(ledger, 6)
    capture(ledger, 4)
    with refused(Code.HOLD_TOO_SMALL, ledger):
        capture(ledger, 2, name="again")


def test_amount_invalid_for_a_hold_or_capture_of_nothing() -> None:
    ledger = with_points((10, None))
    with refused(Code.AMOUNT_INVALID, ledger):
        place(ledger, 0)
    place(ledger, 5)
    with refused(Code.AMOUNT_INVALID, ledger):
        capture(ledger, 0)


def test_insufficient_points_for_a_hold_beyond_what_is_available() -> None:
    ledger = with_points((10, None))
    place(ledger, 7)
    with refused(Code.INSUFFICIENT_POINTS, ledger):
        place(ledger, 4, name="second")
    place(ledger, 3, name="second")


def test_hold_expired_before_it_is_placed() -> None:
    ledger = with_points((10, None))
    ledger.advance(seconds=1)
    for seconds in (0, -1):
        with refused(Code.HOLD_EXPIRED, ledger):
            place(ledger, 5, seconds=seconds)
    place(ledger, 5, seconds=1)


def test_hold_expired_can_be_released_but_not_captured() -> None:
    ledger = with_points((10, None))
    place(ledger, 5, seconds=60)
    ledger.advance(seconds=59)
    capture(ledger, 1)
    ledger.advance(seconds=1)
    with refused(Code.HOLD_EXPIRED, ledger):
        capture(ledger, 1, name="late")
    release(ledger)
    assert ledger.account(ANN).available == 9


def test_hold_not_expired_before_its_time_or_ever_without_one() -> None:
    ledger = with_points((10, None))
    place(ledger, 5, seconds=60)
    place(ledger, 5, name="for ever")
    with refused(Code.HOLD_NOT_EXPIRED, ledger):
        expire(ledger)
    for_ever = uuid("for ever")
    with refused(Code.HOLD_NOT_EXPIRED, ledger):
        ledger.execute(commands.ReleaseHold(id=names.expired_id(for_ever), hold=for_ever, expired=True))
    ledger.advance(seconds=60)
    expire(ledger)
    assert ledger.account(ANN).available == 5


def test_hold_of_conversion_moves_only_by_it() -> None:
    pair = pair_of()
    held = order(pair.source, pair.destination.name, pair.sender, 400)
    hold = held.entry.id
    for command in (
        commands.CaptureHold(id=uuid("capture"), hold=hold, amount=None, final=True),
        commands.ReleaseHold(id=uuid("release"), hold=hold),
        commands.ReleaseHold(id=names.expired_id(hold), hold=hold, expired=True),
    ):
        with refused(Code.HOLD_OF_CONVERSION, pair.source):
            pair.source.execute(command)
    entry = examples()["hold_captured"].entry
    assert isinstance(entry, HoldCaptured)
    postings = transfer_postings(AURORA.points, 400, debit=pair.sender, credit=REDEMPTION)
    with refused(Code.HOLD_OF_CONVERSION, pair.source):
        pair.source.judge(msgspec.structs.replace(entry, hold=hold, postings=postings))


def test_postings_invalid_unless_the_holds_own_account_is_redeemed() -> None:
    ledger = with_points((10, None))
    bob = open_holder(ledger, "bob", points=10)
    place(ledger, 5)
    entry = examples()["hold_captured"].entry
    for postings in (
        transfer_postings(AURORA.points, 5, debit=bob, credit=REDEMPTION),
        transfer_postings(AURORA.points, 5, debit=ANN, credit=bob),
        transfer_postings(USD, 5, debit=ANN, credit=REDEMPTION),
        (Posting(ANN, AURORA.points, -4), Posting(REDEMPTION, AURORA.points, 5)),
        transfer_postings(AURORA.points, 5, debit=ANN, credit=REDEMPTION) * 2,
    ):
        with refused(Code.POSTINGS_INVALID, ledger):
            ledger.judge(msgspec.structs.replace(entry, hold=HOLD, postings=postings))


def test_an_auditor_sees_an_expiry_that_was_claimed_too_early() -> None:
    ledger = with_points((10, None))
    place(ledger, 5, seconds=60)
    entry = examples()["hold_released"].entry
    assert isinstance(entry, HoldReleased)
    with refused(Code.HOLD_NOT_EXPIRED, ledger):
        ledger.judge(msgspec.structs.replace(entry, id=names.expired_id(HOLD), hold=HOLD, expired=True, time=NOW))
