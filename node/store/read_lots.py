"""Reading lots of many accounts: what has expired, page by page, and what cannot be spent on a day."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from sqlalchemy import ColumnElement, func, or_, select, tuple_
from sqlalchemy import cast as sql_cast

from node.store import schema
from node.store.codec import codec_of
from node.store.columns import INTEGER
from node.store.numbers import number_of
from node.store.reads import Reads
from protocol.identifiers import Account
from protocol.ledger.state import LOTS, Lot

_LOTS: Final = schema.LOTS.c
_ACCOUNTS: Final = schema.ACCOUNTS.c


@dataclass(frozen=True, slots=True, kw_only=True)
class DueRow:
    """Lots of an account that expire by one day: that `day` itself, or for lots with a clock the last activity."""

    day: str
    account: Account
    lots: int
    points: int


class LotReads(Reads):
    """The lots of many accounts. Pages follow a cursor: what the last row seen is ordered by."""

    def lots_dated(self, before: str, after: tuple[str, Account] | None, limit: int) -> list[DueRow]:
        """Return lots whose last day is before `before`, by day and the age of the account, those after `after`."""
        conditions: list[ColumnElement[bool]] = [_LOTS.expires_on < before]
        if after is not None:
            day, account = after
            conditions.append(tuple_(_LOTS.expires_on, _LOTS.account_seq) > tuple_(day, number_of(account)))
        return self._due((_LOTS.expires_on,), conditions, limit, _LOTS.expires_on)

    def clocks(self) -> list[str]:
        """Return the clocks that any lot follows, in order."""
        found: list[str] = []
        while True:
            # One look into the index for each, however many lots follow it; the index has those alone that follow one.
            beyond = _LOTS.clock > (found[-1] if found else "")
            clock = cast("str | None", self._rows(select(func.min(_LOTS.clock)).where(beyond))[0][0])
            if clock is None:
                return found
            found.append(clock)

    def lots_run_out(self, clock: str, idle_since: str, after: Account | None, limit: int) -> list[DueRow]:
        """Return lots that follow `clock` in accounts whose last activity was up to `idle_since`, oldest first."""
        conditions: list[ColumnElement[bool]] = [_LOTS.clock == clock, _ACCOUNTS.active_on <= idle_since]
        if after is not None:
            conditions.append(_LOTS.account_seq > number_of(after))
        return self._due((), conditions, limit, func.min(_ACCOUNTS.active_on))

    def lots_with_days(self, accounts: Sequence[Account], *, on: str) -> list[tuple[Account, Lot]]:
        """Return those lots of `accounts` that cannot be spent on the day `on`, or whose day follows a clock."""
        chosen = or_(_LOTS.spendable_on > on, _LOTS.expires_on < on, _LOTS.clock.is_not(None))
        wanted = select(_ACCOUNTS.account, schema.LOTS).join(schema.LOTS, _LOTS.account_seq == _ACCOUNTS.opened_seq)
        rows = self._rows(wanted.where(_ACCOUNTS.account.in_(accounts), chosen))
        lots = codec_of(LOTS).decode_all([row[1:] for row in rows])
        return [(cast("Account", row[0]), cast("Lot", lot)) for row, (_, lot) in zip(rows, lots, strict=True)]

    def _due(
        self,
        before: tuple[ColumnElement[object], ...],
        conditions: Sequence[ColumnElement[bool]],
        limit: int,
        day: ColumnElement[object],
    ) -> list[DueRow]:
        """Return a page by `before` and the account, which is the order of an index: it reads what it returns alone."""
        keys = (*before, _LOTS.account_seq)
        # Of an account there is one name, and an aggregate of it, unlike a key, leaves the index its order.
        account = func.min(_ACCOUNTS.account).label("account")
        sums = (func.count().label("lots"), sql_cast(func.sum(_LOTS.remaining), INTEGER).label("points"))
        joined = schema.LOTS.join(schema.ACCOUNTS, _LOTS.account_seq == _ACCOUNTS.opened_seq)
        found = select(day.label("day"), account, *sums).select_from(joined).where(*conditions).group_by(*keys)
        return self._objects(DueRow, found.order_by(*keys).limit(limit))
