"""`/v1/conversions/{id}/trace`: the whole path of a conversion on both sides, with what proves it."""

from typing import Annotated, Final

from fastapi import Query
from starlette.responses import Response

from node.api.conversions import ConversionPath
from node.api.fields import LedgerText
from node.api.routes import READS, NodeDependency, answered, answers, requires, router
from node.services.access.credentials import Scope
from node.services.traces.trace_views import TraceView
from protocol.errors import Code
from protocol.identifiers import Id, Ledger

ROUTER: Final = router("conversions", "/v1/conversions")


@ROUTER.get(
    "/{conversion_id}/trace",
    dependencies=[requires(Scope.TRACE)],
    responses=answers(TraceView, *READS, Code.CONVERSION_UNKNOWN),
)
def trace_conversion(
    conversion_id: ConversionPath,
    node: NodeDependency,
    source: Annotated[
        LedgerText | None, Query(description="The partner that it came from; this ledger if it went out from here.")
    ] = None,
) -> Response:
    """Tell the path of a conversion from either side; the partner's log is asked for the entries its words name."""
    of = None if source is None else Ledger(source)
    return answered(node.traces.trace(Id(conversion_id), source=of))
