"""Accounts as they stood: what was posted at a moment, told from the entries that came after it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from node.services.at_once import AtOnce
from node.services.context import Context
from node.services.members.accounts import AccountsService, AccountView
from node.services.members.member_lines import change_of
from node.services.refusals import NodeCode, NodeRefusal
from protocol.entries import Sealed, unseal
from protocol.errors import Code, Refusal
from protocol.identifiers import Account
from protocol.program import day_of

ENTRIES_MAX: Final = 100_000
READINGS_MAX: Final = 1_024
ACCOUNT_READINGS_MAX: Final = 4
"""Readings at once, of all accounts and of one: whoever may ask often may ask for much each time."""

_PAGE_ENTRIES: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class PastBalance:
    """The points that were posted on an account once the ledger's entry `seq`, of `time`, was written.

    Held and pending points are among them.
    """

    account: str
    seq: int
    time: str
    posted: int


class PastAccounts:
    """Reads accounts backwards, from how they stand now: nothing is kept for it, and nothing waits for the writer."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._accounts = AccountsService(context)
        self.at_once = AtOnce(each=ACCOUNT_READINGS_MAX, most=READINGS_MAX)

    def standing(self, account: Account) -> tuple[AccountView, int]:
        """Return an account as it stands, and its newest entry's number: both of one moment."""
        newest = self._newest(account)
        while True:
            view, seen = self._accounts.show(account), newest
            newest = self._newest(account)
            if newest == seen:
                return view, newest

    def entries(self, account: Account, newest: int) -> Iterator[Sealed]:
        """Yield the account's entries up to the number `newest`, newest first."""
        before = newest + 1
        while found := self._context.reader.history(account, before, _PAGE_ENTRIES):
            for data in found:
                sealed = unseal(data)
                before = sealed.entry.seq
                yield sealed

    def balance(self, account: Account) -> PastBalance:
        """Return what is posted now."""
        return self._balance(account, self._context.reader.end_seq())

    def balance_at(self, account: Account, time: str) -> PastBalance:
        """Return what was posted by all that was written before `time`, as an entry tells time.

        Raises `account_unknown` for an account that was not open yet, and `request_invalid` for a moment that has not
        come, that lies before the ledger, or that more than `ENTRIES_MAX` entries of the account have followed.
        """
        if time > self._context.now:
            raise NodeRefusal(NodeCode.REQUEST_INVALID, f"{time} has not come: what it will be can still change")
        return self._balance(account, self._context.reader.first_seq_since(time))

    def balance_on(self, account: Account, day: str) -> PastBalance:
        """Return what was posted when the program's `day` was over; refusals are those of `balance_at`."""
        terms = self._context.terms
        if day >= day_of(terms, self._context.now):
            raise NodeRefusal(NodeCode.REQUEST_INVALID, f"{day} is not over: what it will end with can still change")
        first_after = self._context.reader.first_seq_where(lambda written: day_of(terms, written) > day)
        return self._balance(account, first_after)

    def balance_after(self, account: Account, seq: int) -> PastBalance:
        """Return what was posted once entry `seq` was written; refusals are those of `balance_at`."""
        if self._context.entry(seq) is None:
            raise NodeRefusal(NodeCode.NOT_FOUND, f"the ledger has no entry {seq}")
        return self._balance(account, seq + 1)

    def _balance(self, account: Account, before: int) -> PastBalance:
        """Return what was posted by the entries before the number `before`."""
        with self.at_once.one(account):
            return self._told_back(account, before)

    def _told_back(self, account: Account, before: int) -> PastBalance:
        view, newest = self.standing(account)
        last = self._context.reader.last_entry_before(before)
        if last is None:
            raise NodeRefusal(NodeCode.REQUEST_INVALID, "the ledger begins later")
        posted = view.posted
        for seen, sealed in enumerate(self.entries(account, newest)):
            if sealed.entry.seq < before:
                break
            if seen == ENTRIES_MAX:
                text = f"more than {ENTRIES_MAX:,} entries of the account have followed: ask for a later moment"
                raise NodeRefusal(NodeCode.REQUEST_INVALID, text)
            posted -= change_of(sealed.entry, account)
        else:
            raise Refusal(Code.ACCOUNT_UNKNOWN, f"the account {account} was opened later")
        entry = unseal(last).entry
        return PastBalance(account=account, seq=entry.seq, time=entry.time, posted=posted)

    def _newest(self, account: Account) -> int:
        return next((unseal(data).entry.seq for data in self._context.reader.history(account, None, 1)), -1)
