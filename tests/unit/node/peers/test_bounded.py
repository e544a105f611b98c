"""Answers of other hosts are read no further than they may be long."""

from collections.abc import Iterator

import pytest

from node.peers.bounded import read_bounded
from node.ports import TransportFailed


def test_what_fits_is_read_whole() -> None:
    assert read_bounded([b"ab", b"", b"cd"], 4, too_long="too long") == b"abcd"
    assert read_bounded([], 0, too_long="too long") == b""


def test_nothing_is_read_beyond_the_bound() -> None:
    def endless() -> Iterator[bytes]:
        yield b"ab"
        yield b"c"
        pytest.fail("what is too long was read on")

    with pytest.raises(TransportFailed, match="too long"):
        read_bounded(endless(), 2, too_long="too long")
