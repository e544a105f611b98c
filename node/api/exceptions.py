"""`/v1/exceptions`: what an operator should look at."""

from typing import Annotated, Final

from fastapi import Query
from starlette.responses import Response

from node.api.fields import WHOLE
from node.api.routes import READS, NodeDependency, answered, answers, requires, router
from node.services.access.credentials import Scope
from node.services.operating.exceptions import ExceptionList

ROUTER: Final = router("exceptions", "/v1/exceptions")
OLDER_THAN_SECONDS: Final = 600
_SECONDS_MAX: Final = 366 * 86_400


@ROUTER.get("", dependencies=[requires(Scope.EXCEPTIONS_READ)], responses=answers(ExceptionList, *READS))
def list_exceptions(
    node: NodeDependency,
    older_than_seconds: Annotated[
        int, WHOLE, Query(ge=0, le=_SECONDS_MAX, description="From when a pending conversion is stuck.")
    ] = OLDER_THAN_SECONDS,
) -> Response:
    """List what does not go as it should: stuck, over a limit, forced, waiting for a partner; and what to do."""
    return answered(node.exceptions.all(older_than_seconds=older_than_seconds))
