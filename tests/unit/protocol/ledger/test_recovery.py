"""A whole life of two ledgers, cut at every entry of either: what partners give back makes up for what was lost."""

from typing import Final

import msgspec
import pytest

from protocol.conversion import SourceState
from protocol.entries import body_of
from protocol.ledger.state import ACCOUNTS, BALANCES, OUTGOING
from protocol.messages import (
    Close,
    End,
    EntryBody,
    Fulfil,
    PaymentAdvice,
    Prepare,
    Receipt,
    Reject,
    Unlink,
    said_at,
)
from protocol.settlement.states import WindowState
from protocol.window_entries import PaymentReturned
from tests.support.documents import USD, uuid
from tests.support.history import history
from tests.support.ledger import MemoryLedger, Rows, rows_of
from tests.support.recovering import check
from tests.support.succession import recovered

SETTLED: Final = ("settlements", "settlement_lines", "window_totals", "windows", "statements", "decision_counters")
OF_THE_LOG: Final = frozenset(
    {"held_seq", "decided_seq", "concluded_seq", "confirmed_seq", "agreed_seq", "opened_at", "placed_seq", "entered_at"}
)
"""What says where in the log, or when in the log, something was entered: a successor enters it later."""

UNTOLD: Final = {
    uuid("torn"): "the partner has signed two decisions, and the other one came first",
    uuid("forced"): "that it was given up by force, nobody outside has heard",
    uuid("open"): "its PREPARE never arrived",
}
PAIR: Final = history()
CUTS: Final = [
    (brand, size)
    for brand, ledger in (("source", PAIR.source), ("destination", PAIR.destination))
    for size in range(3, len(ledger.sealed))
]


def of(table: str, rows: Rows) -> dict[object, dict[str, object]]:
    """Return the rows of a table without what says where in the log they come from."""
    return {
        key: {name: value for name, value in msgspec.structs.asdict(record).items() if name not in OF_THE_LOG}  # type: ignore[arg-type]
        for key, record in rows.get(table, {}).items()
    }


def sides(brand: str) -> tuple[MemoryLedger, MemoryLedger]:
    one, other = PAIR.source, PAIR.destination
    return (one, other) if brand == "source" else (other, one)


def test_a_word_that_tells_a_time_tells_that_of_its_entry() -> None:
    timed: set[type[EntryBody]] = set()
    for ledger in (PAIR.source, PAIR.destination):
        for sealed in ledger.sealed:
            body = body_of(sealed, ledger=ledger.name)
            if isinstance(body, EntryBody) and (told := said_at(body)) is not None:
                timed.add(type(body))
                assert told == sealed.entry.time
    assert timed == {Prepare, Fulfil, Reject, End, Unlink, Close, PaymentAdvice, Receipt}


@pytest.mark.parametrize(("brand", "size"), CUTS)
def test_settlement_is_what_it_was_wherever_the_log_was_cut(brand: str, size: int) -> None:
    lost, partner = sides(brand)
    found, then = rows_of(recovered(lost, size, partner).state), rows_of(lost.state)
    for table in SETTLED:
        assert of(table, found) == of(table, then), table


@pytest.mark.parametrize(("brand", "size"), CUTS)
def test_money_is_what_it_was_and_no_point_is_made_or_lost(brand: str, size: int) -> None:
    lost, partner = sides(brand)
    ledger = recovered(lost, size, partner)
    check(ledger)
    assert money(ledger) == money(lost)
    assert points(ledger) == 0


def money(ledger: MemoryLedger) -> dict[object, int]:
    """Return what the accounts of partners hold; what is zero was perhaps never moved."""
    return {key: record.amount for key, record in ledger.state.rows(BALANCES) if record.amount and key[1] == USD}


def points(ledger: MemoryLedger) -> int:
    """Return the sum of all balances in points."""
    own = sum(record.posted for _, record in ledger.state.rows(ACCOUNTS))
    return own + sum(record.amount for key, record in ledger.state.rows(BALANCES) if key[1] == ledger.side.points)


@pytest.mark.parametrize(("brand", "size"), CUTS)
def test_conversions_are_where_they_were_but_for_what_nobody_outside_has_heard(brand: str, size: int) -> None:
    lost, partner = sides(brand)
    ledger = recovered(lost, size, partner)
    found = {key: record for key, record in ledger.state.rows(OUTGOING) if key not in UNTOLD}
    then = {key: record for key, record in lost.state.rows(OUTGOING) if key not in UNTOLD}
    assert found.keys() == then.keys()
    for key, record in found.items():
        assert record.state is then[key].state
        assert (record.prepare, record.cancel_requested) == (then[key].prepare, then[key].cancel_requested)
        assert record.refunded_steps == then[key].refunded_steps
    assert all(record.state is not SourceState.HELD for record in found.values())


def test_a_payment_that_bounced_in_the_gap_is_on_its_way_again_until_it_is_said_so_again() -> None:
    one, other = sides("source")
    payer, payee = (one, other) if any(isinstance(each.entry, PaymentReturned) for each in one.sealed) else (other, one)
    returned = next(each.entry.seq for each in payer.sealed if isinstance(each.entry, PaymentReturned))
    ledger = recovered(payer, returned, payee)
    record = rows_of(ledger.state)["windows"][payee.name, 1]
    assert getattr(record, "state", None) is WindowState.CONFIRMED
    assert not any(isinstance(each.entry, PaymentReturned) for each in ledger.sealed)
