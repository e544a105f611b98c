"""Accounts, points, holds, links and conversions, as a brand's own systems ask for them."""

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias
from uuid import uuid4

from node.client.answers import (
    AccountList,
    AccountRow,
    AccountState,
    AccountWritten,
    BatchResults,
    ConversionList,
    ConversionState,
    History,
    HistoryEntry,
    HoldState,
    Quote,
    Reversed,
    Written,
)
from node.client.connection import Connection
from protocol.encoding import JsonValue
from protocol.identifiers import Account, Id, Ledger

JsonObject: TypeAlias = dict[str, JsonValue]

_TRANSACTIONS: Final = "/v1/transactions"


def new_id() -> Id:
    """Return a random UUID: keep it with the order that it stands for, before the request is sent."""
    return Id(str(uuid4()))


class PointsCalls(Connection):
    """What moves a member's points. A `request_id` that is left out is drawn: then a repeat is another request."""

    def open_account(self, *, kind: str = "member", request_id: Id | None = None) -> Account:
        """Open an account, named by the request's id, and return its name."""
        body: JsonObject = {"id": request_id or new_id(), "kind": kind}
        return Account(self.post("/v1/accounts", body).read(AccountWritten).account)

    def close_account(self, account: Account, *, request_id: Id | None = None) -> Written:
        """Close an empty account."""
        return self.post(f"/v1/accounts/{account}/close", {"id": request_id or new_id()}).read(Written)

    def account(self, account: Account) -> AccountState:
        """Return an account as it stands, with its lots."""
        return self.get(f"/v1/accounts/{account}").read(AccountState)

    def accounts(self) -> Iterator[AccountRow]:
        """Yield every account in the order of their names."""
        for page in self.pages("/v1/accounts", {"limit": 256}, AccountList):
            yield from page.accounts

    def history(self, account: Account) -> Iterator[HistoryEntry]:
        """Yield an account's entries, newest first."""
        for page in self.pages(f"/v1/accounts/{account}/history", {"limit": 256}, History, following="before"):
            yield from page.entries

    def issue(
        self, account: Account, amount: int, *, expires_on: str | None = None, request_id: Id | None = None
    ) -> Written:
        """Give a holder new points."""
        return self._transact(request_id, type="issue", account=account, amount=amount, expires_on=expires_on)

    def redeem(self, account: Account, amount: int, *, request_id: Id | None = None) -> Written:
        """Use up a holder's points."""
        return self._transact(request_id, type="redeem", account=account, amount=amount)

    def transfer(self, account: Account, amount: int, *, to: Account, request_id: Id | None = None) -> Written:
        """Move points from one holder to another."""
        return self._transact(request_id, type="transfer", account=account, amount=amount, to=to)

    def reverse(
        self, reverses: str, amount: int | None = None, *, partial: bool = False, request_id: Id | None = None
    ) -> Reversed:
        """Undo an issue, a redemption or a captured hold, named by its id: `amount` of it, or all that is left.

        With `partial`, of issued points as many are taken back as are there.
        """
        asked: JsonObject = {"type": "reverse", "reverses": reverses, "amount": amount, "partial": partial or None}
        return self.post(_TRANSACTIONS, {"id": request_id or new_id(), **asked}).read(Reversed)

    def batch(self, items: Sequence[JsonObject], *, atomic: bool = False) -> BatchResults:
        """Do up to 8,192 transactions in one commit; each item has its own `id`."""
        return self.post("/v1/transactions/batch", {"atomic": atomic, "items": list(items)}).read(BatchResults)

    def hold(self, hold: Id) -> HoldState:
        """Return a hold as it stands."""
        return self.get(f"/v1/holds/{hold}").read(HoldState)

    def quote(self, account: Account, partner: Ledger, amount: int) -> Quote:
        """Return what converting would give; nothing is reserved."""
        body: JsonObject = {"account": account, "partner": partner, "amount": amount}
        return self.post("/v1/quotes", body).read(Quote)

    def convert(self, account: Account, partner: Ledger, amount: int, *, request_id: Id | None = None) -> Written:
        """Order a conversion; it is named by the request's id."""
        body: JsonObject = {
            "id": request_id or new_id(),
            "account": account,
            "partner": partner,
            "amount": amount,
        }
        return self.post("/v1/conversions", body).read(Written)

    def convert_many(self, orders: Sequence[JsonObject], *, atomic: bool = False) -> BatchResults:
        """Order up to 1,024 conversions in one commit; each order has its own `id`, `account`, `partner`, `amount`."""
        return self.post("/v1/conversions/batch", {"atomic": atomic, "items": list(orders)}).read(BatchResults)

    def conversion(self, conversion: Id, *, wait_seconds: int | None = None) -> ConversionState:
        """Return where a conversion stands, as soon as it is decided, or after `wait_seconds` (at most 30)."""
        return self.get(f"/v1/conversions/{conversion}", {"wait": wait_seconds}).read(ConversionState)

    def conversions(self, *, state: str | None = None) -> Iterator[ConversionState]:
        """Yield conversions to partners, in one state or in all."""
        for page in self.pages("/v1/conversions", {"state": state, "limit": 256}, ConversionList):
            yield from page.conversions

    def _transact(self, request_id: Id | None, **fields: JsonValue) -> Written:
        return self.post(_TRANSACTIONS, {"id": request_id or new_id(), **fields}).read(Written)
