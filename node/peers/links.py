"""Consents exchanged for links over HTTP: one POST, whose answer is the link or why there is none."""

import ssl
from typing import Final

import httpx

from node.peers.bounded import read_bounded
from node.peers.connections import FAILURES, verify_with
from node.peers.deadlines import bounded
from node.ports import LinkReply, TransportFailed

LINKS_PATH: Final = "/peer/v1/links"
ANSWER_BYTES_MAX: Final = 16_384
ANSWER_SECONDS: Final = 10.0
_TIMEOUT: Final = httpx.Timeout(ANSWER_SECONDS, connect=5.0)
_HEADERS: Final = {"content-type": "application/json", "accept-encoding": "identity"}


class HttpLinks:
    """Exchanges codes with partners; safe to use from several threads. A member waits, so the time is short."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        """Prepare; a connection is made for each exchange."""
        self._verify = verify_with(tls)

    def exchange(self, url: str, request: bytes) -> LinkReply:
        """Return what the partner at `url` answers, or raise `TransportFailed`."""
        address = url.rstrip("/") + LINKS_PATH
        try:
            with (
                bounded(httpx.Client(timeout=_TIMEOUT, verify=self._verify), seconds=2 * ANSWER_SECONDS) as client,
                client.stream("POST", address, content=request, headers=_HEADERS) as response,
            ):
                body = read_bounded(
                    response.iter_raw(), ANSWER_BYTES_MAX, seconds_max=ANSWER_SECONDS, what="the partner's answer"
                )
                return LinkReply(status=response.status_code, body=body)
        except FAILURES as error:
            raise TransportFailed(type(error).__name__) from error
