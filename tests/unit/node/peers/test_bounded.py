"""Answers of other hosts are read no further than they may be long, and no longer than they may take."""

from collections.abc import Iterator

import pytest

from node.peers.bounded import read_beginning, read_bounded
from node.ports import TransportFailed

SECONDS = 600.0
"""Longer than any test takes."""

AT_ONCE = -1.0
"""Over before the first bytes come."""


def chunks(*given: bytes) -> Iterator[bytes]:
    """Yield `given`, and fail the test where more is asked for."""
    yield from given
    pytest.fail("it was read on")


def test_what_fits_is_read_whole() -> None:
    assert read_bounded([b"ab", b"", b"cd"], 4, seconds_max=SECONDS, what="it") == b"abcd"
    assert read_bounded([], 0, seconds_max=SECONDS, what="it") == b""


def test_nothing_is_read_beyond_the_bound() -> None:
    with pytest.raises(TransportFailed, match="it is too large: more than 2 bytes"):
        read_bounded(chunks(b"ab", b"c"), 2, seconds_max=SECONDS, what="it")


def test_what_trickles_in_is_not_waited_for_longer_than_the_bound() -> None:
    with pytest.raises(TransportFailed, match="it takes too long: more than -1 seconds"):
        read_bounded(chunks(b"a"), 2, seconds_max=AT_ONCE, what="it")


def test_of_a_beginning_no_more_is_read_than_is_shown() -> None:
    assert read_beginning(chunks(b"ab", b"cd"), 3, seconds_max=SECONDS) == b"abc"
    assert read_beginning([b"ab"], 3, seconds_max=SECONDS) == b"ab"


def test_a_beginning_that_trickles_in_is_what_there_is_when_the_time_is_over() -> None:
    assert read_beginning(chunks(b"a"), 3, seconds_max=AT_ONCE) == b"a"
