"""Requests over TLS, with what the connection says of the caller's certificate beside them.

uvicorn tells an application nothing of it; the extension `tls` of ASGI names the place where it belongs.
"""

from typing import Final, cast

from node.app.http_protocol import NodeProtocol

GOODBYE_SECONDS_MAX: Final = 2.0
"""How long a caller may take over the end of TLS when the node stops: one that is idle does not even see it."""

_SUBJECT = "subject"


class TlsProtocol(NodeProtocol):
    """HTTP/1.1 over TLS, where a caller may show a certificate that the server's own authority has signed."""

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        shown = cast("dict[str, object] | None", self.transport.get_extra_info("peercert"))
        name = str(shown[_SUBJECT]) if shown else None
        extensions = cast("dict[str, object]", self.scope.setdefault("extensions", {}))
        extensions["tls"] = {"client_cert_name": name}

    def shutdown(self) -> None:
        """End where nothing is asked, whether or not the caller says goodbye; finish the request that there is."""
        super().shutdown()
        if self.transport.is_closing():
            self.loop.call_later(GOODBYE_SECONDS_MAX, self.transport.abort)
