"""Parcels over HTTP: one POST carries ours and brings back the partner's."""

import ssl
from typing import Final

import httpx

from node.peers.bounded import read_bounded
from node.peers.connections import FAILURES, Connections
from node.ports import TransportFailed
from protocol.limits import PARCEL_BYTES_MAX

PARCEL_MEDIA_TYPE: Final = "application/vnd.tallystick.parcel.v1+json"
ENVELOPES_PATH: Final = "/peer/v1/envelopes"
_CONNECT_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 30.0
"""The longest silence of a partner that is connected."""
ANSWER_SECONDS: Final = 90.0
"""The longest time over one answer, however steadily it trickles in."""
# A body that is unpacked on the way in could be any number of times as large as what was sent.
_HEADERS: Final = {"content-type": PARCEL_MEDIA_TYPE, "accept-encoding": "identity"}


class HttpTransport:
    """Exchanges parcels with partners; safe to use from several threads."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        """Open a pool of connections, made at first use."""
        timeout = httpx.Timeout(_PAUSE_SECONDS, connect=_CONNECT_SECONDS)
        self._connections = Connections(timeout, _HEADERS, seconds_max=_PAUSE_SECONDS + ANSWER_SECONDS, tls=tls)

    def exchange(self, url: str, parcel: bytes) -> bytes:
        """Send `parcel` to the partner at `url` and return the parcel it answers, or raise `TransportFailed`."""
        address = url.rstrip("/") + ENVELOPES_PATH
        try:
            with self._connections.client.stream("POST", address, content=parcel) as response:
                answer = read_bounded(
                    response.iter_raw(), PARCEL_BYTES_MAX, seconds_max=ANSWER_SECONDS, what="the partner's answer"
                )
        except FAILURES as error:
            raise TransportFailed(f"{type(error).__name__}: {error}") from error
        if response.status_code != httpx.codes.OK:
            raise TransportFailed(f"the partner answered {response.status_code}: {answer[:200]!r}")
        return answer

    def halt(self) -> None:
        """Give up the exchanges that are under way: what a partner has not answered is said to it again."""
        self._connections.halt()

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()
