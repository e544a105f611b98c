"""Lines in dispute: left out of this window's bill, by either side's word, and ended by a later statement."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

from protocol.conversion import SourceState
from protocol.entry import Posting
from protocol.errors import Code, Refusal
from protocol.identifiers import Account, Ledger, partner_of
from protocol.ledger.commands import DisputeLines, ReceiveDispute
from protocol.ledger.lines import enter, needs_entered, record_from
from protocol.ledger.moment import Moment, occurred
from protocol.ledger.partners import known_partner
from protocol.ledger.postings import check_postings, ledger_record, move_structural
from protocol.ledger.state import (
    AGREEMENTS,
    EXPOSURE,
    IN,
    LINES,
    OUT,
    OUTGOING,
    WINDOWS,
    ExposureRecord,
    LineRecord,
    Way,
    WindowRecord,
)
from protocol.ledger.terms import agreement_record
from protocol.ledger.view import Need, Overlay, View, need
from protocol.ledger.windows import (
    after,
    check_cited,
    check_partner,
    currency_of,
    first_party,
    money_moves,
    needs_money,
    needs_window,
    way_of,
    window_record,
)
from protocol.messages import body_digest, encode_body
from protocol.settlement.states import WindowEvent
from protocol.statement import LINES_MAX, DisputedLine, Line
from protocol.window_entries import DisputeReceived, LinesDisputed, dispute_received

_NEVER_CAPTURED = (SourceState.RELEASED, SourceState.FORCED_CLEARED)


def needs_dispute(view: Overlay, command: DisputeLines) -> Iterator[Need]:
    """Name the window, the lines, and what lines that are to be entered move."""
    partner = command.partner
    yield from needs_window(view, partner, command.window)
    yield from _needs_lines(view, command.source, partner, command.lines)
    yield from needs_money(view, partner)
    yield need(EXPOSURE, (partner, OUT))
    for line in command.entered:
        yield need(OUTGOING, line.id)
        yield need(AGREEMENTS, line.agreement)
        yield from needs_entered(view, partner, window=line.window, dec_seq=line.dec_seq)


def _needs_lines(view: Overlay, source: Ledger, partner: Ledger, lines: Sequence[DisputedLine]) -> Iterator[Need]:
    way: Way = OUT if source == ledger_record(view).ledger else IN
    for line in lines:
        yield need(LINES, (partner, way, line.dec_seq))


def decide_dispute(view: View, command: DisputeLines, moment: Moment) -> LinesDisputed:
    """Propose to leave lines out of the window's bill, and to enter those that only the partner has."""
    return LinesDisputed(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=known_partner(view, command.partner).network,
        partner=command.partner,
        window=command.window,
        source=command.source,
        lines=command.lines,
        entered=command.entered,
        postings=entered_postings(view, command.partner, command.entered),
    )


def entered_postings(view: View, partner: Ledger, lines: Sequence[Line]) -> tuple[Posting, ...]:
    """Return what lines post that only the partner has: as if owed, until the dispute ends."""
    return money_moves(
        currency_of(view, partner),
        sum(line.value for line in lines),
        debit=Account(f"conversion_cost/{partner_of(partner)}"),
        credit=Account(f"payable/{partner_of(partner)}"),
    )


def apply_dispute(view: View, entry: LinesDisputed) -> None:
    """Leave lines out of the window's bill until a later statement ends the dispute."""
    check_partner(view, entry)
    record = window_record(view, entry.partner, entry.window)
    after(record, WindowEvent.DISPUTE)
    if record.proposed is not None:
        raise Refusal(Code.WINDOW_AGREED, "this ledger has signed the window's statement")
    way = way_of(view, entry.source, entry.partner)
    enter_lines(view, entry, way)
    check_postings(entry.postings, entered_postings(view, entry.partner, entry.entered))
    move_structural(view, entry.postings)
    for line in entry.lines:
        if _line(view, entry.partner, way, line).dispute is not None:
            raise Refusal(Code.LINE_DISPUTED, f"the line {line.dec_seq} is in dispute already")
    # Lines that were entered may have changed the window's row.
    record = window_record(view, entry.partner, entry.window)
    mark_lines(view, entry, record, way)


def enter_lines(view: View, entry: LinesDisputed, way: Way) -> None:
    """Enter the lines that only the partner has, each of which must be in dispute."""
    disputed = {(line.dec_seq, line.id, line.value) for line in entry.lines}
    for entered in entry.entered:
        if way != OUT or (entered.dec_seq, entered.id, entered.value) not in disputed:
            raise Refusal(Code.LINE_UNKNOWN, "a line is entered only in dispute, and only of our own conversions")
        _enter(view, entry, entered)


def _enter(view: View, entry: LinesDisputed, line: Line) -> None:
    own = ledger_record(view).ledger
    agreement_record(view, line.agreement, partner=entry.partner, network=entry.network)
    outgoing = view.get(OUTGOING, line.id)
    if outgoing is not None and outgoing.state not in _NEVER_CAPTURED:
        raise Refusal(Code.CONVERSION_EXISTS, f"the conversion {line.id} can still be captured, or was")
    expected = (own, entry.partner, entry.window, currency_of(view, entry.partner))
    if (line.source, line.destination, line.window, line.currency) != expected:
        raise Refusal(Code.LINE_UNKNOWN, f"the line {line.dec_seq} is not of this ledger, partner and window")
    enter(view, entry.partner, line.dec_seq, record_from(line))
    # What is entered may have to be paid, so it counts against the cap until it is settled.
    exposure = view.get(EXPOSURE, (entry.partner, OUT)) or ExposureRecord()
    changed = msgspec.structs.replace(exposure, open_value=exposure.open_value + line.value)
    view.put(EXPOSURE, (entry.partner, OUT), changed)


def _line(view: View, partner: Ledger, way: Way, line: DisputedLine) -> LineRecord:
    record = view.get(LINES, (partner, way, line.dec_seq))
    stated = (line.window, line.id, line.value)
    if record is None or (record.window, record.conversion, record.value) != stated:
        raise Refusal(Code.LINE_UNKNOWN, f"there is no such line {line.dec_seq} of window {line.window}")
    return record


def disputed_before(record: WindowRecord, lines: Sequence[DisputedLine], way: Way) -> tuple[DisputedLine, ...]:
    """Return `lines`, each as it was disputed before where it was: the reason that stands then is that one's."""
    known = {line.dec_seq: line for line in (record.disputed_out if way == OUT else record.disputed_in)}
    return tuple(known.get(line.dec_seq, line) for line in lines)


def mark_lines(view: View, entry: LinesDisputed | DisputeReceived, record: WindowRecord, way: Way) -> None:
    """Leave the lines of an entry out of the bill of its window, whose row is `record`."""
    if any(left.dec_seq >= right.dec_seq for left, right in pairwise(entry.lines)):
        raise Refusal(Code.LINE_UNKNOWN, "the lines are not different, in the order of their decisions")
    before = record.disputed_out if way == OUT else record.disputed_in
    listed = {line.dec_seq: line for line in before} | {line.dec_seq: line for line in entry.lines}
    if len(listed) > LINES_MAX:
        raise Refusal(Code.LINES_TOO_MANY, f"a statement lists at most {LINES_MAX} lines in dispute")
    for line in entry.lines:
        found = _line(view, entry.partner, way, line)
        if line.window != entry.window:
            raise Refusal(Code.LINE_UNKNOWN, f"the line {line.dec_seq} is of another window")
        changed = msgspec.structs.replace(found, dispute=line.reason)
        view.put(LINES, (entry.partner, way, line.dec_seq), changed)
    lines = tuple(listed[number] for number in sorted(listed))
    named = {"disputed_out": lines} if way == OUT else {"disputed_in": lines}
    view.put(WINDOWS, (entry.partner, entry.window), msgspec.structs.replace(record, proposed=None, **named))


def needs_receive_dispute(view: Overlay, command: ReceiveDispute) -> Iterator[Need]:
    """Name the window and the lines."""
    dispute = command.dispute
    yield from needs_window(view, dispute.sender, dispute.window)
    yield from _needs_lines(view, dispute.source, dispute.sender, dispute.lines)


def decide_receive_dispute(_view: View, command: ReceiveDispute, moment: Moment) -> DisputeReceived:
    """Propose to leave out the lines that the partner does not agree to bill."""
    dispute = command.dispute
    return DisputeReceived(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=dispute.network,
        partner=dispute.sender,
        window=dispute.window,
        dispute=command.digest,
        source=dispute.source,
        lines=dispute.lines,
        partner_entry=dispute.entry,
    )


def apply_receive_dispute(view: View, entry: DisputeReceived) -> None:
    """Leave the partner's lines out, too; where both dispute one line, the first party's reason stands.

    What this ledger has proposed meanwhile is void: the partner will not sign it.
    """
    check_partner(view, entry)
    own = ledger_record(view).ledger
    check_cited(entry, entry.dispute, body_digest(encode_body(dispute_received(entry, ledger=own))))
    record = window_record(view, entry.partner, entry.window)
    after(record, WindowEvent.DISPUTE)
    way = way_of(view, entry.source, entry.partner)
    if first_party(view, entry.partner):
        entry = msgspec.structs.replace(entry, lines=disputed_before(record, entry.lines, way))
    mark_lines(view, entry, record, way)
