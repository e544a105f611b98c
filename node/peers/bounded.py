"""Answers that are read no further than they may be long, and no longer than they may take."""

import time
from collections.abc import Iterable

from node.ports import TransportFailed


def read_bounded(chunks: Iterable[bytes], bytes_max: int, *, seconds_max: float, what: str) -> bytes:
    """Return all of `chunks`, or raise `TransportFailed` about `what` once they are too many or come in too slowly.

    A silence is for the connection to bound: here it is how long an answer may trickle in altogether.
    """
    data = bytearray()
    end = time.monotonic() + seconds_max
    for chunk in chunks:
        data += chunk
        if len(data) > bytes_max:
            raise TransportFailed(f"{what} is too large: more than {bytes_max} bytes")
        if time.monotonic() > end:
            raise TransportFailed(f"{what} takes too long: more than {seconds_max:g} seconds")
    return bytes(data)


def read_beginning(chunks: Iterable[bytes], bytes_max: int, *, seconds_max: float) -> bytes:
    """Return what `chunks` begin with, at most `bytes_max` of it: what has come in when the time is over."""
    data = bytearray()
    end = time.monotonic() + seconds_max
    for chunk in chunks:
        data += chunk
        if len(data) >= bytes_max or time.monotonic() > end:
            break
    return bytes(data[:bytes_max])
