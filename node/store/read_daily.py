"""Reading the conversions with a partner that were decided in a span of the log, and those that are not decided."""

from collections.abc import Callable, Iterator
from typing import Final, cast

from sqlalchemy import select

from node.store import schema
from node.store.codec import codec_of
from node.store.reads import Reads
from protocol.conversion import SourceState
from protocol.entries import decode_entry
from protocol.identifiers import Id, Ledger
from protocol.ledger.state import OUTGOING, OutgoingRecord

_ENTRIES: Final = schema.ENTRIES.c
_OUTGOING: Final = schema.OUTGOING_CONVERSIONS.c
_INCOMING: Final = schema.INCOMING_CONVERSIONS.c
_UNDECIDED: Final = (SourceState.HELD.value, SourceState.FORCED.value)


class DailyReads(Reads):
    """Conversions by when they were decided."""

    def first_seq_since(self, time: str) -> int:
        """Return the `seq` of the first entry at or after `time`, or that of the next entry."""
        return self.first_seq_where(lambda written: written >= time)

    def first_seq_where(self, is_after: Callable[[str], bool]) -> int:
        """Return the `seq` of the first entry whose time `is_after` holds for, or that of the next entry.

        It holds for every later one, too: times never go back, so that log n entries are looked at.
        """
        low, high = 0, self.end_seq()
        while low < high:
            middle = (low + high) // 2
            found = self._time_at(middle)
            if found is not None and not is_after(found):
                low = middle + 1
            else:
                high = middle
        return low

    def last_entry_before(self, seq: int) -> bytes | None:
        """Return the bytes of the last entry before entry `seq`, over any gap; None where the ledger begins there."""
        wanted = select(_ENTRIES.data).where(_ENTRIES.seq < seq).order_by(_ENTRIES.seq.desc()).limit(1)
        rows = self._rows(wanted)
        return cast("bytes", rows[0][0]) if rows else None

    def decided_incoming(self, partner: Ledger, *, since: int, until: int) -> list[bytes]:
        """Return the entries from `since` on and before `until` that decide conversions from a partner."""
        wanted = (
            select(_ENTRIES.data)
            .join(schema.INCOMING_CONVERSIONS, _INCOMING.decided_seq == _ENTRIES.seq)
            .where(_INCOMING.source == partner, _INCOMING.decided_seq >= since, _INCOMING.decided_seq < until)
        )
        return [cast("bytes", data) for (data,) in self._rows(wanted.order_by(_ENTRIES.seq))]

    def concluded_outgoing(self, partner: Ledger, *, since: int) -> Iterator[tuple[Id, OutgoingRecord, bytes]]:
        """Yield conversions to a partner that an entry from `since` on has concluded, with that entry."""
        count = len(schema.OUTGOING_CONVERSIONS.columns)
        wanted = (
            select(schema.OUTGOING_CONVERSIONS, _ENTRIES.data)
            .join(schema.ENTRIES, _OUTGOING.concluded_seq == _ENTRIES.seq)
            .where(_OUTGOING.destination == partner, _OUTGOING.concluded_seq >= since)
        )
        for row in self._rows(wanted.order_by(_ENTRIES.seq)):
            key, record = codec_of(OUTGOING).decode(row[:count])
            yield cast("Id", key), cast("OutgoingRecord", record), cast("bytes", row[count])

    def undecided_outgoing(self, partner: Ledger, *, before: str) -> list[tuple[Id, OutgoingRecord]]:
        """Return conversions to a partner that were ordered before a time and of which no decision is known."""
        conditions = (_OUTGOING.destination == partner, _OUTGOING.state.in_(_UNDECIDED), _OUTGOING.held_at < before)
        return list(self._records(OUTGOING, *conditions, order=(_OUTGOING.held_at, _OUTGOING.id)))

    def end_seq(self) -> int:
        """Return the `seq` that the next entry will have."""
        last = self._rows(select(_ENTRIES.seq).order_by(_ENTRIES.seq.desc()).limit(1))
        return cast("int", last[0][0]) + 1 if last else 0

    def _time_at(self, seq: int) -> str | None:
        """Return the time of entry `seq`, or of the first after it: a succession leaves a gap."""
        rows = self._rows(select(_ENTRIES.data).where(_ENTRIES.seq >= seq).order_by(_ENTRIES.seq).limit(1))
        return decode_entry(cast("bytes", rows[0][0])).time if rows else None
