"""One reading of a request's head: what proxies read in two ways is refused, and offers of other protocols passed over.

Some clients offer HTTP/2 with each request that they make without TLS (Java's own, RFC 7540 §3.2). A server may pass
that over (RFC 9110 §7.8). httptools takes such a request to end with its head instead, and what follows to be no HTTP.
"""

import sys
from typing import Final

from httptools import HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_MANY: Final = 2
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})


class _SaidAgain:
    """What a parser tells a connection, but for the head of a request that has begun already."""

    is_over = False

    def __init__(self, connection: "OneProtocol") -> None:
        self._connection = connection
        self.on_body = connection.on_body
        self.on_message_complete = connection.on_message_complete

    def on_message_begin(self) -> None:
        if self.is_over:
            self._connection.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if self.is_over:
            self._connection.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.is_over:
            self._connection.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.is_over:
            self._connection.on_headers_complete()


class OneProtocol(HttpToolsProtocol):
    """One connection, on which nothing but HTTP/1.1 is spoken."""

    _piece = b""
    """What is being read."""

    def data_received(self, data: bytes) -> None:
        """Go on with what has come."""
        self._piece = data
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """Begin a request, unless its head names no host, or more than one, or a coding but `chunked`.

        Whoever stands in front of the node may read such a head as another request (RFC 9112 §3.2, §6.1, §11.2).
        """
        hosts, codings = 0, 0
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
            elif name == b"transfer-encoding":
                codings += 1 if value.lower() == b"chunked" else _MANY
        if hosts > 1 or codings > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            raise ValueError("a request names one host, and no coding but chunked")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Take its end, unless that is only where another protocol would begin."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """Read the rest by a parser that is told the same head without the offer."""
        offer = sys.exception()
        assert isinstance(offer, HttpParserUpgrade), "uvicorn calls this while it handles one"
        rest = self._piece[offer.args[0] :]
        framing = [b"%b: %b\r\n" % each for each in self.headers if each[0] in _FRAMING]
        again = _SaidAgain(self)
        self.parser = HttpRequestParser(again)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % b"".join(framing))
        again.is_over = True
        if rest:
            # Not by way of those above: they have taken it already.
            OneProtocol.data_received(self, rest)
