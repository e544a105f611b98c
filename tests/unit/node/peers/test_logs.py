"""Tiles over HTTP: what a partner publishes, and every way in which it cannot be read."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from node.peers.logs import FILE_BYTES_MAX, HttpLogs
from node.ports import TransportFailed


class Partner(ThreadingHTTPServer):
    """Answers every request with what a test has set."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.answer = b"tile"
        self.paths: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    server: Partner

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.send_response(self.server.status)
        self.send_header("content-length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def partner() -> Iterator[Partner]:
    with Partner() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_file_is_read_or_is_not_there(partner: Partner) -> None:
    assert HttpLogs().fetch(partner.url, "tile/0/000.p/7") == b"tile"
    partner.status = 404
    assert HttpLogs().fetch(partner.url, "tile/0/000") is None
    assert partner.paths == ["/tile/0/000.p/7", "/tile/0/000"]


@pytest.mark.parametrize("status", [302, 401, 403, 500, 503])
def test_another_answer_tells_nothing(partner: Partner, status: int) -> None:
    partner.status = status
    with pytest.raises(TransportFailed, match=str(status)):
        HttpLogs().fetch(partner.url, "tile/0/000")


def test_what_is_no_tile_is_not_read_to_its_end(partner: Partner) -> None:
    partner.answer = bytes(FILE_BYTES_MAX)
    assert HttpLogs().fetch(partner.url, "tile/0/000") == bytes(FILE_BYTES_MAX)
    partner.answer = bytes(FILE_BYTES_MAX + 1)
    with pytest.raises(TransportFailed, match="longer"):
        HttpLogs().fetch(partner.url, "tile/0/000")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "no url", "ftp://127.0.0.1"])
def test_nobody_answers(url: str) -> None:
    with pytest.raises(TransportFailed):
        HttpLogs().fetch(url, "tile/0/000")
