"""Around every request: its id, one line in the log, and an answer even where a route has a bug."""

import re
import time
from collections.abc import MutableMapping
from typing import Final

import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.api.problems import problem
from node.ports import Randomness
from node.services.operating.metrics import Metrics
from node.services.refusals import NodeCode
from node.telemetry import REQUEST_LINES, log_context

REQUEST_ID_HEADER: Final = b"x-request-id"
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_REQUEST_ID_BYTES: Final = 8
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_LOG: Final = structlog.get_logger()


class Observer:
    """Gives requests their ids, and takes note of each that was answered."""

    def __init__(self, randomness: Randomness, metrics: Metrics) -> None:
        """Draw ids from `randomness`, and count in `metrics`."""
        self._randomness = randomness
        self._metrics = metrics

    def request_id(self, scope: Scope) -> str:
        """Return the id that the caller gave its request, or another."""
        for name, value in scope["headers"]:
            if name == REQUEST_ID_HEADER and _REQUEST_ID.fullmatch(value):
                return str(value, "ascii")
        return self._randomness.token(_REQUEST_ID_BYTES).hex()

    def answered(self, scope: Scope, *, request_id: str, status: int, seconds: float) -> None:
        """Log and count a request that was answered with `status`."""
        method, route = scope["method"], route_of(scope)
        conversion = scope.get("path_params", {}).get("conversion_id") or scope.get("state", {}).get("conversion")
        REQUEST_LINES.add(
            request=request_id,
            method=method,
            route=route,
            status=status,
            milliseconds=round(seconds * 1000, 1),
            **({"conversion": conversion} if conversion else {}),
        )
        # A method that nobody knows is the caller's text: as a label it would be one more series for each.
        known = method if method in _METHODS else "other"
        self._metrics.requested(method=known, route=route, status=status, seconds=seconds)


def failure_of(scope: Scope, error: Exception) -> Response | None:
    """Log what no route has meant to raise, and return the answer to it; None where nobody waits for one."""
    if isinstance(error, ClientDisconnect):
        # A partner that is killed while it sends, say: nobody waits for an answer, and nothing is wrong here.
        _LOG.info("caller_gone", method=scope["method"], route=route_of(scope))
        return None
    _LOG.error("request_failed", method=scope["method"], route=route_of(scope), exc_info=error)
    return problem(NodeCode.INTERNAL, "the node failed; nothing was written unless a repeat says so")


class Observed:
    """ASGI middleware, the outermost of what the quick way hands on."""

    def __init__(self, app: ASGIApp, observer: Observer) -> None:
        self._app = app
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._observer.request_id(scope)
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
            except Exception as error:
                answer = failure_of(scope, error)
                if answer is None:
                    return
                if status:
                    raise
                await answer(scope, receive, send_with_id)
        seconds = time.perf_counter() - began
        self._observer.answered(scope, request_id=request_id, status=status, seconds=seconds)


def route_of(scope: MutableMapping[str, object]) -> str:
    """Return the template of the route that a request met: a path itself may name a member's account."""
    return str(getattr(scope.get("route"), "path", "none"))
