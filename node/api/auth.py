"""Who calls: the bearer token of a request, recognised before anything else of it is read."""

from typing import Final

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from node.services.access.callers import CallersService
from node.services.access.credentials import Caller, Scope
from node.services.node import Node
from node.services.refusals import NodeCode, NodeRefusal

SCHEME: Final = "token"
_BEARER: Final = "bearer"


def caller_of(request: Request) -> Caller:
    """Return who calls a route that asks for a scope."""
    caller: Caller = request.state.caller
    return caller


class Requires(SecurityBase):
    """A dependency that lets only callers with a scope pass; it is asked before the body is read."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.scheme_name = SCHEME
        self.model = HTTPBearer(
            bearerFormat="ts_<role>_<id>_<secret>",
            description="A token of an API key, or a member's token of the brand's issuer (specs/access.md).",
        )

    async def __call__(self, request: Request) -> Caller:
        """Return the caller, or raise `unauthorized`, `forbidden` or `rate_limited`."""
        known: object = getattr(request.state, "caller", None)
        caller = known if isinstance(known, Caller) else await _counted(request)
        caller.require(self.scope)
        request.state.caller = caller
        return caller


async def _counted(request: Request) -> Caller:
    """Return who calls, with this request taken off what the caller may ask."""
    node: Node = request.app.state.node
    address = "" if request.client is None else request.client.host
    try:
        caller = await _recognised(request, node.callers, address)
    except NodeRefusal as refusal:
        node.callers.refused(refusal, address=address)
        raise
    node.callers.count(caller)
    return caller


async def _recognised(request: Request, callers: CallersService, address: str) -> Caller:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != _BEARER:
        raise NodeRefusal(NodeCode.UNAUTHORIZED, "the request carries no bearer token")
    known = callers.remembered(token)
    return known if known is not None else await run_in_threadpool(callers.recognise, token, address=address)
