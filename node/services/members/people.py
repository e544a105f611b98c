"""The people behind accounts: erasable rows beside the ledger, of which no entry and no log line knows anything."""

from collections.abc import Iterator
from dataclasses import dataclass

from node.engine.work import Desk
from node.services.context import Context
from node.services.members.accounts import AccountPage, AccountsService
from node.services.pending import Pending
from node.services.refusals import NodeCode, NodeRefusal
from node.store.reader import StoreReader
from node.store.rows_members import Locale, Personal
from protocol.errors import Code, Refusal
from protocol.identifiers import Account
from protocol.ledger.state import ACCOUNTS, AccountStatus
from protocol.ledger.view import Need, Overlay, need

DEFAULT_LOCALE: Locale = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRequest:
    """What is to be known of the person behind an account; what is None is known no longer."""

    account: Account
    external_ref: str | None
    display_name: str | None
    email: str | None
    locale: Locale


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonView:
    """What is known of the person behind an account."""

    account: str
    external_ref: str | None
    display_name: str | None
    email: str | None
    locale: Locale
    created_at: str
    updated_at: str


class PutPersonWork:
    """One person's row, whose `external_ref` is no other account's."""

    def __init__(self, request: PersonRequest, reader: StoreReader, now: str) -> None:
        self._request = request
        self._reader = reader
        self._now = now

    def needs(self, _view: Overlay) -> Iterator[Need]:
        """Yield the account."""
        yield need(ACCOUNTS, self._request.account)

    def run(self, desk: Desk) -> Personal:
        """Write the row."""
        request = self._request
        record = desk.find(ACCOUNTS, request.account)
        if record is None:
            raise Refusal(Code.ACCOUNT_UNKNOWN, f"there is no account {request.account}")
        if record.status is AccountStatus.CLOSED:
            raise Refusal(Code.ACCOUNT_CLOSED, "of a closed account nothing more is kept")
        # What earlier works of this commit wrote is in no reader yet.
        staged = {write.account: write for write in desk.staged() if isinstance(write, Personal)}
        self._check_reference(staged)
        known = staged.get(request.account) or self._reader.personal(request.account)
        row = Personal(
            account=request.account,
            external_ref=request.external_ref,
            display_name=request.display_name,
            email=request.email,
            locale=request.locale,
            created_at=known.created_at if known else self._now,
            updated_at=self._now,
        )
        desk.stage(row)
        return row

    def _check_reference(self, staged: dict[Account, Personal]) -> None:
        reference = self._request.external_ref
        if reference is None:
            return
        holders = {row.account for row in staged.values() if row.external_ref == reference}
        stored = self._reader.account_of_reference(reference)
        if stored is not None:
            holders.add(stored)
        if holders - {self._request.account}:
            raise NodeRefusal(NodeCode.REFERENCE_TAKEN, "another account has this external reference")


class PeopleService:
    """Keeps and finds what is known of people."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._accounts = AccountsService(context)

    def put(self, request: PersonRequest) -> Pending[PersonView]:
        """Keep what `request` says and nothing else, or raise `account_unknown` or `reference_taken`."""
        work = PutPersonWork(request, self._context.reader, self._context.now)
        return Pending(self._context.writer.submit(work), _view)

    def show(self, account: Account) -> PersonView:
        """Return what is known of the person behind an account, or raise `person_unknown`."""
        row = self._context.reader.personal(account)
        if row is None:
            raise NodeRefusal(NodeCode.PERSON_UNKNOWN, "nothing is kept of a person behind this account")
        return _view(row)

    def find(self, reference: str) -> AccountPage:
        """Return the account of the brand's own name for its member, if there is one."""
        account = self._context.reader.account_of_reference(reference)
        rows = () if account is None else (self._accounts.row(account),)
        return AccountPage(accounts=rows, next=None)

    def locale_of(self, account: Account) -> Locale:
        """Return the language in which the person behind an account is told things."""
        row = self._context.reader.personal(account)
        return row.locale if row else DEFAULT_LOCALE


def _view(row: Personal) -> PersonView:
    return PersonView(
        account=row.account,
        external_ref=row.external_ref,
        display_name=row.display_name,
        email=row.email,
        locale=row.locale,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
