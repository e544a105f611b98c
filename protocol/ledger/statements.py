"""The statement of a window: computed by each side from its own ledger, proposed by the first, signed by both."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from protocol.agreement import Agreement, key_of
from protocol.entry import Posting
from protocol.errors import Code, ProtocolError, Refusal
from protocol.identifiers import Account, Digest, Ledger, generation_of, partner_of
from protocol.keys import Role
from protocol.ledger.commands import AgreeStatement, ProposeStatement
from protocol.ledger.moment import Moment, occurred
from protocol.ledger.partners import known_partner
from protocol.ledger.payments import confirmed, needs_confirmed
from protocol.ledger.postings import check_postings, ledger_record, move_structural
from protocol.ledger.state import (
    AGREEMENTS,
    IN,
    LINES,
    OUT,
    SETTLEMENTS,
    STATEMENTS,
    WINDOW_TOTALS,
    WINDOWS,
    CloseRecord,
    StatementRecord,
    Way,
    WindowRecord,
)
from protocol.ledger.terms import agreement_record
from protocol.ledger.view import Need, Overlay, View, need
from protocol.ledger.windows import (
    after,
    check_cited,
    check_partner,
    first_party,
    money_moves,
    needs_money,
    needs_window,
    settlement,
    way_of,
    window_record,
)
from protocol.messages import body_digest, encode_body
from protocol.settlement.differences import compare as differing
from protocol.settlement.statements import ClosedDirection, Corrections, compose_statement, movements_of
from protocol.settlement.states import WindowEvent
from protocol.statement import (
    AdjustedLine,
    AdjustmentReason,
    CheckpointReference,
    SignedStatement,
    Statement,
    statement_digest,
    verify_statement,
)
from protocol.window_entries import StatementAgreed, StatementProposed, statement_received

Adjustments = Mapping[Ledger, Sequence[AdjustedLine]]
"""What ends disputes of earlier windows or takes billed lines back, by the source of the conversions."""


def needs_statement(view: Overlay, partner: Ledger, window: int) -> Iterator[Need]:
    """Name what the statement of a window is computed from; ask again after loading."""
    yield from needs_window(view, partner, window)
    yield need(STATEMENTS, (partner, window - 1))
    for way in (OUT, IN):
        yield need(WINDOW_TOTALS, (partner, way, window))
    record = view.peek(WINDOWS, (partner, window)) or WindowRecord()
    for close in (record.closed, record.received):
        if close is not None:
            yield need(AGREEMENTS, close.agreement)


def compute(
    view: View,
    partner: Ledger,
    window: int,
    *,
    checkpoints: tuple[CheckpointReference, CheckpointReference],
    adjustments: Adjustments,
) -> Statement:
    """Return the statement of a window as this ledger sees it, or refuse while it is not ready to be signed.

    `checkpoints` are of both logs, in the order of the parties, each with the close of its ledger. Reads what
    `needs_statement` names, and changes nothing.
    """
    settled = settlement(view, partner)
    record = window_record(view, partner, window)
    after(record, WindowEvent.AGREE)
    if window > settled.agreed + 1:
        raise Refusal(Code.WINDOW_NOT_AGREED, f"the statement of window {settled.agreed + 1} comes first")
    closed, received = record.closed, record.received
    assert closed is not None, "a reconciled window was closed"
    assert received is not None, "a reconciled window was closed by the partner"
    _check_covered(view, partner, checkpoints, (closed, received))
    own = ledger_record(view).ledger
    ours = _direction(view, (partner, OUT, window), received)
    theirs = _direction(view, (partner, IN, window), closed)
    previous = view.get(STATEMENTS, (partner, window - 1))
    try:
        return compose_statement(
            (ours, theirs) if own < partner else (theirs, ours),
            window=window,
            agreement=_agreement_used(view, partner, closed, received),
            checkpoints=checkpoints,
            previous=previous.signed.statement if previous else None,
            corrections=Corrections(
                disputed={own: record.disputed_out, partner: record.disputed_in}, adjustments=adjustments
            ),
        )
    except ProtocolError as error:
        raise Refusal(Code.STATEMENT_INVALID, str(error)) from error


def _direction(view: View, place: tuple[Ledger, Way, int], close: CloseRecord) -> ClosedDirection:
    totals = view.get(WINDOW_TOTALS, place)
    return ClosedDirection(
        closed_at=close.closed_at, totals=close.totals, agreements=totals.agreements if totals else ()
    )


def _agreement_used(view: View, partner: Ledger, closed: CloseRecord, received: CloseRecord) -> Agreement:
    """Return the agreement with the higher number of those that the two closes name."""
    network = known_partner(view, partner).network
    named = [
        agreement_record(view, close.agreement, partner=partner, network=network).signed.agreement
        for close in (closed, received)
    ]
    return max(named, key=lambda agreement: agreement.number)


def _check_covered(
    view: View,
    partner: Ledger,
    checkpoints: tuple[CheckpointReference, CheckpointReference],
    closes: tuple[CloseRecord, CloseRecord],
) -> None:
    own, known = ledger_record(view), known_partner(view, partner)
    ends = ((own.log, own.first_seq, closes[0].seq), (known.log, known.log_first_seq, closes[1].seq))
    for checkpoint in checkpoints:
        for log, first_seq, closing in ends:
            if partner_of(checkpoint.origin) != partner_of(log):
                continue
            if generation_of(checkpoint.origin) > generation_of(log):
                raise Refusal(Code.STATEMENT_MISMATCH, f"a log {checkpoint.origin} is not known")
            # What an earlier generation signed, this one can no longer count: its end may be lost.
            if checkpoint.origin == log and first_seq + checkpoint.size <= closing:
                raise Refusal(Code.STATEMENT_MISMATCH, f"a checkpoint of {checkpoint.origin} is without its close")


def needs_document(view: Overlay, partner: Ledger, statement: Statement) -> Iterator[Need]:
    """Name what a statement is computed from, with the lines that it adjusts."""
    yield from needs_statement(view, partner, statement.window)
    own = ledger_record(view).ledger
    for bill in statement.directions:
        way: Way = OUT if bill.source == own else IN
        for line in bill.adjustments:
            yield need(LINES, (partner, way, line.dec_seq))


def needs_propose(view: Overlay, command: ProposeStatement) -> Iterator[Need]:
    """Name what the statement is computed from."""
    return needs_document(view, command.partner, command.signed.statement)


def decide_propose(view: View, command: ProposeStatement, moment: Moment) -> StatementProposed:
    """Propose the statement that this ledger has signed."""
    return StatementProposed(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=known_partner(view, command.partner).network,
        partner=command.partner,
        window=command.signed.statement.window,
        signed=command.signed,
    )


def apply_propose(view: View, entry: StatementProposed) -> None:
    """Bind the first party to the window's statement, unless a dispute voids it."""
    check_partner(view, entry)
    if not first_party(view, entry.partner) or len(entry.signed.signatures) != 1:
        raise Refusal(Code.STATEMENT_INVALID, "the first party alone proposes a statement")
    digest = check_stated(view, entry)
    record = window_record(view, entry.partner, entry.window)
    view.put(WINDOWS, (entry.partner, entry.window), msgspec.structs.replace(record, proposed=digest))


def check_stated(view: View, entry: StatementProposed | StatementAgreed) -> Digest:
    """Return the digest of an entry's statement, or refuse one that this ledger does not compute or nobody signed."""
    own, partner, statement = ledger_record(view), check_partner(view, entry), entry.signed.statement
    approvals = {
        own.ledger: key_of(own.keys, Role.APPROVAL),
        entry.partner: key_of(partner.keys, Role.APPROVAL),
    }
    try:
        verify_statement(entry.signed, approvals=approvals, complete=isinstance(entry, StatementAgreed))
    except ProtocolError as error:
        raise Refusal(Code.STATEMENT_INVALID, str(error)) from error
    if statement.window != entry.window:
        raise Refusal(Code.STATEMENT_MISMATCH, "the statement is of another window")
    found = compute(
        view,
        entry.partner,
        entry.window,
        checkpoints=statement.checkpoints,
        adjustments={bill.source: bill.adjustments for bill in statement.directions},
    )
    different = differing(found, statement)
    if different is not None:
        raise Refusal(Code.STATEMENT_MISMATCH, f"this ledger computes another {', '.join(different.fields)}")
    if any(one.origin == own.log and own.first_seq + one.size > entry.seq for one in statement.checkpoints):
        raise Refusal(Code.STATEMENT_MISMATCH, "the checkpoint of this ledger lies ahead")
    for bill in statement.directions:
        for line in bill.adjustments:
            _check_adjusted(view, entry.partner, way_of(view, bill.source, entry.partner), line)
    return statement_digest(statement)


def _check_adjusted(view: View, partner: Ledger, way: Way, line: AdjustedLine) -> None:
    """Refuse to take back what was not billed, or more than was; that a dispute was open is known by the chain."""
    record = view.get(LINES, (partner, way, line.dec_seq))
    if record is None or (record.window, record.conversion) != (line.window, line.id):
        raise Refusal(Code.LINE_UNKNOWN, f"there is no such line {line.dec_seq} of window {line.window}")
    if line.reason is AdjustmentReason.TAKEN_BACK and record.billed_value + line.value < 0:
        raise Refusal(Code.STATEMENT_MISMATCH, f"{record.billed_value} millionths of line {line.dec_seq} were billed")


def needs_agree(view: Overlay, command: AgreeStatement) -> Iterator[Need]:
    """Name what the statement is computed from and what it moves."""
    return needs_agreed(view, command.statement.sender, command.statement.signed.statement)


def needs_agreed(view: Overlay, partner: Ledger, statement: Statement) -> Iterator[Need]:
    """Name what a statement that both parties signed is computed from and what it moves."""
    yield from needs_document(view, partner, statement)
    yield from needs_money(view, partner)
    yield from needs_confirmed(partner, statement.window)


def decide_agree(view: View, command: AgreeStatement, moment: Moment) -> StatementAgreed:
    """Propose to enter the statement with both signatures."""
    body = command.statement
    added = () if command.signature is None else (command.signature,)
    signed = SignedStatement(statement=body.signed.statement, signatures=(*body.signed.signatures, *added))
    return StatementAgreed(
        id=command.id,
        request=command.request,
        occurred_on=occurred(command, moment),
        network=body.network,
        partner=body.sender,
        window=body.window,
        answered=command.digest,
        signed=signed,
        partner_entry=body.entry,
        postings=agreed_postings(view, body.sender, signed.statement),
    )


def agreed_postings(view: View, partner: Ledger, statement: Statement) -> tuple[Posting, ...]:
    """Return what a statement posts: what is billed becomes due, what is written off leaves the accounts."""
    previous = view.get(STATEMENTS, (partner, statement.window - 1))
    try:
        moved = movements_of(
            statement, previous.signed.statement if previous else None, ledger=ledger_record(view).ledger
        )
    except ProtocolError as error:
        raise Refusal(Code.STATEMENT_INVALID, str(error)) from error
    pairs = (
        (moved.billed_out, "payable", "due"),
        (moved.billed_in, "due", "receivable"),
        (moved.written_off_out, "payable", "conversion_cost"),
        (moved.written_off_in, "conversion_income", "receivable"),
    )
    name = partner_of(partner)
    return tuple(
        posting
        for amount, debit, credit in pairs
        for posting in money_moves(
            statement.currency, amount, debit=Account(f"{debit}/{name}"), credit=Account(f"{credit}/{name}")
        )
    )


def apply_agree(view: View, entry: StatementAgreed) -> None:
    """Bill the window's lines, each once, and let what was owed be due."""
    check_partner(view, entry)
    answer = statement_received(entry, ledger=ledger_record(view).ledger)
    check_cited(entry, entry.answered, body_digest(encode_body(answer)))
    digest = check_stated(view, entry)
    statement = entry.signed.statement
    check_postings(entry.postings, agreed_postings(view, entry.partner, statement))
    move_structural(view, entry.postings)
    enter_agreed(view, entry, digest)


def enter_agreed(view: View, entry: StatementAgreed, digest: Digest) -> None:
    """Let the statement of an entry stand, whose postings have been moved."""
    for bill in entry.signed.statement.directions:
        for line in bill.adjustments:
            _adjust(view, entry.partner, way_of(view, bill.source, entry.partner), line)
    _agreed(view, entry, digest)


def _adjust(view: View, partner: Ledger, way: Way, line: AdjustedLine) -> None:
    record = view.get(LINES, (partner, way, line.dec_seq))
    assert record is not None, "the line was found when the statement was checked"
    before = record.billed_value if line.reason is AdjustmentReason.TAKEN_BACK else 0
    changed = msgspec.structs.replace(record, dispute=None, billed=before + line.value)
    view.put(LINES, (partner, way, line.dec_seq), changed)


def _agreed(view: View, entry: StatementAgreed, digest: Digest) -> None:
    key = (entry.partner, entry.window)
    record = window_record(view, *key)
    record = msgspec.structs.replace(record, state=after(record, WindowEvent.AGREE))
    view.put(WINDOWS, key, record)
    view.put(STATEMENTS, key, StatementRecord(digest=digest, signed=entry.signed, agreed_seq=entry.seq))
    settled = settlement(view, entry.partner)
    view.put(SETTLEMENTS, entry.partner, msgspec.structs.replace(settled, agreed=entry.window))
    if entry.signed.statement.payer is None:
        confirmed(view, entry.partner, entry.window, state=after(record, WindowEvent.NOTHING_DUE), seq=entry.seq)
