"""`/v1/partners`: other brands, known by their keys."""

from http import HTTPStatus
from typing import Annotated, Final

from pydantic import Field
from starlette.responses import Response

from node.api.fields import Body, DocumentField, NetworkText, encode_document
from node.api.routes import READS, WRITES, NodeDependency, answered, answers, requires, router
from node.services.answers import PartnerAcceptedAnswer
from node.services.credentials import Scope
from node.services.partners import PartnerList
from node.services.refusals import NodeCode
from protocol.errors import Code
from protocol.identifiers import Network

ROUTER: Final = router("partners", "/v1/partners")


class InvitationBody(Body):
    """Whom to invite to: `network` is the alliance's id, this node's own unless it is given."""

    network: NetworkText | None = None


class AcceptPartnerBody(Body):
    """A partner's signed `invitation`, and the `fingerprint` that its operator read aloud."""

    invitation: DocumentField
    fingerprint: Annotated[str, Field(min_length=1, max_length=64)] | None = None


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
