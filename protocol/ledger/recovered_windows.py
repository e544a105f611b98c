"""Settlement of the gap: closes, disputes, statements and payments of ours that stand again as the partner has them.

Each is entered by the rules of the kind of entry that was lost. Where a word of ours and one of the partner's crossed,
the partner's may come first now; what follows from both is the same (specs/succession.md).
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from protocol.entries import Posting
from protocol.errors import Code, Refusal
from protocol.ledger.closing import needs_close, open_next
from protocol.ledger.commands import CloseWindow, DisputeLines, Recover
from protocol.ledger.disputes import disputed_before, enter_lines, entered_postings, mark_lines, needs_dispute
from protocol.ledger.payments import (
    agreed_window,
    arrived_postings,
    check_amount,
    check_payer,
    check_settled,
    confirmed,
    needs_payment_of,
    sent_postings,
)
from protocol.ledger.postings import ledger_record, move_structural
from protocol.ledger.state import (
    AGREEMENTS,
    COUNTERS,
    STATEMENTS,
    WINDOWS,
    CloseRecord,
    DecisionCounter,
    StatementRecord,
)
from protocol.ledger.statements import agreed_postings, check_stated, enter_agreed, needs_agreed
from protocol.ledger.terms import agreement_record
from protocol.ledger.view import Need, Overlay, View, need
from protocol.ledger.windows import after, compare, first_party, own_totals, way_of, window_record
from protocol.messages import Close, Dispute, PaymentAdvice, Receipt, StatementSigned, WindowBody
from protocol.recovery_entries import Recovered
from protocol.settlement.states import WindowEvent, WindowState
from protocol.window_entries import LinesDisputed, StatementAgreed, StatementProposed

_PAID: Final = frozenset((WindowState.PAID, WindowState.CONFIRMED))


def needs_of_window(view: Overlay, command: Recover, body: WindowBody) -> Iterator[Need]:
    """Name what a word of ours about a window moves."""
    match body:
        case Close():
            yield need(AGREEMENTS, body.agreement)
            yield from needs_close(view, CloseWindow(id=command.id, partner=body.receiver, window=body.window))
        case Dispute():
            dispute = DisputeLines(
                id=command.id,
                partner=body.receiver,
                window=body.window,
                source=body.source,
                lines=body.lines,
                entered=command.entered,
            )
            yield from needs_dispute(view, dispute)
        case StatementSigned():
            yield from needs_agreed(view, body.receiver, body.signed.statement)
        case _:
            yield from needs_payment_of(view, body.receiver, body.window)


def window_postings(view: View, entry: Recovered) -> tuple[Posting, ...]:
    """Return what a recovered word about a window posts."""
    body, partner = entry.body, entry.partner
    match body:
        case Dispute():
            return entered_postings(view, partner, entry.entered) if entry.entered else ()
        case StatementSigned() if _is_agreed(body):
            return agreed_postings(view, partner, body.signed.statement)
        case PaymentAdvice() if window_record(view, partner, body.window).state not in _PAID:
            _, agreed = agreed_window(view, partner, body.window, WindowEvent.PAY)
            return sent_postings(partner, agreed.signed.statement)
        case Receipt():
            _, agreed = agreed_window(view, partner, body.window, WindowEvent.CONFIRM)
            return arrived_postings(partner, agreed.signed.statement)
        case _:
            # A payment that takes the place of one, also of one that is confirmed by now, moves nothing: the money of
            # that one came back in the gap.
            return ()


def _is_agreed(body: StatementSigned) -> bool:
    return len(body.signed.signatures) == len(body.signed.statement.parties)


def recover_close(view: View, entry: Recovered, close: Close) -> None:
    """Close the window again with the very totals that we signed, and open the next."""
    agreement_record(view, close.agreement, partner=entry.partner, network=entry.network)
    counter = view.get(COUNTERS, entry.partner) or DecisionCounter()
    if close.window != counter.window or close.totals != own_totals(view, entry.partner, close.window):
        raise Refusal(Code.RECOVERY_MISMATCH, "the close does not state what the open window has")
    record = window_record(view, entry.partner, close.window)
    state = after(record, WindowEvent.CLOSE_EARLY if close.early else WindowEvent.CLOSE)
    closed = CloseRecord(totals=close.totals, agreement=close.agreement, closed_at=close.closed_at, seq=close.entry.seq)
    view.put(WINDOWS, (entry.partner, close.window), msgspec.structs.replace(record, state=state, closed=closed))
    open_next(view, entry.partner, counter, at=close.closed_at)
    compare(view, entry.partner, close.window)


def recover_dispute(view: View, entry: Recovered, dispute: Dispute) -> None:
    """Leave the lines out again; where the partner disputes one, too, the first party's reason stands."""
    lost = LinesDisputed(
        id=entry.id,
        request=None,
        occurred_on=entry.occurred_on,
        network=entry.network,
        partner=entry.partner,
        window=dispute.window,
        source=dispute.source,
        lines=dispute.lines,
        entered=entry.entered,
        postings=entry.postings,
    )
    way = way_of(view, dispute.source, entry.partner)
    after(window_record(view, entry.partner, dispute.window), WindowEvent.DISPUTE)
    enter_lines(view, lost, way)
    move_structural(view, entry.postings)
    # Lines that were entered may have changed the window's row.
    record = window_record(view, entry.partner, dispute.window)
    if not first_party(view, entry.partner):
        lost = msgspec.structs.replace(lost, lines=disputed_before(record, dispute.lines, way))
    mark_lines(view, lost, record, way)


def recover_statement(view: View, entry: Recovered, body: StatementSigned) -> None:
    """Let our signature under a window's statement count again: a proposal of the first party, the second's agreement.

    A proposal that this ledger would not make any more is void: a dispute has crossed it.
    """
    if _is_agreed(body) == first_party(view, entry.partner):
        raise Refusal(Code.RECOVERY_MISMATCH, "the first party proposes a statement, the second one agrees")
    if _is_agreed(body):
        _agree(view, entry, body)
        return
    lost = StatementProposed(
        id=entry.id,
        request=None,
        occurred_on=entry.occurred_on,
        seq=entry.seq,
        network=entry.network,
        partner=entry.partner,
        window=body.window,
        signed=body.signed,
    )
    try:
        digest = check_stated(view, lost)
    except Refusal:
        return
    record = window_record(view, entry.partner, body.window)
    view.put(WINDOWS, (entry.partner, body.window), msgspec.structs.replace(record, proposed=digest))


def _agree(view: View, entry: Recovered, body: StatementSigned) -> None:
    lost = StatementAgreed(
        id=entry.id,
        request=None,
        occurred_on=entry.occurred_on,
        seq=entry.seq,
        network=entry.network,
        partner=entry.partner,
        window=body.window,
        answered=entry.digest,
        signed=body.signed,
        partner_entry=body.entry,
        postings=entry.postings,
    )
    digest = check_stated(view, lost)
    move_structural(view, entry.postings)
    enter_agreed(view, lost, digest)


def recover_payment(view: View, entry: Recovered, payment: PaymentAdvice) -> None:
    """Let our payment be on its way again; one before it came back, also where the payee had confirmed it."""
    key = (entry.partner, payment.window)
    record = window_record(view, *key)
    if record.state is WindowState.CONFIRMED:
        agreed = view.get(STATEMENTS, key)
        assert agreed is not None, "a confirmed window has its statement"
        _check_payment(view, payment, agreed)
        return
    if record.state is WindowState.PAID:
        view.put(WINDOWS, key, msgspec.structs.replace(record, state=after(record, WindowEvent.RETURN)))
    record, agreed = agreed_window(view, *key, WindowEvent.PAY)
    _check_payment(view, payment, agreed)
    move_structural(view, entry.postings)
    view.put(WINDOWS, key, msgspec.structs.replace(record, state=after(record, WindowEvent.PAY), payment=entry.digest))


def _check_payment(view: View, payment: PaymentAdvice, agreed: StatementRecord) -> None:
    check_payer(agreed.signed.statement, ledger_record(view).ledger)
    check_amount(payment, agreed)


def recover_receipt(view: View, entry: Recovered, receipt: Receipt) -> None:
    """Let the payment that we confirmed be confirmed again."""
    record, agreed = agreed_window(view, entry.partner, receipt.window, WindowEvent.CONFIRM)
    check_payer(agreed.signed.statement, entry.partner)
    check_settled(receipt, agreed)
    move_structural(view, entry.postings)
    view.put(WINDOWS, (entry.partner, receipt.window), msgspec.structs.replace(record, payment=receipt.payment))
    state = after(record, WindowEvent.CONFIRM)
    confirmed(view, entry.partner, receipt.window, state=state, seq=entry.seq)
