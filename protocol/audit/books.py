"""What the audit of one log writes down while it reads: everything that a report states, or another log must match."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, get_args

from protocol.audit.citations import Citations
from protocol.audit.conversions import ConversionBook
from protocol.audit.days import DayBook, DaySums
from protocol.audit.figures import Tally
from protocol.audit.registers import RegisterBook
from protocol.audit.replay import Reader
from protocol.audit.settlements import SettlementBook
from protocol.audit.successions import SuccessionBook
from protocol.entries import (
    AnyEntry,
    ConversionCaptured,
    ConversionCredited,
    ConversionHeld,
    ConversionRefused,
    ConversionReleased,
    Entry,
)
from protocol.ledger.postings import ledger_record
from protocol.ledger.view import Overlay
from protocol.point_entries import PointEntry

SUMMED_ONLY: Final[frozenset[type[Entry]]] = frozenset(get_args(PointEntry))
"""The kinds of which a report states sums alone: most entries of a log, so nobody is asked about each of them."""

CONVERSIONS: Final[frozenset[type[Entry]]] = frozenset(
    {ConversionHeld, ConversionCaptured, ConversionReleased, ConversionCredited, ConversionRefused}
)
"""The kinds of which settlements and successions say nothing, and registers nothing but what was adjusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What reads along with a replay."""

    conversions: ConversionBook = field(default_factory=ConversionBook)
    settlements: SettlementBook = field(default_factory=SettlementBook)
    successions: SuccessionBook = field(default_factory=SuccessionBook)
    citations: Citations = field(default_factory=Citations)
    days: DayBook = field(default_factory=DayBook)
    registers: RegisterBook = field(default_factory=RegisterBook)

    @property
    def tally(self) -> Tally:
        """Return the sums of all postings."""
        return self.days.until(None)

    def readers(self, kind: type[Entry]) -> Sequence[Reader]:
        """Return who takes note of each entry of `kind`, in the order in which they are told."""
        if kind in SUMMED_ONLY:
            return ()
        if kind in CONVERSIONS:
            return self.conversions.add, self.citations.add, self.registers.adjusted
        books = (self.conversions, self.settlements, self.successions, self.citations, self.registers)
        return tuple(book.add for book in books)

    def passed(self, entries: Sequence[AnyEntry], view: Overlay, sums: DaySums | None) -> None:
        """Sum what accepted `entries` post, or take over the `sums` that somebody made of them."""
        if sums is None:
            self.days.passed(entries, points=ledger_record(view).points)
        else:
            self.days.add(sums)
        self.successions.passed(entries[-1].seq + 1)
