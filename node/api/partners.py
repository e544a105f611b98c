"""`/v1/partners`: other brands, known by their keys."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from node.api.fields import Body, DocumentField, IdText, LedgerText, NetworkText, ReasonText, encode_document
from node.api.routes import COMMANDS, READS, WRITES, NodeDependency, answered, answers, requires, router
from node.services.access.credentials import Scope
from node.services.answers import OtherAnswer, PartnerAcceptedAnswer
from node.services.partners.partners import PartnerList
from node.services.partners.run_off import RunOffView
from node.services.partners.suspending import SuspensionRequest
from node.services.refusals import NodeCode
from protocol.errors import Code
from protocol.identifiers import Id, Ledger, Network

ROUTER: Final = router("partners", "/v1/partners")


class InvitationBody(Body):
    """Whom to invite to: `network` is the alliance's id, this node's own unless it is given."""

    network: NetworkText | None = None


class AcceptPartnerBody(Body):
    """A partner's signed `invitation`, and the `fingerprint` that its operator read aloud."""

    invitation: DocumentField
    fingerprint: Annotated[str, Field(min_length=1, max_length=64)] | None = None


class SuspensionBody(Body):
    """A partner, and in one word why nothing new is to begin with it, or why it may again."""

    id: IdText
    partner: LedgerText
    reason: ReasonText

    def request(self) -> SuspensionRequest:
        """Return what is asked."""
        return SuspensionRequest(id=Id(self.id), partner=Ledger(self.partner), reason=self.reason)


class EndingBody(Body):
    """A partner with whom nothing is open, and in one word why it is a partner no more."""

    partner: LedgerText
    reason: ReasonText


class LogKeyBody(Body):
    """A rotation of a partner's log key, as the partner has handed it out."""

    partner: LedgerText
    rotation: DocumentField


class InvitationAnswer(Body):
    """A signed invitation: a file for the partner's operator."""

    introduction: dict[str, object]
    signature: str


@ROUTER.get("", dependencies=[requires(Scope.PARTNERS_READ)], responses=answers(PartnerList, *READS))
def list_partners(node: NodeDependency) -> Response:
    """List partners and how it goes with each."""
    return answered(node.partners.all())


@ROUTER.post(
    "/invitations",
    status_code=HTTPStatus.CREATED,
    dependencies=[requires(Scope.PARTNERS_WRITE)],
    responses=answers(InvitationAnswer, *WRITES, status=HTTPStatus.CREATED),
)
def invite(body: InvitationBody, node: NodeDependency) -> Response:
    """Make this node's invitation, to be carried to the partner."""
    network = None if body.network is None else Network(body.network)
    return answered(node.partners.invitation(network), HTTPStatus.CREATED)


@ROUTER.post(
    "",
    status_code=HTTPStatus.CREATED,
    dependencies=[requires(Scope.PARTNERS_WRITE)],
    responses=answers(
        PartnerAcceptedAnswer,
        *WRITES,
        NodeCode.FINGERPRINT_MISMATCH,
        Code.ID_REUSED,
        Code.KEYS_INVALID,
        Code.PARTNER_EXISTS,
        Code.PARTNER_MISMATCH,
        "encoding_invalid",
        "invitation_invalid",
        "signature_invalid",
        status=HTTPStatus.CREATED,
    ),
)
def accept_partner(body: AcceptPartnerBody, node: NodeDependency) -> Response:
    """Know a partner by the keys of its invitation; again with the same keys, it may have moved."""
    invitation = encode_document(body.invitation)
    return answered(node.partners.accept(invitation, fingerprint=body.fingerprint).result(), HTTPStatus.CREATED)


@ROUTER.post(
    "/suspensions",
    status_code=HTTPStatus.CREATED,
    dependencies=[requires(Scope.PARTNERS_WRITE)],
    responses=answers(OtherAnswer, *COMMANDS, Code.PARTNER_SUSPENDED, Code.PARTNER_UNKNOWN, status=HTTPStatus.CREATED),
)
async def suspend(body: SuspensionBody, node: NodeDependency) -> Response:
    """Begin nothing new with a partner; conversions that are on their way end as the rules say."""
    return answered(await node.suspension.suspend(body.request()).wait(), HTTPStatus.CREATED)


@ROUTER.post(
    "/resumptions",
    status_code=HTTPStatus.CREATED,
    dependencies=[requires(Scope.PARTNERS_WRITE)],
    responses=answers(
        OtherAnswer, *COMMANDS, Code.PARTNER_NOT_SUSPENDED, Code.PARTNER_UNKNOWN, status=HTTPStatus.CREATED
    ),
)
async def resume(body: SuspensionBody, node: NodeDependency) -> Response:
    """Take a suspended partner back."""
    return answered(await node.suspension.resume(body.request()).wait(), HTTPStatus.CREATED)


@ROUTER.get(
    "/run-off",
    dependencies=[requires(Scope.PARTNERS_READ)],
    responses=answers(RunOffView, *READS, Code.PARTNER_UNKNOWN),
)
def show_run_off(node: NodeDependency, partner: Annotated[LedgerText, Query()]) -> Response:
    """Show what is open with a partner, in the order in which it is wound down, and who is to act."""
    return answered(node.run_off.show(Ledger(partner)))


@ROUTER.post(
    "/endings",
    status_code=HTTPStatus.CREATED,
    dependencies=[requires(Scope.PARTNERS_WRITE)],
    responses=answers(
        OtherAnswer,
        *COMMANDS,
        Code.PARTNER_BUSY,
        Code.PARTNER_ENDED,
        Code.PARTNER_UNKNOWN,
        Code.STATEMENT_MISMATCH,
        status=HTTPStatus.CREATED,
    ),
)
async def end_partner(body: EndingBody, node: NodeDependency) -> Response:
    """End the partnership with a partner with whom nothing is open; nothing begins with it any more."""
    return answered(await node.run_off.end(Ledger(body.partner), body.reason).wait(), HTTPStatus.CREATED)


@ROUTER.post(
    "/log-keys",
    status_code=HTTPStatus.CREATED,
    dependencies=[requires(Scope.PARTNERS_WRITE)],
    responses=answers(
        OtherAnswer,
        *COMMANDS,
        Code.PARTNER_UNKNOWN,
        Code.ROTATION_INVALID,
        "encoding_invalid",
        "entry_invalid",
        status=HTTPStatus.CREATED,
    ),
)
async def take_log_key(body: LogKeyBody, node: NodeDependency) -> Response:
    """Know a partner's log by its next key as well: what that key has not signed is not cosigned any more."""
    taken = node.rotation.take(Ledger(body.partner), encode_document(body.rotation))
    return answered(await taken.wait(), HTTPStatus.CREATED)
