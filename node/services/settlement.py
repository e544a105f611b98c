"""Settlement with partners: windows closed, lines disputed, statements signed, payments made and confirmed.

What an operator does once, `CloseWindows` does when it is due, by the same methods; money alone is left to people.
"""

from collections.abc import Sequence
from typing import Final

from node.services.answers import EntryAnswer, Pending
from node.services.context import Context
from node.services.quotes import StoredView
from node.services.refusals import NodeCode, NodeRefusal
from node.services.requests import ConfirmationRequest, DisputeRequest, PaymentRequest, digest_request
from node.services.settlement_papers import lines_csv, page
from node.services.settlement_views import (
    StatementList,
    StatementView,
    WindowList,
    WindowView,
    statement_row,
    statement_view,
    window_view,
)
from node.services.signing import Adjustment, StatementSigner
from protocol.errors import Code, Refusal
from protocol.identifiers import Digest, Ledger
from protocol.ledger.commands import CloseWindow, ConfirmPayment, DisputeLines, MakePayment
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
    WindowRecord,
)
from protocol.settlement.calendar import closes_at
from protocol.statement import DisputedLine, DisputeReason

LISTED_MAX: Final = 256


class SettlementService:
    """Lists windows and statements, and does what settlement asks of this ledger."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._signer = StatementSigner(context)

    def partners(self) -> list[Ledger]:
        """Return the partners with whom there has been an agreement."""
        reader = self._context.reader
        return [ledger for ledger, _ in reader.partners() if reader.current_agreement(ledger) is not None]

    # --- Reading.

    def windows(self, partner: Ledger | None = None, *, limit: int = LISTED_MAX) -> WindowList:
        """Return windows with their sums, latest first."""
        found = self._context.reader.windows(partner, limit=limit + 1)
        return WindowList(windows=tuple(map(self._window, found[:limit])), more=len(found) > limit)

    def statements(self, partner: Ledger | None = None, *, limit: int = LISTED_MAX) -> StatementList:
        """Return agreed statements, latest first."""
        found = self._context.reader.statements(partner, limit=limit + 1)
        rows = tuple(statement_row(place, record, self._record(place)) for place, record in found[:limit])
        return StatementList(statements=rows, more=len(found) > limit)

    def statement(self, digest: Digest) -> StatementView:
        """Return an agreed statement, or raise `not_found`."""
        place, record = self._agreed(digest)
        return statement_view(place, record, self._record(place))

    def statement_csv(self, digest: Digest) -> str:
        """Return the lines of an agreed statement as CSV (RFC 4180), or raise `not_found`."""
        place, record = self._agreed(digest)
        return lines_csv(record.signed.statement, self._context.reader.lines(*place), own=self._context.ledger)

    def statement_page(self, digest: Digest) -> str:
        """Return an agreed statement as a page that needs nothing else, to be printed, or raise `not_found`."""
        place, record = self._agreed(digest)
        return page(record, state=self._record(place).state.value)

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
        command = DisputeLines(
            id=request.id,
            request=digest_request(self._context.digests, request),
            partner=request.partner,
            window=request.window,
            source=own if request.direction == OUT else request.partner,
            lines=self._disputed(request),
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

    def sign(
        self, partner: Ledger, window: int | None = None, adjustments: Sequence[Adjustment] = ()
    ) -> Pending[EntryAnswer]:
        """Sign the statement of a window, the next one if none is named: propose it, or agree to the partner's.

        `adjustments` end disputes of earlier windows; both parties must end them alike. Refuses where the partner's
        turn has come or its statement is another.
        """
        known_partner(StoredView(self._context.reader), partner)
        return self._signer.sign(partner, window or self._settled(partner).agreed + 1, adjustments)

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

    def sign_due(self, partner: Ledger) -> Pending[EntryAnswer] | None:
        """Sign the next statement if it is this ledger's turn and nobody has anything to decide about it first."""
        window = self._settled(partner).agreed + 1
        if not self._signer.is_due(partner, window):
            return None
        return self._signer.sign(partner, window, ())

    def _disputed(self, request: DisputeRequest) -> tuple[DisputedLine, ...]:
        wanted, found = set(request.lines), []
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
        return tuple(found)

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
            raise NodeRefusal(NodeCode.NOT_FOUND, f"there is no statement {digest}")
        return found
