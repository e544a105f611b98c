"""Two brands settle window after window: closes, statements, payments, disputes, adjustments, to the millionth."""

import msgspec
import pytest

from protocol.entries import body_of
from protocol.ledger import settling
from protocol.ledger.state import EXPOSURE, IN, OUT, ExposureRecord
from protocol.messages import Close, Lines, StatementSigned, body_digest, encode_body
from protocol.settlement.states import WindowState
from protocol.statement import AdjustmentReason, Statement
from tests.support.documents import WINDOWS, agreement, digest_of_body, direction, signed_agreement
from tests.support.history import history
from tests.support.ledger import MemoryLedger, Pair, convert, pair_of, replay, rows_of
from tests.support.settled import both_ways
from tests.support.windows import (
    adjusted,
    agree,
    close,
    close_both,
    compute,
    dispute,
    disputed,
    line_record,
    money,
    propose,
    settle,
    state,
    take,
)


def books(pair: Pair) -> None:
    """Hold that both ledgers mirror each other, and that their bytes lead to the same rows."""
    one, other = pair.source, pair.destination
    for ledger in (one, other):
        assert rows_of(replay(ledger)) == rows_of(ledger.state)
    for left, right in ((one, other), (other, one)):
        assert money(left, "payable", right) == -money(right, "receivable", left)
        assert money(left, "conversion_cost", right) == -money(right, "conversion_income", left)
        assert money(left, "due", right) == -money(right, "due", left)
        assert money(left, "paid", right) == -money(right, "paid", left)


def exposure(ledger: MemoryLedger, partner: MemoryLedger) -> tuple[int, int]:
    found = [ledger.state.get(EXPOSURE, (partner.name, way)) or ExposureRecord() for way in (OUT, IN)]
    return found[0].open_value, found[1].open_value


def test_a_window_is_closed_agreed_paid_and_confirmed() -> None:
    pair = pair_of()
    one, other = pair.source, pair.destination
    both_ways(pair, "a", out=1_200, back=250)
    close_both(one, other, 1)
    assert state(one, other, 1) == state(other, one, 1) == WindowState.RECONCILED
    document = agree(one, other, 1)
    books(pair)
    assert state(one, other, 1) == state(other, one, 1) == WindowState.AGREED
    assert money(one, "payable", other) == money(one, "receivable", other) == 0
    assert money(one, "due", other) == int(document.net)
    settle(pair, 1)
    books(pair)
    assert state(one, other, 1) == state(other, one, 1) == WindowState.CONFIRMED
    assert money(one, "due", other) == int(document.carry)
    assert abs(money(one, "paid", other)) == document.amount
    assert exposure(one, other) == exposure(other, one) == (0, 0)


def test_an_empty_window_asks_for_nothing_and_is_done_at_once() -> None:
    pair = pair_of()
    close_both(pair.destination, pair.source, 1)
    document = agree(pair.source, pair.destination, 1)
    assert (document.net, document.payer) == ("0", None)
    assert state(pair.source, pair.destination, 1) == state(pair.destination, pair.source, 1) == WindowState.CONFIRMED
    books(pair)


def test_a_balance_below_a_minor_unit_is_carried_into_the_next_window() -> None:
    calendar = msgspec.structs.replace(WINDOWS, minor_unit=1_000_000_000)
    terms = msgspec.structs.replace(agreement(), windows=calendar)
    pair = pair_of(signed=signed_agreement(terms))
    one, other = pair.source, pair.destination
    carries = []
    for number in (1, 2):
        convert(one, other, pair.sender, 400, name=f"small {number}")
        close_both(one, other, number)
        document = agree(one, other, number)
        assert (document.payer, document.carry) == (None, document.net)
        assert state(other, one, number) == WindowState.CONFIRMED
        assert money(one, "due", other) == int(document.carry)
        carries.append(int(document.carry))
    assert carries[1] == 2 * carries[0] > 0
    assert exposure(one, other) == exposure(other, one) == (0, 0)
    books(pair)


def test_weeks_of_windows_sum_to_the_ledgers_to_the_millionth() -> None:
    pair = pair_of(points=100_000)
    one, other = pair.source, pair.destination
    convert(one, other, pair.sender, 80_000, name="stock")
    documents: list[Statement] = []
    open_line = disputed(one, other, OUT, 1)
    for number in range(1, 8):
        out, back = (400 * number, 2_500) if number % 2 else (400, 2_500 * number)
        both_ways(pair, f"day {number}", out=out, back=back)
        close_both(*((one, other) if number % 2 else (other, one)), number)
        if number == 1:
            take(one, other.body(dispute(other, one, open_line, source=one.name)))
        upheld = adjusted(open_line, AdjustmentReason.UPHELD, open_line.value)
        documents.append(agree(one, other, number, {one.name: [upheld]} if number == 3 else None))
        if number != 4:  # One window is paid late, out of its order.
            settle(pair, number)
            books(pair)
    settle(pair, 4)
    books(pair)
    assert {document.payer for document in documents} == {one.name, other.name}
    assert [len(document.directions[0].disputed) for document in documents] == [1, 1, 0, 0, 0, 0, 0]
    paid = sum(document.amount * (1 if document.payer == one.name else -1) for document in documents)
    billed = -money(one, "conversion_cost", other) - money(one, "conversion_income", other)
    assert money(one, "paid", other) == paid
    assert billed == paid + int(documents[-1].carry)
    assert money(one, "due", other) == int(documents[-1].carry)
    assert money(one, "payable", other) == money(one, "receivable", other) == 0
    assert exposure(one, other) == exposure(other, one) == (0, 0)


@pytest.mark.parametrize(
    ("reason", "share"),
    [(AdjustmentReason.UPHELD, 1), (AdjustmentReason.REDUCED, 2), (AdjustmentReason.WAIVED, 0)],
)
def test_a_disputed_line_ends_in_the_next_window(reason: AdjustmentReason, share: int) -> None:
    pair = pair_of()
    one, other = pair.source, pair.destination
    both_ways(pair, "a", out=1_200)
    close_both(one, other, 1)
    line = disputed(one, other, OUT, 1)
    value = line.value // share if share else 0
    take(other, one.body(dispute(one, other, line, source=one.name)))
    agree(one, other, 1)
    assert money(one, "payable", other) == line.value
    assert line_record(one, other, OUT, 1).billed_value == 0
    settle(pair, 1)
    assert exposure(one, other) == (line.value, 0)
    assert exposure(other, one) == (0, line.value)
    close_both(one, other, 2)
    document = agree(one, other, 2, {one.name: [adjusted(line, reason, value)]})
    assert document.directions[0].owed(2) == value
    for ledger, partner, way in ((one, other, OUT), (other, one, IN)):
        record = line_record(ledger, partner, way, 1)
        assert (record.dispute, record.billed_value) == (None, value)
    assert money(one, "payable", other) == 0
    settle(pair, 2)
    assert exposure(one, other) == exposure(other, one) == (0, 0)
    books(pair)


def test_a_line_that_was_billed_is_taken_back_in_parts_and_no_further() -> None:
    pair = pair_of()
    one, other = pair.source, pair.destination
    convert(one, other, pair.sender, 1_200, name="a")
    line = disputed(one, other, OUT, 1)
    close_both(one, other, 1)
    agree(one, other, 1)
    settle(pair, 1)
    for number, value in ((2, 1), (3, line.value - 1)):
        close_both(one, other, number)
        back = adjusted(line, AdjustmentReason.TAKEN_BACK, -value)
        agree(one, other, number, {one.name: [back]})
        settle(pair, number)
        books(pair)
    assert line_record(one, other, OUT, 1).billed_value == line_record(other, one, IN, 1).billed_value == 0
    assert money(one, "conversion_cost", other) == money(other, "conversion_income", one) == 0


def test_a_sum_that_no_posting_can_state_is_split() -> None:
    price = 4_000_000_000_000_000
    pair = pair_of(signed=signed_agreement(agreement(there=direction(price=price))))
    one, other = pair.source, pair.destination
    for number in range(3):
        convert(one, other, pair.sender, 400, name=f"dear {number}")
    close_both(one, other, 1)
    agree(one, other, 1)
    entry = one.sealed[-1].entry
    postings = getattr(entry, "postings", ())
    assert len(postings) == 4
    assert money(one, "due", other) == 3 * price
    settle(pair, 1)
    assert money(one, "paid", other) == 3 * price
    books(pair)


def test_every_body_of_a_window_is_made_by_one_entry() -> None:
    pair = history()
    for ledger in (pair.source, pair.destination):
        bodies = [body for sealed in ledger.sealed if (body := body_of(sealed, ledger=ledger.name)) is not None]
        assert len({body_digest(encode_body(body)) for body in bodies}) == len(bodies)


def test_a_proposal_and_lines_ask_nothing_of_the_ledger_by_themselves() -> None:
    pair = pair_of()
    one, other = pair.source, pair.destination
    close_both(one, other, 1)
    proposal = one.body(propose(one, other, compute(one, other, 1)))
    assert isinstance(proposal, StatementSigned)
    assert settling.command_for(proposal, digest_of_body(proposal)) is None
    listed = Lines(network=proposal.network, sender=one.name, receiver=other.name, window=1, lines=())
    assert settling.command_for(listed, digest_of_body(proposal)) is None


def test_a_received_close_is_answered_by_our_own() -> None:
    pair = pair_of()
    one, other = pair.source, pair.destination
    received = other.body(close(other, one, 1, early=True))
    assert isinstance(received, Close)
    command = settling.close_with(received)
    assert (command.partner, command.window, command.early) == (other.name, 1, True)
    assert one.execute(command) == one.execute(command)
