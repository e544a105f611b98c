from typing import TypeVar

import msgspec
import pytest

from protocol.entry import Entry
from protocol.errors import Code
from protocol.identifiers import Asset
from protocol.ledger import commands
from protocol.ledger.state import EXPOSURE, OUT, ExposureRecord
from protocol.messages import PaymentAdvice, Receipt
from protocol.settlement.states import WindowState
from protocol.window_entries import PaymentConfirmed, PaymentMade, PaymentReceived, PaymentReturned, ReceiptReceived
from tests.support.documents import digest, uuid
from tests.support.ledger import MemoryLedger, Pair, convert, pair_of, refused
from tests.support.windows import (
    agree,
    agreed,
    close_both,
    confirm,
    money,
    pay,
    send_back,
    state,
    take,
    window,
)

_E = TypeVar("_E", bound=Entry)


def due() -> tuple[MemoryLedger, MemoryLedger, Pair]:
    """Return payer, payee and their pair, with a statement that the payer is to pay."""
    pair = pair_of()
    convert(pair.source, pair.destination, pair.sender, 1_200, name="a")
    close_both(pair.source, pair.destination, 1)
    agree(pair.source, pair.destination, 1)
    return pair.source, pair.destination, pair


def make(payer: MemoryLedger, payee: MemoryLedger, *, name: str = "pay") -> PaymentAdvice:
    command = commands.MakePayment(id=uuid(name), partner=payee.name, window=1, reference="RF18")
    body = payer.body(payer.execute(command))
    assert isinstance(body, PaymentAdvice)
    return body


def confirmed(payer: MemoryLedger, payee: MemoryLedger) -> Receipt:
    command = commands.ConfirmPayment(id=uuid("confirm"), partner=payer.name, window=1)
    body = payee.body(payee.execute(command))
    assert isinstance(body, Receipt)
    return body


def last(ledger: MemoryLedger, kind: type[_E]) -> _E:
    entry = ledger.sealed[-1].entry
    assert isinstance(entry, kind)
    return entry


def test_money_leaves_the_payer_and_arrives_at_the_payee() -> None:
    payer, payee, _ = due()
    statement = agreed(payer, payee, 1).signed.statement
    pay(payer, payee, 1)
    assert state(payer, payee, 1) == state(payee, payer, 1) == WindowState.PAID
    assert money(payer, "paid", payee) == statement.amount
    assert money(payee, "paid", payer) == 0
    confirm(payer, payee, 1)
    assert money(payee, "paid", payer) == -statement.amount
    assert state(payer, payee, 1) == state(payee, payer, 1) == WindowState.CONFIRMED
    record = window(payer, payee, 1)
    assert record.confirmed_seq == payer.sealed[-1].entry.seq


def test_a_payment_that_came_back_is_made_again() -> None:
    payer, payee, _ = due()
    before = money(payer, "due", payee)
    pay(payer, payee, 1)
    send_back(payer, payee, 1)
    assert (state(payer, payee, 1), money(payer, "due", payee)) == (WindowState.AGREED, before)
    assert money(payer, "paid", payee) == 0
    pay(payer, payee, 1, name="again")
    assert window(payer, payee, 1).payment == window(payee, payer, 1).payment
    confirm(payer, payee, 1)
    assert state(payer, payee, 1) == WindowState.CONFIRMED


def test_window_open_and_window_not_agreed_where_there_is_nothing_to_pay_yet() -> None:
    pair = pair_of()
    one, other = pair.source, pair.destination
    with refused(Code.WINDOW_OPEN, one):
        make(one, other)
    close_both(one, other, 1)
    with refused(Code.WINDOW_NOT_AGREED, one):
        make(one, other)
    for command in (
        commands.ReturnPayment(id=uuid("r"), partner=other.name, window=1),
        commands.ConfirmPayment(id=uuid("c"), partner=other.name, window=1),
    ):
        with refused(Code.WINDOW_NOT_PAID, one):
            one.execute(command)


def test_window_paid_and_window_confirmed_where_it_was_paid_before() -> None:
    payer, payee, _ = due()
    pay(payer, payee, 1)
    with refused(Code.WINDOW_PAID, payer):
        make(payer, payee)
    confirm(payer, payee, 1)
    with refused(Code.WINDOW_CONFIRMED, payer):
        make(payer, payee)
    with refused(Code.WINDOW_CONFIRMED, payee):
        confirmed(payer, payee)


def test_payment_mismatch_where_the_payee_pays_or_the_payer_confirms() -> None:
    payer, payee, _ = due()
    with refused(Code.PAYMENT_MISMATCH, payee):
        make(payee, payer)
    pay(payer, payee, 1)
    with refused(Code.PAYMENT_MISMATCH, payer):
        confirmed(payee, payer)
    with refused(Code.PAYMENT_MISMATCH, payee):
        payee.execute(commands.ReturnPayment(id=uuid("r"), partner=payer.name, window=1))


@pytest.mark.parametrize("fields", [{"statement": digest("x")}, {"currency": Asset("EUR")}, {"minor_units": "1"}])
def test_payment_mismatch_where_it_is_not_what_the_statement_asks_for(fields: dict[str, object]) -> None:
    payer, payee, _ = due()
    body = make(payer, payee)
    with refused(Code.PAYMENT_MISMATCH, payee):
        take(payee, msgspec.structs.replace(body, **fields))
    entry = msgspec.structs.replace(last(payer, PaymentMade), **fields)
    fresh, _, _ = due()
    with refused(Code.PAYMENT_MISMATCH, fresh):
        fresh.judge(entry)


def test_payment_mismatch_where_the_payee_says_it_pays() -> None:
    payer, payee, _ = due()
    body = make(payer, payee)
    send_back(payer, payee, 1)
    with refused(Code.PAYMENT_MISMATCH, payer):
        take(payer, msgspec.structs.replace(body, sender=payee.name, receiver=payer.name))


@pytest.mark.parametrize("fields", [{"payment": digest("x")}, {"statement": digest("x")}])
def test_payment_mismatch_where_another_payment_is_confirmed(fields: dict[str, object]) -> None:
    payer, payee, _ = due()
    pay(payer, payee, 1)
    confirmed(payer, payee)
    entry = msgspec.structs.replace(last(payee, PaymentConfirmed), **fields)
    other_payer, fresh, _ = due()
    pay(other_payer, fresh, 1)
    with refused(Code.PAYMENT_MISMATCH, fresh):
        fresh.judge(entry)


def test_payment_mismatch_where_a_receipt_is_of_another_statement() -> None:
    payer, payee, _ = due()
    pay(payer, payee, 1)
    receipt = confirmed(payer, payee)
    with refused(Code.PAYMENT_MISMATCH, payer):
        take(payer, msgspec.structs.replace(receipt, statement=digest("x")))


def test_a_receipt_that_crossed_a_return_ends_the_window_once_the_payment_is_made_again() -> None:
    payer, payee, _ = due()
    before = money(payer, "due", payee)
    pay(payer, payee, 1)
    first = window(payee, payer, 1).payment
    payer.execute(commands.ReturnPayment(id=uuid("return"), partner=payee.name, window=1))
    receipt = confirmed(payer, payee)
    with refused(Code.WINDOW_NOT_PAID, payer):
        take(payer, receipt)
    again = make(payer, payee, name="again")
    with refused(Code.WINDOW_CONFIRMED, payee):
        take(payee, again)
    take(payer, receipt)
    assert state(payer, payee, 1) == WindowState.CONFIRMED
    assert window(payer, payee, 1).payment == window(payee, payer, 1).payment == first
    assert money(payer, "due", payee) == before - money(payer, "paid", payee)
    exposure = payer.state.get(EXPOSURE, (payee.name, OUT))
    assert exposure is not None
    assert exposure.open_value == 0


def test_payment_mismatch_where_another_payment_came_back() -> None:
    payer, payee, _ = due()
    pay(payer, payee, 1)
    send_back(payer, payee, 1)
    entry = msgspec.structs.replace(last(payer, PaymentReturned), payment=digest("x"))
    fresh, other, _ = due()
    pay(fresh, other, 1)
    with refused(Code.PAYMENT_MISMATCH, fresh):
        fresh.judge(entry)


def test_payment_mismatch_where_the_payer_gets_a_receipt_for_what_it_is_to_get() -> None:
    payer, payee, _ = due()
    pay(payer, payee, 1)
    receipt = confirmed(payer, payee)
    other_payer, other_payee, _ = due()
    pay(other_payer, other_payee, 1)
    with refused(Code.PAYMENT_MISMATCH, other_payee):
        take(other_payee, msgspec.structs.replace(receipt, sender=payer.name, receiver=payee.name))


def test_decision_mismatch_where_an_entry_does_not_cite_its_payment_or_receipt() -> None:
    payer, payee, _ = due()
    pay(payer, payee, 1)
    announced = last(payee, PaymentReceived)
    take(payer, confirmed(payer, payee))
    acknowledged = last(payer, ReceiptReceived)
    for field in ("request", "reference"):
        _, fresh, _ = due()
        with refused(Code.DECISION_MISMATCH, fresh):
            fresh.judge(msgspec.structs.replace(announced, **{field: digest("x")}))
    for field in ("request", "statement"):
        fresh, other, _ = due()
        pay(fresh, other, 1)
        with refused(Code.DECISION_MISMATCH, fresh):
            fresh.judge(msgspec.structs.replace(acknowledged, **{field: digest("x")}))


def test_postings_invalid_where_money_moves_otherwise() -> None:
    payer, payee, _ = due()
    pay(payer, payee, 1)
    made = last(payer, PaymentMade)
    send_back(payer, payee, 1)
    returned = last(payer, PaymentReturned)
    pay(payer, payee, 1, name="again")
    confirmed(payer, payee)
    settled = last(payee, PaymentConfirmed)
    fresh, fresh_payee, _ = due()
    with refused(Code.POSTINGS_INVALID, fresh):
        fresh.judge(msgspec.structs.replace(made, postings=getattr(made, "postings", ())[::-1]))
    pay(fresh, fresh_payee, 1)
    for ledger, entry in ((fresh, returned), (fresh_payee, settled)):
        record = window(ledger, fresh_payee if ledger is fresh else fresh, 1)
        wrong = msgspec.structs.replace(entry, payment=record.payment, postings=getattr(entry, "postings", ())[::-1])
        with refused(Code.POSTINGS_INVALID, ledger):
            ledger.judge(wrong)


def test_amount_mismatch_where_more_is_settled_than_is_open() -> None:
    payer, payee, _ = due()
    pay(payer, payee, 1)
    payer.state.put(EXPOSURE, (payee.name, OUT), ExposureRecord())
    receipt = confirmed(payer, payee)
    with refused(Code.AMOUNT_MISMATCH, payer):
        take(payer, receipt)
