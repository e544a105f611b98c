"""Reading transfers, reviews, and the traces that screens look at."""

from collections.abc import Collection
from typing import Final, Literal, TypeAlias, cast

from sqlalchemy import ColumnElement, or_, select

from node.store import schema_program
from node.store.reads import Reads
from protocol.identifiers import Account, Id
from protocol.ledger.program_state import (
    REVIEWS,
    TRANSFERS,
    ReviewRecord,
    ReviewState,
    TransferRecord,
    TransferState,
)

PAGE_ROWS: Final = 100

_TRANSFERS: Final = schema_program.TRANSFERS.c
_REVIEWS: Final = schema_program.REVIEWS.c
_TRACES: Final = schema_program.CLIENT_TRACES.c

TraceColumn: TypeAlias = Literal["account", "address", "device"]


class ProgramReads(Reads):
    """What a program's terms govern; pages follow a cursor, the number of the last row seen."""

    def transfers(
        self,
        *,
        account: Account | None = None,
        state: TransferState | None = None,
        before_seq: int | None = None,
        limit: int = PAGE_ROWS,
    ) -> list[tuple[Id, TransferRecord]]:
        """Return transfers that `account` offered or was offered, newest first, those before `before_seq`."""
        conditions: list[ColumnElement[bool]] = []
        if account is not None:
            conditions.append(or_(_TRANSFERS.account == account, _TRANSFERS.recipient == account))
        if state is not None:
            conditions.append(_TRANSFERS.state == str(state))
        if before_seq is not None:
            conditions.append(_TRANSFERS.offered_seq < before_seq)
        return list(self._records(TRANSFERS, *conditions, order=(_TRANSFERS.offered_seq.desc(),), limit=limit))

    def transfers_lapsed(self, now: str, limit: int = PAGE_ROWS) -> list[Id]:
        """Return offered transfers that nobody can accept any more at `now`, longest ago first."""
        due = select(_TRANSFERS.id).where(_TRANSFERS.state == str(TransferState.OFFERED), _TRANSFERS.accept_by <= now)
        ordered = due.order_by(_TRANSFERS.accept_by, _TRANSFERS.id).limit(limit)
        return [cast("Id", row[0]) for row in self._rows(ordered)]

    def reviews(
        self, *, state: ReviewState | None = None, before_seq: int | None = None, limit: int = PAGE_ROWS
    ) -> list[tuple[Id, ReviewRecord]]:
        """Return orders that were put up for review, newest first, those before `before_seq`."""
        conditions: list[ColumnElement[bool]] = []
        if state is not None:
            conditions.append(_REVIEWS.state == str(state))
        if before_seq is not None:
            conditions.append(_REVIEWS.opened_seq < before_seq)
        return list(self._records(REVIEWS, *conditions, order=(_REVIEWS.opened_seq.desc(),), limit=limit))

    def traced_ids(self, account: Account, *, activities: Collection[str], since: str, limit: int) -> set[str]:
        """Return up to `limit` orders of an account since a time."""
        wanted = select(_TRACES.id).where(
            _TRACES.account == account, _TRACES.activity.in_(sorted(activities)), _TRACES.seen_at >= since
        )
        return {cast("str", row[0]) for row in self._rows(wanted.limit(limit))}

    def traced_accounts(
        self, column: TraceColumn, value: str, *, activities: Collection[str], since: str, limit: int
    ) -> set[str]:
        """Return up to `limit` accounts that were seen behind one address or device since a time."""
        wanted = (
            select(_TRACES.account)
            .distinct()
            .where(_TRACES[column] == value, _TRACES.activity.in_(sorted(activities)), _TRACES.seen_at >= since)
        )
        return {cast("str", row[0]) for row in self._rows(wanted.limit(limit))}

    def traces_before(self, time: str, limit: int = PAGE_ROWS) -> list[str]:
        """Return traces older than `time`, oldest first."""
        wanted = select(_TRACES.id).where(_TRACES.seen_at < time).order_by(_TRACES.seen_at).limit(limit)
        return [cast("str", row[0]) for row in self._rows(wanted)]
