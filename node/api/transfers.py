"""`/v1/transfers`: points that one member offers to another, who accepts or declines."""

from http import HTTPStatus
from typing import Annotated, Final, Literal, TypeAlias

from fastapi import Path
from starlette.responses import Response

from node.api.fields import AmountField, Body, Cursor, DayText, HolderText, IdText, Limit, MetadataField
from node.api.routes import COMMANDS, READS, NodeDependency, answered, answers, requires, router
from node.api.screened import GOVERNED, UNDER_REVIEW, ClientBody, client_of, ordered
from node.services.access.credentials import Scope
from node.services.answers import OtherAnswer
from node.services.members.transfers import AcceptRequest, DeclineRequest, OfferRequest, TransferPage, TransferView
from node.services.metadata import pack_metadata
from protocol.errors import Code
from protocol.identifiers import Account, Id
from protocol.ledger.program_state import TransferState

ROUTER: Final = router("transfers", "/v1/transfers")
_READ: Final = [requires(Scope.TRANSACTIONS_READ)]
_WRITE: Final = [requires(Scope.TRANSACTIONS_WRITE)]

TransferPath: TypeAlias = Annotated[IdText, Path()]

OFFER_CODES: Final = (
    *GOVERNED,
    Code.ACCOUNT_CLOSED,
    Code.ACCOUNT_UNKNOWN,
    Code.AMOUNT_INVALID,
    Code.INSUFFICIENT_POINTS,
    Code.SAME_ACCOUNT,
    Code.TRANSFER_TOO_SMALL,
)
"""What an offer may be refused with, beside what any command may."""

ACCEPT_CODES: Final = (
    *GOVERNED,
    Code.ACCOUNT_CLOSED,
    Code.BALANCE_OVERFLOW,
    Code.TRANSFER_CLOSED,
    Code.TRANSFER_COOLING_OFF,
    Code.TRANSFER_LAPSED,
    Code.TRANSFER_UNKNOWN,
)
"""What an acceptance may be refused with, beside what any command may."""

DECLINE_CODES: Final = (Code.TRANSFER_CLOSED, Code.TRANSFER_UNKNOWN)


class OfferBody(Body):
    """Offer points of `account` to the account `to`; `id` is also the transfer's name."""

    id: IdText
    account: HolderText
    to: HolderText
    amount: AmountField
    occurred_on: DayText | None = None
    metadata: MetadataField | None = None
    client: ClientBody | None = None

    def request(self) -> OfferRequest:
        """Return what is asked."""
        return OfferRequest(
            id=Id(self.id),
            account=Account(self.account),
            to=Account(self.to),
            amount=self.amount,
            occurred_on=self.occurred_on,
            metadata=pack_metadata(self.metadata),
        )


class AcceptBody(Body):
    """Take what was offered; `id` names the request."""

    id: IdText


class DeclineBody(Body):
    """Give the points back to the sender, by its recipient's wish or by the sender's own."""

    id: IdText
    by: Literal["recipient", "sender"]


@ROUTER.post(
    "",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(OtherAnswer, *COMMANDS, *OFFER_CODES, status=HTTPStatus.CREATED) | UNDER_REVIEW,
)
async def offer_transfer(body: OfferBody, node: NodeDependency) -> Response:
    """Set points and fee aside for the recipient to accept."""
    return ordered(await node.transfers.offer(body.request(), client_of(body.client)).wait())


@ROUTER.get("", dependencies=_READ, responses=answers(TransferPage, *READS))
def list_transfers(
    *,
    node: NodeDependency,
    account: HolderText | None = None,
    state: Literal["offered", "accepted", "declined", "cancelled", "lapsed"] | None = None,
    before: Cursor | None = None,
    limit: Limit = 100,
) -> Response:
    """List transfers, those that an account offered or was offered if one is named, newest first."""
    wanted = None if state is None else TransferState(state)
    holder = None if account is None else Account(account)
    return answered(node.transfers.page(account=holder, state=wanted, before=before, limit=limit))


@ROUTER.get("/{transfer_id}", dependencies=_READ, responses=answers(TransferView, *READS, Code.TRANSFER_UNKNOWN))
def show_transfer(transfer_id: TransferPath, node: NodeDependency) -> Response:
    """Show a transfer as it stands."""
    return answered(node.transfers.show(Id(transfer_id)))


@ROUTER.post(
    "/{transfer_id}/accept",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(OtherAnswer, *COMMANDS, *ACCEPT_CODES, status=HTTPStatus.CREATED),
)
async def accept_transfer(transfer_id: TransferPath, body: AcceptBody, node: NodeDependency) -> Response:
    """Let the recipient have the points."""
    request = AcceptRequest(id=Id(body.id), transfer=Id(transfer_id))
    return answered(await node.transfers.accept(request).wait(), HTTPStatus.CREATED)


@ROUTER.post(
    "/{transfer_id}/decline",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(OtherAnswer, *COMMANDS, *DECLINE_CODES, status=HTTPStatus.CREATED),
)
async def decline_transfer(transfer_id: TransferPath, body: DeclineBody, node: NodeDependency) -> Response:
    """Give the points back to the sender."""
    request = DeclineRequest(id=Id(body.id), transfer=Id(transfer_id), by=body.by)
    return answered(await node.transfers.decline(request).wait(), HTTPStatus.CREATED)
