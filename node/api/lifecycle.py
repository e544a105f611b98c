"""`/v1/accounts/{kind}/{account_id}/…`: accounts frozen, opened again and merged."""

from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from node.api.accounts import IdPath, KindPath
from node.api.fields import Body, HolderText, IdText, ReasonText
from node.api.routes import COMMANDS, NodeDependency, answered, answers, requires, router
from node.services.access.credentials import Scope
from node.services.answers import OtherAnswer
from node.services.members.lifecycle import FreezeRequest, MergeRequest, UnfreezeRequest
from protocol.errors import Code
from protocol.identifiers import Account, Id, holder_account

ROUTER: Final = router("accounts", "/v1/accounts")
_WRITE: Final = [requires(Scope.ACCOUNTS_WRITE)]
_REASONS: Final = (Code.ACCOUNT_CLOSED, Code.ACCOUNT_FROZEN, Code.ACCOUNT_UNKNOWN)


class StandingBody(Body):
    """Freeze an account, or open it again, for a reason in one lowercase word, never about a person."""

    id: IdText
    reason: ReasonText


class MergeBody(Body):
    """Let all points of the account go to `survivor`, which stands for it from then on."""

    id: IdText
    survivor: HolderText
    reason: ReasonText


@ROUTER.post(
    "/{kind}/{account_id}/freeze",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(OtherAnswer, *COMMANDS, *_REASONS, status=HTTPStatus.CREATED),
)
async def freeze_account(kind: KindPath, account_id: IdPath, body: StandingBody, node: NodeDependency) -> Response:
    """Let the holder begin nothing that takes points; what comes in is credited, and what has begun ends."""
    account = holder_account(kind, Id(account_id))
    request = FreezeRequest(id=Id(body.id), account=account, reason=body.reason)
    return answered(await node.lifecycle.freeze(request).wait(), HTTPStatus.CREATED)


@ROUTER.post(
    "/{kind}/{account_id}/unfreeze",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(OtherAnswer, *COMMANDS, *_REASONS, Code.ACCOUNT_NOT_FROZEN, status=HTTPStatus.CREATED),
)
async def unfreeze_account(kind: KindPath, account_id: IdPath, body: StandingBody, node: NodeDependency) -> Response:
    """Open a frozen account again."""
    account = holder_account(kind, Id(account_id))
    request = UnfreezeRequest(id=Id(body.id), account=account, reason=body.reason)
    return answered(await node.lifecycle.unfreeze(request).wait(), HTTPStatus.CREATED)


@ROUTER.post(
    "/{kind}/{account_id}/merge",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(
        OtherAnswer,
        *COMMANDS,
        *_REASONS,
        Code.ACCOUNT_BUSY,
        Code.BALANCE_OVERFLOW,
        Code.KIND_NOT_ALLOWED,
        Code.SAME_ACCOUNT,
        status=HTTPStatus.CREATED,
    ),
)
async def merge_account(kind: KindPath, account_id: IdPath, body: MergeBody, node: NodeDependency) -> Response:
    """Let one account's points go to another of its kind, and what comes for it later, too."""
    account = holder_account(kind, Id(account_id))
    request = MergeRequest(id=Id(body.id), account=account, survivor=Account(body.survivor), reason=body.reason)
    return answered(await node.lifecycle.merge(request).wait(), HTTPStatus.CREATED)
