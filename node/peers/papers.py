"""Signed documents over HTTP: one POST each, taken when the partner says so."""

import ssl
from typing import Final

import httpx

from node.peers.bounded import read_beginning
from node.peers.connections import FAILURES, verify_with
from node.peers.deadlines import bounded
from node.ports import TransportFailed

_SHOWN_BYTES_MAX: Final = 200
"""Of an answer that is a refusal: no more of it is read."""


class HttpPapers:
    """Sends documents to partners; safe to use from several threads."""

    def __init__(self, timeout_seconds: float, tls: ssl.SSLContext | None = None) -> None:
        """Prepare; a connection is made for each document, since they are rare."""
        self._verify = verify_with(tls)
        self._timeout_seconds = timeout_seconds

    def send(self, url: str, document: bytes) -> None:
        """Return once whoever listens at `url` has taken `document`, or raise `TransportFailed`."""
        headers = {"content-type": "application/json", "accept-encoding": "identity"}
        try:
            client = httpx.Client(timeout=self._timeout_seconds, verify=self._verify)
            with (
                bounded(client, seconds=2 * self._timeout_seconds),
                client.stream("POST", url, content=document, headers=headers) as response,
            ):
                if response.is_success:
                    return
                said = read_beginning(response.iter_raw(), _SHOWN_BYTES_MAX, seconds_max=self._timeout_seconds)
                text = said.decode(errors="replace")
                raise TransportFailed(f"the partner answered {response.status_code}: {text}")
        except FAILURES as error:
            raise TransportFailed(type(error).__name__) from error
