"""`/v1/transactions`: points issued, redeemed, transferred and reversed, one by one or many at once."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Final, Literal, TypeAlias

from fastapi import Path
from pydantic import Field
from starlette.responses import Response

from node.api.batches import BatchItemProblem, do_each
from node.api.fields import AmountField, Body, DayText, HolderText, IdText, MetadataField
from node.api.quick_bodies import ITEMS_MAX
from node.api.requests import LARGE_BODY
from node.api.routes import COMMANDS, READS, NodeDependency, answered, answers, requires, router
from node.api.screened import GOVERNED
from node.services.access.credentials import Scope
from node.services.answers import IssuedAnswer, MovedAnswer, ReversedAnswer
from node.services.metadata import pack_metadata
from node.services.node import Node
from node.services.refusals import NodeCode
from node.services.requests import IssueRequest, RedeemRequest, ReverseRequest, TransactionRequest, TransferRequest
from node.services.written import AnswerRow
from protocol.errors import Code
from protocol.identifiers import Account, Id

ROUTER: Final = router("transactions", "/v1/transactions")

_READ: Final = [requires(Scope.TRANSACTIONS_READ)]
_WRITE: Final = [requires(Scope.TRANSACTIONS_WRITE)]
_REASONS: Final = (
    *COMMANDS,
    Code.ACCOUNT_UNKNOWN,
    Code.ACCOUNT_CLOSED,
    *GOVERNED,
    Code.AMOUNT_INVALID,
    Code.BALANCE_OVERFLOW,
    Code.INSUFFICIENT_POINTS,
    Code.REVERSAL_EXCEEDED,
    Code.REVERSAL_UNKNOWN,
    Code.SAME_ACCOUNT,
)


class _Transaction(Body):
    id: IdText
    account: HolderText
    amount: AmountField
    occurred_on: DayText | None = None
    metadata: MetadataField | None = None


class IssueBody(_Transaction):
    """Give `account` new points, which can be spent up to and including `expires_on`, or as the program's rule says."""

    type: Literal["issue"]
    expires_on: DayText | None = None

    def request(self) -> TransactionRequest:
        """Return what is asked."""
        return IssueRequest(
            id=Id(self.id),
            account=Account(self.account),
            amount=self.amount,
            expires_on=self.expires_on,
            occurred_on=self.occurred_on,
            metadata=pack_metadata(self.metadata),
        )


class RedeemBody(_Transaction):
    """Use up points of `account`, those that expire first."""

    type: Literal["redeem"]

    def request(self) -> TransactionRequest:
        """Return what is asked."""
        return RedeemRequest(
            id=Id(self.id),
            account=Account(self.account),
            amount=self.amount,
            occurred_on=self.occurred_on,
            metadata=pack_metadata(self.metadata),
        )


class TransferBody(_Transaction):
    """Move points of `account` to the account `to`."""

    type: Literal["transfer"]
    to: HolderText

    def request(self) -> TransactionRequest:
        """Return what is asked."""
        return TransferRequest(
            id=Id(self.id),
            account=Account(self.account),
            to=Account(self.to),
            amount=self.amount,
            occurred_on=self.occurred_on,
            metadata=pack_metadata(self.metadata),
        )


class ReverseBody(Body):
    """Undo what was issued, redeemed or captured under the id `reverses`: `amount` of it, or all that is left.

    Points that were issued are taken back; with `partial`, as many as are there. Points that were redeemed go back.
    """

    type: Literal["reverse"]
    id: IdText
    reverses: IdText
    amount: AmountField | None = None
    partial: bool = False
    occurred_on: DayText | None = None
    metadata: MetadataField | None = None

    def request(self) -> TransactionRequest:
        """Return what is asked."""
        return ReverseRequest(
            id=Id(self.id),
            reverses=Id(self.reverses),
            amount=self.amount,
            partial=self.partial,
            occurred_on=self.occurred_on,
            metadata=pack_metadata(self.metadata),
        )


TransactionBody: TypeAlias = Annotated[IssueBody | RedeemBody | TransferBody | ReverseBody, Field(discriminator="type")]
TransactionAnswer: TypeAlias = IssuedAnswer | MovedAnswer | ReversedAnswer


class BatchBody(Body):
    """Up to 8,192 transactions in one commit: each by itself, or with `atomic` all or none."""

    atomic: bool
    items: Annotated[list[TransactionBody], Field(min_length=1, max_length=ITEMS_MAX)]


class BatchResult(Body):
    """What became of one item: an `answer` where `status` is 201, else a `problem`."""

    status: int
    answer: TransactionAnswer | None = None
    problem: BatchItemProblem | None = None


class BatchAnswer(Body):
    """What became of each item, in order."""

    results: list[BatchResult]


@ROUTER.post(
    "",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(TransactionAnswer, *_REASONS, status=HTTPStatus.CREATED),
)
async def transact(body: TransactionBody, node: NodeDependency) -> Response:
    """Issue, redeem or transfer points, or undo what was issued or redeemed."""
    return await do_transaction(node, body.request())


@ROUTER.post("/batch", dependencies=_WRITE, responses=answers(BatchAnswer, *_REASONS), openapi_extra=LARGE_BODY)
async def transact_batch(body: BatchBody, node: NodeDependency) -> Response:
    """Do many transactions in one commit; with `atomic`, the first refusal refuses all and names its item."""
    return await do_batch(node, [item.request() for item in body.items], atomic=body.atomic)


@ROUTER.get(
    "/{transaction_id}",
    dependencies=_READ,
    responses=answers(TransactionAnswer, *READS, NodeCode.NOT_FOUND),
)
def show_transaction(transaction_id: Annotated[IdText, Path()], node: NodeDependency) -> Response:
    """Show a transaction: the bytes that its POST was answered with."""
    return answered(node.points.transaction(Id(transaction_id)))


async def do_transaction(node: Node, request: TransactionRequest) -> Response:
    """Do one transaction, and return the answer once it is durable."""
    return answered(await node.points.write(request).wait(), HTTPStatus.CREATED)


async def do_batch(node: Node, requests: Sequence[TransactionRequest], *, atomic: bool) -> Response:
    """Do many transactions in one commit, and return the answer once it is durable."""
    return await do_each(node.points.write_each, requests, atomic=atomic, status_of=_created)


def _created(_answer: AnswerRow) -> HTTPStatus:
    return HTTPStatus.CREATED
