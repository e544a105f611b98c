"""Balances of another system: all of a file counts at once, each row once, and nothing of it before."""

import msgspec
import pytest

from protocol.entries import Posting
from protocol.errors import Code
from protocol.identifiers import Account, Id
from protocol.import_entries import BalanceImported
from protocol.ledger import commands, names
from protocol.ledger.import_commands import BeginImport, FinishImport
from protocol.ledger.import_state import IMPORTS
from protocol.ledger.state import ACCOUNTS, BALANCES, LEDGER, ONLY, AccountStatus
from protocol.limits import INTEGER_MAX
from tests.support.departing import DAY, FILE, Row, balance, begin_import, finish_import, import_rows
from tests.support.documents import digest, uuid
from tests.support.leaving import erase
from tests.support.ledger import MemoryLedger, holder, issue, new_ledger, open_holder, refused, replay, rows_of

ROWS: tuple[Row, ...] = (("ann", 700, "2026-12-31"), ("ann", 50, None), ("eve", 0, None))
ANN, EVE = holder("ann"), holder("eve")


@pytest.fixture
def ledger() -> MemoryLedger:
    return new_ledger()


def test_a_file_comes_in_as_lots_of_its_own(ledger: MemoryLedger) -> None:
    begin_import(ledger, ROWS)
    sealed = import_rows(ledger, ROWS)
    finish_import(ledger)
    assert ledger.lots(ANN) == [("2026-12-31", 700), (None, 50)]
    assert [lot.earned_on for lot in ledger.state.lots(ANN)] == ["2025-11-30"] * 2
    assert ledger.account(EVE).posted == 0
    points = ledger.state.get(LEDGER, ONLY)
    assert points is not None
    opening = ledger.state.get(BALANCES, (Account("opening"), points.points))
    assert opening is not None
    assert opening.amount == -750
    assert ledger.state.get(BALANCES, (Account("issuance"), points.points)) is None
    assert [one.entry.occurred_on for one in sealed] == [DAY] * 3
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_account_importing_until_the_file_is_in(ledger: MemoryLedger) -> None:
    friend = open_holder(ledger, "friend", points=10)
    begin_import(ledger, ROWS)
    import_rows(ledger, ROWS)
    with refused(Code.ACCOUNT_IMPORTING, ledger):
        ledger.execute(commands.RedeemPoints(id=uuid("r"), account=ANN, amount=1))
    with refused(Code.ACCOUNT_IMPORTING, ledger):
        ledger.execute(commands.TransferPoints(id=uuid("t"), source=friend, destination=ANN, amount=1))
    with refused(Code.ACCOUNT_IMPORTING, ledger):
        ledger.execute(commands.CloseAccount(id=uuid("c"), account=EVE))
    with refused(Code.ACCOUNT_IMPORTING, ledger):
        erase(ledger, ANN)
    issue(ledger, friend, 5)
    finish_import(ledger)
    ledger.execute(commands.RedeemPoints(id=uuid("r"), account=ANN, amount=1))
    ledger.execute(commands.CloseAccount(id=uuid("c"), account=EVE))


def test_a_broken_off_import_goes_on_and_comes_to_the_same(ledger: MemoryLedger) -> None:
    begun = begin_import(ledger, ROWS)
    first = import_rows(ledger, ROWS[:1])
    assert begin_import(ledger, ROWS) == begun
    assert import_rows(ledger, ROWS)[0] == first[0]
    finished = finish_import(ledger)
    assert finish_import(ledger) == finished
    assert import_rows(ledger, ROWS)[0] == first[0]
    assert ledger.account(ANN).posted == 750


def test_no_row_comes_in_for_a_person_who_was_forgotten_meanwhile(ledger: MemoryLedger) -> None:
    begin_import(ledger, ROWS)
    import_rows(ledger, ROWS[:1])
    with refused(Code.ACCOUNT_IMPORTING, ledger):
        erase(ledger, ANN)
    import_rows(ledger, ROWS)
    finish_import(ledger)
    erase(ledger, ANN)
    record = ledger.account(ANN)
    assert (record.status, record.posted, ledger.lots(ANN)) == (AccountStatus.CLOSED, 0, [])


def test_import_open_while_another_is_not_finished(ledger: MemoryLedger) -> None:
    begin_import(ledger, ROWS)
    with refused(Code.IMPORT_OPEN, ledger):
        begin_import(ledger, ROWS, file=digest("another"))
    import_rows(ledger, ROWS)
    finish_import(ledger)
    begin_import(ledger, ROWS, file=digest("another"))


def test_import_unknown_before_it_has_begun(ledger: MemoryLedger) -> None:
    with refused(Code.IMPORT_UNKNOWN, ledger):
        import_rows(ledger, ROWS)
    with refused(Code.IMPORT_UNKNOWN, ledger):
        finish_import(ledger)


def test_import_mismatch_where_a_row_is_left_out_or_too_many(ledger: MemoryLedger) -> None:
    begin_import(ledger, ROWS)
    with refused(Code.IMPORT_MISMATCH, ledger):
        ledger.execute(balance(2, ROWS[1]))
    import_rows(ledger, ROWS)
    with refused(Code.IMPORT_MISMATCH, ledger):
        ledger.execute(balance(4, ("bob", 0, None)))


def test_import_mismatch_where_the_points_are_not_the_total(ledger: MemoryLedger) -> None:
    begin_import(ledger, ROWS, points=749)
    import_rows(ledger, ROWS[:1])
    with refused(Code.IMPORT_MISMATCH, ledger):
        import_rows(ledger, ROWS, after=1)
    begun = ledger.state.get(IMPORTS, FILE)
    assert begun is not None
    assert begun.rows_done == 1


def test_import_mismatch_where_it_is_finished_too_early_or_goes_on(ledger: MemoryLedger) -> None:
    begin_import(ledger, ROWS)
    import_rows(ledger, ROWS[:2])
    with refused(Code.IMPORT_MISMATCH, ledger):
        finish_import(ledger)
    import_rows(ledger, ROWS)
    finish_import(ledger)
    with refused(Code.IMPORT_MISMATCH, ledger):
        ledger.execute(balance(4, ROWS[0]))


def test_account_exists_where_a_file_names_one_that_was_there(ledger: MemoryLedger) -> None:
    open_holder(ledger, "ann")
    begin_import(ledger, ROWS)
    with refused(Code.ACCOUNT_EXISTS, ledger):
        import_rows(ledger, ROWS)


def test_account_exists_where_another_file_opened_it(ledger: MemoryLedger) -> None:
    begin_import(ledger, ROWS)
    import_rows(ledger, ROWS)
    finish_import(ledger)
    other = digest("another")
    begin_import(ledger, ROWS, file=other)
    with refused(Code.ACCOUNT_EXISTS, ledger):
        ledger.execute(balance(1, ROWS[0], file=other))


@pytest.mark.parametrize(
    ("earned_on", "expires_on"),
    [("2026-02-02", None), ("2025-11-30", "2026-01-31"), ("2025-02-30", None), ("2025-11-30", "soon")],
)
def test_date_invalid_where_points_are_of_the_future_or_gone(
    ledger: MemoryLedger, earned_on: str, expires_on: str | None
) -> None:
    begin_import(ledger, ROWS[:1])
    with refused(Code.DATE_INVALID, ledger):
        ledger.execute(balance(1, ("ann", 700, expires_on), earned_on=earned_on))


@pytest.mark.parametrize("points", [-1, INTEGER_MAX + 1])
def test_amount_invalid_where_points_cannot_be_stated(ledger: MemoryLedger, points: int) -> None:
    begin_import(ledger, ROWS[:1])
    with refused(Code.AMOUNT_INVALID, ledger):
        ledger.execute(balance(1, ("ann", points, None)))


def test_balance_overflow_where_rows_of_one_account_come_to_more_than_it_can_hold(ledger: MemoryLedger) -> None:
    rows: tuple[Row, ...] = (("ann", INTEGER_MAX - 1, None), ("eve", 1, None))
    begin_import(ledger, rows, points=INTEGER_MAX)
    import_rows(ledger, rows[:1])
    full = msgspec.structs.replace(ledger.account(ANN), posted=INTEGER_MAX)
    ledger.state.put(ACCOUNTS, ANN, full)
    with refused(Code.BALANCE_OVERFLOW, ledger):
        ledger.execute(balance(2, ("ann", 1, None)))


def hostile(ledger: MemoryLedger, **changes: object) -> BalanceImported:
    """Return the first row of the file as a ledger that breaks the rules would write it."""
    begin_import(ledger, ROWS)
    (sealed,) = import_rows(new_copy(), ROWS[:1])
    assert isinstance(sealed.entry, BalanceImported)
    return msgspec.structs.replace(sealed.entry, **changes)


def new_copy() -> MemoryLedger:
    ledger = new_ledger()
    begin_import(ledger, ROWS)
    return ledger


def test_postings_invalid_where_a_row_posts_otherwise(ledger: MemoryLedger) -> None:
    entry = hostile(ledger)
    debit, credit = entry.postings
    for postings in ((credit, debit), (debit,), (debit, Posting(EVE, credit.asset, credit.amount))):
        with refused(Code.POSTINGS_INVALID, ledger):
            ledger.judge(msgspec.structs.replace(entry, postings=postings))


def test_date_invalid_where_a_row_is_of_another_day(ledger: MemoryLedger) -> None:
    entry = hostile(ledger, occurred_on="2026-01-31")
    with refused(Code.DATE_INVALID, ledger):
        ledger.judge(entry)


def test_id_invalid_where_a_client_names_a_row(ledger: MemoryLedger) -> None:
    entry = hostile(ledger, id=Id(uuid("row")))
    with refused(Code.ID_INVALID, ledger):
        ledger.judge(entry)


def test_what_a_row_is_named_says_which_it_is() -> None:
    assert names.import_id(FILE) == f"import/{FILE}"
    assert names.imported_id(FILE, 7) == f"imported/{FILE}/7"
    assert names.import_finished_id(FILE) == f"import_finished/{FILE}"


def test_an_import_is_the_same_whenever_it_is_asked_for() -> None:
    ledger = new_ledger()
    command = BeginImport(id=names.import_id(FILE), request=digest("r"), file=FILE, rows=1, points=0)
    begun = ledger.execute(command)
    with refused(Code.ID_REUSED, ledger):
        ledger.execute(msgspec.structs.replace(command, request=digest("other")))
    assert ledger.execute(command) == begun
    with refused(Code.IMPORT_MISMATCH, ledger):
        ledger.execute(FinishImport(id=names.import_finished_id(FILE), file=FILE))
