"""The application: every resource, every refusal as a problem, and an OpenAPI document that says all of it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from node.api import (
    accounts,
    agreements,
    appeals,
    approvals,
    confirmations,
    consents,
    conversions,
    credentials,
    entries,
    events,
    evidence,
    exceptions,
    exchange,
    expiry,
    health,
    holds,
    imports,
    lifecycle,
    link_peer,
    links,
    log,
    me,
    my_appeals,
    my_events,
    my_links,
    my_transfers,
    partners,
    peer,
    people,
    program,
    quotes,
    reports,
    reviews,
    statements,
    succession,
    traces,
    transactions,
    transfers,
    webhooks,
    windows,
    witness,
    witnesses,
)
from node.api.direct import DirectWay
from node.api.edges import MemberOrigins, PartnerCertificates
from node.api.examples import form_of
from node.api.observed import Observed, Observer
from node.api.openapi import describe
from node.api.problems import STATUS, FieldError, ProblemRaised, problem, problem_of
from node.api.quick import QuickWay
from node.services.node import Node
from node.services.refusals import NodeCode
from protocol.errors import Code, Refusal, TallystickError

VERSION: Final = "1"
_OWN_CODES: Final = frozenset({Code.AMOUNT_INVALID.value, Code.DATE_INVALID.value})
_ROUTERS: Final = (
    # A request is held against one route after the other: those that are asked most come first.
    transactions.ROUTER,
    conversions.ROUTER,
    peer.ROUTER,
    accounts.ROUTER,
    people.ROUTER,
    confirmations.ROUTER,
    program.ROUTER,
    lifecycle.ROUTER,
    transfers.ROUTER,
    reviews.ROUTER,
    imports.ROUTER,
    expiry.ROUTER,
    holds.ROUTER,
    links.ROUTER,
    consents.ROUTER,
    me.ROUTER,
    my_events.ROUTER,
    my_links.ROUTER,
    my_transfers.ROUTER,
    link_peer.ROUTER,
    quotes.ROUTER,
    partners.ROUTER,
    witnesses.ROUTER,
    agreements.ROUTER,
    approvals.ROUTER,
    credentials.ROUTER,
    windows.ROUTER,
    statements.ROUTER,
    reports.ROUTER,
    exchange.ROUTER,
    entries.ROUTER,
    exceptions.ROUTER,
    evidence.ROUTER,
    appeals.ROUTER,
    my_appeals.ROUTER,
    traces.ROUTER,
    events.ROUTER,
    webhooks.ROUTER,
    succession.ROUTER,
    log.ROUTER,
    witness.ROUTER,
    health.ROUTER,
)
_LOG: Final = structlog.get_logger()


class Application(FastAPI):
    """FastAPI's, with the quick way in front of all that it does with a request, and a direct one for servers."""

    quick: QuickWay
    direct: DirectWay

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self.quick(scope, receive, send)

    def put_in_front(self, make: Callable[[ASGIApp], QuickWay]) -> None:
        """Ask from now on first what `make` makes of this application."""
        self.quick = make(super().__call__)
        self.direct = DirectWay(self.quick)


def create_app(node: Node, *, origins: Sequence[str] = (), partners_show_certificates: bool = False) -> Application:
    """Return the application that serves `node`: members' apps in browsers may ask from `origins`."""
    app = Application(
        title="Tallystick node",
        version=VERSION,
        openapi_url=None,  # It has a route of its own.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={
            TallystickError: _refused,
            RequestValidationError: _invalid,
            HTTPException: _http,
        },
    )
    app.state.node = node
    # As they are: FastAPI would build each route a second time for a router that is included, at the first request.
    app.router.routes.extend(routes_of())
    describe(app)
    if origins:
        app.add_middleware(MemberOrigins, origins=origins)
    if partners_show_certificates:
        app.add_middleware(PartnerCertificates)
    observer = Observer(node.randomness, node.metrics)
    app.add_middleware(Observed, observer=observer)
    app.put_in_front(
        partial(
            QuickWay,
            node=node,
            observer=observer,
            routes=routes_of(),
            refused=_refusal,
            partners_show_certificates=partners_show_certificates,
        )
    )
    return app


def routes_of() -> tuple[APIRoute, ...]:
    """Return every route of every resource."""
    return tuple(route for router in _ROUTERS for route in router.routes if isinstance(route, APIRoute))


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, TallystickError), "registered for this class"
    return _refusal(error)


def _refusal(error: TallystickError) -> Response:
    answer = problem_of(error)
    if error.code == NodeCode.BUSY:
        # Whoever asks for more than can be done would fill the log as well: the line of the request says enough.
        return answer
    if isinstance(error, Refusal) and answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        # A start that its partners have not answered, say: the node refuses on purpose, as often as it is asked.
        _LOG.warning("request_not_done", code=error.code)
    elif answer.status_code >= STATUS[NodeCode.INTERNAL]:
        _LOG.error("request_not_done", exc_info=error)
    return answer


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError), "registered for this class"
    found = error.errors()
    kinds = {str(each["type"]) for each in found}
    only = next(iter(kinds)) if len(kinds) == 1 else ""
    code = only if only in _OWN_CODES else NodeCode.REQUEST_INVALID.value
    errors = [_field_error(each) for each in found]
    return problem(code, f"{errors[0][0]}: {errors[0][1]}", errors=errors)


def _field_error(error: Mapping[str, Any]) -> FieldError:
    names = [str(part) for part in error["loc"] if part not in {"body", "query", "path"}]
    if error["type"] == "string_pattern_mismatch":
        # A regular expression is for schemas: whoever reads a refusal is told what the field looks like.
        named = next((name for name in reversed(names) if not name.isdecimal()), "")
        return ".".join(names) or "body", f"{form_of(error['ctx']['pattern'], name=named)} is expected"
    return ".".join(names) or "body", str(error["msg"]).removeprefix("Value error, ")


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "registered for this class"
    if isinstance(error, ProblemRaised):
        return error.answer()
    if error.status_code == STATUS[NodeCode.METHOD_NOT_ALLOWED]:
        return problem(NodeCode.METHOD_NOT_ALLOWED, "the resource has no such method", headers=_allowed(request))
    if error.status_code == STATUS[NodeCode.NOT_FOUND]:
        return problem(NodeCode.NOT_FOUND, "there is no such resource")
    return problem(NodeCode.REQUEST_INVALID, "the request cannot be read")


def _allowed(request: Request) -> dict[str, str]:
    """Return the header that names each method of a resource (RFC 9110 §10.2.1): a route knows its own alone."""
    met = (each for each in routes_of() if each.matches(request.scope)[0] is not Match.NONE)
    return {"Allow": ", ".join(sorted({method for each in met for method in each.methods or ()}))}
