"""What the audit of one log writes down while it reads: everything that a report states, or another log must match."""

from dataclasses import dataclass, field

from protocol.audit.citations import Citations
from protocol.audit.conversions import ConversionBook
from protocol.audit.days import DayBook
from protocol.audit.figures import Tally
from protocol.audit.registers import RegisterBook
from protocol.audit.replay import Collector
from protocol.audit.settlements import SettlementBook
from protocol.audit.successions import SuccessionBook


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The collectors that read along with a replay."""

    tally: Tally = field(default_factory=Tally)
    conversions: ConversionBook = field(default_factory=ConversionBook)
    settlements: SettlementBook = field(default_factory=SettlementBook)
    successions: SuccessionBook = field(default_factory=SuccessionBook)
    citations: Citations = field(default_factory=Citations)
    days: DayBook = field(default_factory=DayBook)
    registers: RegisterBook = field(default_factory=RegisterBook)

    @property
    def collectors(self) -> tuple[Collector, ...]:
        """Return all of them, in the order in which they are told of an entry."""
        return (
            self.tally,
            self.conversions,
            self.settlements,
            self.successions,
            self.citations,
            self.days,
            self.registers,
        )
