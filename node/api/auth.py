"""Who calls: the bearer token of a request, recognised before anything else of it is read."""

from typing import Final

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from node.services.credentials import Caller, Scope
from node.services.node import Node
from node.services.refusals import NodeCode, NodeRefusal

SCHEME: Final = "token"
_BEARER: Final = "bearer"


class Requires(SecurityBase):
    """A dependency that lets only callers with a scope pass; it is asked before the body is read."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.scheme_name = SCHEME
        self.model = HTTPBearer(
            bearerFormat="ts_<role>_<id>_<secret>",
            description="A token of the role operator, backend or auditor, as `tallystick init` makes them.",
        )

    async def __call__(self, request: Request) -> Caller:
        """Return the caller, or raise `unauthorized` or `forbidden`."""
        known: object = getattr(request.state, "caller", None)
        caller = known if isinstance(known, Caller) else await self._recognise(request)
        caller.require(self.scope)
        request.state.caller = caller
        return caller

    async def _recognise(self, request: Request) -> Caller:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != _BEARER:
            raise NodeRefusal(NodeCode.UNAUTHORIZED, "the request carries no bearer token")
        node: Node = request.app.state.node
        known = node.credentials.remembered(token)
        if known is not None:
            return known
        return await run_in_threadpool(node.credentials.recognise, token)
