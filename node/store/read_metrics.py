"""Reading how much waits, and for how long: what a monitor asks again and again, each by an index."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import func, select

from node.store import schema
from node.store.reads import Reads
from protocol.conversion import SourceState
from protocol.identifiers import Ledger

_OUTBOX = schema.OUTBOX.c
_SENT = schema.MESSAGES_SENT.c
_OUT = schema.OUTGOING_CONVERSIONS.c
_HOLDS = schema.HOLDS.c


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxHead:
    """How many bodies want an answer from `partner`, and the entry that made the oldest of them, if one did."""

    partner: Ledger
    bodies: int
    oldest_seq: int | None


class MetricReads(Reads):
    """Counts and ages."""

    def outbox_heads(self) -> list[OutboxHead]:
        """Return what waits for each partner, those alone for whom something does."""
        wanted = select(
            _OUTBOX.partner, func.count().label("bodies"), func.min(_SENT.entry_seq).label("oldest_seq")
        ).join(schema.MESSAGES_SENT)
        return self._objects(OutboxHead, wanted.group_by(_OUTBOX.partner).order_by(_OUTBOX.partner))

    def undecided_before(self, times: Sequence[str]) -> list[int]:
        """Return how many conversions that are undecided now were ordered before each of `times`."""
        held = select(func.count()).where(_OUT.state == SourceState.HELD.value)
        return [cast("int", self._rows(held.where(_OUT.held_at <= time))[0][0]) for time in times]

    def holds_open_before(self, seqs: Sequence[int]) -> list[int]:
        """Return how many holds of the brand's own that are open now were placed before each of the entries `seqs`."""
        counts = (func.count().filter(_HOLDS.placed_seq < seq) for seq in seqs)
        open_own = select(*counts).select_from(schema.HOLDS).where(schema.OPEN_OWN_HOLDS, _HOLDS.placed_seq < max(seqs))
        return [cast("int", count) for count in self._rows(open_own)[0]]
