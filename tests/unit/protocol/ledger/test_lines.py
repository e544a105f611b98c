from random import Random

import msgspec
import pytest

from protocol.errors import Code
from protocol.ledger.lines import line_from, record_from
from protocol.ledger.state import IN, LINES, OUT, SETTLEMENTS, WINDOW_TOTALS, WINDOWS, SettlementRecord, WindowRecord
from protocol.ledger.windows import stated
from protocol.messages import Body, Fulfil
from protocol.settlement.lines import totals_of
from protocol.settlement.states import WindowState
from protocol.statement import Line
from tests.support.ledger import Pair, convert, order, pair_of, receive, refused, replay, rows_of
from tests.support.windows import agree, close, close_both, line_record, money, state, take, window


def credited(pair: Pair, count: int, *, first: int = 1) -> list[Body]:
    """Let the destination credit conversions, and return its FULFILs, which the source has not seen."""
    found = []
    for number in range(first, first + count):
        asked = order(pair.source, pair.destination.name, pair.sender, 400, name=f"line {number}")
        found.append(pair.destination.body(receive(pair.destination, pair.source.body(asked))))
    return found


def listed(pair: Pair, number: int) -> Line:
    """Return a line of the source as its two bodies make it."""
    record = line_record(pair.source, pair.destination, OUT, number)
    return Line(
        source=pair.source.name,
        destination=pair.destination.name,
        id=record.conversion,
        window=record.window,
        dec_seq=number,
        agreement=record.agreement,
        currency=record.currency,
        source_points=record.source_points,
        destination_points=record.destination_points,
        fee_points=record.fee_points,
        value=record.value,
        fulfil=record.fulfil,
    )


def test_both_sides_have_the_same_line() -> None:
    pair = pair_of()
    convert(pair.source, pair.destination, pair.sender, 400, name="a")
    assert line_record(pair.source, pair.destination, OUT, 1) == line_record(pair.destination, pair.source, IN, 1)


@pytest.mark.parametrize("seed", range(4))
def test_lines_that_arrive_in_any_order_sum_to_the_same(seed: int) -> None:
    pair = pair_of()
    bodies = credited(pair, 20)
    Random(seed).shuffle(bodies)
    for place, body in enumerate(bodies, 1):
        receive(pair.source, body)
        settled = pair.source.state.get(SETTLEMENTS, pair.destination.name) or SettlementRecord()
        known = {one.dec_seq for one in bodies[:place] if isinstance(one, Fulfil)}
        assert settled.summed == next(number for number in range(21) if number + 1 not in known)
        row = pair.source.state.get(WINDOWS, (pair.destination.name, 1)) or WindowRecord()
        assert row.waiting == place - settled.summed
    ours = pair.source.state.get(WINDOW_TOTALS, (pair.destination.name, OUT, 1))
    theirs = pair.destination.state.get(WINDOW_TOTALS, (pair.source.name, IN, 1))
    assert ours is not None
    assert ours == theirs
    assert stated(ours) == totals_of([listed(pair, number) for number in range(1, 21)], first_dec_seq=1)
    assert rows_of(replay(pair.source)) == rows_of(pair.source.state)


def test_a_line_that_comes_after_the_closes_clears_the_mismatch_of_every_window_behind_it() -> None:
    pair = pair_of()
    one, other = pair.source, pair.destination
    bodies = credited(pair, 3)
    for number in (1, 2):
        take(one, other.body(close(other, one, number, early=True)))
        close(one, other, number, early=True)
        if number == 1:
            bodies += credited(pair, 2, first=4)
    for body in bodies[1:]:
        receive(one, body)
    assert state(one, other, 1) == state(one, other, 2) == WindowState.MISMATCH
    receive(one, bodies[0])
    assert state(one, other, 1) == state(one, other, 2) == WindowState.RECONCILED
    assert window(one, other, 2).received is not None


def test_window_agreed_of_a_credit_in_a_window_whose_statement_both_have_signed() -> None:
    pair = pair_of()
    one, other = pair.source, pair.destination
    convert(one, other, pair.sender, 400, name="a")
    close_both(one, other, 1)
    agree(one, other, 1)
    (credit,) = credited(pair, 1, first=2)
    assert isinstance(credit, Fulfil)
    owed, before = money(one, "payable", other), rows_of(one.state)
    with refused(Code.WINDOW_AGREED, one):
        receive(one, msgspec.structs.replace(credit, window=1))
    assert (money(one, "payable", other), rows_of(one.state)) == (owed, before)
    receive(one, credit)
    close_both(one, other, 2)
    agree(one, other, 2)
    assert money(one, "payable", other) == 0


@pytest.mark.parametrize("first", ["close", "claim"])
def test_a_credit_beyond_the_partners_own_close_is_a_mismatch_that_nothing_clears(first: str) -> None:
    pair = pair_of()
    one, other = pair.source, pair.destination
    convert(one, other, pair.sender, 400, name="a")
    closed = other.body(close(other, one, 1, early=True))
    (credit,) = credited(pair, 1, first=2)
    assert isinstance(credit, Fulfil)
    claim = msgspec.structs.replace(credit, window=1, dec_seq=9)
    if first == "claim":
        receive(one, claim)
    take(one, closed)
    close(one, other, 1, early=True)
    if first == "close":
        assert state(one, other, 1) == WindowState.RECONCILED
        receive(one, claim)
    assert (state(one, other, 1), window(one, other, 1).waiting) == (WindowState.MISMATCH, 1)
    # The numbers between come in windows of their own: the line keeps waiting for those before it.
    convert(one, other, pair.sender, 400, name="b")
    assert state(one, other, 1) == WindowState.MISMATCH
    assert rows_of(replay(one)) == rows_of(one.state)


def test_decision_mismatch_where_a_decision_number_is_used_twice() -> None:
    pair = pair_of()
    first, second = credited(pair, 2)
    receive(pair.source, first)
    assert isinstance(second, Fulfil)
    with refused(Code.DECISION_MISMATCH, pair.source):
        receive(pair.source, msgspec.structs.replace(second, dec_seq=1))
    receive(pair.source, second)
    assert pair.source.state.get(LINES, (pair.destination.name, OUT, 2)) is not None


def test_a_line_of_a_window_that_is_not_known_yet_waits_for_it() -> None:
    pair = pair_of()
    (body,) = credited(pair, 1)
    assert isinstance(body, Fulfil)
    receive(pair.source, msgspec.structs.replace(body, window=7))
    totals = pair.source.state.get(WINDOW_TOTALS, (pair.destination.name, OUT, 7))
    assert totals is not None
    assert totals.count == 1


def test_a_line_is_stated_as_its_row_has_it_and_read_back() -> None:
    pair = pair_of()
    convert(pair.source, pair.destination, pair.sender, 400, name="line 1")
    record = line_record(pair.source, pair.destination, OUT, 1)
    stated_line = line_from(record, source=pair.source.name, destination=pair.destination.name, dec_seq=1)
    assert stated_line == listed(pair, 1)
    assert record_from(stated_line) == record
