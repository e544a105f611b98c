import pytest

from protocol.identifiers import Account
from protocol.ledger.state import ACCOUNTS, BALANCES, LOTS, AccountRecord, AccountStatus, BalanceRecord, Lot
from protocol.ledger.view import NotLoaded, Overlay, need, need_book
from tests.support.documents import AURORA
from tests.support.ledger import holder

ANN = holder("ann")
KEY = (Account("issuance"), AURORA.points)


def record(posted: int) -> AccountRecord:
    return AccountRecord(status=AccountStatus.OPEN, posted=posted, held=0, conversions=0, opened_seq=1)


def lot(seq: int, remaining: int, *, expires_on: str | None = None, earned_on: str = "2026-01-01") -> Lot:
    return Lot(seq=seq, part=0, origin="own", earned_on=earned_on, expires_on=expires_on, remaining=remaining)


def test_a_complete_overlay_knows_that_an_absent_row_does_not_exist() -> None:
    view = Overlay(complete=True)
    assert view.get(ACCOUNTS, ANN) is None
    assert view.lots(ANN) == []
    assert view.is_loaded(need(ACCOUNTS, ANN))
    assert view.is_loaded(need_book(ANN))
    assert view.missing([need(ACCOUNTS, ANN), need_book(ANN)]) == {}


def test_a_partial_overlay_refuses_to_guess() -> None:
    view = Overlay(complete=False)
    assert view.peek(ACCOUNTS, ANN) is None
    assert not view.is_loaded(need(ACCOUNTS, ANN))
    assert not view.is_loaded(need_book(ANN))
    with pytest.raises(NotLoaded, match="accounts"):
        view.get(ACCOUNTS, ANN)
    with pytest.raises(NotLoaded, match="lots"):
        view.lots(ANN)


@pytest.mark.parametrize("complete", [True, False])
def test_a_row_is_inserted_once(complete: bool) -> None:
    view = Overlay(complete=complete)
    if not complete:
        with pytest.raises(NotLoaded, match="accounts"):
            view.insert(ACCOUNTS, ANN, record(1))
        assert not view.is_loaded(need(ACCOUNTS, ANN))
        view.load(ACCOUNTS, ANN, None)
    mark = view.savepoint()
    assert view.insert(ACCOUNTS, ANN, record(1))
    assert not view.insert(ACCOUNTS, ANN, record(2))
    assert view.get(ACCOUNTS, ANN) == record(1)
    assert list(view.changed_since(mark, ACCOUNTS)) == [(ANN, None, record(1))]
    view.rollback(mark)
    assert view.get(ACCOUNTS, ANN) is None
    assert view.insert(ACCOUNTS, ANN, record(2))


def test_lots_that_were_put_are_known_before_anybody_asks_for_the_others() -> None:
    view = Overlay(complete=False)
    view.put_lot(ANN, lot(2, 5))
    assert [each.seq for each in view.known_lots(ANN)] == [2]
    with pytest.raises(NotLoaded):
        view.lots(ANN)
    view.load_book(ANN, [lot(1, 3)])
    assert [each.seq for each in view.known_lots(ANN)] == [1, 2]


def test_what_was_loaded_is_known_whether_it_exists_or_not() -> None:
    view = Overlay(complete=False)
    view.load(ACCOUNTS, ANN, None)
    view.load(BALANCES, KEY, BalanceRecord(amount=3))
    view.load_book(ANN, [])
    assert view.get(ACCOUNTS, ANN) is None
    assert view.get(BALANCES, KEY) == BalanceRecord(amount=3)
    assert view.lots(ANN) == []
    assert view.is_loaded(need(ACCOUNTS, ANN))
    assert view.is_loaded(need_book(ANN))
    assert list(view.rows(ACCOUNTS)) == []
    assert list(view.rows(BALANCES)) == [(KEY, BalanceRecord(amount=3))]


def test_loading_never_undoes_a_change() -> None:
    view = Overlay(complete=False)
    view.put(ACCOUNTS, ANN, record(7))
    view.put_lot(ANN, lot(1, 0))
    view.put_lot(ANN, lot(2, 5))
    view.load(ACCOUNTS, ANN, None)
    view.load_book(ANN, [lot(1, 9), lot(2, 9), lot(3, 9)])
    assert view.get(ACCOUNTS, ANN) == record(7)
    assert view.lots(ANN) == [lot(2, 5), lot(3, 9)]


def test_lots_come_earliest_expiry_first_then_earliest_earned_then_in_the_order_of_the_log() -> None:
    view = Overlay(complete=True)
    wanted = [
        lot(9, 1, expires_on="2026-05-01", earned_on="2026-03-01"),
        lot(8, 1, expires_on="2026-06-01", earned_on="2026-01-01"),
        lot(1, 1, expires_on="2026-06-01", earned_on="2026-02-01"),
        lot(2, 1, expires_on="2026-06-01", earned_on="2026-02-01"),
        lot(0, 1),
    ]
    for one in reversed(wanted):
        view.put_lot(ANN, one)
    view.put_lot(ANN, lot(7, 0, expires_on="2026-01-01"))
    assert view.lots(ANN) == wanted


def test_a_rollback_undoes_every_change_since_its_savepoint_and_no_other() -> None:
    view = Overlay(complete=True)
    view.put(ACCOUNTS, ANN, record(1))
    view.put_lot(ANN, lot(1, 5))
    mark = view.savepoint()
    view.put(ACCOUNTS, ANN, record(2))
    view.put(BALANCES, KEY, BalanceRecord(amount=1))
    view.put_lot(ANN, lot(1, 0))
    view.put_lot(ANN, lot(2, 5))
    assert view.lots(ANN) == [lot(2, 5)]
    view.rollback(mark)
    assert view.get(ACCOUNTS, ANN) == record(1)
    assert view.get(BALANCES, KEY) is None
    assert view.lots(ANN) == [lot(1, 5)]
    assert view.take_changes() == {ACCOUNTS: {ANN: record(1)}, LOTS: {(ANN, 1, 0): lot(1, 5)}}


def test_a_rolled_back_row_that_was_not_loaded_is_unknown_again() -> None:
    view = Overlay(complete=False)
    mark = view.savepoint()
    view.put(ACCOUNTS, ANN, record(1))
    view.rollback(mark)
    with pytest.raises(NotLoaded):
        view.get(ACCOUNTS, ANN)


def test_changes_are_taken_once_with_their_last_content() -> None:
    view = Overlay(complete=True)
    view.put(ACCOUNTS, ANN, record(1))
    view.put(ACCOUNTS, ANN, record(2))
    assert view.take_changes() == {ACCOUNTS: {ANN: record(2)}}
    assert view.take_changes() == {}
    assert view.savepoint() == 0


def test_a_lot_that_was_loaded_by_itself_is_in_the_book_that_is_loaded_later() -> None:
    view = Overlay(complete=False)
    view.load(LOTS, (ANN, 2, 0), lot(2, 4))
    view.load_book(ANN, [lot(2, 4), lot(1, 3)])
    assert view.lots(ANN) == [lot(1, 3), lot(2, 4)]


def test_a_lot_whose_last_day_changes_takes_its_new_place_and_a_rollback_gives_the_old_one_back() -> None:
    view = Overlay(complete=True)
    first, second, third = lot(1, 5), lot(2, 5, expires_on="2026-05-01"), lot(3, 5, expires_on="2026-06-01")
    for each in (first, second, third):
        view.put_lot(ANN, each)
    assert view.lots(ANN) == [second, third, first]
    mark = view.savepoint()
    dated = lot(1, 5, expires_on="2026-05-15")
    view.put_lot(ANN, dated)
    assert view.lots(ANN) == [second, dated, third]
    view.put_lot(ANN, lot(3, 2, expires_on="2026-06-01"))
    view.put_lot(ANN, lot(2, 0, expires_on="2026-05-01"))
    assert view.lots(ANN) == [dated, lot(3, 2, expires_on="2026-06-01")]
    view.rollback(mark)
    assert view.lots(ANN) == [second, third, first]


def test_what_is_forgotten_is_asked_for_again_and_the_rest_stays() -> None:
    view = Overlay(complete=False)
    view.load_book(ANN, [lot(1, 5), lot(2, 5)])
    view.load(BALANCES, KEY, BalanceRecord(amount=3))
    view.put(ACCOUNTS, ANN, record(7))
    view.put_lot(ANN, lot(1, 0))
    view.put_lot(ANN, lot(2, 4))
    assert len(view) == 4
    view.forget([BALANCES], view.take_changes())  # type: ignore[list-item]  # tables of every kind
    assert len(view) == 2
    assert not view.is_loaded(need(BALANCES, KEY))
    assert not view.is_loaded(need(LOTS, (ANN, 1, 0)))
    assert view.get(ACCOUNTS, ANN) == record(7)
    assert view.lots(ANN) == [lot(2, 4)]
