"""`/v1/expiry`: points whose last day has passed, told and posted page by page."""

from typing import Annotated, Final, TypeAlias

from fastapi import Query
from pydantic import StringConstraints
from starlette.responses import Response

from node.api.fields import Body, DayText
from node.api.routes import COMMANDS, READS, NodeDependency, answered, answers, requires, router
from node.services.access.credentials import Scope
from node.services.program.expiry import ExpiryStep
from protocol.errors import Code
from protocol.identifiers import HOLDER_PATTERN
from protocol.ledger.expiry import CLOCK_PATTERN

ROUTER: Final = router("expiry", "/v1/expiry")

AfterText: TypeAlias = Annotated[
    str,
    StringConstraints(
        pattern=rf"^(d//|d/[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}/{HOLDER_PATTERN}|c/{CLOCK_PATTERN}/({HOLDER_PATTERN})?)$"
    ),
]


class ExpireBody(Body):
    """Post what expired before the day `as_of`, or today; `after` is the `next` of the page before."""

    as_of: DayText | None = None
    after: AfterText | None = None


@ROUTER.get("", dependencies=[requires(Scope.REPORTS_READ)], responses=answers(ExpiryStep, *READS, Code.DATE_INVALID))
def preview_expiry(
    node: NodeDependency,
    as_of: Annotated[DayText | None, Query()] = None,
    after: Annotated[AfterText | None, Query()] = None,
) -> Response:
    """Tell what would be posted, without posting it: a page; go on with `next` until it is null."""
    return answered(node.expiry.preview(as_of, after))


@ROUTER.post("", dependencies=[requires(Scope.EXPIRY_RUN)], responses=answers(ExpiryStep, *COMMANDS))
def run_expiry(body: ExpireBody, node: NodeDependency) -> Response:
    """Post a page in one commit; go on with `next` until it is null. What was posted once is not posted again."""
    return answered(node.expiry.run(body.as_of, body.after))
