"""`/v1/ledger`: how the ledger stands, and what an operator does about a store that is behind."""

from http import HTTPStatus
from typing import Annotated, Final, TypeAlias

from pydantic import Field
from starlette.responses import Response

from node.api.fields import Body, DocumentField, IdText, LedgerText, ReasonText, encode_document
from node.api.routes import COMMANDS, READS, WRITES, NodeDependency, answered, answers, requires, router
from node.services.access.credentials import Scope
from node.services.answers import GenesisAnswer, OtherAnswer
from node.services.partners.succession import LedgerStanding, StartRequest, SucceedRequest, WaiveRequest
from node.services.refusals import NodeCode, NodeRefusal
from protocol.errors import Code
from protocol.identifiers import Id, Ledger
from protocol.limits import NAME_CHARACTERS_MAX
from protocol.recovery_entries import OVERRIDDEN_PARTNERS_MAX, OVERRIDDEN_WITNESSES_MAX

ROUTER: Final = router("ledger", "/v1/ledger")
PARTNERS_MAX: Final = OVERRIDDEN_PARTNERS_MAX
WITNESSES_MAX: Final = OVERRIDDEN_WITNESSES_MAX
_GUARD: Final = [requires(Scope.NODE)]

WitnessName: TypeAlias = Annotated[
    str, Field(max_length=NAME_CHARACTERS_MAX, pattern=r"^[^\x00-\x20\x7f+]+$", description="The name of its key.")
]
Partners: TypeAlias = Annotated[list[LedgerText], Field(max_length=PARTNERS_MAX)]


class SucceedBody(Body):
    """Partners that are gone, and why the ledger goes on without the words that they may hold."""

    id: IdText
    without: Partners = Field(default=[])
    reason: ReasonText = "partner_gone"


class StartBody(Body):
    """Partners and witnesses, by their names, whose answer is not waited for, one at least, and why."""

    id: IdText
    without: Partners = Field(default=[])
    witnesses: Annotated[list[WitnessName], Field(max_length=WITNESSES_MAX)] = Field(default=[])
    reason: ReasonText


class WaiveBody(Body):
    """A partner that does not give back what it holds, or whose words cannot stand again, and why it is gone on."""

    id: IdText
    partner: LedgerText
    reason: ReasonText


class RotateBody(Body):
    """A rotation of the log's key, as it was prepared where the keys are."""

    rotation: DocumentField


@ROUTER.get("/standing", dependencies=[requires(Scope.EXCEPTIONS_READ)], responses=answers(LedgerStanding, *READS))
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
    """Begin to write before these have answered since the start; the ledger's next entry says so."""
    if not body.without and not body.witnesses:
        raise NodeRefusal(NodeCode.REQUEST_INVALID, "name a partner or a witness that is not waited for")
    request = StartRequest(
        id=Id(body.id),
        without=tuple(map(Ledger, body.without)),
        reason=body.reason,
        witnesses=tuple(body.witnesses),
    )
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


@ROUTER.post(
    "/log-key",
    status_code=HTTPStatus.CREATED,
    dependencies=_GUARD,
    responses=answers(
        OtherAnswer,
        *COMMANDS,
        Code.ROTATION_INVALID,
        NodeCode.SIGNER_REFUSED,
        "encoding_invalid",
        "entry_invalid",
        status=HTTPStatus.CREATED,
    ),
)
async def rotate(body: RotateBody, node: NodeDependency) -> Response:
    """Sign the log with its next key as well, to which it has committed."""
    return answered(await node.rotation.rotate(encode_document(body.rotation)).wait(), HTTPStatus.CREATED)
