"""Reading settlement page by page: windows and statements after a cursor, and what partners have shown of windows."""

from typing import Final, cast

from sqlalchemy import ColumnElement, and_, or_, select

from node.store import schema, schema_settlement
from node.store.reads import Reads
from protocol.identifiers import Id, Ledger
from protocol.ledger.state import LINES, STATEMENTS, WINDOWS, LineRecord, StatementRecord, Way, WindowRecord

_LINES: Final = schema_settlement.SETTLEMENT_LINES.c
_WINDOWS: Final = schema_settlement.WINDOWS.c
_STATEMENTS: Final = schema_settlement.STATEMENTS.c
_RECEIVED: Final = schema.MESSAGES_RECEIVED.c

WindowPlace = tuple[int, Ledger]
"""A window as lists go on from it: its number, and the partner."""


class WindowReads(Reads):
    """Pages of settlement, and bodies about it in the order of receipt."""

    def windows_page(
        self, partner: Ledger | None = None, *, after: WindowPlace | None = None, limit: int
    ) -> list[tuple[tuple[Ledger, int], WindowRecord]]:
        """Return windows with one partner, or with all, latest first, those after `after`."""
        conditions: list[ColumnElement[bool]] = [] if partner is None else [_WINDOWS.partner == partner]
        if after is not None:
            number, ledger = after
            later = and_(_WINDOWS.window == number, _WINDOWS.partner > ledger)
            conditions.append(or_(_WINDOWS.window < number, later))
        order = (_WINDOWS.window.desc(), _WINDOWS.partner)
        return list(self._records(WINDOWS, *conditions, order=order, limit=limit))

    def statements_page(
        self, partner: Ledger | None = None, *, before_seq: int | None = None, limit: int
    ) -> list[tuple[tuple[Ledger, int], StatementRecord]]:
        """Return agreed statements with one partner, or with all, latest first by `agreed_seq`."""
        conditions: list[ColumnElement[bool]] = [] if partner is None else [_STATEMENTS.partner == partner]
        if before_seq is not None:
            conditions.append(_STATEMENTS.agreed_seq < before_seq)
        return list(self._records(STATEMENTS, *conditions, order=(_STATEMENTS.agreed_seq.desc(),), limit=limit))

    def lines_of_way(
        self, partner: Ledger, way: Way, window: int, *, limit: int, after: int = 0
    ) -> list[tuple[tuple[Ledger, Way, int], LineRecord]]:
        """Return the lines of one direction of a window in the order of its decisions, those `after` a `dec_seq`."""
        conditions = [
            _LINES.partner == partner, _LINES.window == window, _LINES.direction == way, _LINES.dec_seq > after,
        ]  # fmt: skip
        return list(self._records(LINES, *conditions, order=(_LINES.dec_seq,), limit=limit))

    def lines_of_conversion(self, partner: Ledger, conversion: Id) -> list[tuple[tuple[Ledger, Way, int], LineRecord]]:
        """Return the lines that name a conversion; it reads every line with the partner: for rare questions."""
        return list(self._records(LINES, _LINES.partner == partner, _LINES.conversion == conversion))

    def bodies_received(self, partner: Ledger, kind: str, *, from_number: int, limit: int) -> list[bytes]:
        """Return bodies of a kind that `partner` has sent us, in the order of receipt, from `from_number` on."""
        wanted = select(_RECEIVED.body).where(
            _RECEIVED.number >= from_number, _RECEIVED.partner == partner, _RECEIVED.kind == kind
        )
        return [cast("bytes", body) for (body,) in self._rows(wanted.order_by(_RECEIVED.number).limit(limit))]
