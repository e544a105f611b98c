"""A line is billed once, whatever becomes of it: disputed, upheld, given back, paid in vain and paid again."""

from collections.abc import Callable

import pytest

from protocol.errors import Code
from protocol.ledger import commands
from protocol.ledger.state import OUT
from protocol.settlement.states import WindowState
from protocol.statement import AdjustedLine, AdjustmentReason, DisputedLine
from tests.support.documents import uuid
from tests.support.ledger import Pair, convert, pair_of, refused
from tests.support.windows import (
    adjusted,
    agree,
    close_both,
    compute,
    confirm,
    dispute,
    disputed,
    line_record,
    money,
    pay,
    propose,
    send_back,
    settle,
    state,
    take,
)

UPHELD, WAIVED, REDUCED, TAKEN_BACK = (
    AdjustmentReason.UPHELD,
    AdjustmentReason.WAIVED,
    AdjustmentReason.REDUCED,
    AdjustmentReason.TAKEN_BACK,
)


def doubted() -> tuple[Pair, DisputedLine]:
    """Return a pair with two lines of window 1, the first of them in dispute since that window is agreed."""
    pair = pair_of(points=10_000)
    one, other = pair.source, pair.destination
    for name in ("doubted", "sure"):
        convert(one, other, pair.sender, 400, name=name)
    line = disputed(one, other, OUT, 1)
    take(other, one.body(dispute(one, other, line, source=one.name)))
    close_both(one, other, 1)
    agree(one, other, 1)
    settle(pair, 1)
    return pair, line


def settled(pair: Pair, number: int, *adjustments: AdjustedLine) -> int:
    """Settle the next window with a conversion in it, and return what the source owes for it."""
    one, other = pair.source, pair.destination
    convert(one, other, pair.sender, 400, name=f"window {number}")
    close_both(one, other, number)
    document = agree(one, other, number, {one.name: list(adjustments)})
    settle(pair, number)
    return document.bill(one.name).owed(number)


def test_a_line_in_dispute_is_listed_again_and_blocks_nothing() -> None:
    pair, line = doubted()
    one, other = pair.source, pair.destination
    for number in (2, 3, 4):
        assert settled(pair, number) == line.value
        for ledger, partner in ((one, other), (other, one)):
            assert state(ledger, partner, number) is WindowState.CONFIRMED
            assert line_record(ledger, partner, "out" if ledger is one else "in", 1).dispute is not None
        assert money(one, "payable", other) == line.value == -money(other, "receivable", one)
    assert settled(pair, 5, adjusted(line, UPHELD, line.value)) == 2 * line.value
    assert money(one, "payable", other) == 0
    assert settled(pair, 6) == line.value


@pytest.mark.parametrize(("reason", "part"), [(UPHELD, 1), (REDUCED, 2), (WAIVED, 0)])
def test_an_ended_line_is_neither_listed_nor_ended_again(reason: AdjustmentReason, part: int) -> None:
    pair, line = doubted()
    one, other = pair.source, pair.destination
    value = line.value // part if part else 0
    assert settled(pair, 2, adjusted(line, reason, value)) == line.value + value
    close_both(one, other, 3)
    for again, amount in ((UPHELD, line.value), (REDUCED, 1), (WAIVED, 0)):
        with refused(Code.STATEMENT_INVALID, one):
            compute(one, other, 3, {one.name: [adjusted(line, again, amount)]})
    for ledger, partner in ((one, other), (other, one)):
        command = commands.DisputeLines(
            id=uuid("once more"), partner=partner.name, window=1, source=one.name, lines=(line,)
        )
        with refused(Code.WINDOW_CONFIRMED, ledger):
            ledger.execute(command)


def given_back(pair: Pair, line: DisputedLine, value: int) -> Callable[[], object]:
    """Return what proposes window 3 with an amount of a line given back."""
    one, other = pair.source, pair.destination
    return lambda: propose(one, other, compute(one, other, 3, {one.name: [adjusted(line, TAKEN_BACK, -value)]}))


@pytest.mark.parametrize(("reason", "part"), [(UPHELD, 1), (REDUCED, 2), (WAIVED, 0)])
def test_no_more_is_given_back_than_was_billed(reason: AdjustmentReason, part: int) -> None:
    pair, line = doubted()
    one, other = pair.source, pair.destination
    billed = line.value // part if part else 0
    settled(pair, 2, adjusted(line, reason, billed))
    close_both(one, other, 3)
    with refused(Code.STATEMENT_MISMATCH, one):
        given_back(pair, line, billed + 1)()
    if billed:
        given_back(pair, line, billed)()


def test_a_line_in_dispute_cannot_be_given_back() -> None:
    pair, line = doubted()
    close_both(pair.source, pair.destination, 2)
    with refused(Code.STATEMENT_INVALID, pair.source):
        compute(pair.source, pair.destination, 2, {pair.source.name: [adjusted(line, TAKEN_BACK, -line.value)]})


def test_what_was_given_back_is_never_billed_again() -> None:
    pair, line = doubted()
    one, other = pair.source, pair.destination
    settled(pair, 2, adjusted(line, UPHELD, line.value))
    assert settled(pair, 3, adjusted(line, TAKEN_BACK, -line.value)) == 0
    cost = money(one, "conversion_cost", other)
    close_both(one, other, 4)
    for reason, value in ((UPHELD, line.value), (REDUCED, 1), (WAIVED, 0)):
        with refused(Code.STATEMENT_INVALID, one):
            compute(one, other, 4, {one.name: [adjusted(line, reason, value)]})
    with refused(Code.STATEMENT_MISMATCH, one):
        given = compute(one, other, 4, {one.name: [adjusted(line, TAKEN_BACK, -1)]})
        propose(one, other, given)
    assert line_record(one, other, OUT, 1).billed_value == 0
    assert money(one, "conversion_cost", other) == cost
    assert money(one, "payable", other) == 0


def test_a_payment_in_vain_bills_and_pays_nothing_twice() -> None:
    pair, line = doubted()
    one, other = pair.source, pair.destination
    convert(one, other, pair.sender, 400, name="again")
    close_both(one, other, 2)
    document = agree(one, other, 2, {one.name: [adjusted(line, UPHELD, line.value)]})
    before = {name: money(one, name, other) for name in ("due", "paid", "payable", "conversion_cost")}
    pay(one, other, 2)
    send_back(one, other, 2)
    assert {name: money(one, name, other) for name in before} == before
    with refused(Code.WINDOW_NOT_PAID, one):
        one.execute(commands.ReturnPayment(id=uuid("once more"), partner=other.name, window=2))
    pay(one, other, 2, name="again")
    confirm(one, other, 2)
    assert money(one, "due", other) == before["due"] - document.amount
    assert money(one, "paid", other) == before["paid"] + document.amount == -money(other, "paid", one)
    with refused(Code.WINDOW_CONFIRMED, one):
        pay(one, other, 2, name="once more")
