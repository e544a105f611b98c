"""What partners publish of their logs, over HTTP: checkpoints and tiles, one GET each (C2SP tlog-tiles)."""

import ssl
from typing import Final

import httpx

from node.peers.bounded import read_bounded
from node.peers.connections import FAILURES, Connections
from node.ports import TransportFailed
from protocol.limits import NOTE_BYTES_MAX, TILE_WIDTH
from protocol.merkle import HASH_BYTES

FILE_BYTES_MAX: Final = TILE_WIDTH * HASH_BYTES
"""No tile is larger."""

_SECONDS: Final = 5.0
"""The longest silence, and the longest time over one file: whoever waits here holds up what is due with others."""

_CHECKPOINT: Final = "checkpoint"


class HttpLogs:
    """Reads partners' logs; safe to use from several threads."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        """Prepare; connections are made at first use and kept for a while."""
        headers = {"accept-encoding": "identity"}
        self._connections = Connections(httpx.Timeout(_SECONDS), headers, seconds_max=2 * _SECONDS, tls=tls)

    def fetch(self, url: str, path: str, *, credential: str | None = None) -> bytes | None:
        """Return the file at `path` of the log of the node at `url`, or None where it has none.

        `credential` goes along as the `Authorization` of a log that is closed. Raises `TransportFailed` where that
        cannot be known.
        """
        address = f"{url.rstrip('/')}/{path}"
        headers = {} if credential is None else {"authorization": credential}
        bytes_max = NOTE_BYTES_MAX if path.endswith(_CHECKPOINT) else FILE_BYTES_MAX
        try:
            with self._connections.client.stream("GET", address, headers=headers) as response:
                if response.status_code == httpx.codes.NOT_FOUND:
                    return None
                if response.status_code != httpx.codes.OK:
                    raise TransportFailed(f"{address} answered {response.status_code}")
                return read_bounded(response.iter_raw(), bytes_max, seconds_max=_SECONDS, what=address)
        except FAILURES as error:
            raise TransportFailed(f"{address}: {type(error).__name__}") from error

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()
