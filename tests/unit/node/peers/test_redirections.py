"""Whoever is asked sends on to a host whose name is none: nobody follows, and it is an answer like every other."""

from collections.abc import Callable, Iterator
from typing import Final

import pytest

from node.peers.hooks import HttpHooks
from node.peers.http import HttpTransport
from node.peers.key_sets import HttpKeySet
from node.peers.links import HttpLinks
from node.peers.log_source import HttpSource
from node.peers.logs import HttpLogs
from node.peers.papers import HttpPapers
from node.peers.witnesses import HttpWitnesses
from node.ports import HookFailed, TransportFailed
from protocol.errors import CouldNotCheck
from tests.support.serving import LocalServer, QuietHandler, serving

NO_NAME: Final = "https://xn--0/"
"""Its first label says that it is IDNA's, and is not."""


class Handler(QuietHandler):
    def do_GET(self) -> None:
        self.answer(302, headers={"location": NO_NAME})

    def do_POST(self) -> None:
        self.read_body()
        self.do_GET()


@pytest.fixture
def url() -> Iterator[str]:
    with serving(LocalServer(Handler)) as server:
        yield server.url


ASKED: Final[dict[str, tuple[type[Exception], Callable[[str], object]]]] = {
    "parcel": (TransportFailed, lambda url: HttpTransport().exchange(url, b"{}")),
    "paper": (TransportFailed, lambda url: HttpPapers(5.0).send(url, b"{}")),
    "link": (TransportFailed, lambda url: HttpLinks().exchange(url, b"{}")),
    "log": (TransportFailed, lambda url: HttpLogs().fetch(url, "checkpoint")),
    "witness": (TransportFailed, lambda url: HttpWitnesses().add_checkpoint(url, b"")),
    "key set": (TransportFailed, lambda url: HttpKeySet(url).fetch()),
    "audit": (CouldNotCheck, lambda url: HttpSource(url, pause=lambda _: None).fetch("checkpoint")),
    "webhook": (HookFailed, lambda url: HttpHooks(private=True).post(url, b"{}", {})),
}


@pytest.mark.parametrize("what", ASKED)
def test_who_sends_on_to_no_name_of_a_host_has_not_answered(what: str, url: str) -> None:
    failed, ask = ASKED[what]
    with pytest.raises(failed):
        ask(url)


@pytest.mark.parametrize("what", ASKED)
def test_at_no_name_of_a_host_nobody_is_reached(what: str) -> None:
    failed, ask = ASKED[what]
    with pytest.raises(failed):
        ask(NO_NAME)
