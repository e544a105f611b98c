"""Answers that are read no further than they may be long."""

from collections.abc import Iterable

from node.ports import TransportFailed


def read_bounded(chunks: Iterable[bytes], bytes_max: int, *, too_long: str) -> bytes:
    """Return all of `chunks`, or raise `TransportFailed`, saying `too_long`, once they are more than `bytes_max`."""
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > bytes_max:
            raise TransportFailed(too_long)
    return bytes(data)
