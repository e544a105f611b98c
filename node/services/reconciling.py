"""The daily file of a partner, out of this ledger's own conversions (specs/reconciliation.md)."""

from collections.abc import Iterator

from node.services.context import Context
from node.services.quotes import StoredView
from protocol.entries import AnyEntry, ConversionCaptured, ConversionCredited, ConversionRefused, decode_entry
from protocol.fields import days_later
from protocol.identifiers import Id, Ledger
from protocol.ledger.partners import known_partner
from protocol.ledger.state import OutgoingRecord
from protocol.messages import Fulfil, Reject
from protocol.recovery_entries import Recovered
from protocol.settlement.daily import DailyFile, DailyLine, DailyState, encode_daily

_MIDNIGHT = "T00:00:00.000000Z"


class ReconciliationService:
    """Writes what this ledger has of a day with a partner."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def daily(self, partner: Ledger, day: str) -> bytes:
        """Return the file of the conversions that were decided on `day`, in UTC, or raise `partner_unknown`."""
        network = known_partner(StoredView(self._context.reader), partner).network
        lines = (*self._incoming(partner, day), *self._outgoing(partner, day), *self._pending(partner, day))
        file = DailyFile(network=network, sender=self._context.ledger, partner=partner, day=day, lines=tuple(lines))
        return encode_daily(file)

    def _incoming(self, partner: Ledger, day: str) -> Iterator[DailyLine]:
        reader = self._context.reader
        # What is recovered was decided before the entry that says so.
        since = reader.first_seq_since(day + _MIDNIGHT)
        for data in reader.decided_incoming(partner, since=since, until=reader.end_seq()):
            line = self._decided(decode_entry(data), partner)
            if line is not None and line.decided_at.startswith(day):
                yield line

    def _decided(self, entry: AnyEntry, partner: Ledger) -> DailyLine | None:
        own = self._context.ledger
        match entry:
            case ConversionCredited():
                return DailyLine(
                    source=partner,
                    destination=own,
                    conversion=entry.conversion,
                    state=DailyState.COMPLETED,
                    decided_at=entry.time,
                    window=entry.window,
                    dec_seq=entry.dec_seq,
                    source_points=entry.source_points,
                    destination_points=entry.destination_points,
                    fee_points=entry.fee_points,
                    value=entry.value,
                    currency=entry.currency,
                    agreement=entry.agreement,
                )
            case ConversionRefused():
                return _returned(partner, own, entry.conversion, reason=entry.reason, decided_at=entry.time)
            case Recovered(body=Reject() as word):
                return _returned(partner, own, word.id, reason=word.reason, decided_at=word.decided_at)
            case Recovered(body=Fulfil() as word, prepare=asked) if asked is not None:
                return DailyLine(
                    source=partner,
                    destination=own,
                    conversion=word.id,
                    state=DailyState.COMPLETED,
                    decided_at=word.decided_at,
                    window=word.window,
                    dec_seq=word.dec_seq,
                    source_points=asked.source_points,
                    destination_points=asked.destination_points,
                    fee_points=asked.fee_points,
                    value=asked.value,
                    currency=asked.currency,
                    agreement=asked.agreement,
                )
            case _:
                return None

    def _outgoing(self, partner: Ledger, day: str) -> Iterator[DailyLine]:
        own, reader = self._context.ledger, self._context.reader
        # The partner's clock may be ahead of ours: its decision can bear a day that ours has not reached.
        since = reader.first_seq_since(days_later(day, days=-1) + _MIDNIGHT)
        for conversion, record, data in reader.concluded_outgoing(partner, since=since):
            entry = decode_entry(data)
            decided_at = str(getattr(entry, "decided_at", ""))
            if not decided_at.startswith(day):
                continue
            if isinstance(entry, ConversionCaptured):
                yield _completed(own, conversion, record, entry)
            else:
                yield _returned(own, partner, conversion, reason=record.reason or "", decided_at=decided_at)

    def _pending(self, partner: Ledger, day: str) -> Iterator[DailyLine]:
        own = self._context.ledger
        for conversion, record in self._context.reader.undecided_outgoing(
            partner, before=days_later(day, days=1) + _MIDNIGHT
        ):
            yield DailyLine(
                source=own,
                destination=partner,
                conversion=conversion,
                state=DailyState.PENDING,
                source_points=record.source_points,
                destination_points=record.destination_points,
                fee_points=record.fee_points,
                value=record.value,
                currency=record.currency,
                agreement=record.agreement,
            )


def _completed(own: Ledger, conversion: Id, record: OutgoingRecord, entry: ConversionCaptured) -> DailyLine:
    return DailyLine(
        source=own,
        destination=record.destination,
        conversion=conversion,
        state=DailyState.COMPLETED,
        decided_at=entry.decided_at,
        window=entry.window,
        dec_seq=entry.dec_seq,
        source_points=record.source_points,
        destination_points=record.destination_points,
        fee_points=record.fee_points,
        value=record.value,
        currency=record.currency,
        agreement=record.agreement,
    )


def _returned(source: Ledger, destination: Ledger, conversion: Id, *, reason: str, decided_at: str) -> DailyLine:
    return DailyLine(
        source=source,
        destination=destination,
        conversion=conversion,
        state=DailyState.RETURNED,
        reason=reason,
        decided_at=decided_at,
    )
