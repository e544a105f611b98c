"""`/v1/entries`: the log's entries and their receipts, for those who check it."""

from typing import Annotated, Final, TypeAlias

from fastapi import Path
from starlette.responses import Response

from node.api.fields import WHOLE, Cursor, Limit
from node.api.routes import READS, NodeDependency, answered, answers, answers_bytes, requires, router
from node.services.access.credentials import Scope
from node.services.logs.log import EntryPage, EntryView
from node.services.refusals import NodeCode
from protocol.limits import INTEGER_MAX

ROUTER: Final = router("entries", "/v1/entries")
RECEIPT_TYPE: Final = "text/plain"

SeqPath: TypeAlias = Annotated[int, WHOLE, Path(ge=0, le=INTEGER_MAX)]


@ROUTER.get("", dependencies=[requires(Scope.LOG_READ)], responses=answers(EntryPage, *READS))
def list_entries(node: NodeDependency, after: Cursor | None = None, limit: Limit = 100) -> Response:
    """List entries in the order of the log."""
    return answered(node.log.entries(after=after, limit=limit))


@ROUTER.get("/{seq}", dependencies=[requires(Scope.RECEIPTS)], responses=answers(EntryView, *READS, NodeCode.NOT_FOUND))
def show_entry(seq: SeqPath, node: NodeDependency) -> Response:
    """Show one entry."""
    return answered(node.log.entry(seq))


@ROUTER.get(
    "/{seq}/receipt",
    dependencies=[requires(Scope.RECEIPTS)],
    responses=answers_bytes(
        RECEIPT_TYPE, *READS, NodeCode.NOT_FOUND, description="A C2SP tlog-proof with the entry's bytes as its extra."
    ),
)
def show_receipt(seq: SeqPath, node: NodeDependency) -> Response:
    """Show an entry's receipt, which verifies offline."""
    return Response(node.log.receipt(seq), media_type=RECEIPT_TYPE)
