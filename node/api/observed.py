"""Around every request: its id, one line in the log, and an answer even where a route has a bug."""

import re
import time
from collections.abc import MutableMapping
from typing import Final

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.api.problems import problem
from node.ports import Randomness
from node.services.metrics import Metrics
from node.services.refusals import NodeCode
from node.telemetry import log_context

REQUEST_ID_HEADER: Final = b"x-request-id"
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_REQUEST_ID_BYTES: Final = 8
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_LOG: Final = structlog.get_logger()


class Observed:
    """ASGI middleware, the outermost."""

    def __init__(self, app: ASGIApp, randomness: Randomness, metrics: Metrics) -> None:
        self._app = app
        self._randomness = randomness
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._request_id(scope)
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                message["headers"] = [*message["headers"], (REQUEST_ID_HEADER, request_id.encode())]
            await send(message)

        with log_context(request=request_id):
            began = time.perf_counter()
            try:
                await self._app(scope, receive, send_with_id)
            except ClientDisconnect:
                # A partner that is killed while it sends, say: nobody waits for an answer, and nothing is wrong here.
                _LOG.info("caller_gone", method=scope["method"], route=route_of(scope))
                return
            except Exception:
                _LOG.exception("request_failed", method=scope["method"], route=route_of(scope))
                if status:
                    raise
                answer = problem(NodeCode.INTERNAL, "the node failed; nothing was written unless a repeat says so")
                await answer(scope, receive, send_with_id)
            seconds = time.perf_counter() - began
            _log(scope, status, milliseconds=seconds * 1000)
            # A method that nobody knows is the caller's text: as a label it would be one more series for each.
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.requested(method=method, route=route_of(scope), status=status, seconds=seconds)

    def _request_id(self, scope: Scope) -> str:
        for name, value in scope["headers"]:
            if name == REQUEST_ID_HEADER and _REQUEST_ID.fullmatch(value):
                return str(value, "ascii")
        return self._randomness.token(_REQUEST_ID_BYTES).hex()


def route_of(scope: MutableMapping[str, object]) -> str:
    """Return the template of the route that a request met: a path itself may name a member's account."""
    return str(getattr(scope.get("route"), "path", "none"))


def _log(scope: Scope, status: int, *, milliseconds: float) -> None:
    conversion = scope.get("path_params", {}).get("conversion_id") or scope.get("state", {}).get("conversion")
    ids = {"conversion": conversion} if conversion else {}
    _LOG.info(
        "request",
        method=scope["method"],
        route=route_of(scope),
        status=status,
        milliseconds=round(milliseconds, 1),
        **ids,
    )
