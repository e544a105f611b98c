"""How routes are declared: a router whose routes read strictly, and the OpenAPI of what a route may answer."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Annotated, Final, TypeAlias

from fastapi import APIRouter, Depends, Request, Security
from fastapi.params import Security as SecurityDependency
from starlette.responses import Response

from node.api.auth import Requires
from node.api.openapi import ANSWERED
from node.api.problems import document_problems
from node.api.requests import StrictRoute
from node.services.access.credentials import Scope
from node.services.answers import encode_answer
from node.services.node import Node
from node.services.refusals import NodeCode
from protocol.errors import Code

JSON: Final = "application/json"
PAGE_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""What goes with a statement for people: it loads nothing, runs nothing, and is kept by nobody on the way."""

ALWAYS: Final = (NodeCode.INTERNAL, NodeCode.BUSY, NodeCode.REQUEST_INVALID)
WRITING: Final = (
    Code.CLOCK,
    Code.RECOVERING,
    Code.START_UNANSWERED,
    Code.STORE_BEHIND,
    NodeCode.JSON_INVALID,
    NodeCode.PAYLOAD_TOO_LARGE,
    NodeCode.STORE_FULL,
    NodeCode.STORE_READ_ONLY,
    NodeCode.UNSUPPORTED_MEDIA_TYPE,
    NodeCode.UNWITNESSED,
)
GUARDED: Final = (NodeCode.UNAUTHORIZED, NodeCode.FORBIDDEN, NodeCode.ISSUER_UNAVAILABLE, NodeCode.RATE_LIMITED)
READS: Final = (*GUARDED, *ALWAYS)
WRITES: Final = (*GUARDED, *ALWAYS, *WRITING)
COMMANDS: Final = (*WRITES, Code.ID_REUSED, Code.DATE_INVALID, Code.ENTRY_TOO_LARGE)
"""What any command may be refused with, beside its own reasons."""

LINKS: Final = (Code.LINK_COOLING_OFF, Code.LINK_EXPIRED, Code.LINK_REVOKED, Code.LINK_UNKNOWN)
"""What a link refuses an order with."""

LIMITS: Final = (Code.CAP_REACHED, Code.IN_FLIGHT_LIMIT, Code.MEMBER_LIMIT)
"""What an agreement's limits refuse an order with."""

Responses: TypeAlias = dict[int | str, dict[str, object]]


async def node_of(request: Request) -> Node:
    """Return the node that this application serves."""
    node: Node = request.app.state.node
    return node


NodeDependency: TypeAlias = Annotated[Node, Depends(node_of)]


def router(tag: str, prefix: str = "") -> APIRouter:
    """Return a router for one resource."""
    return APIRouter(prefix=prefix, tags=[tag], route_class=StrictRoute)


def requires(scope: Scope) -> SecurityDependency:
    """Return the dependency of a route that only callers with `scope` may use."""
    dependency: SecurityDependency = Security(Requires(scope))
    return dependency


def answers(model: object, *codes: str, status: int = HTTPStatus.OK) -> Responses:
    """Return the OpenAPI of a route that answers `model` or is refused with one of `codes`."""
    return {int(status): {ANSWERED: model, "description": HTTPStatus(status).phrase}, **document_problems(codes)}


def answers_bytes(media_type: str, *codes: str, description: str) -> Responses:
    """Return the OpenAPI of a route that answers bytes of another kind than JSON."""
    schema = {"type": "object"} if media_type == JSON else {"type": "string", "format": "binary"}
    if media_type.startswith("text/"):
        schema = {"type": "string"}
    return {200: {"description": description, "content": {media_type: {"schema": schema}}}, **document_problems(codes)}


def answered(answer: object, status: int = HTTPStatus.OK) -> Response:
    """Return an answer as JSON: the same bytes for the same answer."""
    return Response(encode_answer(answer), status_code=int(status), media_type=JSON)


def codes(*groups: Iterable[str]) -> tuple[str, ...]:
    """Return the codes of several groups as one."""
    return tuple(str(code) for group in groups for code in group)
