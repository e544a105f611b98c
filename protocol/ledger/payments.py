"""Payments of agreed statements: sent by the payer, confirmed by the payee, and what is free once that is done."""

from collections.abc import Iterator

import msgspec

from protocol.entries import Sealed
from protocol.entry import Posting
from protocol.errors import Code, Refusal
from protocol.identifiers import Account, Digest, Ledger, partner_of
from protocol.ledger.commands import ConfirmPayment, MakePayment, ReceivePayment, ReceiveReceipt, ReturnPayment
from protocol.ledger.exposure import settle
from protocol.ledger.moment import Moment, occurred
from protocol.ledger.partners import known_partner
from protocol.ledger.postings import check_postings, ledger_record, move_structural
from protocol.ledger.state import (
    EXPOSURE,
    IN,
    OUT,
    STATEMENTS,
    WINDOWS,
    StatementRecord,
    WindowRecord,
)
from protocol.ledger.view import Need, Overlay, View, need
from protocol.ledger.windows import (
    after,
    check_cited,
    check_partner,
    money_moves,
    needs_money,
    needs_window,
    window_record,
)
from protocol.messages import PaymentAdvice, Receipt, body_digest, encode_body
from protocol.settlement.statements import settled_value
from protocol.settlement.states import WindowEvent, WindowState
from protocol.statement import Statement
from protocol.window_entries import (
    PaymentConfirmed,
    PaymentMade,
    PaymentReceived,
    PaymentReturned,
    ReceiptReceived,
    payment_of_entry,
    payment_received,
    receipt_received,
)


def needs_payment(view: Overlay, command: MakePayment | ReturnPayment | ConfirmPayment) -> Iterator[Need]:
    """Name the window with its statement, and what a payment or its confirmation moves."""
    yield from needs_payment_of(view, command.partner, command.window)


def needs_receive_payment(view: Overlay, command: ReceivePayment) -> Iterator[Need]:
    """Name the window with its statement."""
    yield from needs_payment_of(view, command.payment.sender, command.payment.window)


def needs_receive_receipt(view: Overlay, command: ReceiveReceipt) -> Iterator[Need]:
    """Name the window with its statement, and what is free once it is confirmed."""
    yield from needs_payment_of(view, command.receipt.sender, command.receipt.window)


def needs_payment_of(view: Overlay, partner: Ledger, window: int) -> Iterator[Need]:
    """Name a window with its statement, and what a payment of it moves or frees."""
    yield from needs_window(view, partner, window)
    yield from needs_money(view, partner)
    yield from needs_confirmed(partner, window)


def needs_confirmed(partner: Ledger, window: int) -> Iterator[Need]:
    """Name what the confirmation of a window's statement reads and frees."""
    yield need(STATEMENTS, (partner, window))
    yield need(STATEMENTS, (partner, window - 1))
    for way in (OUT, IN):
        yield need(EXPOSURE, (partner, way))


def agreed_window(view: View, partner: Ledger, window: int, event: WindowEvent) -> tuple[WindowRecord, StatementRecord]:
    """Return a window and its statement, or refuse an event that its state does not allow."""
    record = window_record(view, partner, window)
    after(record, event)
    found = view.get(STATEMENTS, (partner, window))
    assert found is not None, "an agreed window has its statement"
    return record, found


def check_payer(statement: Statement, payer: Ledger) -> None:
    """Refuse unless `payer` is the one that the statement asks to pay."""
    if statement.payer != payer:
        raise Refusal(Code.PAYMENT_MISMATCH, f"{statement.payer} is to pay, not {payer}")


def _payment_of(record: WindowRecord) -> Digest:
    assert record.payment is not None, "a paid window has its payment"
    return record.payment


def sent_postings(partner: Ledger, statement: Statement) -> tuple[Posting, ...]:
    """Return what the payer posts for a payment that leaves."""
    return _between(partner, statement, statement.amount)


def arrived_postings(partner: Ledger, statement: Statement) -> tuple[Posting, ...]:
    """Return what the payee posts for a payment that has arrived, and the payer for one that came back."""
    return _between(partner, statement, -statement.amount)


def _between(partner: Ledger, statement: Statement, amount: int) -> tuple[Posting, ...]:
    name = partner_of(partner)
    return money_moves(statement.currency, amount, debit=Account(f"due/{name}"), credit=Account(f"paid/{name}"))


def decide_make(view: View, command: MakePayment, moment: Moment) -> PaymentMade:
    """Propose to note that the statement's money has left."""
    _, agreed = agreed_window(view, command.partner, command.window, WindowEvent.PAY)
    statement = agreed.signed.statement
    return PaymentMade(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=known_partner(view, command.partner).network,
        partner=command.partner,
        window=command.window,
        statement=agreed.digest,
        currency=statement.currency,
        minor_units=statement.minor_units,
        reference=command.reference,
        postings=sent_postings(command.partner, statement),
    )


def apply_make(view: View, sealed: Sealed, entry: PaymentMade) -> None:
    """Note that the statement's money has left; the payee is told how to find it."""
    check_partner(view, entry)
    record, agreed = agreed_window(view, entry.partner, entry.window, WindowEvent.PAY)
    own, statement = ledger_record(view).ledger, agreed.signed.statement
    check_payer(statement, own)
    check_amount(entry, agreed)
    check_postings(entry.postings, sent_postings(entry.partner, statement))
    move_structural(view, entry.postings)
    payment = body_digest(encode_body(payment_of_entry(entry, sealed.reference, ledger=own)))
    changed = msgspec.structs.replace(record, state=after(record, WindowEvent.PAY), payment=payment)
    view.put(WINDOWS, (entry.partner, entry.window), changed)


def check_amount(entry: PaymentMade | PaymentReceived | PaymentAdvice, agreed: StatementRecord) -> None:
    """Refuse a payment that is not what its statement asks for."""
    statement = agreed.signed.statement
    expected = (agreed.digest, statement.currency, statement.minor_units)
    if (entry.statement, entry.currency, entry.minor_units) != expected:
        raise Refusal(Code.PAYMENT_MISMATCH, "the payment is not what the statement asks for")


def decide_receive(_view: View, command: ReceivePayment, moment: Moment) -> PaymentReceived:
    """Propose to note the payer's word that the money is on its way."""
    payment = command.payment
    return PaymentReceived(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=payment.network,
        partner=payment.sender,
        window=payment.window,
        payment=command.digest,
        statement=payment.statement,
        currency=payment.currency,
        minor_units=payment.minor_units,
        reference=payment.reference,
        paid_at=payment.paid_at,
        partner_entry=payment.entry,
    )


def apply_receive(view: View, entry: PaymentReceived) -> None:
    """Note the payer's word; another payment takes the place of one that must have come back."""
    check_partner(view, entry)
    answer = payment_received(entry, ledger=ledger_record(view).ledger)
    check_cited(entry, entry.payment, body_digest(encode_body(answer)))
    record = window_record(view, entry.partner, entry.window)
    if record.state is WindowState.PAID:
        record = msgspec.structs.replace(record, state=after(record, WindowEvent.RETURN))
        view.put(WINDOWS, (entry.partner, entry.window), record)
    record, agreed = agreed_window(view, entry.partner, entry.window, WindowEvent.PAY)
    check_payer(agreed.signed.statement, entry.partner)
    check_amount(entry, agreed)
    changed = msgspec.structs.replace(record, state=after(record, WindowEvent.PAY), payment=entry.payment)
    view.put(WINDOWS, (entry.partner, entry.window), changed)


def decide_return(view: View, command: ReturnPayment, moment: Moment) -> PaymentReturned:
    """Propose to note that the money of a payment came back."""
    record, agreed = agreed_window(view, command.partner, command.window, WindowEvent.RETURN)
    return PaymentReturned(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=known_partner(view, command.partner).network,
        partner=command.partner,
        window=command.window,
        payment=_payment_of(record),
        postings=arrived_postings(command.partner, agreed.signed.statement),
    )


def apply_return(view: View, entry: PaymentReturned) -> None:
    """Let what came back be due again."""
    check_partner(view, entry)
    record, agreed = agreed_window(view, entry.partner, entry.window, WindowEvent.RETURN)
    check_payer(agreed.signed.statement, ledger_record(view).ledger)
    if entry.payment != record.payment:
        raise Refusal(Code.PAYMENT_MISMATCH, "another payment is on its way")
    check_postings(entry.postings, arrived_postings(entry.partner, agreed.signed.statement))
    move_structural(view, entry.postings)
    changed = msgspec.structs.replace(record, state=after(record, WindowEvent.RETURN), payment=None)
    view.put(WINDOWS, (entry.partner, entry.window), changed)


def decide_confirm(view: View, command: ConfirmPayment, moment: Moment) -> PaymentConfirmed:
    """Propose to confirm that the partner's money has arrived."""
    record, agreed = agreed_window(view, command.partner, command.window, WindowEvent.CONFIRM)
    return PaymentConfirmed(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=known_partner(view, command.partner).network,
        partner=command.partner,
        window=command.window,
        payment=_payment_of(record),
        statement=agreed.digest,
        postings=arrived_postings(command.partner, agreed.signed.statement),
    )


def apply_confirm(view: View, entry: PaymentConfirmed) -> None:
    """Note that the partner's money has arrived: the window is done."""
    check_partner(view, entry)
    record, agreed = agreed_window(view, entry.partner, entry.window, WindowEvent.CONFIRM)
    check_payer(agreed.signed.statement, entry.partner)
    if entry.payment != record.payment:
        raise Refusal(Code.PAYMENT_MISMATCH, "it confirms another payment than the one on its way")
    check_settled(entry, agreed)
    check_postings(entry.postings, arrived_postings(entry.partner, agreed.signed.statement))
    move_structural(view, entry.postings)
    confirmed(view, entry.partner, entry.window, state=after(record, WindowEvent.CONFIRM), seq=entry.seq)


def check_settled(entry: PaymentConfirmed | ReceiptReceived | Receipt, agreed: StatementRecord) -> None:
    """Refuse a word that the money of another statement has arrived."""
    if entry.statement != agreed.digest:
        raise Refusal(Code.PAYMENT_MISMATCH, "it is about the money of another statement")


def decide_receipt(_view: View, command: ReceiveReceipt, moment: Moment) -> ReceiptReceived:
    """Propose to note the payee's word that the money has arrived."""
    receipt = command.receipt
    return ReceiptReceived(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=receipt.network,
        partner=receipt.sender,
        window=receipt.window,
        receipt=command.digest,
        statement=receipt.statement,
        payment=receipt.payment,
        received_at=receipt.received_at,
        partner_entry=receipt.entry,
    )


def apply_receipt(view: View, entry: ReceiptReceived) -> None:
    """Note that the payee has the money: the window is done.

    Whichever payment it came by: one that this ledger has taken back was confirmed before the payee heard of the next.
    """
    check_partner(view, entry)
    own = ledger_record(view).ledger
    check_cited(entry, entry.receipt, body_digest(encode_body(receipt_received(entry, ledger=own))))
    record, agreed = agreed_window(view, entry.partner, entry.window, WindowEvent.CONFIRM)
    check_payer(agreed.signed.statement, own)
    check_settled(entry, agreed)
    view.put(WINDOWS, (entry.partner, entry.window), msgspec.structs.replace(record, payment=entry.payment))
    confirmed(view, entry.partner, entry.window, state=after(record, WindowEvent.CONFIRM), seq=entry.seq)


def confirmed(view: View, partner: Ledger, window: int, *, state: WindowState, seq: int) -> None:
    """End a window whose balance is settled, and free in both directions what its statement has settled."""
    record = window_record(view, partner, window)
    view.put(WINDOWS, (partner, window), msgspec.structs.replace(record, state=state, confirmed_seq=seq))
    agreed, before = view.get(STATEMENTS, (partner, window)), view.get(STATEMENTS, (partner, window - 1))
    assert agreed is not None, "a confirmed window has its statement"
    previous = before.signed.statement if before else None
    own = ledger_record(view).ledger
    for way, source in ((OUT, own), (IN, partner)):
        value = settled_value(agreed.signed.statement, previous, source=source)
        settle(view, partner, direction=way, value=value)
