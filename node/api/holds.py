"""`/v1/holds`: points set aside, then captured or released."""

from http import HTTPStatus
from typing import Annotated, Final, TypeAlias

from fastapi import Path
from starlette.responses import Response

from node.api.fields import AmountField, Body, DayText, HolderText, IdText, MetadataField, TimeText
from node.api.routes import COMMANDS, READS, NodeDependency, answered, answers, requires, router
from node.api.screened import GOVERNED
from node.services.access.credentials import Scope
from node.services.answers import CaptureAnswer, HoldAnswer, ReleaseAnswer
from node.services.members.accounts import HoldView
from node.services.metadata import pack_metadata
from node.services.requests import CaptureHoldRequest, PlaceHoldRequest, ReleaseHoldRequest
from protocol.errors import Code
from protocol.identifiers import Account, Id

ROUTER: Final = router("holds", "/v1/holds")
_READ: Final = [requires(Scope.HOLDS_READ)]
_WRITE: Final = [requires(Scope.HOLDS_WRITE)]
_SETTLING: Final = (*COMMANDS, Code.HOLD_UNKNOWN, Code.HOLD_CLOSED, Code.HOLD_OF_CONVERSION)

HoldPath: TypeAlias = Annotated[IdText, Path()]


class PlaceHoldBody(Body):
    """Set points aside; what remains at `expires_at` is given back by itself."""

    id: IdText
    account: HolderText
    amount: AmountField
    expires_at: TimeText | None = None
    occurred_on: DayText | None = None
    metadata: MetadataField | None = None


class CaptureBody(Body):
    """Redeem held points, all that remain unless `amount` is given; `final` gives back the rest."""

    id: IdText
    amount: AmountField | None = None
    final: bool = True
    occurred_on: DayText | None = None


class ReleaseBody(Body):
    """Give back what remains of a hold."""

    id: IdText
    occurred_on: DayText | None = None


@ROUTER.post(
    "",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(
        HoldAnswer,
        *COMMANDS,
        Code.ACCOUNT_UNKNOWN,
        Code.ACCOUNT_CLOSED,
        *GOVERNED,
        Code.AMOUNT_INVALID,
        Code.INSUFFICIENT_POINTS,
        Code.HOLD_EXPIRED,
        status=HTTPStatus.CREATED,
    ),
)
async def place_hold(body: PlaceHoldBody, node: NodeDependency) -> Response:
    """Set points aside."""
    request = PlaceHoldRequest(
        id=Id(body.id),
        account=Account(body.account),
        amount=body.amount,
        expires_at=body.expires_at,
        occurred_on=body.occurred_on,
        metadata=pack_metadata(body.metadata),
    )
    return answered(await node.points.place_hold(request).wait(), HTTPStatus.CREATED)


@ROUTER.get("/{hold_id}", dependencies=_READ, responses=answers(HoldView, *READS, Code.HOLD_UNKNOWN))
def show_hold(hold_id: HoldPath, node: NodeDependency) -> Response:
    """Show a hold as it stands."""
    return answered(node.accounts.hold(Id(hold_id)))


@ROUTER.post(
    "/{hold_id}/capture",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(
        CaptureAnswer,
        *_SETTLING,
        Code.AMOUNT_INVALID,
        Code.HOLD_TOO_SMALL,
        Code.HOLD_EXPIRED,
        status=HTTPStatus.CREATED,
    ),
)
async def capture_hold(hold_id: HoldPath, body: CaptureBody, node: NodeDependency) -> Response:
    """Redeem held points, all or in part."""
    request = CaptureHoldRequest(
        id=Id(body.id), hold=Id(hold_id), amount=body.amount, final=body.final, occurred_on=body.occurred_on
    )
    return answered(await node.points.capture_hold(request).wait(), HTTPStatus.CREATED)


@ROUTER.post(
    "/{hold_id}/release",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(ReleaseAnswer, *_SETTLING, status=HTTPStatus.CREATED),
)
async def release_hold(hold_id: HoldPath, body: ReleaseBody, node: NodeDependency) -> Response:
    """Give back what remains of a hold."""
    request = ReleaseHoldRequest(id=Id(body.id), hold=Id(hold_id), occurred_on=body.occurred_on)
    return answered(await node.points.release_hold(request).wait(), HTTPStatus.CREATED)
