"""Reading settlement: the lines of windows, and the statements that both parties signed."""

from typing import Final

from node.store import schema_settlement
from node.store.reads import Reads
from protocol.identifiers import Digest, Ledger
from protocol.ledger.state import LINES, STATEMENTS, LineRecord, StatementRecord, Way

_LINES: Final = schema_settlement.SETTLEMENT_LINES.c
_STATEMENTS: Final = schema_settlement.STATEMENTS.c


class SettlementReads(Reads):
    """Lines and statements."""

    def statement_named(self, digest: Digest) -> tuple[tuple[Ledger, int], StatementRecord] | None:
        """Return the agreed statement with this digest, and its partner and window, or None."""
        return next(self._records(STATEMENTS, _STATEMENTS.digest == digest), None)

    def lines(self, partner: Ledger, window: int) -> list[tuple[tuple[Ledger, Way, int], LineRecord]]:
        """Return the lines of a window, each direction in the order of its decisions."""
        found = self._records(
            LINES,
            _LINES.partner == partner,
            _LINES.window == window,
            order=(_LINES.direction, _LINES.dec_seq),
        )
        return list(found)
