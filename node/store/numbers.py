"""The numbers by which `lots` and `history` name accounts: the entries that opened them (`accounts.opened_seq`)."""

from collections.abc import Iterable, Mapping
from typing import Final, cast

from sqlalchemy import BindParameter, ScalarSelect, select

from node.store import schema
from node.store.errors import StoreFailed
from node.store.session import Session
from protocol.identifiers import Account

REMEMBERED_MAX: Final = 65_536
"""Accounts whose numbers a writer keeps in memory: about 15 MB."""

_ACCOUNTS: Final = schema.ACCOUNTS.c
_ACCOUNT_PLACE: Final = 0
_NUMBER_PLACE: Final = list(schema.ACCOUNTS.columns.keys()).index("opened_seq")


def number_of(account: Account | BindParameter[object]) -> ScalarSelect[object]:
    """Return the number of `account` as a term of a statement: null where there is no such account."""
    return select(_ACCOUNTS.opened_seq).where(_ACCOUNTS.account == account).scalar_subquery()


class AccountNumbers:
    """The numbers of accounts that are stored; an account keeps its number for ever."""

    def __init__(self, session: Session) -> None:
        """Look up over `session` what is not known yet."""
        self._session = session
        self._known: dict[Account, int] = {}

    def remember(self, numbers: Mapping[Account, int]) -> None:
        """Keep the numbers of accounts that are durably stored."""
        if len(self._known) + len(numbers) > REMEMBERED_MAX:
            self._known.clear()
        self._known.update(numbers)

    def find(self, accounts: Iterable[Account]) -> dict[Account, int]:
        """Return the numbers of those of `accounts` that exist."""
        known = self._known
        found = {account: known.get(account) for account in accounts}
        missing = [account for account, number in found.items() if number is None]
        if missing:
            rows = self._session.select(schema.ACCOUNTS, ("account",), [(each,) for each in missing if can_exist(each)])
            looked_up = {cast("Account", row[_ACCOUNT_PLACE]): cast("int", row[_NUMBER_PLACE]) for row in rows}
            self.remember(looked_up)
            found.update(looked_up)
        return {account: number for account, number in found.items() if number is not None}

    def complete(self, numbers: dict[Account, int], accounts: Iterable[Account]) -> None:
        """Add the numbers of `accounts` to `numbers`, or raise `StoreFailed` where there is no such account."""
        missing = [account for account in accounts if account not in numbers]
        if missing:
            numbers.update(self.find(missing))
            for account in missing:
                if account not in numbers:
                    raise StoreFailed(f"there is no account {account}")


def can_exist(part: object) -> bool:
    """Return whether a column can hold this part of a key: what none can hold is simply not there."""
    return not isinstance(part, str) or (part.isascii() and "\0" not in part)
