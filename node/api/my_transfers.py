"""`/v1/me/transfers`: points that a member offers to another one, or is offered."""

from http import HTTPStatus
from typing import Final, Literal

from fastapi import Request
from starlette.responses import Response

from node.api.fields import AmountField, Body, Cursor, HolderText, IdText, Limit
from node.api.me import client_behind, own
from node.api.routes import COMMANDS, READS, NodeDependency, answered, answers, requires, router
from node.api.screened import UNDER_REVIEW, ordered
from node.api.transfers import ACCEPT_CODES, DECLINE_CODES, OFFER_CODES, TransferPath
from node.services.access.credentials import Scope
from node.services.answers import OtherAnswer
from node.services.members.transfers import AcceptRequest, DeclineRequest, OfferRequest, TransferPage, TransferView
from protocol.errors import Code
from protocol.identifiers import Account, Id
from protocol.ledger.program_state import TransferState

ROUTER: Final = router("me", "/v1/me/transfers")
_OWN: Final = [requires(Scope.ME)]


class MyOfferBody(Body):
    """Offer points to another member; `id` is also the transfer's name."""

    id: IdText
    to: HolderText
    amount: AmountField


class MyAnswerBody(Body):
    """Accept, decline or take back; `id` names the request."""

    id: IdText


@ROUTER.post(
    "",
    status_code=HTTPStatus.CREATED,
    dependencies=_OWN,
    responses=answers(OtherAnswer, *COMMANDS, *OFFER_CODES, status=HTTPStatus.CREATED) | UNDER_REVIEW,
)
async def offer_my_points(request: Request, body: MyOfferBody, node: NodeDependency) -> Response:
    """Set points and fee aside for another member to accept."""
    offer = OfferRequest(id=Id(body.id), account=own(request), to=Account(body.to), amount=body.amount)
    return ordered(await node.transfers.offer(offer, client_behind(request)).wait())


@ROUTER.get("", dependencies=_OWN, responses=answers(TransferPage, *READS))
def list_my_transfers(
    *,
    request: Request,
    node: NodeDependency,
    state: Literal["offered", "accepted", "declined", "cancelled", "lapsed"] | None = None,
    before: Cursor | None = None,
    limit: Limit = 50,
) -> Response:
    """List transfers that the member offered or was offered, newest first."""
    wanted = None if state is None else TransferState(state)
    return answered(node.transfers.page(account=own(request), state=wanted, before=before, limit=limit))


@ROUTER.get("/{transfer_id}", dependencies=_OWN, responses=answers(TransferView, *READS, Code.TRANSFER_UNKNOWN))
def show_my_transfer(request: Request, transfer_id: TransferPath, node: NodeDependency) -> Response:
    """Show a transfer of the member's as it stands."""
    return answered(node.transfers.show(Id(transfer_id), account=own(request)))


@ROUTER.post(
    "/{transfer_id}/accept",
    status_code=HTTPStatus.CREATED,
    dependencies=_OWN,
    responses=answers(OtherAnswer, *COMMANDS, *ACCEPT_CODES, status=HTTPStatus.CREATED),
)
async def accept_my_transfer(
    request: Request, transfer_id: TransferPath, body: MyAnswerBody, node: NodeDependency
) -> Response:
    """Take what was offered to the member."""
    wanted = AcceptRequest(id=Id(body.id), transfer=Id(transfer_id), account=own(request))
    return answered(await node.transfers.accept(wanted).wait(), HTTPStatus.CREATED)


@ROUTER.post(
    "/{transfer_id}/decline",
    status_code=HTTPStatus.CREATED,
    dependencies=_OWN,
    responses=answers(OtherAnswer, *COMMANDS, *DECLINE_CODES, status=HTTPStatus.CREATED),
)
async def decline_my_transfer(
    request: Request, transfer_id: TransferPath, body: MyAnswerBody, node: NodeDependency
) -> Response:
    """Decline what was offered to the member, or take back what it offered."""
    wanted = DeclineRequest(id=Id(body.id), transfer=Id(transfer_id), account=own(request))
    return answered(await node.transfers.decline(wanted).wait(), HTTPStatus.CREATED)
