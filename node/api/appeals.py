"""`/v1/appeals`: what holders do not accept, for support and for a programme's own systems to open and to decide."""

from http import HTTPStatus
from typing import Annotated, Final, Literal, TypeAlias

from fastapi import Path, Query
from pydantic import Field, StringConstraints
from starlette.responses import Response

from node.api.fields import Body, Cursor, DayText, HolderText, IdText, Limit, ReasonText
from node.api.routes import COMMANDS, READS, NodeDependency, answered, answers, requires, router
from node.services.access.credentials import Scope
from node.services.answers import OtherAnswer
from node.services.members.appeals import AppealPage, AppealView, DecideRequest, OpenAppealRequest, SayRequest
from protocol.appeal_entries import AppealOutcome, AppealParty
from protocol.errors import Code
from protocol.identifiers import Account, Id

ROUTER: Final = router("appeals", "/v1/appeals")
_READ: Final = [requires(Scope.APPEALS_READ)]
_WRITE: Final = [requires(Scope.APPEALS_WRITE)]
_DECIDE: Final = [requires(Scope.APPEALS_DECIDE)]

TEXT_MAX: Final = 1_000
WrittenText: TypeAlias = Annotated[
    str,
    StringConstraints(pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]+$", min_length=1, max_length=TEXT_MAX),
    Field(
        description="What a person writes, of at most 4 KiB: kept erasably beside the ledger.",
        examples=["The points left my account and never arrived."],
    ),
]
SubjectText: TypeAlias = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9_./-]{1,300}$"),
    Field(description="The id of a transaction, hold or conversion of the account."),
]
AppealPath: TypeAlias = Annotated[IdText, Path()]
StateQuery: TypeAlias = Literal["open", "waiting", "upheld", "rejected", "withdrawn", "overdue"]

OPEN_CODES: Final = (Code.ACCOUNT_UNKNOWN, Code.SUBJECT_UNKNOWN)
STEP_CODES: Final = (Code.APPEAL_UNKNOWN, Code.APPEAL_DECIDED)


class AppealBody(Body):
    """Appeal for an account; without `deadline` the programme's own days count."""

    id: IdText
    account: HolderText
    reason: ReasonText
    text: WrittenText | None = None
    about: SubjectText | None = None
    deadline: DayText | None = None
    by: Annotated[Literal["holder", "program"], Field(description="Whose wish it is.")] = "holder"


class AppealMessageBody(Body):
    """Say something; the programme that `asks` waits for the holder's answer."""

    id: IdText
    text: WrittenText
    by: Literal["holder", "program"] = "program"
    asks: bool = False


class AppealDecisionBody(Body):
    """End an appeal without moving points; an adjustment that names the appeal upholds it and moves some."""

    id: IdText
    outcome: Literal["upheld", "rejected", "withdrawn"]
    reason: ReasonText
    text: WrittenText | None = None


@ROUTER.post(
    "",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(OtherAnswer, *COMMANDS, *OPEN_CODES, status=HTTPStatus.CREATED),
)
async def open_appeal(body: AppealBody, node: NodeDependency) -> Response:
    """Open an appeal for a member, with a day by which it is decided."""
    request = OpenAppealRequest(
        id=Id(body.id),
        account=Account(body.account),
        reason=body.reason,
        text=body.text,
        about=None if body.about is None else Id(body.about),
        deadline=body.deadline,
        by=AppealParty(body.by),
    )
    return answered(await node.appeals.open(request).wait(), HTTPStatus.CREATED)


@ROUTER.get("", dependencies=_READ, responses=answers(AppealPage, *READS))
def list_appeals(
    *,
    node: NodeDependency,
    account: HolderText | None = None,
    state: Annotated[StateQuery | None, Query(description="`overdue` are those nobody decided in time.")] = None,
    after: Cursor | None = None,
    limit: Limit = 100,
) -> Response:
    """List appeals, newest first."""
    of = None if account is None else Account(account)
    return answered(node.appeals.page(account=of, state=state, after=after, limit=limit))


@ROUTER.get("/{appeal_id}", dependencies=_READ, responses=answers(AppealView, *READS, Code.APPEAL_UNKNOWN))
def show_appeal(appeal_id: AppealPath, node: NodeDependency) -> Response:
    """Show an appeal with all that was said."""
    return answered(node.appeals.show(Id(appeal_id)))


@ROUTER.post(
    "/{appeal_id}/messages",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(
        OtherAnswer, *COMMANDS, *STEP_CODES, Code.APPEAL_FULL, Code.APPEAL_MISMATCH, status=HTTPStatus.CREATED
    ),
)
async def say_to_appeal(appeal_id: AppealPath, body: AppealMessageBody, node: NodeDependency) -> Response:
    """Say something about an appeal, or ask the holder."""
    request = SayRequest(id=Id(body.id), appeal=Id(appeal_id), text=body.text, by=AppealParty(body.by), asks=body.asks)
    return answered(await node.appeals.say(request).wait(), HTTPStatus.CREATED)


@ROUTER.post(
    "/{appeal_id}/decision",
    status_code=HTTPStatus.CREATED,
    dependencies=_DECIDE,
    responses=answers(OtherAnswer, *COMMANDS, *STEP_CODES, status=HTTPStatus.CREATED),
)
async def decide_appeal(appeal_id: AppealPath, body: AppealDecisionBody, node: NodeDependency) -> Response:
    """Decide an appeal, once."""
    request = DecideRequest(
        id=Id(body.id), appeal=Id(appeal_id), outcome=AppealOutcome(body.outcome), reason=body.reason, text=body.text
    )
    return answered(await node.appeals.decide(request).wait(), HTTPStatus.CREATED)
