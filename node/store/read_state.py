"""Reading the ledger's state: accounts, holds, partners, agreements, links, conversions."""

from collections.abc import Collection, Sequence
from typing import Final, cast

from sqlalchemy import ColumnElement, bindparam, select

from node.store import schema, schema_links, schema_settlement
from node.store.codec import Row, codec_of
from node.store.numbers import number_of
from node.store.reads import Reads
from protocol.conversion import SourceState
from protocol.identifiers import Account, Alias, Asset, Digest, Id, Ledger, Network
from protocol.ledger.state import (
    ACCEPTED_LINKS,
    ACCOUNTS,
    AGREEMENTS,
    ALIASES,
    BALANCES,
    INCOMING,
    ISSUED_LINKS,
    LOTS,
    OUTGOING,
    PARTNERS,
    WINDOWS,
    AcceptedLink,
    AccountRecord,
    AgreementRecord,
    IncomingRecord,
    IssuedLink,
    Lot,
    OutgoingRecord,
    PartnerRecord,
    WindowRecord,
)
from protocol.settlement.states import WindowState

PAGE_ROWS: Final = 100

_HOLDS: Final = schema.HOLDS.c
_OUTGOING: Final = schema.OUTGOING_CONVERSIONS.c
_INCOMING: Final = schema.INCOMING_CONVERSIONS.c
_AGREEMENTS: Final = schema.AGREEMENTS.c
_WINDOWS: Final = schema_settlement.WINDOWS.c

_LOTS_OF: Final = select(schema.LOTS).where(schema.LOTS.c.account_seq == number_of(bindparam("account")))
_WITH_LOTS: Final = (
    select(schema.ACCOUNTS, schema.LOTS)
    .outerjoin_from(schema.ACCOUNTS, schema.LOTS, schema.LOTS.c.account_seq == schema.ACCOUNTS.c.opened_seq)
    .where(schema.ACCOUNTS.c.account == bindparam("account"))
)
_ACCOUNT_COLUMNS: Final = len(schema.ACCOUNTS.columns)
_IN_ORDER: Final = select(schema.PARTNERS).order_by(schema.PARTNERS.c.ledger)


class StateReads(Reads):
    """The rows that the ledger's rules keep. Pages follow a cursor: the key, or the number, of the last row seen."""

    def accounts(self, after: Account | None = None, limit: int = PAGE_ROWS) -> list[tuple[Account, AccountRecord]]:
        """Return holders' accounts in the order of their names, those after `after`."""
        column = schema.ACCOUNTS.c.account
        conditions = [] if after is None else [column > after]
        return list(self._records(ACCOUNTS, *conditions, order=(column,), limit=limit))

    def account_with_lots(self, account: Account) -> tuple[AccountRecord | None, list[Lot]]:
        """Return an account, or None, and its open lots, as `lots` does, both of one moment."""
        rows = self._ask(_WITH_LOTS, account=account)
        if not rows:
            return None, []
        record = cast("AccountRecord", codec_of(ACCOUNTS).decode(rows[0][:_ACCOUNT_COLUMNS])[1])
        return record, _lots_in_order([row[_ACCOUNT_COLUMNS:] for row in rows if row[_ACCOUNT_COLUMNS] is not None])

    def lots(self, account: Account) -> list[Lot]:
        """Return the open lots of `account` in the order in which they are consumed."""
        return _lots_in_order(self._ask(_LOTS_OF, account=account))

    def holds_expired(self, now: str, limit: int = PAGE_ROWS) -> list[Id]:
        """Return holds whose time has passed at `now`, longest ago first; never those of conversions."""
        due = select(_HOLDS.id).where(_HOLDS.remaining > 0, _HOLDS.expires_at <= now, ~_HOLDS.conversion)
        return [cast("Id", row[0]) for row in self._rows(due.order_by(_HOLDS.expires_at, _HOLDS.id).limit(limit))]

    def balances(self) -> list[tuple[Account, Asset, int]]:
        """Return the balances of all structural and money accounts."""
        columns = schema.BALANCES.c
        found = self._records(BALANCES, order=(columns.account, columns.asset))
        return [(account, asset, record.amount) for (account, asset), record in found]

    def partners(self) -> list[tuple[Ledger, PartnerRecord]]:
        """Return all partners in the order of their names."""
        codec = codec_of(PARTNERS)
        return [cast("tuple[Ledger, PartnerRecord]", codec.decode(row)) for row in self._ask(_IN_ORDER)]

    def living_partners(self) -> list[tuple[Ledger, PartnerRecord]]:
        """Return the partners that have not ended to be one, in the order of their names."""
        return [(ledger, record) for ledger, record in self.partners() if record.ended_seq is None]

    def agreements(self, partner: Ledger | None = None) -> list[tuple[Digest, AgreementRecord]]:
        """Return the agreements with one partner, or with all, newest first."""
        conditions = [] if partner is None else [_AGREEMENTS.partner == partner]
        return list(self._records(AGREEMENTS, *conditions, order=(_AGREEMENTS.entered_seq.desc(),)))

    def current_agreement(self, partner: Ledger) -> tuple[Digest, AgreementRecord] | None:
        """Return the latest agreement with `partner`, or None."""
        current = schema.CURRENT_AGREEMENTS.c
        latest = select(current.digest).where(current.partner == partner).scalar_subquery()
        return next(self._records(AGREEMENTS, _AGREEMENTS.digest == latest), None)

    def issued_links(self, account: Account) -> list[tuple[Ledger, Alias, IssuedLink]]:
        """Return under which aliases partners know `account`, oldest first."""
        columns = schema_links.ISSUED_LINKS.c
        found = self._records(ISSUED_LINKS, columns.account == account, order=(columns.issued_seq,))
        return [(partner, alias, link) for (partner, alias), link in found]

    def accepted_links(self, account: Account) -> list[tuple[Ledger, AcceptedLink]]:
        """Return to which of partners' accounts `account` may convert, in the order of partners' names."""
        columns = schema_links.ACCEPTED_LINKS.c
        found = self._records(ACCEPTED_LINKS, columns.account == account, order=(columns.partner,))
        return [(partner, link) for (_, partner), link in found]

    def accepted_aliases(self, account: Account) -> list[tuple[Ledger, Alias]]:
        """Return every alias that `account` has ever accepted, by partner."""
        columns = schema_links.ACCEPTED_ALIASES.c
        found = self._records(ALIASES, columns.account == account, order=(columns.partner, columns.alias))
        return [key for key, _ in found]

    def outgoing(self, conversion: Id) -> OutgoingRecord | None:
        """Return a conversion whose source we are, or None."""
        return self.record(OUTGOING, conversion)

    def incoming(self, network: Network, source: Ledger, conversion: Id) -> IncomingRecord | None:
        """Return a conversion that we have decided, or None."""
        return self.record(INCOMING, (network, source, conversion))

    def outgoing_page(
        self,
        *,
        state: SourceState | None = None,
        states: Collection[SourceState] | None = None,
        account: Account | None = None,
        partner: Ledger | None = None,
        before_seq: int | None = None,
        limit: int = PAGE_ROWS,
    ) -> list[tuple[Id, OutgoingRecord]]:
        """Return conversions whose source we are, newest first by `held_seq`, those before `before_seq`."""
        conditions: list[ColumnElement[bool]] = []
        if state is not None:
            conditions.append(_OUTGOING.state == str(state))
        if states is not None:
            conditions.append(_OUTGOING.state.in_([str(each) for each in states]))
        if account is not None:
            conditions.append(_OUTGOING.account == account)
        if partner is not None:
            conditions.append(_OUTGOING.destination == partner)
        if before_seq is not None:
            conditions.append(_OUTGOING.held_seq < before_seq)
        return list(self._records(OUTGOING, *conditions, order=(_OUTGOING.held_seq.desc(),), limit=limit))

    def incoming_page(
        self, *, partner: Ledger | None = None, before_seq: int | None = None, limit: int = PAGE_ROWS
    ) -> list[tuple[tuple[Network, Ledger, Id], IncomingRecord]]:
        """Return conversions that we have decided, newest first by `decided_seq`, those before `before_seq`."""
        conditions: list[ColumnElement[bool]] = []
        if partner is not None:
            conditions.append(_INCOMING.source == partner)
        if before_seq is not None:
            conditions.append(_INCOMING.decided_seq < before_seq)
        return list(self._records(INCOMING, *conditions, order=(_INCOMING.decided_seq.desc(),), limit=limit))

    def unsettled_windows(self, limit: int = PAGE_ROWS) -> list[tuple[Ledger, int, WindowRecord]]:
        """Return the settlement windows that are not confirmed yet, by partner, oldest first."""
        conditions = [_WINDOWS.state != str(WindowState.CONFIRMED)]
        found = self._records(WINDOWS, *conditions, order=(_WINDOWS.partner, _WINDOWS.window), limit=limit)
        return [(partner, window, record) for (partner, window), record in found]


def _lots_in_order(rows: Sequence[Row]) -> list[Lot]:
    found = cast("list[tuple[object, Lot]]", codec_of(LOTS).decode_all(rows))
    return sorted((lot for _, lot in found), key=lambda lot: lot.order)
