"""Holders' accounts and their holds, as they stand now and as they came to be."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from node.services.answers import EntryAnswer
from node.services.context import Context
from protocol.entries import unseal
from protocol.errors import Code, Refusal
from protocol.identifiers import Account, Id
from protocol.ledger.state import ACCOUNTS, HOLDS, AccountRecord, HoldRecord, Lot


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """An account in a list: `held` of its `posted` points are set aside."""

    account: str
    status: Literal["open", "closed"]
    posted: int
    held: int
    available: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LotView:
    """Points of one origin, day and expiry that are neither spent nor held."""

    origin: str
    earned_on: str
    expires_on: str | None
    remaining: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryView:
    """The points that are lost next: `amount` of them can be spent up to and including `date`."""

    date: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView(AccountRow):
    """An account as it stands."""

    lots: tuple[LotView, ...]
    next_expiry: ExpiryView | None
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
        row = _row(account, self._record(account))
        lots = self._context.reader.lots(account)
        return AccountView(
            account=row.account,
            status=row.status,
            posted=row.posted,
            held=row.held,
            available=row.available,
            lots=tuple(map(_lot, lots)),
            next_expiry=next_expiry(lots, today=self._context.now[:10]),
            open_conversions=self._record(account).conversions,
        )

    def page(self, *, after: Account | None, limit: int) -> AccountPage:
        """Return up to `limit` accounts after the cursor."""
        found = self._context.reader.accounts(after, limit + 1)
        rows = tuple(_row(account, record) for account, record in found[:limit])
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

    def _record(self, account: Account) -> AccountRecord:
        record = self._context.reader.record(ACCOUNTS, account)
        if record is None:
            raise Refusal(Code.ACCOUNT_UNKNOWN, f"there is no account {account}")
        return record


def next_expiry(lots: Sequence[Lot], *, today: str) -> ExpiryView | None:
    """Return the points that expire first among those that can still be spent `today`, or None."""
    dates = [lot.expires_on for lot in lots if lot.expires_on is not None and lot.expires_on >= today]
    if not dates:
        return None
    first = min(dates)
    return ExpiryView(date=first, amount=sum(lot.remaining for lot in lots if lot.expires_on == first))


def _row(account: Account, record: AccountRecord) -> AccountRow:
    return AccountRow(
        account=account,
        status=record.status.value,
        posted=record.posted,
        held=record.held,
        available=record.available,
    )


def _lot(lot: Lot) -> LotView:
    return LotView(origin=lot.origin, earned_on=lot.earned_on, expires_on=lot.expires_on, remaining=lot.remaining)


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
