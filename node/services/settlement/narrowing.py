"""A window whose two sides differ, narrowed to its lines: both show what they have, and signed FULFILs decide.

The source of the conversions finds that its lines are not those behind the decider's close. It lists its own; the
decider says every FULFIL again that the source lacks, and shows its lines where the two differ. What then still
differs is either cleared here, or shown to the operator with what to do (specs/settlement.md §5).
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum, unique
from itertools import islice
from typing import Final

from node.engine.sent import sent_body
from node.services.context import Context, WriteWork
from node.services.conversions.quotes import StoredView
from node.services.settlement.lines_shown import LINES_NARROWED_MAX, ShownLines
from node.services.settlement.miscounts import Miscounts
from node.store.rows import Requeue, Write
from protocol.conversion import SourceState
from protocol.errors import Refusal
from protocol.identifiers import Digest, Id, Ledger, id_from_random
from protocol.ledger.commands import DisputeLines, ReceiveDispute
from protocol.ledger.names import received_id
from protocol.ledger.partners import known_partner
from protocol.ledger.state import (
    IN,
    LINES,
    OUT,
    OUTGOING,
    SETTLEMENTS,
    WINDOWS,
    OutgoingRecord,
    SettlementRecord,
    Way,
    WindowRecord,
)
from protocol.messages import BODY_LINES_MAX, Dispute, Lines
from protocol.settlement.differences import DifferenceKind, LineDifference, decided, narrow, pages
from protocol.settlement.states import WindowState
from protocol.statement import DisputedLine, DisputeReason, Line
from protocol.window_entries import ENTERED_LINES_MAX

LOOK_AGAIN_SECONDS: Final = 5.0
"""How often a difference is looked at while nothing new has been shown: a FULFIL may have come meanwhile."""

_PAGES_A_COMMIT: Final = 16
_NEVER_CAPTURED: Final = frozenset({SourceState.RELEASED, SourceState.FORCED_CLEARED})
_TO_CAPTURE: Final = frozenset({SourceState.HELD, SourceState.FORCED})


@unique
class Fault(StrEnum):
    """What a difference comes to on this side; the first three are of a window, the others of a line."""

    LINES_AWAITED = "lines_awaited"
    LINES_UNFIT = "lines_unfit"
    LINES_TOO_MANY = "lines_too_many"
    UNDECIDED = "undecided"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    UNSHOWN = "unshown"
    CONTRADICTED = "contradicted"
    SENT_AGAIN = "sent_again"


_ENTERED: Final = frozenset({Fault.REJECTED, Fault.UNKNOWN})
"""What may be entered in dispute: conversions that were never captured, whose signed FULFIL is here."""

TO_DO: Final[dict[Fault, str]] = {
    Fault.LINES_AWAITED: "nothing: the partner's lines are on their way; if they stay away, ask whether its node runs",
    Fault.LINES_UNFIT: "ask the partner: the lines that it has shown are not those that its own close sums",
    Fault.LINES_TOO_MANY: "compare audit packages: there are more lines than messages carry; close windows earlier",
    Fault.UNDECIDED: "nothing: the partner says its decision again; if it stays refused, read why in the node's log",
    Fault.REJECTED: "nothing: the line is entered in dispute by itself; waive it in the next statement",
    Fault.UNKNOWN: "ask the partner for our signed order; enter the line in dispute, then uphold or waive it",
    Fault.UNSHOWN: "ask the partner for its signed FULFIL of this line: a line that nobody can show does not stand",
    Fault.CONTRADICTED: "keep the evidence: the partner has signed what cannot all be true; settle the window outside",
    Fault.SENT_AGAIN: "nothing: our FULFIL has been said again; if the partner disputes the line, show it the order",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A line about which the sides differ, and what that comes to here."""

    difference: LineDifference
    fault: Fault

    @property
    def line(self) -> Line:
        """Return the line as one of the sides has it: the decider's, if it has one."""
        ours, theirs = self.difference.ours, self.difference.theirs
        line = theirs or ours
        assert line is not None, "a difference is about a line that somebody has"
        return line


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubts:
    """Where the two sides of a window differ; with a `fault` of the whole window while its lines cannot be compared."""

    lines: tuple[Doubt, ...] = ()
    fault: Fault | None = None


class Narrowing:
    """Shows lines to partners, and tells what their lines come to."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._reader = context.reader
        self._lines = ShownLines(context)
        self._miscounts = Miscounts(context, self._lines)
        self._asked: set[tuple[Ledger, int]] = set()
        self._answered: dict[Ledger, tuple[int, Digest]] = {}
        self._looked_at: dict[Ledger, float] = {}

    def step(self, partner: Ledger) -> None:
        """Do what is due about the next window to be agreed: numbers run on, so an earlier difference comes first."""
        window = (self._reader.record(SETTLEMENTS, partner) or SettlementRecord()).agreed + 1
        record = self._reader.record(WINDOWS, (partner, window)) or WindowRecord()
        if record.closed is not None and record.received is not None:
            self._answer(partner, window, record)
        now = self._context.clock.monotonic()
        if record.closed is None or now - self._looked_at.get(partner, float("-inf")) < LOOK_AGAIN_SECONDS:
            return
        self._looked_at[partner] = now
        self._take_disputes(partner, window)
        if record.state is WindowState.MISMATCH:
            self._ask(partner, window)
            self._enter_rejected(partner, window)
            self._miscounts.look(partner, window)

    def doubts(self, partner: Ledger, window: int) -> Doubts:
        """Return where the sides of a window differ, as far as both have shown their lines."""
        record = self._reader.record(WINDOWS, (partner, window)) or WindowRecord()
        ours = self._of_ours(partner, window, record) if record.state is WindowState.MISMATCH else Doubts()
        return Doubts(lines=(*ours.lines, *self._of_theirs(partner, window, record)), fault=ours.fault)

    def claimed(self, partner: Ledger, window: int) -> dict[Id, Line]:
        """Return the lines of our own conversions that only the partner has, and whose signed FULFIL is here."""
        doubts = self.doubts(partner, window).lines
        return {doubt.line.id: doubt.line for doubt in doubts if doubt.fault in _ENTERED}

    # --- What the two sides differ in.

    def _of_ours(self, partner: Ledger, window: int, record: WindowRecord) -> Doubts:
        """Compare our own conversions with those behind the partner's close."""
        assert record.received is not None, "a mismatch is one with the partner's close"
        totals = record.received.totals
        ours = self._lines.ours(partner, OUT, window)
        if ours is None or totals.count > LINES_NARROWED_MAX:
            return Doubts(fault=Fault.LINES_TOO_MANY)
        shown = self._lines.shown(partner, window)
        theirs = decided(ours, shown, totals=totals)
        if theirs is None:
            return Doubts(fault=Fault.LINES_UNFIT if shown else Fault.LINES_AWAITED)
        return Doubts(lines=tuple(Doubt(difference=one, fault=self._fault(one)) for one in narrow(ours, theirs)))

    def _fault(self, difference: LineDifference) -> Fault:
        line = difference.theirs
        if line is None or difference.kind is not DifferenceKind.MISSING_HERE:
            # We hold a FULFIL of this number, and the close counts none, or another.
            return Fault.CONTRADICTED
        order = self._reader.record(OUTGOING, line.id)
        if order is not None and not _is_of(line, order):
            return Fault.CONTRADICTED
        if order is not None and order.state in _TO_CAPTURE:
            return Fault.UNDECIDED
        if self._lines.fulfil(line) is None:
            return Fault.UNSHOWN
        return Fault.UNKNOWN if order is None else Fault.REJECTED

    def _of_theirs(self, partner: Ledger, window: int, record: WindowRecord) -> tuple[Doubt, ...]:
        """Compare the conversions that we decided with the list of their source, if it has sent one."""
        if self._lines.newest(partner) is None:
            return ()
        listed = self._lines.listed(partner, window)
        ours = None if listed is None else self._lines.ours(partner, IN, window)
        if listed is None or ours is None:
            return ()
        # What the source disputes it has by now; that we dispute a line says nothing of that.
        said = (line.dec_seq for each in self._lines.disputes(partner, window).values() for line in each.lines)
        settled = {line.dec_seq for line in record.disputed_in}.intersection(said)
        return tuple(
            Doubt(difference=one, fault=Fault.CONTRADICTED if one.theirs else Fault.SENT_AGAIN)
            for one in narrow(ours, listed)
            if one.dec_seq not in settled
        )

    # --- What this side does about it.

    def _take_disputes(self, partner: Ledger, window: int) -> None:
        """Enter the partner's disputes that came when one of their lines was not here yet: nobody says them again."""
        for digest, dispute in self._lines.disputes(partner, window).items():
            identifier = received_id(digest)
            if self._reader.entry_seq_of_id(identifier) is None and self._has_all(dispute):
                command = ReceiveDispute(id=identifier, request=digest, dispute=dispute, digest=digest)
                with suppress(Refusal):
                    self._context.execute(command).result()

    def _has_all(self, dispute: Dispute) -> bool:
        way: Way = OUT if dispute.source == self._context.ledger else IN
        rows = (self._reader.record(LINES, (dispute.sender, way, line.dec_seq)) for line in dispute.lines)
        stated = ((line.id, line.value) for line in dispute.lines)
        return all(row and (row.conversion, row.value) == each for row, each in zip(rows, stated, strict=True))

    def _ask(self, partner: Ledger, window: int) -> None:
        """List our own conversions of a window, once: the partner answers with what it has otherwise."""
        ours = self._lines.ours(partner, OUT, window)
        if (partner, window) in self._asked or ours is None:
            return
        self._send(partner, window, list(pages(ours)))
        self._asked.add((partner, window))

    def _answer(self, partner: Ledger, window: int, record: WindowRecord) -> None:
        """Show what we decided otherwise than the partner has listed, and say those FULFILs again that it lacks."""
        newest = self._lines.newest(partner)
        if newest is None or self._answered.get(partner) == (window, newest):
            return
        doubts = self._of_theirs(partner, window, record)
        ours = [doubt.difference.ours for doubt in doubts if doubt.difference.ours is not None]
        self._send(partner, window, [ours[at : at + BODY_LINES_MAX] for at in range(0, len(ours), BODY_LINES_MAX)])
        lacking = [doubt.line for doubt in doubts if doubt.fault is Fault.SENT_AGAIN]
        again = [Requeue(line.fulfil) for line in lacking if self._reader.message_sent(line.fulfil) is not None]
        self._write(again)
        self._answered[partner] = (window, newest)

    def _enter_rejected(self, partner: Ledger, window: int) -> None:
        """Enter in dispute what the partner has both rejected and credited: its value is ours, its REJECT is here."""
        doubts = self.doubts(partner, window).lines
        lines = iter([doubt.line for doubt in doubts if doubt.fault is Fault.REJECTED])
        while found := tuple(islice(lines, ENTERED_LINES_MAX)):
            command = DisputeLines(
                id=id_from_random(self._context.randomness.token(16)),
                partner=partner,
                window=window,
                source=self._context.ledger,
                lines=tuple(disputed(line, DisputeReason.REJECTED) for line in found),
                entered=found,
            )
            self._context.execute(command).result()

    def _send(self, partner: Ledger, window: int, shown: Sequence[Sequence[Line]]) -> None:
        self._write(list(self._bodies(partner, window, shown)))

    def _bodies(self, partner: Ledger, window: int, shown: Sequence[Sequence[Line]]) -> Iterator[Write]:
        """Yield the bodies with these lines that have not been sent yet."""
        network = known_partner(StoredView(self._reader), partner).network
        for lines in shown:
            body = Lines(
                network=network,
                sender=self._context.ledger,
                receiver=partner,
                window=window,
                lines=tuple(lines),
            )
            said = sent_body(body, partner)
            if self._reader.message_sent(said.digest) is None:
                yield said

    def _write(self, writes: Sequence[Write]) -> None:
        for first in range(0, len(writes), _PAGES_A_COMMIT):
            self._context.writer.submit(WriteWork(writes[first : first + _PAGES_A_COMMIT])).result()


def _is_of(line: Line, order: OutgoingRecord) -> bool:
    """Return whether a line is what an order of ours may have become that we have not captured."""
    shown = (line.destination, line.agreement, line.currency, line.value)
    points = (line.source_points, line.destination_points, line.fee_points)
    asked = (order.destination, order.agreement, order.currency, order.value)
    is_open = order.state in _NEVER_CAPTURED | _TO_CAPTURE
    return is_open and shown == asked and points == (order.source_points, order.destination_points, order.fee_points)


def disputed(line: Line, reason: DisputeReason) -> DisputedLine:
    """Return a line as a dispute names it."""
    return DisputedLine(window=line.window, dec_seq=line.dec_seq, id=line.id, value=line.value, reason=reason)
