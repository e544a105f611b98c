"""Holders' accounts and their holds, as they stand now and as they came to be."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from node.services.answers import EntryAnswer
from node.services.context import Context
from protocol.entries import unseal
from protocol.errors import Code, Refusal
from protocol.identifiers import Account, Id
from protocol.ledger.lots import DatedLot, can_be_spent, in_order
from protocol.ledger.state import ACCOUNTS, HOLDS, LEDGER, ONLY, AccountRecord, HoldRecord, Lot
from protocol.program import day_of


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """An account in a list: `held` of its `posted` points are set aside, `pending` ones cannot be spent yet.

    `available` can be spent now: neither those, nor what is to expire since its last day has passed.
    """

    account: str
    status: Literal["open", "frozen", "closed", "merged", "importing"]
    posted: int
    held: int
    pending: int
    available: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LotView:
    """Points of one origin, day and expiry that are neither spent nor held.

    They can be spent from `spendable_on` on, or at once. The last day of `rolling` ones moves with each activity.
    """

    origin: str
    earned_on: str
    expires_on: str | None
    rolling: bool
    spendable_on: str | None
    remaining: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryView:
    """The points that are lost next, spent up to and including `date`; or those that can be spent from `date` on."""

    date: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView(AccountRow):
    """An account as it stands."""

    lots: tuple[LotView, ...]
    next_expiry: ExpiryView | None
    next_pending: ExpiryView | None
    open_conversions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPage:
    """Accounts in the order of their names; `next` is the cursor of the page after, if there is one."""

    accounts: tuple[AccountRow, ...]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """Entries of an account, newest first; `next` is the cursor of the page after, if there is one."""

    entries: tuple[EntryAnswer, ...]
    next: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldView:
    """A hold as it stands; one that belongs to a conversion moves only by it."""

    id: str
    account: str
    amount: int
    remaining: int
    expires_at: str | None
    state: Literal["open", "closed"]
    conversion: bool


class AccountsService:
    """Reads accounts and holds."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def show(self, account: Account) -> AccountView:
        """Return an account as it stands, or raise `account_unknown`."""
        found, open_lots = self._context.reader.account_with_lots(account)
        record, today = self._checked(account, found), self._today()
        lots = in_order(open_lots, record.active_on)
        row = _row(account, record, lots, today=today)
        return AccountView(
            account=row.account,
            status=row.status,
            posted=row.posted,
            held=row.held,
            pending=row.pending,
            available=row.available,
            lots=tuple(_lot(lot, last) for last, lot in lots),
            next_expiry=next_expiry(lots, today=today),
            next_pending=next_pending(lots, today=today),
            open_conversions=record.conversions,
        )

    def row(self, account: Account) -> AccountRow:
        """Return an account as a list has it, or raise `account_unknown`."""
        return self._rows([(account, self._record(account))])[0]

    def page(self, *, after: Account | None, limit: int) -> AccountPage:
        """Return up to `limit` accounts after the cursor."""
        found = self._context.reader.accounts(after, limit + 1)
        rows = self._rows(found[:limit])
        return AccountPage(accounts=rows, next=rows[-1].account if len(found) > limit else None)

    def history(self, account: Account, *, before: int | None, limit: int) -> HistoryPage:
        """Return up to `limit` entries of an account before the cursor, newest first, or raise `account_unknown`."""
        self._record(account)
        found = self._context.reader.history(account, before, limit + 1)
        rendered = tuple(self._context.render(unseal(data)) for data in found[:limit])
        return HistoryPage(entries=rendered, next=rendered[-1].seq if len(found) > limit else None)

    def hold(self, hold_id: Id) -> HoldView:
        """Return a hold as it stands, or raise `hold_unknown`."""
        record = self._context.reader.record(HOLDS, hold_id)
        if record is None:
            raise Refusal(Code.HOLD_UNKNOWN, f"there is no hold {hold_id}")
        return _hold(hold_id, record)

    def _rows(self, found: Sequence[tuple[Account, AccountRecord]]) -> tuple[AccountRow, ...]:
        today = self._today()
        lots: dict[Account, list[Lot]] = {}
        for account, lot in self._context.reader.lots_with_days([account for account, _ in found], on=today):
            lots.setdefault(account, []).append(lot)
        rows = (
            _row(account, record, in_order(lots.get(account, []), record.active_on), today=today)
            for account, record in found
        )
        importing = self._importing_seq()
        return tuple(
            replace(row, status="importing", available=0)
            if record.imported_seq is not None and record.imported_seq == importing
            else row
            for row, (_, record) in zip(rows, found, strict=True)
        )

    def _today(self) -> str:
        return day_of(self._context.terms, self._context.now)

    def _record(self, account: Account) -> AccountRecord:
        return self._checked(account, self._context.reader.record(ACCOUNTS, account))

    def _checked(self, account: Account, record: AccountRecord | None) -> AccountRecord:
        if record is None:
            raise Refusal(Code.ACCOUNT_UNKNOWN, f"there is no account {account}")
        if record.imported_seq is not None and record.imported_seq == self._importing_seq():
            raise Refusal(Code.ACCOUNT_IMPORTING, f"the account {account} is in a file that is not imported yet")
        return record

    def _importing_seq(self) -> int | None:
        own = self._context.reader.record(LEDGER, ONLY)
        return None if own is None else own.importing_seq


def next_expiry(lots: Sequence[DatedLot], *, today: str) -> ExpiryView | None:
    """Return the points that expire first among those whose last day has not passed `today`, or None."""
    return _first([(last, lot) for last, lot in lots if last is not None and last >= today])


def next_pending(lots: Sequence[DatedLot], *, today: str) -> ExpiryView | None:
    """Return the points that can be spent next among those that cannot be spent `today` yet, or None."""
    return _first([(lot.spendable_on, lot) for _, lot in lots if lot.spendable_on and lot.spendable_on > today])


def _first(lots: Sequence[tuple[str, Lot]]) -> ExpiryView | None:
    if not lots:
        return None
    first = min(day for day, _ in lots)
    return ExpiryView(date=first, amount=sum(lot.remaining for day, lot in lots if day == first))


def _row(account: Account, record: AccountRecord, lots: Sequence[DatedLot], *, today: str) -> AccountRow:
    """Return the account as it stands `today`; `lots` are at least those that cannot be spent today."""
    pending = sum(lot.remaining for _, lot in lots if lot.spendable_on is not None and lot.spendable_on > today)
    barred = sum(lot.remaining for last, lot in lots if not can_be_spent(lot, last, on=today))
    return AccountRow(
        account=account,
        status=record.status.value,
        posted=record.posted,
        held=record.held,
        pending=pending,
        available=record.available - barred,
    )


def _lot(lot: Lot, last: str | None) -> LotView:
    return LotView(
        origin=lot.origin,
        earned_on=lot.earned_on,
        expires_on=last,
        rolling=lot.clock is not None,
        spendable_on=lot.spendable_on,
        remaining=lot.remaining,
    )


def _hold(hold_id: Id, record: HoldRecord) -> HoldView:
    return HoldView(
        id=hold_id,
        account=record.account,
        amount=record.amount,
        remaining=record.remaining,
        expires_at=record.expires_at,
        state="open" if record.remaining else "closed",
        conversion=record.conversion,
    )
