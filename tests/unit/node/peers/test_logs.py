"""Checkpoints and tiles over HTTP: what a partner publishes, and every way in which it cannot be read."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from node.peers.logs import FILE_BYTES_MAX, HttpLogs
from node.ports import TransportFailed
from protocol.limits import NOTE_BYTES_MAX
from tests.support.serving import LocalServer, QuietHandler, serving


class Partner(LocalServer):
    """Answers every request with what a test has set."""

    def __init__(self) -> None:
        super().__init__(Handler)
        self.status = 200
        self.answer = b"tile"
        self.paths: list[str] = []
        self.credentials: list[str | None] = []


class Handler(QuietHandler):
    server: Partner

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.server.credentials.append(self.headers["authorization"])
        self.answer(self.server.status, self.server.answer)


@pytest.fixture
def partner() -> Iterator[Partner]:
    with serving(Partner()) as server:
        yield server


@pytest.fixture
def logs() -> Iterator[HttpLogs]:
    with closing(HttpLogs()) as lent:
        yield lent


def test_a_file_is_read_or_is_not_there(partner: Partner, logs: HttpLogs) -> None:
    assert logs.fetch(partner.url, "tile/0/000.p/7") == b"tile"
    partner.status = 404
    assert logs.fetch(f"{partner.url}/", "tile/0/000") is None
    assert partner.paths == ["/tile/0/000.p/7", "/tile/0/000"]


def test_a_credential_goes_along_where_one_is_given(partner: Partner, logs: HttpLogs) -> None:
    logs.fetch(partner.url, "checkpoint", credential="Tallystick abc")
    logs.fetch(partner.url, "checkpoint")
    assert partner.credentials == ["Tallystick abc", None]


@pytest.mark.parametrize("status", [302, 401, 403, 500, 503])
def test_another_answer_tells_nothing(partner: Partner, logs: HttpLogs, status: int) -> None:
    partner.status = status
    with pytest.raises(TransportFailed, match=str(status)):
        logs.fetch(partner.url, "tile/0/000")


@pytest.mark.parametrize(("path", "bytes_max"), [("tile/0/000", FILE_BYTES_MAX), ("checkpoint", NOTE_BYTES_MAX)])
def test_what_is_no_file_of_a_log_is_not_read_to_its_end(
    partner: Partner, logs: HttpLogs, path: str, bytes_max: int
) -> None:
    partner.answer = bytes(bytes_max)
    assert logs.fetch(partner.url, path) == bytes(bytes_max)
    partner.answer = bytes(bytes_max + 1)
    with pytest.raises(TransportFailed, match="too large"):
        logs.fetch(partner.url, path)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "no url", "ftp://127.0.0.1"])
def test_nobody_answers(logs: HttpLogs, url: str) -> None:
    with pytest.raises(TransportFailed):
        logs.fetch(url, "tile/0/000")
