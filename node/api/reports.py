"""`/v1/journal.csv` and `/v1/reconciliation.csv`: files for the books, and for a partner's."""

from collections.abc import Iterator
from typing import Annotated, Final, TypeAlias

from fastapi import Query, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from node.api.auth import caller_of
from node.api.fields import DayText, LedgerText
from node.api.routes import READS, NodeDependency, answers_bytes, requires, router
from node.services.access.credentials import Scope as Permission
from node.services.program.journal import JournalService, Per
from protocol.errors import Code
from protocol.identifiers import Ledger

ROUTER: Final = router("reports", "/v1")
CSV: Final = "text/csv"

FirstDay: TypeAlias = Annotated[DayText, Query(alias="from", description="The first day of recording, in UTC.")]
LastDay: TypeAlias = Annotated[DayText, Query(alias="to", description="The last day.")]


class StreamedJournal(StreamingResponse):
    """A journal on its way, of which only so many are at once; what is beyond is refused before anything is sent."""

    def __init__(self, lines: Iterator[bytes], journal: JournalService, *, reader: str) -> None:
        super().__init__(lines, media_type=CSV)
        self._journal = journal
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, or raise `busy`."""
        with self._journal.at_once.one(self._reader):
            await super().__call__(scope, receive, send)


@ROUTER.get(
    "/journal.csv",
    dependencies=[requires(Permission.REPORTS_READ)],
    responses=answers_bytes(
        CSV, *READS, Code.DATE_INVALID, description="Debits and credits by account, origin and asset, as CSV."
    ),
)
def journal(
    *, request: Request, node: NodeDependency, first_day: FirstDay, last_day: LastDay, per: Per = "entry"
) -> Response:
    """Write the accounting journal of the days, a line for each account of each entry, or of each day."""
    lines = node.journal.csv(first_day=first_day, last_day=last_day, per=per)
    return StreamedJournal(lines, node.journal, reader=caller_of(request).id)


@ROUTER.get(
    "/reconciliation.csv",
    dependencies=[requires(Permission.SETTLEMENT_READ)],
    responses=answers_bytes(
        CSV,
        *READS,
        Code.DATE_INVALID,
        Code.PARTNER_UNKNOWN,
        description="The day's conversions with the partner both ways, with control totals.",
    ),
)
def reconciliation(
    node: NodeDependency,
    partner: Annotated[LedgerText, Query()],
    day: Annotated[DayText, Query(alias="date", description="The day of the decisions, in UTC.")],
) -> Response:
    """Write the daily file of a partner, to be compared with the one that the partner writes."""
    return Response(node.reconciling.daily(Ledger(partner), day), media_type=CSV)
