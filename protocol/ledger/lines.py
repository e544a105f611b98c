"""The lines of settlement: each credited conversion enters its window as it happens, at both ledgers."""

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias, cast, get_args

import msgspec

from protocol.agreement import agreement_digest
from protocol.entries import AgreementEntered, ConversionCaptured, ConversionCredited, Sealed, fulfil_of
from protocol.errors import AgreementInvalid, Code, Refusal
from protocol.identifiers import Digest, Ledger
from protocol.ledger.commands import ConcludeFulfil, DecidePrepare, EnterAgreement
from protocol.ledger.postings import ledger_record
from protocol.ledger.state import (
    COUNTERS,
    IN,
    LINES,
    OUT,
    OUTGOING,
    SETTLEMENTS,
    WINDOW_TOTALS,
    WINDOWS,
    DecisionCounter,
    LineRecord,
    WindowTotals,
)
from protocol.ledger.view import Need, Overlay, View, need
from protocol.ledger.windows import compare, open_window, settlement, window_record
from protocol.merkle import CompactRange, Hash, leaf_hash
from protocol.messages import body_digest, encode_body
from protocol.statement import Line

Entering: TypeAlias = EnterAgreement | DecidePrepare | ConcludeFulfil
"""The commands whose entries add to a window, or open one."""

# Most commands are none of these, and to ask for an instance of a record's class costs ten looks at its type.
ENTERING: Final = frozenset(get_args(Entering))

NOTED: Final = frozenset((AgreementEntered, ConversionCredited, ConversionCaptured))

_AHEAD_FACTOR = 16
"""How much further a look ahead for waiting lines goes each time: a long row is found in few rounds."""


def needs_line(view: Overlay, command: Entering) -> Iterator[Need]:
    """Name what the entry of `command` adds to a window, or opens."""
    if isinstance(command, EnterAgreement):
        agreement = command.signed.agreement
        try:
            partner = agreement.other(ledger_record(view).ledger).ledger
            agreement_digest(agreement)
        except AgreementInvalid:
            return  # The rules refuse such a document before they read a row.
        yield need(WINDOWS, (partner, 1))
    elif isinstance(command, DecidePrepare):
        counter = view.peek(COUNTERS, command.prepare.source) or DecisionCounter()
        yield need(WINDOW_TOTALS, (command.prepare.source, IN, counter.window))
    else:
        fulfil = command.fulfil
        yield from needs_entered(view, fulfil.destination, window=fulfil.window, dec_seq=fulfil.dec_seq)


def needs_entered(view: Overlay, partner: Ledger, *, window: int, dec_seq: int) -> Iterator[Need]:
    """Name a line that is to enter, its window, and the lines after it that wait for it, with theirs."""
    yield need(SETTLEMENTS, partner)
    yield from _needs_totals(partner, window)
    yield need(LINES, (partner, OUT, dec_seq))
    if view.peek(LINES, (partner, OUT, dec_seq)) is not None:
        return  # It has entered before, or the number is refused: nothing waits for it.
    last = dec_seq
    while (line := view.peek(LINES, (partner, OUT, last + 1))) is not None:
        last += 1
        if line.window != window:
            window = line.window
            yield from _needs_totals(partner, window)
    for ahead in range(1 + _AHEAD_FACTOR * (last - dec_seq)):
        yield need(LINES, (partner, OUT, last + 1 + ahead))


def _needs_totals(partner: Ledger, window: int) -> Iterator[Need]:
    yield need(WINDOWS, (partner, window))
    yield need(WINDOW_TOTALS, (partner, OUT, window))


def note(view: View, sealed: Sealed) -> None:
    """Add the line of an applied entry to its window; the first agreement with a partner opens the first window."""
    entry = sealed.entry
    if isinstance(entry, ConversionCredited):
        _credited(view, sealed, entry)
    elif isinstance(entry, ConversionCaptured):
        _captured(view, entry)
    else:
        _begin(view, cast("AgreementEntered", entry))


def _begin(view: View, entry: AgreementEntered) -> None:
    agreement = entry.signed.agreement
    partner = agreement.other(ledger_record(view).ledger).ledger
    if window_record(view, partner, 1).opened_at is None:
        open_window(view, partner, 1, at=max(entry.time, agreement.valid_from), first_dec_seq=1)


def _credited(view: View, sealed: Sealed, entry: ConversionCredited) -> None:
    fulfil = fulfil_of(sealed, entry, ledger=ledger_record(view).ledger)
    line = LineRecord(
        conversion=entry.conversion,
        window=entry.window,
        agreement=entry.agreement,
        currency=entry.currency,
        source_points=entry.source_points,
        destination_points=entry.destination_points,
        fee_points=entry.fee_points,
        value=entry.value,
        fulfil=body_digest(encode_body(fulfil)),
    )
    add_decided(view, entry.source, entry.dec_seq, line)


def add_decided(view: View, partner: Ledger, dec_seq: int, line: LineRecord) -> None:
    """Add a line of conversions from `partner` to the window that is open for them."""
    view.put(LINES, (partner, IN, dec_seq), line)
    totals = view.get(WINDOW_TOTALS, (partner, IN, line.window))
    assert totals is not None, "an agreement opens the first window, and a close the next"
    view.put(WINDOW_TOTALS, (partner, IN, line.window), _added(totals, dec_seq, (line,)))


def _captured(view: View, entry: ConversionCaptured) -> None:
    record = view.get(OUTGOING, entry.conversion)
    assert record is not None, "a captured conversion has its record"
    line = LineRecord(
        conversion=entry.conversion,
        window=entry.window,
        agreement=record.agreement,
        currency=record.currency,
        source_points=record.source_points,
        destination_points=record.destination_points,
        fee_points=record.fee_points,
        value=record.value,
        fulfil=entry.fulfil,
    )
    enter(view, record.destination, entry.dec_seq, line)


def enter(view: View, partner: Ledger, dec_seq: int, line: LineRecord) -> None:
    """Enter a line of ours, or refuse a number that was used before, or a window whose statement both have signed.

    Lines are summed in the order of their numbers; one that comes too early waits for those before it.
    """
    if view.get(LINES, (partner, OUT, dec_seq)) is not None:
        raise Refusal(Code.DECISION_MISMATCH, f"{partner} has used the decision number {dec_seq} before")
    settled = settlement(view, partner)
    if line.window <= settled.agreed:
        raise Refusal(Code.WINDOW_AGREED, f"{partner} has signed window {line.window} without the line {dec_seq}")
    view.put(LINES, (partner, OUT, dec_seq), line)
    if dec_seq != settled.summed + 1:
        _wait(view, partner, line.window, 1)
        compare(view, partner, line.window)
        return
    waiting: dict[int, list[LineRecord]] = {}
    last = settled.summed
    firsts: dict[int, int] = {}
    while (found := view.get(LINES, (partner, OUT, last + 1))) is not None:
        last += 1
        waiting.setdefault(found.window, []).append(found)
        firsts.setdefault(found.window, last)
    view.put(SETTLEMENTS, partner, msgspec.structs.replace(settled, summed=last))
    for window, lines in waiting.items():
        first = firsts[window]
        totals = view.get(WINDOW_TOTALS, (partner, OUT, window))
        totals = totals or WindowTotals(first_dec_seq=first, last_dec_seq=first - 1)
        view.put(WINDOW_TOTALS, (partner, OUT, window), _added(totals, first + len(lines) - 1, lines))
        # The line that has just come has not waited.
        _wait(view, partner, window, (first == dec_seq) - len(lines))
        compare(view, partner, window)


def _wait(view: View, partner: Ledger, window: int, more: int) -> None:
    if more:
        record = window_record(view, partner, window)
        view.put(WINDOWS, (partner, window), msgspec.structs.replace(record, waiting=record.waiting + more))


def line_from(record: LineRecord, *, source: Ledger, destination: Ledger, dec_seq: int) -> Line:
    """Return a ledger's row of a line as messages state it."""
    return Line(
        source=source,
        destination=destination,
        id=record.conversion,
        window=record.window,
        dec_seq=dec_seq,
        agreement=record.agreement,
        currency=record.currency,
        source_points=record.source_points,
        destination_points=record.destination_points,
        fee_points=record.fee_points,
        value=record.value,
        fulfil=record.fulfil,
    )


def record_from(line: Line) -> LineRecord:
    """Return the row of a line that is entered as messages state it."""
    return LineRecord(
        conversion=line.id,
        window=line.window,
        agreement=line.agreement,
        currency=line.currency,
        source_points=line.source_points,
        destination_points=line.destination_points,
        fee_points=line.fee_points,
        value=line.value,
        fulfil=line.fulfil,
    )


def _added(totals: WindowTotals, last_dec_seq: int, lines: Sequence[LineRecord]) -> WindowTotals:
    tree = totals.tree
    for size, line in enumerate(lines, totals.count):
        tree = _with_leaf(tree, size, leaf_hash(bytes.fromhex(line.fulfil)))
    cited = {line.agreement for line in lines}.union(totals.agreements)
    return WindowTotals(
        first_dec_seq=totals.first_dec_seq,
        last_dec_seq=last_dec_seq,
        count=totals.count + len(lines),
        source_points=totals.source_points + sum([line.source_points for line in lines]),
        destination_points=totals.destination_points + sum([line.destination_points for line in lines]),
        fee_points=totals.fee_points + sum([line.fee_points for line in lines]),
        value=totals.value + sum([line.value for line in lines]),
        agreements=tuple(sorted(cited)),
        tree=tree,
    )


def _with_leaf(tree: tuple[Digest, ...], size: int, leaf: Hash) -> tuple[Digest, ...]:
    """Return the compact range `tree` over `size` leaves, in hex, with `leaf` at the right.

    Only the subtrees that the leaf completes are joined; the others stay the text that they are.
    """
    joined = (size ^ (size + 1)).bit_length() - 1
    kept = len(tree) - joined
    end = CompactRange(size=(1 << joined) - 1, hashes=[Hash(bytes.fromhex(node)) for node in tree[kept:]])
    end.append(leaf)
    return (*tree[:kept], Digest(end.root().hex()))
