"""The statement of a window computed from one side's own lines, and how it follows the one before."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from protocol.agreement import Agreement, agreement_digest
from protocol.errors import StatementInvalid
from protocol.identifiers import Digest, Ledger, generation_of
from protocol.messages import Close
from protocol.settlement.calendar import due_at
from protocol.settlement.lines import totals_of
from protocol.statement import (
    AdjustedLine,
    AdjustmentReason,
    Bill,
    CheckpointReference,
    DisputedLine,
    Line,
    Statement,
    Totals,
    check_statement,
    payment_of,
    statement_digest,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrections:
    """What the two sides said about single lines, by the source of the conversions.

    `disputed` are lines of this window. `adjustments` end disputes of earlier windows or take billed lines back; a
    dispute of an earlier window that none of them ends stays one.
    """

    disputed: Mapping[Ledger, Sequence[DisputedLine]] = field(default_factory=dict)
    adjustments: Mapping[Ledger, Sequence[AdjustedLine]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """The fields in which two statements differ, as dotted paths."""

    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Movements:
    """What a statement moves in one party's ledger, in millionths; `out` is what the party's own conversions cost it.

    `written_off_*` is what leaves payable or receivable without ever being billed: disputes lost, lines taken back.
    """

    billed_out: int
    billed_in: int
    written_off_out: int
    written_off_in: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedDirection:
    """One direction of a window after its close: its totals, and the agreements that its lines cite."""

    closed_at: str
    totals: Totals
    agreements: Collection[Digest]


def compute_statement(
    lines: Iterable[Line],
    *,
    agreement: Agreement,
    closes: tuple[Close, Close],
    checkpoints: tuple[CheckpointReference, CheckpointReference],
    previous: Statement | None,
    corrections: Corrections | None = None,
) -> Statement:
    """Return the statement of the window that `closes`, in the order of the directions, have closed.

    `lines` are all that this side has for the window, both directions in any order; `agreement` is the one with the
    higher number of those that the closes name. Raises `StatementInvalid` when lines are missing, foreign or in another
    currency, or a correction is not of a line that it could be about.
    """
    corrections = corrections or Corrections()
    window = closes[0].window
    sorted_out = _by_source(lines, agreement=agreement, window=window)
    directions = [
        _summed(party.ledger, sorted_out[party.ledger], close=close, previous=previous, corrections=corrections)
        for party, close in zip(agreement.parties, closes, strict=True)
    ]
    return compose_statement(
        (directions[0], directions[1]),
        window=window,
        agreement=agreement,
        checkpoints=checkpoints,
        previous=previous,
        corrections=corrections,
    )


def compose_statement(
    directions: tuple[ClosedDirection, ClosedDirection],
    *,
    window: int,
    agreement: Agreement,
    checkpoints: tuple[CheckpointReference, CheckpointReference],
    previous: Statement | None,
    corrections: Corrections,
) -> Statement:
    """Return the statement of a window whose lines are summed already; its disputed lines are known to be lines of it.

    Raises `StatementInvalid` when the statement is not consistent in itself or does not follow `previous`.
    """
    first, second = agreement.parties
    parties = (first.ledger, second.ledger)
    bills = [
        _bill(source, destination, of=direction, previous=previous, corrections=corrections)
        for (source, destination), direction in zip((parties, parties[::-1]), directions, strict=True)
    ]
    opening = int(previous.carry) if previous else 0
    net = opening + bills[0].owed(window) - bills[1].owed(window)
    payment = payment_of(net, minor_unit=agreement.windows.minor_unit, parties=parties)
    cited = {agreement_digest(agreement), *directions[0].agreements, *directions[1].agreements}
    statement = Statement(
        network=agreement.network,
        parties=parties,
        window=window,
        previous=statement_digest(previous) if previous else None,
        agreements=tuple(sorted(cited)),
        currency=agreement.currency,
        minor_unit=agreement.windows.minor_unit,
        directions=(bills[0], bills[1]),
        opening_carry=str(opening),
        net=str(net),
        payer=payment.payer,
        minor_units=str(payment.minor_units),
        carry=str(payment.carry),
        due_at=due_at(agreement.windows, closed_at=max(direction.closed_at for direction in directions)),
        checkpoints=checkpoints,
    )
    check_statement(statement)
    check_follows(statement, previous)
    return statement


def _by_source(lines: Iterable[Line], *, agreement: Agreement, window: int) -> dict[Ledger, list[Line]]:
    first, second = (party.ledger for party in agreement.parties)
    found: dict[Ledger, list[Line]] = {first: [], second: []}
    for line in lines:
        if {line.source, line.destination} != {first, second} or line.window != window:
            raise StatementInvalid(f"the conversion {line.id} is not of this window and these parties")
        if line.currency != agreement.currency:
            raise StatementInvalid(f"the conversion {line.id} is not valued in {agreement.currency}")
        found[line.source].append(line)
    return found


def _summed(
    source: Ledger, lines: list[Line], *, close: Close, previous: Statement | None, corrections: Corrections
) -> ClosedDirection:
    if close.receiver != source:
        raise StatementInvalid("the closes are not in the order of the directions")
    known = {(line.window, line.dec_seq): (line.id, line.value) for line in lines}
    if any(known.get(line.place) != (line.id, line.value) for line in corrections.disputed.get(source, ())):
        raise StatementInvalid("a disputed line is not one of this window's")
    first_dec_seq = previous.bill(source).totals.last_dec_seq + 1 if previous else 1
    return ClosedDirection(
        closed_at=close.closed_at,
        totals=totals_of(lines, first_dec_seq=first_dec_seq),
        agreements={line.agreement for line in lines},
    )


def _bill(
    source: Ledger,
    destination: Ledger,
    *,
    of: ClosedDirection,
    previous: Statement | None,
    corrections: Corrections,
) -> Bill:
    before = previous.bill(source) if previous else None
    adjustments = sorted(corrections.adjustments.get(source, ()), key=lambda line: line.place)
    ended = {line.place for line in adjustments}
    kept = [line for line in before.disputed if line.place not in ended] if before else []
    disputed = sorted(corrections.disputed.get(source, ()), key=lambda line: line.place)
    return Bill(
        source=source,
        destination=destination,
        closed_at=of.closed_at,
        totals=of.totals,
        disputed=(*kept, *disputed),
        adjustments=tuple(adjustments),
    )


def check_follows(statement: Statement, previous: Statement | None) -> None:
    """Raise `StatementInvalid` unless `statement`, consistent in itself, comes right after `previous`, or is the first.

    Numbers go on without a gap, the carry is taken over, and each line in dispute is taken up exactly once: ended by
    an adjustment or listed again. So what was billed is not billed again, and nothing is lost between two statements.
    """
    if previous is None:
        _check_first(statement)
        return
    for name in ("network", "parties", "currency"):
        if getattr(statement, name) != getattr(previous, name):
            raise StatementInvalid(f"the {name} changed since the statement before")
    expected = (previous.window + 1, statement_digest(previous), previous.carry)
    if (statement.window, statement.previous, statement.opening_carry) != expected:
        raise StatementInvalid("the window, the digest or the carry is not that of the statement before")
    for after, before in zip(statement.directions, previous.directions, strict=True):
        _check_bill_follows(after, before, window=statement.window)
    places = zip(map(_place, previous.checkpoints), map(_place, statement.checkpoints), strict=True)
    if any(later < earlier for earlier, later in places):
        raise StatementInvalid("a log is shorter than at the statement before")


def _place(checkpoint: CheckpointReference) -> tuple[int, int]:
    """Return how far a ledger had come: a successor's log begins anew."""
    return generation_of(checkpoint.origin), checkpoint.size


def _check_first(statement: Statement) -> None:
    if (statement.window, statement.previous, statement.opening_carry) != (1, None, "0"):
        raise StatementInvalid("the first statement is of window 1 and follows none")
    if any(bill.totals.first_dec_seq != 1 for bill in statement.directions):
        raise StatementInvalid("the first decision has number 1")


def _check_bill_follows(after: Bill, before: Bill, *, window: int) -> None:
    if after.totals.first_dec_seq != before.totals.last_dec_seq + 1 or after.closed_at < before.closed_at:
        raise StatementInvalid("the decisions do not go on where the statement before ended")
    open_before = {line.place: line for line in before.disputed}
    kept = {line.place: (line.id, line.value) for line in after.disputed if line.window < window}
    ended = {line.place: line for line in after.adjustments if line.reason is not AdjustmentReason.TAKEN_BACK}
    taken_back = {line.place for line in after.adjustments} - set(ended)
    if taken_back & set(open_before):
        raise StatementInvalid("a line in dispute was never billed, so it cannot be taken back")
    if set(kept) | set(ended) != set(open_before):
        raise StatementInvalid("the lines in dispute are not those of the statement before")
    for place, line in open_before.items():
        if kept.get(place, (line.id, line.value)) != (line.id, line.value):
            raise StatementInvalid("a line in dispute has changed")
        if place in ended:
            _check_ended(ended[place], line)


def _check_ended(adjustment: AdjustedLine, line: DisputedLine) -> None:
    fits = {
        AdjustmentReason.UPHELD: adjustment.value == line.value,
        AdjustmentReason.REDUCED: 0 < adjustment.value < line.value,
        AdjustmentReason.WAIVED: adjustment.value == 0,
    }
    if adjustment.id != line.id or not fits[adjustment.reason]:
        raise StatementInvalid("an adjustment is not one of the line in dispute")


def movements_of(statement: Statement, previous: Statement | None, *, ledger: Ledger) -> Movements:
    """Return what `statement`, which follows `previous`, moves in the ledger of the party `ledger`."""
    first, second = statement.directions
    ours, theirs = (first, second) if first.source == ledger else (second, first)
    return Movements(
        billed_out=ours.owed(statement.window),
        billed_in=theirs.owed(statement.window),
        written_off_out=_written_off(ours, previous),
        written_off_in=_written_off(theirs, previous),
    )


def _written_off(bill: Bill, previous: Statement | None) -> int:
    before = {line.place: line.value for line in previous.bill(bill.source).disputed} if previous else {}
    return sum(before.get(line.place, 0) - line.value for line in bill.adjustments)


def settled_value(statement: Statement, previous: Statement | None, *, source: Ledger) -> int:
    """Return the value of the conversions out of `source` that `statement` settles, in millionths, gross.

    Lines in dispute are not settled yet; of those that were, whatever came of the dispute, the whole value is.
    """
    bill = statement.bill(source)
    before = {line.place: line.value for line in previous.bill(source).disputed} if previous else {}
    ended = sum(before.get(line.place, 0) for line in bill.adjustments)
    return int(bill.totals.value) - bill.withheld(statement.window) + ended
