"""`/v1/conversions`: points converted into a partner's."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Annotated, Final, Literal, TypeAlias

from fastapi import Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from node.api.batches import BatchItemProblem, do_each
from node.api.fields import (
    WHOLE,
    AmountField,
    Body,
    Cursor,
    DayText,
    DigestText,
    HolderText,
    IdText,
    LedgerText,
    Limit,
    ReasonText,
)
from node.api.quotes import CONVERTING
from node.api.requests import LARGE_BODY
from node.api.routes import (
    COMMANDS,
    GUARDED,
    READS,
    WRITES,
    NodeDependency,
    answered,
    answers,
    requires,
    router,
)
from node.api.screened import GOVERNED, UNDER_REVIEW, ClientBody, client_of, ordered, status_of
from node.api.threads import on_thread
from node.services.access.credentials import Scope
from node.services.answers import ConversionAnswer, ForcedAnswer, OtherAnswer
from node.services.conversions.conversions import ConversionPage, ConversionView, IncomingPage
from node.services.conversions.ordering import PlacedOrder
from node.services.node import Node
from node.services.requests import ForceReleaseRequest, OrderRequest
from protocol.errors import Code
from protocol.identifiers import Account, Digest, Id, Ledger
from protocol.limits import ACCEPT_BY_SECONDS_MAX

ROUTER: Final = router("conversions", "/v1/conversions")
ORDERS_MAX: Final = 1_024
"""Orders in one batch: what a commit holds up others for stays well below a second."""

WAIT_SECONDS_MAX: Final = 30
ACCEPT_WITHIN_SECONDS: Final = 3_600
_READ: Final = [requires(Scope.CONVERSIONS_READ)]
_WRITE: Final = [requires(Scope.CONVERSIONS_WRITE)]

ConversionPath: TypeAlias = Annotated[IdText, Path()]


ORDER_CODES: Final = (
    *GOVERNED,
    *CONVERTING,
    Code.PROMOTION_OVER,
    Code.REFUND_EXCEEDED,
    Code.REFUND_MISMATCH,
    Code.REFUND_UNKNOWN,
)
"""What an order may be refused with, beside what any command may."""


class ConversionBody(Body):
    """Convert as many whole steps of `amount` as fit; the partner has `accept_within_seconds` to decide.

    `agreement`, from a quote, keeps the quote's terms; `refund_of` sends back a conversion that came from the partner.
    """

    id: IdText
    account: HolderText
    partner: LedgerText
    amount: AmountField
    agreement: DigestText | None = None
    refund_of: IdText | None = None
    accept_within_seconds: Annotated[int, Field(ge=1, le=ACCEPT_BY_SECONDS_MAX)] = ACCEPT_WITHIN_SECONDS
    occurred_on: DayText | None = None
    client: ClientBody | None = None

    def order(self) -> PlacedOrder:
        """Return what is asked."""
        request = OrderRequest(
            id=Id(self.id),
            account=Account(self.account),
            partner=Ledger(self.partner),
            amount=self.amount,
            accept_within_seconds=self.accept_within_seconds,
            agreement=None if self.agreement is None else Digest(self.agreement),
            refund_of=None if self.refund_of is None else Id(self.refund_of),
            occurred_on=self.occurred_on,
        )
        return PlacedOrder(request, client_of(self.client))


class OrdersBody(Body):
    """Up to 1,024 orders in one commit: each by itself, or with `atomic` all or none."""

    atomic: bool
    items: Annotated[list[ConversionBody], Field(min_length=1, max_length=ORDERS_MAX)]


class OrderResult(Body):
    """What became of one order: an `answer` where `status` is 201, or 202 if it is under review; else a `problem`."""

    status: int
    answer: ConversionAnswer | OtherAnswer | None = None
    problem: BatchItemProblem | None = None


class OrdersAnswer(Body):
    """What became of each order, in order."""

    results: list[OrderResult]


@ROUTER.post(
    "",
    status_code=HTTPStatus.CREATED,
    dependencies=_WRITE,
    responses=answers(ConversionAnswer, *COMMANDS, *ORDER_CODES, status=HTTPStatus.CREATED) | UNDER_REVIEW,
)
async def order_conversion(request: Request, body: ConversionBody, node: NodeDependency) -> Response:
    """Hold the points and ask the partner to credit them; `GET` tells how it ended."""
    request.state.conversion = body.id
    return await do_order(node, body.order())


@ROUTER.post(
    "/batch", dependencies=_WRITE, responses=answers(OrdersAnswer, *COMMANDS, *ORDER_CODES), openapi_extra=LARGE_BODY
)
async def order_conversions(body: OrdersBody, node: NodeDependency) -> Response:
    """Order many conversions in one commit; with `atomic`, the first refusal refuses all and names its item."""
    return await do_orders(node, [item.order() for item in body.items], atomic=body.atomic)


@ROUTER.get("", dependencies=_READ, responses=answers(ConversionPage, *READS))
def list_conversions(
    node: NodeDependency,
    state: Literal["pending", "completed", "returned"] | None = None,
    after: Cursor | None = None,
    limit: Limit = 100,
) -> Response:
    """List conversions to partners, newest first."""
    return answered(node.conversions.page(state=state, after=after, limit=limit))


@ROUTER.get("/incoming", dependencies=[requires(Scope.INCOMING_READ)], responses=answers(IncomingPage, *READS))
def list_incoming(node: NodeDependency, after: Cursor | None = None, limit: Limit = 100) -> Response:
    """List partners' conversions as they were decided here, newest first."""
    return answered(node.conversions.incoming_page(after=after, limit=limit))


@ROUTER.get(
    "/{conversion_id}",
    dependencies=_READ,
    responses=answers(ConversionView, *READS, Code.CONVERSION_UNKNOWN),
)
async def show_conversion(
    conversion_id: ConversionPath,
    node: NodeDependency,
    wait: Annotated[
        int, WHOLE, Query(ge=0, le=WAIT_SECONDS_MAX, description="Seconds to wait while it is pending.")
    ] = 0,
) -> Response:
    """Show where a conversion stands; with `wait`, as soon as it is no longer pending."""
    return await do_show(node, Id(conversion_id), wait_seconds=wait)


@ROUTER.post(
    "/{conversion_id}/cancel",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=_WRITE,
    responses=answers(
        ConversionView,
        *GUARDED,
        *WRITES,
        Code.CONVERSION_UNKNOWN,
        Code.CONVERSION_DECIDED,
        status=HTTPStatus.ACCEPTED,
    ),
)
def cancel_conversion(conversion_id: ConversionPath, node: NodeDependency) -> Response:
    """Ask the partner to refuse a conversion that it has not credited; the points stay on hold until it answers."""
    return answered(node.conversions.cancel(Id(conversion_id)).result(), HTTPStatus.ACCEPTED)


class ForceReleaseBody(Body):
    """Give the points back without the partner's word, for a reason in one lowercase word like `partner_gone`."""

    id: IdText
    reason: ReasonText


@ROUTER.post(
    "/{conversion_id}/force-release",
    status_code=HTTPStatus.CREATED,
    dependencies=[requires(Scope.CONVERSIONS_FORCE)],
    responses=answers(
        ForcedAnswer,
        *COMMANDS,
        Code.APPROVAL_MISSING,
        Code.CONVERSION_DECIDED,
        Code.CONVERSION_UNKNOWN,
        status=HTTPStatus.CREATED,
    ),
)
async def force_release(conversion_id: ConversionPath, body: ForceReleaseBody, node: NodeDependency) -> Response:
    """Release an undecided conversion at the programme's own risk: what the partner credits later is owed all the same.

    The partner is asked to refuse it, should it come back.
    """
    request = ForceReleaseRequest(id=Id(body.id), conversion=Id(conversion_id), reason=body.reason)
    return answered(await node.conversions.force_release(request).wait(), HTTPStatus.CREATED)


async def do_order(node: Node, order: PlacedOrder) -> Response:
    """Order a conversion, and return the answer once it is durable."""
    return ordered(await node.conversions.write(order).wait())


async def do_orders(node: Node, orders: Sequence[PlacedOrder], *, atomic: bool) -> Response:
    """Order many conversions in one commit, and return the answer once it is durable."""
    return await do_each(node.conversions.write_each, orders, atomic=atomic, status_of=status_of)


async def do_show(node: Node, conversion: Id, *, wait_seconds: int) -> Response:
    """Return where a conversion stands, once it is no longer pending or has been waited for so long."""
    return answered(await _state(node, conversion, wait_seconds))


async def _state(node: Node, conversion: Id, wait_seconds: int) -> ConversionView:
    look = partial(node.conversions.state, conversion)
    loop = asyncio.get_running_loop()
    concluded = asyncio.Event()

    def wake() -> None:
        with suppress(RuntimeError):  # The loop may just have ended, and then nobody waits any more.
            loop.call_soon_threadsafe(concluded.set)

    # The watch begins before the first look, so that no conclusion falls between the two.
    end_watch = node.conversions.watch(conversion, wake)
    try:
        state = await on_thread(look)
        if not wait_seconds or state.state != "pending":
            return state
        try:
            await asyncio.wait_for(concluded.wait(), wait_seconds)
        except TimeoutError:
            return state
        return await on_thread(look)
    finally:
        end_watch()
