"""The verbs of settlement, by command and by kind of entry: what `protocol.ledger.rules` adds to its own."""

from typing import Final

from protocol import window_entries as kinds
from protocol.identifiers import Digest
from protocol.ledger import closing, commands, disputes, payments, statements
from protocol.ledger.commands import AnyCommand
from protocol.ledger.names import close_id, received_id, statement_id, window_id
from protocol.messages import Body, Close, Dispute, PaymentAdvice, Receipt, StatementSigned

NEEDS: Final = {
    commands.CloseWindow: closing.needs_close,
    commands.ReceiveClose: closing.needs_receive_close,
    commands.DisputeLines: disputes.needs_dispute,
    commands.ReceiveDispute: disputes.needs_receive_dispute,
    commands.ProposeStatement: statements.needs_propose,
    commands.AgreeStatement: statements.needs_agree,
    commands.MakePayment: payments.needs_payment,
    commands.ReceivePayment: payments.needs_receive_payment,
    commands.ReturnPayment: payments.needs_payment,
    commands.ConfirmPayment: payments.needs_payment,
    commands.ReceiveReceipt: payments.needs_receive_receipt,
}
DECIDE: Final = {
    commands.CloseWindow: closing.decide_close,
    commands.ReceiveClose: closing.decide_receive_close,
    commands.DisputeLines: disputes.decide_dispute,
    commands.ReceiveDispute: disputes.decide_receive_dispute,
    commands.ProposeStatement: statements.decide_propose,
    commands.AgreeStatement: statements.decide_agree,
    commands.MakePayment: payments.decide_make,
    commands.ReceivePayment: payments.decide_receive,
    commands.ReturnPayment: payments.decide_return,
    commands.ConfirmPayment: payments.decide_confirm,
    commands.ReceiveReceipt: payments.decide_receipt,
}
APPLY: Final = {
    kinds.WindowClosed: closing.apply_close,
    kinds.WindowCloseReceived: closing.apply_receive_close,
    kinds.LinesDisputed: disputes.apply_dispute,
    kinds.DisputeReceived: disputes.apply_receive_dispute,
    kinds.StatementProposed: statements.apply_propose,
    kinds.StatementAgreed: statements.apply_agree,
    kinds.PaymentReceived: payments.apply_receive,
    kinds.PaymentReturned: payments.apply_return,
    kinds.PaymentConfirmed: payments.apply_confirm,
    kinds.ReceiptReceived: payments.apply_receipt,
}
"""All but `payment_made`, whose body a receipt will cite: it is judged with its leaf."""


def command_for(body: Body, digest: Digest) -> AnyCommand | None:
    """Return what a received body about a window asks of the ledger, or None for one that moves nothing by itself.

    A proposed statement is among those: whoever signs it decides so.
    """
    match body:
        case Close():
            identifier = close_id(body.sender, body.window)
            return commands.ReceiveClose(id=identifier, request=digest, close=body, digest=digest)
        case Dispute():
            return commands.ReceiveDispute(id=received_id(digest), request=digest, dispute=body, digest=digest)
        case StatementSigned() if len(body.signed.signatures) == len(body.signed.statement.parties):
            identifier = statement_id(body.sender, body.window)
            return commands.AgreeStatement(id=identifier, request=digest, statement=body, digest=digest)
        case PaymentAdvice():
            return commands.ReceivePayment(id=received_id(digest), request=digest, payment=body, digest=digest)
        case Receipt():
            return commands.ReceiveReceipt(id=received_id(digest), request=digest, receipt=body, digest=digest)
        case _:
            return None


def close_with(close: Close) -> commands.CloseWindow:
    """Return the close by which the receiver of `close` closes the same window in its own direction."""
    identifier = window_id(close.sender, close.window)
    return commands.CloseWindow(id=identifier, partner=close.sender, window=close.window, early=True)
