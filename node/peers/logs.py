"""What partners publish of their logs, over HTTP: tiles, one GET each (C2SP tlog-tiles)."""

from typing import Final

import httpx

from node.ports import TransportFailed
from protocol.limits import TILE_WIDTH
from protocol.merkle import HASH_BYTES

FILE_BYTES_MAX: Final = TILE_WIDTH * HASH_BYTES
"""No tile is larger."""

_SECONDS: Final = 5.0
"""The longest silence: whoever waits here holds up what is due with other partners."""


class HttpLogs:
    """Reads partners' logs; safe to use from several threads."""

    def fetch(self, url: str, path: str) -> bytes | None:
        """Return the file at `path` of the log of the node at `url`, or None where it has none.

        Raises `TransportFailed` where that cannot be known.
        """
        address = f"{url.rstrip('/')}/{path}"
        try:
            with httpx.stream("GET", address, timeout=_SECONDS, follow_redirects=False) as response:
                if response.status_code == httpx.codes.NOT_FOUND:
                    return None
                if response.status_code != httpx.codes.OK:
                    raise TransportFailed(f"{address} answered {response.status_code}")
                return _read(response, address)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TransportFailed(f"{address}: {type(error).__name__}") from error


def _read(response: httpx.Response, address: str) -> bytes:
    data = bytearray()
    for chunk in response.iter_bytes():
        data += chunk
        if len(data) > FILE_BYTES_MAX:
            raise TransportFailed(f"{address} is longer than {FILE_BYTES_MAX} bytes")
    return bytes(data)
