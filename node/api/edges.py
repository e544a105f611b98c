"""What holds before any route is met: whose browsers may ask, and that partners show their certificates."""

from collections.abc import Sequence
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from node.api.problems import problem
from node.services.refusals import NodeCode

MEMBER_PATHS: Final = "/v1/me"
PARTNER_PATHS: Final = ("/peer/", "/witness/v1/add-checkpoint")
PREFLIGHT_SECONDS: Final = 600


class MemberOrigins:
    """ASGI middleware: members' apps in browsers may ask from these origins (Fetch standard, CORS), and nobody else's.

    No cookie is ever a credential here, so that none is asked for.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self._app = app
        self._shared = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=("Authorization", "Content-Type", "Last-Event-ID", "X-Request-Id"),
            expose_headers=("RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id"),
            max_age=PREFLIGHT_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = str(scope.get("path", ""))
        is_members = path == MEMBER_PATHS or path.startswith(f"{MEMBER_PATHS}/")
        await (self._shared if is_members else self._app)(scope, receive, send)


class PartnerCertificates:
    """ASGI middleware: what partners send comes over a connection on which they showed a certificate."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if str(scope.get("path", "")).startswith(PARTNER_PATHS) and not shows_certificate(scope):
            refusal = problem(NodeCode.CERTIFICATE_MISSING, "a partner shows its certificate here (TLS)")
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def shows_certificate(scope: Scope) -> bool:
    """Return whether whoever asks has shown a certificate on the connection."""
    return bool(scope.get("extensions", {}).get("tls", {}).get("client_cert_name"))
