"""Connections to many partners at once: each is used again, and none is taken from the thread that has it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

import pytest

from node.peers.http import HttpTransport

PARTNERS: Final = 30
"""More than the connections that a pool of httpx keeps unless it is told otherwise."""

ROUNDS: Final = 8
THREADS: Final = 16


class Partner(ThreadingHTTPServer):
    """Answers each parcel with itself and counts the connections that were made to it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Partner
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        parcel = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(parcel)))
        self.end_headers()
        self.wfile.write(parcel)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served() -> Iterator[Partner]:
    with Partner() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def partners() -> Iterator[list[Partner]]:
    with ExitStack() as stack:
        yield [stack.enter_context(served()) for _ in range(PARTNERS)]


def test_each_of_many_partners_keeps_its_one_connection(partners: list[Partner]) -> None:
    with closing(HttpTransport()) as transport, ThreadPoolExecutor(THREADS) as pool:
        for number in range(ROUNDS):
            parcel = str(number).encode()
            # A partner is sent one parcel at a time; many partners are sent theirs at once.
            sent = [pool.submit(transport.exchange, partner.url, parcel) for partner in partners]
            assert [each.result() for each in sent] == [parcel] * PARTNERS
    assert [partner.connections for partner in partners] == [1] * PARTNERS
