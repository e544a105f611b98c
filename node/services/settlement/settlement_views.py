"""What operators see of settlement: windows with their sums, statements as JSON."""

from collections.abc import Iterable
from dataclasses import dataclass

from node.services.answers import Document
from node.services.render import document_of
from node.services.settlement.narrowing import TO_DO, Doubt
from node.services.settlement.settlement_papers import Paper
from node.services.settlement.signing import Proposal
from protocol.identifiers import Ledger
from protocol.ledger.state import CloseRecord, LineRecord, StatementRecord, Way, WindowRecord, WindowTotals
from protocol.statement import DisputedLine, Line


@dataclass(frozen=True, slots=True, kw_only=True)
class SumsView:
    """One direction of a window: sums as decimal texts, values in millionths of the agreement's currency.

    `disputed` is the value of this window's lines that are left out of its bill.
    """

    count: int
    source_points: str
    destination_points: str
    fee_points: str
    value: str
    disputed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowView:
    """A window with a partner: `sent` are our conversions, closed by the partner, `received` the partner's.

    `proposed` is the digest of the statement that we alone have signed, `statement` that of the agreed one.
    """

    partner: str
    window: int
    state: str
    opened_at: str | None
    closed_at: str | None
    partner_closed_at: str | None
    sent: SumsView
    received: SumsView
    proposed: str | None
    statement: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowList:
    """Windows, latest first; `next` is the cursor of the page after, if there is one."""

    windows: tuple[WindowView, ...]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementRow:
    """An agreed statement in short; `minor_units` of `minor_unit` millionths each are paid, null `payer`: nothing."""

    digest: str
    partner: str
    window: int
    state: str
    currency: str
    minor_unit: int
    payer: str | None
    minor_units: str
    due_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementList:
    """Agreed statements, latest first; `next` is the cursor of the page after, if there is one."""

    statements: tuple[StatementRow, ...]
    next: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementView:
    """A statement: `signed` is the document with both signatures, or with one while it is `proposed`.

    `agreed_seq` is the entry of this ledger in which it was agreed, null before.
    """

    digest: str
    partner: str
    window: int
    state: str
    agreed_seq: int | None
    signed: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalView:
    """A statement that the party `by` alone has signed; its document lists what is disputed and adjusted."""

    digest: str
    partner: str
    window: int
    by: str
    signed: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalList:
    """Statements that wait for the second signature, by partner."""

    proposals: tuple[ProposalView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineView:
    """A line as one side has it; `value` in millionths of `currency`."""

    agreement: str
    currency: str
    source_points: int
    destination_points: int
    fee_points: int
    value: int
    fulfil: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowLine:
    """A line of this ledger's own account: one credited conversion.

    `dispute` is why it is left out of its window's bill; `billed` what a later statement has made of it, null as long
    as its own window's says it.
    """

    dec_seq: int
    conversion: str
    line: LineView
    dispute: str | None
    billed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowLineList:
    """Lines of one direction of a window in the order of its decisions; `next` is the `dec_seq` to go on after."""

    partner: str
    window: int
    direction: Way
    lines: tuple[WindowLine, ...]
    next: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceView:
    """A line that the two sides have otherwise, or that one of them lacks: why, and what to do about it."""

    source: str
    dec_seq: int
    conversion: str
    reason: str
    to_do: str
    ours: LineView | None
    theirs: LineView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceList:
    """Where the two sides of a window differ; with a `reason` of the whole window while lines cannot be compared."""

    partner: str
    window: int
    state: str
    reason: str | None
    to_do: str | None
    differences: tuple[DifferenceView, ...]
    more: bool


def sums_view(totals: WindowTotals | None, close: CloseRecord | None, disputed: Iterable[DisputedLine]) -> SumsView:
    """Return the sums of one direction: what the decider's close states, or what has come so far."""
    found = (close.totals if close else None) or totals or WindowTotals(first_dec_seq=1, last_dec_seq=0)
    return SumsView(
        count=found.count,
        source_points=str(found.source_points),
        destination_points=str(found.destination_points),
        fee_points=str(found.fee_points),
        value=str(found.value),
        disputed=str(sum(line.value for line in disputed)),
    )


def window_view(
    place: tuple[Ledger, int],
    record: WindowRecord,
    *,
    sent: WindowTotals | None,
    received: WindowTotals | None,
    statement: StatementRecord | None,
) -> WindowView:
    """Return a window as its operators see it."""
    partner, window = place
    return WindowView(
        partner=partner,
        window=window,
        state=record.state.value,
        opened_at=record.opened_at,
        closed_at=record.closed.closed_at if record.closed else None,
        partner_closed_at=record.received.closed_at if record.received else None,
        sent=sums_view(sent, record.received, record.disputed_out),
        received=sums_view(received, record.closed, record.disputed_in),
        proposed=None if statement else record.proposed,
        statement=statement.digest if statement else None,
    )


def statement_row(place: tuple[Ledger, int], record: StatementRecord, window: WindowRecord) -> StatementRow:
    """Return an agreed statement in short."""
    statement = record.signed.statement
    return StatementRow(
        digest=record.digest,
        partner=place[0],
        window=place[1],
        state=window.state.value,
        currency=statement.currency,
        minor_unit=statement.minor_unit,
        payer=statement.payer,
        minor_units=statement.minor_units,
        due_at=statement.due_at,
    )


def statement_view(paper: Paper) -> StatementView:
    """Return a statement with its document."""
    return StatementView(
        digest=paper.digest,
        partner=paper.place[0],
        window=paper.place[1],
        state=paper.state,
        agreed_seq=paper.agreed_seq,
        signed=document_of(paper.signed),
    )


def proposal_view(proposal: Proposal) -> ProposalView:
    """Return a statement that waits for the second signature."""
    return ProposalView(
        digest=proposal.digest,
        partner=proposal.partner,
        window=proposal.window,
        by=proposal.by,
        signed=document_of(proposal.signed),
    )


def difference_view(doubt: Doubt) -> DifferenceView:
    """Return a line that the sides have otherwise, and what to do about it."""
    difference = doubt.difference
    return DifferenceView(
        source=difference.source,
        dec_seq=difference.dec_seq,
        conversion=doubt.line.id,
        reason=doubt.fault.value,
        to_do=TO_DO[doubt.fault],
        ours=None if difference.ours is None else _line_view(difference.ours),
        theirs=None if difference.theirs is None else _line_view(difference.theirs),
    )


def window_line(dec_seq: int, record: LineRecord) -> WindowLine:
    """Return a line as this ledger has it."""
    dispute = record.dispute and record.dispute.value
    return WindowLine(
        dec_seq=dec_seq,
        conversion=record.conversion,
        line=_line_view(record),
        dispute=dispute,
        billed=record.billed,
    )


def _line_view(line: Line | LineRecord) -> LineView:
    return LineView(
        agreement=line.agreement,
        currency=line.currency,
        source_points=line.source_points,
        destination_points=line.destination_points,
        fee_points=line.fee_points,
        value=line.value,
        fulfil=line.fulfil,
    )
