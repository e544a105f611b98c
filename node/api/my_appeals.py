"""`/v1/me/appeals`: a member's own appeals."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Query, Request
from starlette.responses import Response

from node.api.appeals import OPEN_CODES, STEP_CODES, AppealPath, StateQuery, SubjectText, WrittenText
from node.api.auth import caller_of
from node.api.fields import Body, Cursor, IdText, Limit, ReasonText
from node.api.routes import COMMANDS, READS, NodeDependency, answered, answers, requires, router
from node.services.access.credentials import Scope
from node.services.answers import OtherAnswer
from node.services.members.appeals import AppealPage, AppealView, DecideRequest, OpenAppealRequest, SayRequest
from protocol.appeal_entries import AppealOutcome, AppealParty
from protocol.errors import Code
from protocol.identifiers import Account, Id

ROUTER: Final = router("me", "/v1/me/appeals")
_OWN: Final = [requires(Scope.ME)]


class MyAppealBody(Body):
    """Appeal, about one of the member's own transactions, holds or conversions or in general."""

    id: IdText
    reason: ReasonText
    text: WrittenText | None = None
    about: SubjectText | None = None


class MyMessageBody(Body):
    """Say something."""

    id: IdText
    text: WrittenText


class MyWithdrawalBody(Body):
    """Take an appeal back."""

    id: IdText


def _own(request: Request) -> Account:
    return caller_of(request).own()


@ROUTER.post(
    "",
    status_code=HTTPStatus.CREATED,
    dependencies=_OWN,
    responses=answers(OtherAnswer, *COMMANDS, *OPEN_CODES, status=HTTPStatus.CREATED),
)
async def open_my_appeal(request: Request, body: MyAppealBody, node: NodeDependency) -> Response:
    """Open an appeal; the programme decides by its deadline."""
    wanted = OpenAppealRequest(
        id=Id(body.id),
        account=_own(request),
        reason=body.reason,
        text=body.text,
        about=None if body.about is None else Id(body.about),
    )
    return answered(await node.appeals.open(wanted).wait(), HTTPStatus.CREATED)


@ROUTER.get("", dependencies=_OWN, responses=answers(AppealPage, *READS))
def list_my_appeals(
    *,
    request: Request,
    node: NodeDependency,
    state: Annotated[StateQuery | None, Query()] = None,
    after: Cursor | None = None,
    limit: Limit = 100,
) -> Response:
    """List the member's appeals, newest first."""
    return answered(node.appeals.page(account=_own(request), state=state, after=after, limit=limit))


@ROUTER.get("/{appeal_id}", dependencies=_OWN, responses=answers(AppealView, *READS, Code.APPEAL_UNKNOWN))
def show_my_appeal(appeal_id: AppealPath, request: Request, node: NodeDependency) -> Response:
    """Show an appeal of the member with all that was said."""
    return answered(node.appeals.show(Id(appeal_id), account=_own(request)))


@ROUTER.post(
    "/{appeal_id}/messages",
    status_code=HTTPStatus.CREATED,
    dependencies=_OWN,
    responses=answers(OtherAnswer, *COMMANDS, *STEP_CODES, Code.APPEAL_FULL, status=HTTPStatus.CREATED),
)
async def say_to_my_appeal(
    appeal_id: AppealPath, request: Request, body: MyMessageBody, node: NodeDependency
) -> Response:
    """Say something about an appeal; it is then the programme's turn."""
    said = SayRequest(id=Id(body.id), appeal=Id(appeal_id), text=body.text, by=AppealParty.HOLDER)
    return answered(await node.appeals.say(said, account=_own(request)).wait(), HTTPStatus.CREATED)


@ROUTER.post(
    "/{appeal_id}/withdrawal",
    status_code=HTTPStatus.CREATED,
    dependencies=_OWN,
    responses=answers(OtherAnswer, *COMMANDS, *STEP_CODES, status=HTTPStatus.CREATED),
)
async def withdraw_my_appeal(
    appeal_id: AppealPath, request: Request, body: MyWithdrawalBody, node: NodeDependency
) -> Response:
    """Take an appeal back."""
    wanted = DecideRequest(id=Id(body.id), appeal=Id(appeal_id), outcome=AppealOutcome.WITHDRAWN, reason="withdrawn")
    return answered(await node.appeals.decide(wanted, account=_own(request)).wait(), HTTPStatus.CREATED)
