"""The daily file of a partner, out of this ledger's own conversions (specs/reconciliation.md)."""

from collections.abc import Iterator
from typing import Protocol

import msgspec

from node.services.context import Context
from node.services.conversions.quotes import StoredView
from protocol.entries import AnyEntry, ConversionCaptured, ConversionCredited, ConversionRefused, decode_entry
from protocol.fields import days_later
from protocol.identifiers import Id, Ledger
from protocol.ledger.partners import known_partner
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
                return _completed(_line(partner, own, entry.conversion, entry), entry, entry.time)
            case ConversionRefused():
                return _returned(partner, own, entry.conversion, reason=entry.reason, decided_at=entry.time)
            case Recovered(body=Reject() as word):
                return _returned(partner, own, word.id, reason=word.reason, decided_at=word.decided_at)
            case Recovered(body=Fulfil() as word, prepare=asked) if asked is not None:
                return _completed(_line(partner, own, word.id, asked), word, word.decided_at)
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
                yield _completed(_line(own, partner, conversion, record), entry, decided_at)
            else:
                yield _returned(own, partner, conversion, reason=record.reason or "", decided_at=decided_at)

    def _pending(self, partner: Ledger, day: str) -> Iterator[DailyLine]:
        own, until = self._context.ledger, days_later(day, days=1) + _MIDNIGHT
        for conversion, record in self._context.reader.undecided_outgoing(partner, before=until):
            yield _line(own, partner, conversion, record)


class _Amounts(Protocol):
    """What a conversion moves, and under which agreement."""

    @property
    def source_points(self) -> int: ...
    @property
    def destination_points(self) -> int: ...
    @property
    def fee_points(self) -> int: ...
    @property
    def value(self) -> int: ...
    @property
    def currency(self) -> str: ...
    @property
    def agreement(self) -> str: ...


class _Place(Protocol):
    """Where a decision stands among those that a window settles."""

    @property
    def window(self) -> int: ...
    @property
    def dec_seq(self) -> int: ...


def _line(source: Ledger, destination: Ledger, conversion: Id, amounts: _Amounts) -> DailyLine:
    """Return the line of a conversion that is not decided yet."""
    return DailyLine(
        source=source,
        destination=destination,
        conversion=conversion,
        state=DailyState.PENDING,
        source_points=amounts.source_points,
        destination_points=amounts.destination_points,
        fee_points=amounts.fee_points,
        value=amounts.value,
        currency=amounts.currency,
        agreement=amounts.agreement,
    )


def _completed(line: DailyLine, place: _Place, decided_at: str) -> DailyLine:
    return msgspec.structs.replace(
        line, state=DailyState.COMPLETED, decided_at=decided_at, window=place.window, dec_seq=place.dec_seq
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
