"""Whoever is asked sets cookies: they go neither to the next one on the same host nor back to who set them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Final

import pytest

from node.peers.hooks import HttpHooks
from node.peers.http import HttpTransport
from node.peers.log_source import HttpSource
from node.peers.logs import HttpLogs
from node.peers.witnesses import HttpWitnesses
from tests.support.serving import LocalServer, QuietHandler, serving


class Partner(LocalServer):
    """Sets a cookie with each answer and keeps those that came."""

    def __init__(self) -> None:
        super().__init__(Handler)
        self.cookies: list[str | None] = []


class Handler(QuietHandler):
    server: Partner

    def do_GET(self) -> None:
        self.server.cookies.append(self.headers["cookie"])
        self.answer(200, headers={"set-cookie": f"long={'x' * 4_000}; Path=/"})

    def do_POST(self) -> None:
        self.read_body()
        self.do_GET()


@pytest.fixture
def partners() -> Iterator[list[Partner]]:
    with ExitStack() as stack:
        yield [stack.enter_context(serving(Partner())) for _ in range(2)]


def parcels(urls: list[str]) -> None:
    with closing(HttpTransport()) as transport:
        for url in urls:
            transport.exchange(url, b"{}")


def logs(urls: list[str]) -> None:
    with closing(HttpLogs()) as read:
        for url in urls:
            read.fetch(url, "checkpoint")


def witnesses(urls: list[str]) -> None:
    with closing(HttpWitnesses()) as asked:
        for url in urls:
            asked.add_checkpoint(url, b"")


def webhooks(urls: list[str]) -> None:
    with closing(HttpHooks(private=True)) as hooks:
        for url in urls:
            hooks.post(url, b"{}", {})


def audit(urls: list[str]) -> None:
    for url in urls:
        with HttpSource(url) as source:
            source.fetch("checkpoint")
            source.fetch("checkpoint")


ASKED: Final[dict[str, Callable[[list[str]], None]]] = {
    "parcel": parcels,
    "log": logs,
    "witness": witnesses,
    "webhook": webhooks,
    "audit": audit,
}


@pytest.mark.parametrize("what", ASKED)
def test_a_cookie_goes_to_nobody(what: str, partners: list[Partner]) -> None:
    ASKED[what]([partners[0].url, partners[0].url, partners[1].url])
    for partner in partners:
        assert partner.cookies
        assert set(partner.cookies) == {None}
