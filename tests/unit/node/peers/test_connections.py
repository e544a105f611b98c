"""Connections to many partners at once: each is used again, and none is taken from the thread that has it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Final

import pytest

from node.peers.http import HttpTransport
from tests.support.serving import LocalServer, QuietHandler, serving

PARTNERS: Final = 30
"""More than the connections that a pool of httpx keeps unless it is told otherwise."""

ROUNDS: Final = 8
THREADS: Final = 16


class Partner(LocalServer):
    """Answers each parcel with itself and counts the connections that were made to it."""

    def __init__(self) -> None:
        super().__init__(Handler)
        self.connections = 0


class Handler(QuietHandler):
    server: Partner
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        self.answer(200, self.read_body())


@pytest.fixture
def partners() -> Iterator[list[Partner]]:
    with ExitStack() as stack:
        yield [stack.enter_context(serving(Partner())) for _ in range(PARTNERS)]


def test_each_of_many_partners_keeps_its_one_connection(partners: list[Partner]) -> None:
    with closing(HttpTransport()) as transport, ThreadPoolExecutor(THREADS) as pool:
        for number in range(ROUNDS):
            parcel = str(number).encode()
            # A partner is sent one parcel at a time; many partners are sent theirs at once.
            sent = [pool.submit(transport.exchange, partner.url, parcel) for partner in partners]
            assert [each.result() for each in sent] == [parcel] * PARTNERS
    assert [partner.connections for partner in partners] == [1] * PARTNERS
