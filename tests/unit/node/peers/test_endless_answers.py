"""Partners whose answer to a document or a consent never ends: what they say is read no further than it may be long."""

from collections.abc import Iterator
from contextlib import suppress

import pytest

from node.peers.links import HttpLinks
from node.peers.papers import HttpPapers
from node.ports import LinkReply, TransportFailed
from tests.support.serving import LocalServer, QuietHandler, serving


class Partner(LocalServer):
    """Answers every request with `status` and `answer`, again and again if it is `endless`."""

    def __init__(self) -> None:
        super().__init__(Handler)
        self.status = 200
        self.answer = b"{}"
        self.endless = False


class Handler(QuietHandler):
    server: Partner

    def do_POST(self) -> None:
        self.read_body()
        if not self.server.endless:
            self.answer(self.server.status, self.server.answer)
            return
        self.send_response(self.server.status)
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(self.server.answer)


@pytest.fixture
def partner() -> Iterator[Partner]:
    with serving(Partner()) as server:
        yield server


def test_an_answer_to_a_consent_is_taken_as_it_is(partner: Partner) -> None:
    partner.status = 409
    assert HttpLinks().exchange(partner.url, b"{}") == LinkReply(status=409, body=b"{}")


def test_an_endless_answer_to_a_consent_is_too_large(partner: Partner) -> None:
    partner.endless, partner.answer = True, b"x" * 1_000
    with pytest.raises(TransportFailed, match="too large"):
        HttpLinks().exchange(partner.url, b"{}")


def test_of_an_endless_refusal_of_a_document_the_beginning_is_told(partner: Partner) -> None:
    partner.status, partner.endless, partner.answer = 400, True, b"no" * 100
    with pytest.raises(TransportFailed, match=r"answered 400: (no){100}$"):
        HttpPapers(5.0).send(partner.url, b"{}")


def test_a_document_is_taken_whatever_is_said_with_it(partner: Partner) -> None:
    partner.endless, partner.answer = True, b"\xff" * 1_000
    HttpPapers(5.0).send(partner.url, b"{}")


def test_a_refusal_that_is_no_text_is_told_all_the_same(partner: Partner) -> None:
    partner.status, partner.answer = 500, b"\xff"
    with pytest.raises(TransportFailed, match="answered 500: \N{REPLACEMENT CHARACTER}"):
        HttpPapers(5.0).send(partner.url, b"{}")
