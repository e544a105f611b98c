"""Closing a window: the decider of each direction signs what it credited, and the other takes that in."""

from collections.abc import Iterator

import msgspec

from protocol.errors import Code, ProtocolError, Refusal
from protocol.fields import later
from protocol.identifiers import Ledger
from protocol.ledger.commands import CloseWindow, ReceiveClose
from protocol.ledger.moment import Moment, occurred
from protocol.ledger.partners import known_partner
from protocol.ledger.postings import ledger_record
from protocol.ledger.state import (
    COUNTERS,
    IN,
    OUT,
    SETTLEMENTS,
    WINDOW_TOTALS,
    WINDOWS,
    CloseRecord,
    DecisionCounter,
    WindowRecord,
)
from protocol.ledger.view import Need, Overlay, View, need
from protocol.ledger.windows import (
    after,
    check_cited,
    check_partner,
    compare,
    current_agreement,
    needs_window,
    open_window,
    own_totals,
    settlement,
    window_record,
)
from protocol.limits import CLOCK_SKEW_SECONDS_MAX
from protocol.messages import body_digest, encode_body
from protocol.settlement.calendar import closes_at
from protocol.settlement.states import WindowEvent
from protocol.statement import check_totals
from protocol.window_entries import WindowClosed, WindowCloseReceived, close_received


def needs_close(view: Overlay, command: CloseWindow) -> Iterator[Need]:
    """Name the window and the next one, its totals, and the decisions from this partner."""
    yield from needs_window(view, command.partner, command.window)
    yield need(WINDOWS, (command.partner, command.window + 1))
    yield need(COUNTERS, command.partner)
    yield need(WINDOW_TOTALS, (command.partner, IN, command.window))
    yield need(WINDOW_TOTALS, (command.partner, OUT, command.window))


def _open_counter(view: View, partner: Ledger, window: int) -> DecisionCounter:
    counter = view.get(COUNTERS, partner) or DecisionCounter()
    if window < counter.window:
        raise Refusal(Code.WINDOW_CLOSED, f"the window open for {partner} is {counter.window}")
    if window > counter.window:
        raise Refusal(Code.WINDOW_OPEN, f"the window open for {partner} is {counter.window}")
    return counter


def _ends_at(view: View, partner: Ledger, record: WindowRecord) -> str:
    assert record.opened_at is not None, "the first agreement opened the first window, and each close the next"
    calendar = current_agreement(view, partner)[1].signed.agreement.windows
    return closes_at(calendar, opened_at=record.opened_at)


def decide_close(view: View, command: CloseWindow, moment: Moment) -> WindowClosed:
    """Propose to close the window that is open for the conversions from a partner."""
    _open_counter(view, command.partner, command.window)
    partner = known_partner(view, command.partner)
    agreement, _ = current_agreement(view, command.partner)
    record = window_record(view, command.partner, command.window)
    ends_at = _ends_at(view, command.partner, record)
    if moment.time < ends_at and not command.early:
        raise Refusal(Code.WINDOW_OPEN, f"the window lasts until {ends_at}")
    assert record.opened_at is not None, "its end was reckoned from it"
    return WindowClosed(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=partner.network,
        partner=command.partner,
        window=command.window,
        opened_at=record.opened_at,
        totals=own_totals(view, command.partner, command.window),
        agreement=agreement,
        early=moment.time < ends_at,
    )


def apply_close(view: View, entry: WindowClosed) -> None:
    """Close the window with all that was credited in it, and open the next."""
    check_partner(view, entry)
    counter = _open_counter(view, entry.partner, entry.window)
    agreement, _ = current_agreement(view, entry.partner)
    record = window_record(view, entry.partner, entry.window)
    early = entry.time < _ends_at(view, entry.partner, record)
    state = after(record, WindowEvent.CLOSE_EARLY if early else WindowEvent.CLOSE)
    expected = (record.opened_at, own_totals(view, entry.partner, entry.window), agreement, early)
    if (entry.opened_at, entry.totals, entry.agreement, entry.early) != expected:
        raise Refusal(Code.STATEMENT_MISMATCH, "the close does not state what the window has")
    closed = CloseRecord(totals=entry.totals, agreement=agreement, closed_at=entry.time, seq=entry.seq)
    view.put(WINDOWS, (entry.partner, entry.window), msgspec.structs.replace(record, state=state, closed=closed))
    open_next(view, entry.partner, counter, at=entry.time)
    compare(view, entry.partner, entry.window)


def open_next(view: View, partner: Ledger, counter: DecisionCounter, *, at: str) -> None:
    """Open the window after the one that `counter` stands in, which has been closed."""
    view.put(COUNTERS, partner, msgspec.structs.replace(counter, window=counter.window + 1))
    open_window(view, partner, counter.window + 1, at=at, first_dec_seq=counter.dec_seq + 1)


def needs_receive_close(view: Overlay, command: ReceiveClose) -> Iterator[Need]:
    """Name the window, the one before it and the totals of our own conversions."""
    close = command.close
    yield from needs_window(view, close.sender, close.window)
    yield need(WINDOWS, (close.sender, close.window - 1))
    yield need(WINDOW_TOTALS, (close.sender, OUT, close.window))


def decide_receive_close(_view: View, command: ReceiveClose, moment: Moment) -> WindowCloseReceived:
    """Propose to take in the partner's close of our conversions."""
    close = command.close
    return WindowCloseReceived(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=close.network,
        partner=close.sender,
        window=close.window,
        close=command.digest,
        totals=close.totals,
        agreement=close.agreement,
        closed_at=close.closed_at,
        early=close.early,
        partner_entry=close.entry,
    )


def apply_receive_close(view: View, entry: WindowCloseReceived) -> None:
    """Take in what the partner says it credited, which ends where the close before ended."""
    check_partner(view, entry)
    answer = close_received(entry, ledger=ledger_record(view).ledger)
    check_cited(entry, entry.close, body_digest(encode_body(answer)))
    settled = settlement(view, entry.partner)
    if entry.window <= settled.closed:
        raise Refusal(Code.WINDOW_CLOSED, f"{entry.partner} has closed the window {entry.window} before")
    if entry.window > settled.closed + 1:
        raise Refusal(Code.WINDOW_OPEN, f"{entry.partner} has not closed the window {settled.closed + 1}")
    _check_close(view, entry)
    record = window_record(view, entry.partner, entry.window)
    state = after(record, WindowEvent.CLOSE_EARLY if entry.early else WindowEvent.CLOSE)
    received = CloseRecord(
        totals=entry.totals, agreement=entry.agreement, closed_at=entry.closed_at, seq=entry.partner_entry.seq
    )
    view.put(WINDOWS, (entry.partner, entry.window), msgspec.structs.replace(record, state=state, received=received))
    view.put(SETTLEMENTS, entry.partner, msgspec.structs.replace(settled, closed=entry.window))
    compare(view, entry.partner, entry.window)


def _check_close(view: View, entry: WindowCloseReceived) -> None:
    try:
        check_totals(entry.totals)
    except ProtocolError as error:
        raise Refusal(Code.STATEMENT_INVALID, str(error)) from error
    if entry.closed_at > later(entry.time, seconds=CLOCK_SKEW_SECONDS_MAX):
        raise Refusal(Code.CLOCK, "the window was closed in the future")
    before = window_record(view, entry.partner, entry.window - 1).received
    first, at, seq = (before.totals.last_dec_seq + 1, before.closed_at, before.seq) if before else (1, "", -1)
    if entry.totals.first_dec_seq != first or entry.closed_at < at or entry.partner_entry.seq <= seq:
        raise Refusal(Code.STATEMENT_MISMATCH, "the close does not follow the one before")
