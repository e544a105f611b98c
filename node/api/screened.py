"""What routes share whose orders are screened: what a backend tells of the client, and the answer of a review."""

from http import HTTPStatus
from typing import Annotated, Final

from pydantic import Field, StringConstraints
from starlette.responses import Response

from node.api.fields import Body
from node.api.openapi import ANSWERED
from node.api.routes import Responses, answered
from node.services.answers import OtherAnswer
from node.services.program.screening import NO_CLIENT, ClientData
from node.services.written import AnswerRow
from protocol.errors import Code

_Told = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,256}$")]

GOVERNED: Final = (Code.ACCOUNT_FROZEN, Code.KIND_NOT_ALLOWED, Code.LIMIT_REACHED)
"""What a program's own terms, and a frozen account, refuse."""

UNDER_REVIEW: Final[Responses] = {
    int(HTTPStatus.ACCEPTED): {
        ANSWERED: OtherAnswer,
        "description": "A screen has put the order up for review: its points are on hold, and a person decides",
    }
}


class ClientBody(Body):
    """What the brand's own system knows of the client behind an order; kept erasably, and seen by screens alone."""

    address: Annotated[_Told, Field(examples=["203.0.113.7"])] | None = None
    device: Annotated[_Told, Field(examples=["d3f1a0"])] | None = None
    agent: Annotated[_Told, Field(examples=["Mozilla/5.0"])] | None = None


def client_of(body: ClientBody | None) -> ClientData:
    """Return what is told of the client."""
    if body is None:
        return NO_CLIENT
    return ClientData(address=body.address, device=body.device, agent=body.agent)


def ordered(answer: AnswerRow) -> Response:
    """Return the answer of an order: 201 where it was carried out, 202 where it is under review."""
    return answered(answer, status_of(answer))


def status_of(answer: AnswerRow) -> HTTPStatus:
    """Return 201 for an order that was carried out, 202 for one that is under review."""
    held_up = isinstance(answer, OtherAnswer) and answer.kind == "review_opened"
    return HTTPStatus.ACCEPTED if held_up else HTTPStatus.CREATED
