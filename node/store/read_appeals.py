"""Reading appeals, and whether an entry belongs to an account."""

from typing import Final

from sqlalchemy import ColumnElement, select

from node.store import schema
from node.store.numbers import number_of
from node.store.reads import Reads
from node.store.schema_appeals import APPEALS as TABLE
from protocol.identifiers import Account, Id
from protocol.ledger.appeal_records import UNDECIDED, AppealRecord, AppealState
from protocol.ledger.state import APPEALS

_APPEALS: Final = TABLE.c
_HISTORY: Final = schema.HISTORY.c


class AppealReads(Reads):
    """The rows that the rules keep of appeals."""

    def appeals(
        self,
        *,
        account: Account | None = None,
        state: AppealState | None = None,
        before_seq: int | None = None,
        limit: int,
    ) -> list[tuple[Id, AppealRecord]]:
        """Return appeals, newest first by `opened_seq`, those before `before_seq`."""
        conditions: list[ColumnElement[bool]] = []
        if account is not None:
            conditions.append(_APPEALS.account == account)
        if state is not None:
            conditions.append(_APPEALS.state == str(state))
        if before_seq is not None:
            conditions.append(_APPEALS.opened_seq < before_seq)
        return list(self._records(APPEALS, *conditions, order=(_APPEALS.opened_seq.desc(),), limit=limit))

    def appeals_overdue(
        self, day: str, *, before_seq: int | None = None, account: Account | None = None, limit: int
    ) -> list[tuple[Id, AppealRecord]]:
        """Return the appeals that nobody has decided and whose deadline lies before `day`, newest first."""
        conditions: list[ColumnElement[bool]] = [
            _APPEALS.state.in_(sorted(UNDECIDED)),
            _APPEALS.deadline < day,
        ]
        if account is not None:
            conditions.append(_APPEALS.account == account)
        if before_seq is not None:
            conditions.append(_APPEALS.opened_seq < before_seq)
        return list(self._records(APPEALS, *conditions, order=(_APPEALS.opened_seq.desc(),), limit=limit))

    def is_in_history(self, account: Account, seq: int) -> bool:
        """Return whether entry `seq` belongs to the history of `account`."""
        return bool(
            self._rows(select(_HISTORY.seq).where(_HISTORY.account_seq == number_of(account), _HISTORY.seq == seq))
        )

    def history_after(self, account: Account, after_seq: int, limit: int) -> list[bytes]:
        """Return up to `limit` entries of `account` after entry `after_seq`, oldest first."""
        entries = schema.ENTRIES.c
        wanted = select(entries.data).join(schema.HISTORY, _HISTORY.seq == entries.seq)
        wanted = wanted.where(_HISTORY.account_seq == number_of(account), _HISTORY.seq > after_seq)
        return [_bytes(data) for (data,) in self._rows(wanted.order_by(_HISTORY.seq).limit(limit))]


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes), "a column of bytes"
    return value
