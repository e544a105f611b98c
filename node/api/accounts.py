"""`/v1/accounts`: holders' accounts."""

from http import HTTPStatus
from typing import Annotated, Final, Literal, TypeAlias

from fastapi import Path, Query, Request
from pydantic import Field, StringConstraints
from starlette.responses import Response

from node.api.auth import caller_of
from node.api.fields import Body, Cursor, DayText, HolderText, IdText, Limit, TimeText
from node.api.routes import COMMANDS, READS, NodeDependency, answered, answers, requires, router
from node.services.access.credentials import Scope
from node.services.answers import AccountAnswer
from node.services.members.accounts import AccountPage, AccountView, HistoryPage
from node.services.members.past_accounts import PastBalance
from node.services.refusals import NodeCode, NodeRefusal
from node.services.requests import CloseAccountRequest, OpenAccountRequest
from protocol.errors import Code
from protocol.identifiers import Account, Id, holder_account

ROUTER: Final = router("accounts", "/v1/accounts")
_READ: Final = [requires(Scope.ACCOUNTS_READ)]
_WRITE: Final = [requires(Scope.ACCOUNTS_WRITE)]

HolderKind: TypeAlias = Literal["member", "employee", "supplier"]
ReferenceText: TypeAlias = Annotated[
    str,
    StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,128}$"),
    Field(description="The brand's own name for the member.", examples=["CRM-48213"]),
]
KindPath: TypeAlias = Annotated[HolderKind, Path(examples=["member"])]
IdPath: TypeAlias = Annotated[IdText, Path()]


class OpenAccountBody(Body):
    """Open the account `kind`/`id`; the id also names the request, so that it can be repeated."""

    id: IdText
    kind: HolderKind
    occurred_on: DayText | None = None


class CloseAccountBody(Body):
    """Close an empty account; `id` names the request."""

    id: IdText
    occurred_on: DayText | None = None


@ROUTER.post(
    "",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(AccountAnswer, *COMMANDS, Code.ACCOUNT_EXISTS, status=HTTPStatus.CREATED),
)
async def open_account(body: OpenAccountBody, node: NodeDependency) -> Response:
    """Open a holder's account."""
    account = holder_account(body.kind, Id(body.id))
    request = OpenAccountRequest(id=Id(body.id), account=account, occurred_on=body.occurred_on)
    return answered(await node.points.open_account(request).wait(), HTTPStatus.CREATED)


@ROUTER.get("", dependencies=_READ, responses=answers(AccountPage, *READS, Code.ACCOUNT_IMPORTING))
def list_accounts(
    *,
    request: Request,
    node: NodeDependency,
    after: HolderText | None = None,
    external_ref: Annotated[ReferenceText | None, Query()] = None,
    limit: Limit = 100,
) -> Response:
    """List accounts in the order of their names, or the one of an external reference, to whoever may know of people."""
    if external_ref is not None:
        caller_of(request).require(Scope.PERSONAL_READ)
        return answered(node.people.find(external_ref))
    return answered(node.accounts.page(after=None if after is None else Account(after), limit=limit))


@ROUTER.get("/{kind}/{account_id}", dependencies=_READ, responses=answers(AccountView, *READS, Code.ACCOUNT_UNKNOWN))
def show_account(kind: KindPath, account_id: IdPath, node: NodeDependency) -> Response:
    """Show an account as it stands, with its open lots."""
    return answered(node.accounts.show(holder_account(kind, Id(account_id))))


@ROUTER.post(
    "/{kind}/{account_id}/close",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(
        AccountAnswer,
        *COMMANDS,
        Code.ACCOUNT_UNKNOWN,
        Code.ACCOUNT_CLOSED,
        Code.ACCOUNT_BUSY,
        Code.ACCOUNT_NOT_EMPTY,
        status=HTTPStatus.CREATED,
    ),
)
async def close_account(kind: KindPath, account_id: IdPath, body: CloseAccountBody, node: NodeDependency) -> Response:
    """Close an empty account."""
    account = holder_account(kind, Id(account_id))
    request = CloseAccountRequest(id=Id(body.id), account=account, occurred_on=body.occurred_on)
    return answered(await node.points.close_account(request).wait(), HTTPStatus.CREATED)


@ROUTER.get(
    "/{kind}/{account_id}/history",
    dependencies=_READ,
    responses=answers(HistoryPage, *READS, Code.ACCOUNT_UNKNOWN),
)
def account_history(
    *,
    kind: KindPath,
    account_id: IdPath,
    node: NodeDependency,
    before: Annotated[Cursor | None, Query()] = None,
    limit: Limit = 50,
) -> Response:
    """List an account's entries, newest first."""
    account = holder_account(kind, Id(account_id))
    return answered(node.accounts.history(account, before=before, limit=limit))


@ROUTER.get(
    "/{kind}/{account_id}/balance",
    dependencies=_READ,
    responses=answers(PastBalance, *READS, NodeCode.NOT_FOUND, Code.ACCOUNT_UNKNOWN, Code.ACCOUNT_IMPORTING),
)
def account_balance(
    *,
    kind: KindPath,
    account_id: IdPath,
    node: NodeDependency,
    at: Annotated[TimeText | None, Query(description="What was posted by all that was written before.")] = None,
    on: Annotated[DayText | None, Query(description="What was posted when this day of the program was over.")] = None,
    seq: Annotated[Cursor | None, Query(description="What was posted once this entry was written.")] = None,
) -> Response:
    """Show what was posted on an account at a moment: one of `at`, `on` and `seq`; now, if none is given."""
    account = holder_account(kind, Id(account_id))
    if sum(each is not None for each in (at, on, seq)) > 1:
        raise NodeRefusal(NodeCode.REQUEST_INVALID, "one moment is asked for: at, on or seq")
    past = node.past_accounts
    if at is not None:
        return answered(past.balance_at(account, at))
    if on is not None:
        return answered(past.balance_on(account, on))
    return answered(past.balance(account) if seq is None else past.balance_after(account, seq))
