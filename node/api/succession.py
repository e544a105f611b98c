"""`/v1/ledger`: how the ledger stands, and what an operator does about a store that is behind."""

from http import HTTPStatus
from typing import Annotated, Final, TypeAlias

from pydantic import Field
from starlette.responses import Response

from node.api.fields import Body, IdText, LedgerText, ReasonText
from node.api.routes import COMMANDS, READS, WRITES, NodeDependency, answered, answers, requires, router
from node.services.answers import GenesisAnswer, OtherAnswer
from node.services.credentials import Scope
from node.services.succession import LedgerStanding, StartRequest, SucceedRequest, WaiveRequest
from protocol.errors import Code
from protocol.identifiers import Id, Ledger
from protocol.recovery_entries import OVERRIDDEN_PARTNERS_MAX

ROUTER: Final = router("ledger", "/v1/ledger")
PARTNERS_MAX: Final = OVERRIDDEN_PARTNERS_MAX
_GUARD: Final = [requires(Scope.PARTNERS_WRITE)]

Partners: TypeAlias = Annotated[list[LedgerText], Field(max_length=PARTNERS_MAX)]


class SucceedBody(Body):
    """Partners that are gone, and why the ledger goes on without the words that they may hold."""

    id: IdText
    without: Partners = Field(default=[])
    reason: ReasonText = "partner_gone"


class StartBody(Body):
    """Partners whose answer is not waited for, and why."""

    id: IdText
    without: Annotated[list[LedgerText], Field(min_length=1, max_length=PARTNERS_MAX)]
    reason: ReasonText


class WaiveBody(Body):
    """A partner that does not give back what it holds, or whose words cannot stand again, and why it is gone on."""

    id: IdText
    partner: LedgerText
    reason: ReasonText


@ROUTER.get("/standing", dependencies=_GUARD, responses=answers(LedgerStanding, *READS))
def show_standing(node: NodeDependency) -> Response:
    """Show which log is written, whether it may be written now, and what partners have shown of it."""
    return answered(node.succession.standing())


@ROUTER.post(
    "/start",
    status_code=HTTPStatus.CREATED,
    dependencies=_GUARD,
    responses=answers(OtherAnswer, *COMMANDS, Code.PARTNER_UNKNOWN, status=HTTPStatus.CREATED),
)
async def start(body: StartBody, node: NodeDependency) -> Response:
    """Begin to write before these partners have answered since the start; the ledger's next entry says so."""
    request = StartRequest(id=Id(body.id), without=tuple(map(Ledger, body.without)), reason=body.reason)
    return answered(await node.succession.start(request).wait(), HTTPStatus.CREATED)


@ROUTER.post(
    "/succession",
    status_code=HTTPStatus.CREATED,
    dependencies=_GUARD,
    responses=answers(GenesisAnswer, *WRITES, Code.PARTNER_UNKNOWN, Code.SUCCESSION_INVALID, status=HTTPStatus.CREATED),
)
async def succeed(body: SucceedBody, node: NodeDependency) -> Response:
    """Open the next log of a ledger whose store is behind, and ask every partner for the words that were lost."""
    request = SucceedRequest(id=Id(body.id), without=tuple(map(Ledger, body.without)), reason=body.reason)
    return answered(await node.succession.succeed(request).wait(), HTTPStatus.CREATED)


@ROUTER.post(
    "/waivers",
    status_code=HTTPStatus.CREATED,
    dependencies=_GUARD,
    responses=answers(
        OtherAnswer,
        *COMMANDS,
        Code.PARTNER_UNKNOWN,
        Code.RECOVERY_MISMATCH,
        Code.SUCCESSION_INVALID,
        status=HTTPStatus.CREATED,
    ),
)
async def waive(body: WaiveBody, node: NodeDependency) -> Response:
    """Go on without what a partner has not given back."""
    request = WaiveRequest(id=Id(body.id), partner=Ledger(body.partner), reason=body.reason)
    return answered(await node.succession.waive(request).wait(), HTTPStatus.CREATED)
