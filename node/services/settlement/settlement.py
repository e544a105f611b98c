"""Settlement with partners: windows closed, lines disputed, statements signed, payments made and confirmed.

What an operator does once, `CloseWindows` does when it is due, by the same methods; money alone is left to people.
"""

from collections.abc import Iterator
from typing import Final

from node.ports import Logs
from node.services.answers import EntryAnswer
from node.services.context import Context
from node.services.conversions.quotes import StoredView
from node.services.pending import Pending
from node.services.refusals import NodeCode, NodeRefusal
from node.services.requests import ConfirmationRequest, DisputeRequest, PaymentRequest, ReturnRequest, digest_request
from node.services.settlement.narrowing import TO_DO, Narrowing, disputed
from node.services.settlement.settlement_papers import Paper, lines_csv, page
from node.services.settlement.settlement_views import (
    DifferenceList,
    ProposalList,
    StatementList,
    StatementView,
    WindowLineList,
    WindowList,
    WindowView,
    difference_view,
    proposal_view,
    statement_row,
    statement_view,
    window_line,
    window_view,
)
from node.services.settlement.signing import Proposal, Signing, StatementSigner
from node.store.read_windows import WindowPlace
from protocol.errors import Code, Refusal
from protocol.identifiers import Digest, Ledger
from protocol.ledger.commands import CloseWindow, ConfirmPayment, DisputeLines, MakePayment, ReturnPayment
from protocol.ledger.names import window_id
from protocol.ledger.partners import known_partner
from protocol.ledger.state import (
    COUNTERS,
    IN,
    OUT,
    SETTLEMENTS,
    STATEMENTS,
    WINDOW_TOTALS,
    WINDOWS,
    DecisionCounter,
    SettlementRecord,
    StatementRecord,
    Way,
    WindowRecord,
)
from protocol.settlement.calendar import closes_at
from protocol.statement import DisputedLine, DisputeReason, Line

LISTED_MAX: Final = 256
PROPOSED: Final = "proposed"
"""What a statement is before it is agreed; then it is what its window is."""


class SettlementService:
    """Lists windows and statements, and does what settlement asks of this ledger."""

    def __init__(self, context: Context, logs: Logs) -> None:
        self._context = context
        self._signer = StatementSigner(context, logs)
        self._narrowing = Narrowing(context)

    def partners(self) -> list[Ledger]:
        """Return the partners with whom there has been an agreement, those apart that are partners no more."""
        reader = self._context.reader
        return [ledger for ledger, _ in reader.living_partners() if reader.current_agreement(ledger) is not None]

    # --- Reading.

    def windows(
        self, partner: Ledger | None = None, *, after: WindowPlace | None = None, limit: int = LISTED_MAX
    ) -> WindowList:
        """Return windows with their sums, latest first, those after `after`."""
        found = self._context.reader.windows_page(partner, after=after, limit=limit + 1)
        rows = tuple(map(self._window, found[:limit]))
        return WindowList(windows=rows, next=f"{rows[-1].window}/{rows[-1].partner}" if len(found) > limit else None)

    def lines(
        self, partner: Ledger, window: int, way: Way, *, after: int = 0, limit: int = LISTED_MAX
    ) -> WindowLineList:
        """Return the lines of one direction of a window, those after the decision numbered `after`."""
        known_partner(StoredView(self._context.reader), partner)
        found = self._context.reader.lines_of_way(partner, way, window, limit=limit + 1, after=after)
        lines = tuple(window_line(dec_seq, record) for (_, _, dec_seq), record in found[:limit])
        following = lines[-1].dec_seq if len(found) > limit else None
        return WindowLineList(partner=partner, window=window, direction=way, lines=lines, next=following)

    def differences(self, partner: Ledger, window: int) -> DifferenceList:
        """Return where the sides of a window differ, line by line, as far as both have shown their lines."""
        known_partner(StoredView(self._context.reader), partner)
        doubts = self._narrowing.doubts(partner, window)
        return DifferenceList(
            partner=partner,
            window=window,
            state=self._record((partner, window)).state.value,
            reason=doubts.fault and doubts.fault.value,
            to_do=doubts.fault and TO_DO[doubts.fault],
            differences=tuple(map(difference_view, doubts.lines[:LISTED_MAX])),
            more=len(doubts.lines) > LISTED_MAX,
        )

    def statements(
        self, partner: Ledger | None = None, *, after: int | None = None, limit: int = LISTED_MAX
    ) -> StatementList:
        """Return agreed statements, latest first, those after the one that was agreed in entry `after`."""
        found = self._context.reader.statements_page(partner, before_seq=after, limit=limit + 1)
        shown = found[:limit]
        rows = tuple(statement_row(place, record, self._record(place)) for place, record in shown)
        return StatementList(statements=rows, next=shown[-1][1].agreed_seq if len(found) > limit else None)

    def proposals(self, partner: Ledger | None = None) -> ProposalList:
        """Return the statements that one party alone has signed, ours and partners'."""
        return ProposalList(proposals=tuple(map(proposal_view, self._pending(partner))))

    def statement(self, digest: Digest) -> StatementView:
        """Return a statement, agreed or proposed, or raise `not_found`."""
        return statement_view(self._paper(digest))

    def statement_csv(self, digest: Digest) -> str:
        """Return the lines of a statement as CSV (RFC 4180), or raise `not_found`."""
        paper = self._paper(digest)
        lines = self._context.reader.lines(*paper.place)
        return lines_csv(paper.signed.statement, lines, own=self._context.ledger)

    def statement_page(self, digest: Digest) -> str:
        """Return a statement as a page that needs nothing else, to be printed, or raise `not_found`."""
        return page(self._paper(digest))

    # --- What operators do.

    def close(self, partner: Ledger, window: int) -> Pending[EntryAnswer]:
        """Close a window that is open for the partner's conversions, now; the partner answers with its own close."""
        known_partner(StoredView(self._context.reader), partner)
        command = CloseWindow(id=window_id(partner, window), partner=partner, window=window, early=True)
        return self._context.execute(command)

    def dispute(self, request: DisputeRequest) -> Pending[EntryAnswer]:
        """Leave lines out of a window's bill until a later statement ends the dispute."""
        own = self._context.ledger
        known_partner(StoredView(self._context.reader), request.partner)
        entered = self._entered(request)
        reason = DisputeReason(request.reason)
        lines = (*self._disputed(request, without=entered), *(disputed(line, reason) for line in entered))
        command = DisputeLines(
            id=request.id,
            request=digest_request(self._context.digests, request),
            partner=request.partner,
            window=request.window,
            source=own if request.direction == OUT else request.partner,
            lines=tuple(sorted(lines, key=lambda line: line.dec_seq)),
            entered=entered,
        )
        return self._context.execute(command)

    def pay(self, request: PaymentRequest) -> Pending[EntryAnswer]:
        """Tell the partner that the statement's money is on its way."""
        (partner, window), _ = self._agreed(request.statement)
        command = MakePayment(
            id=request.id,
            request=digest_request(self._context.digests, request),
            partner=partner,
            window=window,
            reference=request.reference,
        )
        return self._context.execute(command)

    def send_back(self, request: ReturnRequest) -> Pending[EntryAnswer]:
        """Note that the money of our payment came back: the statement is to be paid again."""
        (partner, window), _ = self._agreed(request.statement)
        command = ReturnPayment(
            id=request.id,
            request=digest_request(self._context.digests, request),
            partner=partner,
            window=window,
        )
        return self._context.execute(command)

    def confirm(self, request: ConfirmationRequest) -> Pending[EntryAnswer]:
        """Confirm that the partner's money has arrived."""
        (partner, window), _ = self._agreed(request.statement)
        command = ConfirmPayment(
            id=request.id,
            request=digest_request(self._context.digests, request),
            partner=partner,
            window=window,
        )
        return self._context.execute(command)

    def sign(self, partner: Ledger, window: int | None = None, signing: Signing | None = None) -> Pending[EntryAnswer]:
        """Sign the statement of a window, the next one if none is named: propose it, or agree to the partner's.

        Adjustments end disputes of earlier windows or take billed lines back; both parties must name the same. Refuses
        where the partner's turn has come, its statement is another, or its log is not the one that it has shown.
        """
        known_partner(StoredView(self._context.reader), partner)
        return self._signer.sign(partner, window or self._settled(partner).agreed + 1, signing or Signing())

    # --- What is due by itself.

    def close_due(self, partner: Ledger) -> Pending[EntryAnswer] | None:
        """Close the open window if its time has passed or the partner has closed it; None if neither is so."""
        reader = self._context.reader
        window = (reader.record(COUNTERS, partner) or DecisionCounter()).window
        record, current = self._record((partner, window)), reader.current_agreement(partner)
        if record.opened_at is None or current is None:
            return None
        ends_at = closes_at(current[1].signed.agreement.windows, opened_at=record.opened_at)
        if self._settled(partner).closed < window and self._context.now < ends_at:
            return None
        return self.close(partner, window)

    def narrow_due(self, partner: Ledger) -> None:
        """Show the partner our lines of a window that differs, and do what its lines, and signed FULFILs, decide."""
        self._narrowing.step(partner)

    def sign_due(self, partner: Ledger) -> Pending[EntryAnswer] | None:
        """Sign the next statement if it is this ledger's turn and nobody has anything to decide about it first."""
        window = self._settled(partner).agreed + 1
        if not self._signer.is_due(partner, window):
            return None
        return self._signer.sign(partner, window, Signing())

    def _entered(self, request: DisputeRequest) -> tuple[Line, ...]:
        """Return the lines of a request that the partner alone has shown."""
        if not request.enters or request.direction != OUT:
            return ()
        claimed = self._narrowing.claimed(request.partner, request.window)
        return tuple(
            sorted((claimed[each] for each in set(request.lines) & claimed.keys()), key=lambda line: line.dec_seq)
        )

    def _disputed(self, request: DisputeRequest, *, without: tuple[Line, ...]) -> list[DisputedLine]:
        wanted, found = set(request.lines) - {line.id for line in without}, []
        for (_, way, dec_seq), line in self._context.reader.lines(request.partner, request.window):
            if way == request.direction and line.conversion in wanted:
                wanted.remove(line.conversion)
                reason = DisputeReason(request.reason)
                found.append(
                    DisputedLine(
                        window=line.window, dec_seq=dec_seq, id=line.conversion, value=line.value, reason=reason
                    )
                )
        if wanted:
            raise Refusal(Code.LINE_UNKNOWN, f"there is no line of {min(wanted)} in window {request.window}")
        return found

    def _window(self, row: tuple[tuple[Ledger, int], WindowRecord]) -> WindowView:
        (partner, window), record = row
        reader = self._context.reader
        return window_view(
            (partner, window),
            record,
            sent=reader.record(WINDOW_TOTALS, (partner, OUT, window)),
            received=reader.record(WINDOW_TOTALS, (partner, IN, window)),
            statement=reader.record(STATEMENTS, (partner, window)),
        )

    def _record(self, place: tuple[Ledger, int]) -> WindowRecord:
        return self._context.reader.record(WINDOWS, place) or WindowRecord()

    def _settled(self, partner: Ledger) -> SettlementRecord:
        return self._context.reader.record(SETTLEMENTS, partner) or SettlementRecord()

    def _agreed(self, digest: Digest) -> tuple[tuple[Ledger, int], StatementRecord]:
        found = self._context.reader.statement_named(digest)
        if found is None:
            raise _no_statement(digest)
        return found

    def _paper(self, digest: Digest) -> Paper:
        found = self._context.reader.statement_named(digest)
        if found is not None:
            place, record = found
            return Paper(
                place=place,
                digest=digest,
                state=self._record(place).state.value,
                agreed_seq=record.agreed_seq,
                signed=record.signed,
            )
        for proposal in self._pending(None):
            if proposal.digest == digest:
                place = (proposal.partner, proposal.window)
                return Paper(place=place, digest=digest, state=PROPOSED, agreed_seq=None, signed=proposal.signed)
        raise _no_statement(digest)

    def _pending(self, partner: Ledger | None) -> Iterator[Proposal]:
        for each in self.partners():
            found = self._signer.pending(each, self._settled(each).agreed + 1) if partner in (None, each) else None
            if found is not None:
                yield found


def _no_statement(digest: Digest) -> NodeRefusal:
    return NodeRefusal(NodeCode.NOT_FOUND, f"there is no statement {digest}")
