"""What delivery asks of the store again and again, remembered for as long as nothing can have changed it.

A parcel and its answer took some forty readings at each end. While the writer is at work each of them waits for its
turn at the interpreter, and together they took most of the time from an order to both ledgers' final word.
"""

from collections.abc import Callable, Hashable
from typing import Final, TypeVar, cast

from node.engine.engine import Committed
from node.ports import Clock
from node.services.context import NodeWriter
from node.store.reader import StoreReader
from node.store.rows import ChannelState, SignedCheckpoint
from protocol.entries import (
    ConversionCancelRequested,
    ConversionCaptured,
    ConversionCredited,
    ConversionHeld,
    ConversionRefused,
    ConversionReleased,
    PointsIssued,
    PointsRedeemed,
    PointsTransferred,
)
from protocol.identifiers import Ledger
from protocol.ledger.state import LEDGER, ONLY, PARTNERS, LedgerRecord, PartnerRecord

REMEMBERED_SECONDS: Final = 5.0
"""How long at most: another process may write while this one stands by, and a failed commit may have been durable."""

_MOVING: Final = frozenset(
    {
        ConversionCancelRequested, ConversionCaptured, ConversionCredited, ConversionHeld, ConversionRefused,
        ConversionReleased, PointsIssued, PointsRedeemed, PointsTransferred,
    }
)  # fmt: skip
"""Entries that change nothing of who the partners are, where they listen, and how the log stands."""

_T = TypeVar("_T")


class Remembered:
    """Answers of the store: those about partners until a commit may have changed them, others until the next commit."""

    def __init__(self, reader: StoreReader, writer: NodeWriter, clock: Clock) -> None:
        """Remember nothing yet."""
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._changes = 0
        self._kept: dict[Hashable, tuple[int, float, object]] = {}
        writer.listen(self._committed)

    def partners(self) -> list[tuple[Ledger, PartnerRecord]]:
        """Return all partners in the order of their names."""
        return self._lasting("partners", self._reader.partners)

    def partner(self, ledger: Ledger) -> PartnerRecord | None:
        """Return what is known of a partner, or None."""
        return self._lasting((PARTNERS, ledger), lambda: self._reader.record(PARTNERS, ledger))

    def urls(self) -> dict[Ledger, str]:
        """Return where partners' nodes listen."""
        return self._lasting("urls", self._reader.partner_urls)

    def ledger(self) -> LedgerRecord | None:
        """Return how our own ledger stands, or None before its genesis."""
        return self._lasting("ledger", lambda: self._reader.record(LEDGER, ONLY))

    def channel(self, partner: Ledger) -> ChannelState | None:
        """Return where the streams with `partner` stand, or None before the first epoch."""
        return self._fleeting(("channel", partner), lambda: self._reader.channel(partner))

    def latest_checkpoint(self) -> SignedCheckpoint | None:
        """Return our last signed checkpoint, or None while the log is empty."""
        return self._fleeting("checkpoint", self._reader.latest_checkpoint)

    def _lasting(self, name: Hashable, read: Callable[[], _T]) -> _T:
        return self._found(name, self._changes, read)

    def _fleeting(self, name: Hashable, read: Callable[[], _T]) -> _T:
        return self._found(name, self._writer.commits, read)

    def _found(self, name: Hashable, state: int, read: Callable[[], _T]) -> _T:
        """Return what was read in this `state`, which was looked at before the store is."""
        now = self._clock.monotonic()
        kept = self._kept.get(name)
        if kept is not None and kept[0] == state and now < kept[1]:
            return cast("_T", kept[2])
        found = read()
        self._kept[name] = (state, now + REMEMBERED_SECONDS, found)
        return found

    def _committed(self, committed: Committed) -> None:
        sealed = committed.sealed
        if not sealed or not _MOVING.issuperset(type(each.entry) for each in sealed):
            # The writer's thread alone counts.
            self._changes += 1
