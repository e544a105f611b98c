"""`/v1/reviews`: orders that a screen has put up for review."""

from http import HTTPStatus
from typing import Annotated, Final, Literal, TypeAlias

from fastapi import Path
from starlette.responses import Response

from node.api.conversions import ORDER_CODES
from node.api.fields import Body, Cursor, IdText, Limit, ReasonText
from node.api.routes import COMMANDS, READS, NodeDependency, answered, answers, requires, router
from node.api.transfers import OFFER_CODES
from node.services.access.credentials import Scope
from node.services.answers import OtherAnswer
from node.services.program.reviews import ReviewPage, ReviewRequest, ReviewView
from protocol.errors import Code
from protocol.identifiers import Id
from protocol.ledger.program_state import ReviewState

ROUTER: Final = router("reviews", "/v1/reviews")
_READ: Final = [requires(Scope.REVIEWS_READ)]
_DECIDE: Final = [requires(Scope.REVIEWS_DECIDE)]

OrderPath: TypeAlias = Annotated[IdText, Path(description="The id of the order that is under review.")]


class ReviewBody(Body):
    """Decide an order, for a reason in one lowercase word, never about a person."""

    id: IdText
    reason: ReasonText


@ROUTER.get("", dependencies=_READ, responses=answers(ReviewPage, *READS))
def list_reviews(
    node: NodeDependency,
    state: Literal["open", "approved", "rejected"] | None = None,
    before: Cursor | None = None,
    limit: Limit = 100,
) -> Response:
    """List orders that were put up for review, newest first."""
    wanted = None if state is None else ReviewState(state)
    return answered(node.reviews.page(state=wanted, before=before, limit=limit))


@ROUTER.get("/{order_id}", dependencies=_READ, responses=answers(ReviewView, *READS, Code.REVIEW_UNKNOWN))
def show_review(order_id: OrderPath, node: NodeDependency) -> Response:
    """Show an order that was put up for review, and what the screen saw."""
    return answered(node.reviews.show(Id(order_id)))


@ROUTER.post(
    "/{order_id}/approve",
    status_code=HTTPStatus.CREATED,
    dependencies=_DECIDE,
    responses=answers(
        OtherAnswer,
        *COMMANDS,
        *ORDER_CODES,
        *OFFER_CODES,
        Code.REVIEW_CLOSED,
        Code.REVIEW_UNKNOWN,
        status=HTTPStatus.CREATED,
    ),
)
async def approve_order(order_id: OrderPath, body: ReviewBody, node: NodeDependency) -> Response:
    """Let an order go on, in the same commit and by all its rules; what refuses it refuses the approval."""
    request = ReviewRequest(id=Id(body.id), order=Id(order_id), approved=True, reason=body.reason)
    return answered(await node.reviews.decide(request).wait(), HTTPStatus.CREATED)


@ROUTER.post(
    "/{order_id}/reject",
    status_code=HTTPStatus.CREATED,
    dependencies=_DECIDE,
    responses=answers(OtherAnswer, *COMMANDS, Code.REVIEW_CLOSED, Code.REVIEW_UNKNOWN, status=HTTPStatus.CREATED),
)
async def reject_order(order_id: OrderPath, body: ReviewBody, node: NodeDependency) -> Response:
    """Give the points of an order back."""
    request = ReviewRequest(id=Id(body.id), order=Id(order_id), approved=False, reason=body.reason)
    return answered(await node.reviews.decide(request).wait(), HTTPStatus.CREATED)
