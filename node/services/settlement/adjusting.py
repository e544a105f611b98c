"""What ends disputes of earlier windows, or takes billed lines back: from operators' words to lines of a statement."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from node.services.context import Context
from node.services.conversions.quotes import StoredView
from protocol.entries import ConversionCaptured, ConversionCredited
from protocol.errors import Code, Refusal
from protocol.identifiers import Id, Ledger
from protocol.ledger.partners import known_partner
from protocol.ledger.state import IN, INCOMING, LINES, OUT, OUTGOING, STATEMENTS, LineRecord, Way
from protocol.messages import Fulfil
from protocol.recovery_entries import Recovered
from protocol.statement import AdjustedLine, AdjustmentReason, DisputedLine

_WAYS: Final[tuple[Way, Way]] = (OUT, IN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """How a line in dispute ends: `upheld`, `waived`, or `reduced` to `value` millionths.

    `taken_back` gives back `value` millionths of what an earlier statement billed, or all of it if that is None.
    """

    conversion: Id
    reason: AdjustmentReason
    value: int | None = None


class Adjusting:
    """Finds the lines that adjustments are about."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def open_disputes(self, partner: Ledger, window: int) -> dict[Ledger, tuple[DisputedLine, ...]]:
        """Return the lines that the statement before lists as in dispute, by the source of the conversions."""
        before = self._context.reader.record(STATEMENTS, (partner, window - 1))
        return {bill.source: bill.disputed for bill in before.signed.statement.directions} if before else {}

    def lines(
        self, partner: Ledger, window: int, adjustments: Sequence[Adjustment]
    ) -> dict[Ledger, list[AdjustedLine]]:
        """Return the adjusted lines of the statement of a window, by the source of the conversions.

        Raises `line_unknown` for a conversion that is not in dispute, or that was never billed.
        """
        found: dict[Ledger, list[AdjustedLine]] = {}
        for each in {one.conversion: one for one in adjustments}.values():
            taken_back = each.reason is AdjustmentReason.TAKEN_BACK
            source, line = self._taken_back(partner, each) if taken_back else self._ended(partner, window, each)
            found.setdefault(source, []).append(line)
        return found

    def _ended(self, partner: Ledger, window: int, adjustment: Adjustment) -> tuple[Ledger, AdjustedLine]:
        for source, lines in self.open_disputes(partner, window).items():
            for line in lines:
                if line.id == adjustment.conversion:
                    return source, _adjusted(line, adjustment)
        raise Refusal(Code.LINE_UNKNOWN, f"{adjustment.conversion} is not in dispute since an earlier window")

    def _taken_back(self, partner: Ledger, adjustment: Adjustment) -> tuple[Ledger, AdjustedLine]:
        # Both parties look for the line in the order of the parties, should two conversions have one id.
        own = self._context.ledger
        ways = _WAYS if own < partner else _WAYS[::-1]
        for (_, way, dec_seq), line in self._found(partner, adjustment.conversion, ways):
            billed = line.billed_value if adjustment.value is None else adjustment.value
            adjusted = AdjustedLine(
                window=line.window,
                dec_seq=dec_seq,
                id=line.conversion,
                value=-billed,
                reason=adjustment.reason,
            )
            return own if way == OUT else partner, adjusted
        raise Refusal(Code.LINE_UNKNOWN, f"there is no line of {adjustment.conversion} with {partner}")

    def _found(
        self, partner: Ledger, conversion: Id, ways: Sequence[Way]
    ) -> Iterator[tuple[tuple[Ledger, Way, int], LineRecord]]:
        """Yield the lines that name a conversion: by the entry that made one, or by reading them all."""
        places = {way: self._decision(partner, conversion, way) for way in ways}
        for way, dec_seq in places.items():
            line = None if dec_seq is None else self._context.reader.record(LINES, (partner, way, dec_seq))
            if dec_seq is not None and line is not None:
                yield (partner, way, dec_seq), line
        if not any(places.values()):
            # One that was entered in dispute has no entry of its own.
            named = self._context.reader.lines_of_conversion(partner, conversion)
            yield from sorted(named, key=lambda each: ways.index(each[0][1]))

    def _decision(self, partner: Ledger, conversion: Id, way: Way) -> int | None:
        """Return the decision number of a conversion that was captured or credited here, or None."""
        reader = self._context.reader
        if way == OUT:
            sent = reader.record(OUTGOING, conversion)
            seq = sent.concluded_seq if sent is not None and sent.destination == partner else None
        else:
            network = known_partner(StoredView(reader), partner).network
            credited = reader.record(INCOMING, (network, partner, conversion))
            seq = None if credited is None else credited.decided_seq
        sealed = None if seq is None else self._context.entry(seq)
        entry = None if sealed is None else sealed.entry
        if isinstance(entry, Recovered):
            return entry.body.dec_seq if isinstance(entry.body, Fulfil) else None
        return entry.dec_seq if isinstance(entry, ConversionCaptured | ConversionCredited) else None


def _adjusted(line: DisputedLine, adjustment: Adjustment) -> AdjustedLine:
    values = {AdjustmentReason.UPHELD: line.value, AdjustmentReason.WAIVED: 0}
    return AdjustedLine(
        window=line.window,
        dec_seq=line.dec_seq,
        id=line.id,
        value=values.get(adjustment.reason, adjustment.value or 0),
        reason=adjustment.reason,
    )
