"""Parcels over HTTP: what goes out, what comes back, and every way in which it fails."""

import gzip
from collections.abc import Iterator
from contextlib import closing

import pytest

from node.peers import http
from node.peers.http import HttpTransport
from node.ports import TransportFailed
from protocol.limits import PARCEL_BYTES_MAX
from tests.support.serving import LocalServer, QuietHandler, serving


class Partner(LocalServer):
    """Answers every request with what a test has set."""

    def __init__(self) -> None:
        super().__init__(Handler)
        self.status = 200
        self.answer = b"answer"
        self.headers: dict[str, str] = {}
        self.requests: list[tuple[str, dict[str, str], bytes]] = []


class Handler(QuietHandler):
    server: Partner

    def do_POST(self) -> None:
        self.server.requests.append((self.path, dict(self.headers), self.read_body()))
        self.answer(self.server.status, self.server.answer, self.server.headers)


@pytest.fixture
def partner() -> Iterator[Partner]:
    with serving(Partner()) as server:
        yield server


@pytest.fixture
def transport() -> Iterator[HttpTransport]:
    with closing(HttpTransport()) as made:
        yield made


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_parcel_goes_out_and_the_answer_comes_back(partner: Partner, transport: HttpTransport, ending: str) -> None:
    assert transport.exchange(partner.url + ending, b"parcel") == b"answer"
    ((path, headers, body),) = partner.requests
    assert (path, body) == ("/peer/v1/envelopes", b"parcel")
    assert headers["content-type"] == "application/vnd.tallystick.parcel.v1+json"


@pytest.mark.parametrize("status", [201, 301, 400, 403, 413, 500, 503])
def test_any_other_status_is_a_failure_that_tells_the_answer(
    partner: Partner, transport: HttpTransport, status: int
) -> None:
    partner.status = status
    partner.headers = {"location": "http://127.0.0.1:1/"}
    with pytest.raises(TransportFailed, match=rf"{status}.*answer"):
        transport.exchange(partner.url, b"parcel")


def test_an_answer_that_is_too_large_is_not_read_to_its_end(partner: Partner, transport: HttpTransport) -> None:
    partner.answer = bytes(PARCEL_BYTES_MAX + 1)
    with pytest.raises(TransportFailed, match="too large"):
        transport.exchange(partner.url, b"parcel")


def test_a_packed_answer_is_not_unpacked(partner: Partner, transport: HttpTransport) -> None:
    packed = gzip.compress(bytes(10 * PARCEL_BYTES_MAX))
    partner.answer, partner.headers = packed, {"content-encoding": "gzip"}
    assert transport.exchange(partner.url, b"parcel") == packed


def test_an_answer_that_trickles_in_too_long_is_given_up(
    partner: Partner, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "ANSWER_SECONDS", -1.0)
    with pytest.raises(TransportFailed, match="too long"):
        transport.exchange(partner.url, b"parcel")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://nobody.invalid", "https://127.0.0.1:1", "gopher://x", "http://["]
)
def test_a_partner_that_cannot_be_reached_is_a_failure(transport: HttpTransport, url: str) -> None:
    with pytest.raises(TransportFailed):
        transport.exchange(url, b"parcel")
