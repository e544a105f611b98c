"""Reading settlement: windows, their lines, and the statements that both parties signed."""

from typing import Final

from sqlalchemy import ColumnElement

from node.store import schema_settlement
from node.store.reads import Reads
from protocol.identifiers import Digest, Ledger
from protocol.ledger.state import LINES, STATEMENTS, WINDOWS, LineRecord, StatementRecord, Way, WindowRecord

PAGE_ROWS: Final = 100

_LINES: Final = schema_settlement.SETTLEMENT_LINES.c
_WINDOWS: Final = schema_settlement.WINDOWS.c
_STATEMENTS: Final = schema_settlement.STATEMENTS.c


class SettlementReads(Reads):
    """Windows, lines and statements."""

    def windows(
        self, partner: Ledger | None = None, *, limit: int = PAGE_ROWS
    ) -> list[tuple[tuple[Ledger, int], WindowRecord]]:
        """Return windows with one partner, or with all, latest first."""
        conditions: list[ColumnElement[bool]] = [] if partner is None else [_WINDOWS.partner == partner]
        order = (_WINDOWS.window.desc(), _WINDOWS.partner)
        return list(self._records(WINDOWS, *conditions, order=order, limit=limit))

    def statements(
        self, partner: Ledger | None = None, *, limit: int = PAGE_ROWS
    ) -> list[tuple[tuple[Ledger, int], StatementRecord]]:
        """Return agreed statements with one partner, or with all, latest first."""
        conditions: list[ColumnElement[bool]] = [] if partner is None else [_STATEMENTS.partner == partner]
        return list(self._records(STATEMENTS, *conditions, order=(_STATEMENTS.agreed_seq.desc(),), limit=limit))

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
