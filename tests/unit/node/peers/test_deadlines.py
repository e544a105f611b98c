"""Whoever answers a byte at a time is waited for as long as any other, and no longer."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import Final

import httpx
import pytest

from node.peers import hooks, key_sets, links, log_source, logs, witnesses
from node.peers import http as parcels
from node.peers.deadlines import bounded
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

SECONDS: Final = 0.4
PATIENCE: Final = 20.0
WHOLE: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK"


def read_request(connection: socket.socket) -> None:
    """Read one request to the end of its body, which may come in apart from its head."""
    with connection.makefile("rb") as request:
        length = 0
        while (line := request.readline()).strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        request.read(length)


@contextmanager
def dripping(beginning: bytes = b"") -> Iterator[str]:
    """Answer one whole request on each connection with `beginning`, and then a head that does not end."""

    def drip(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            if beginning:
                read_request(connection)
                connection.sendall(beginning)
            read_request(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end:
                connection.sendall(b"y")
                time.sleep(SECONDS / 10)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=drip, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_request_ends_however_its_answer_trickles_in() -> None:
    with dripping(WHOLE) as url, bounded(httpx.Client(timeout=60), seconds=SECONDS) as client:
        assert client.get(url).text == "OK"
        # A connection that is used again has all its time again.
        time.sleep(SECONDS)
        begin = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            client.get(url)
        assert SECONDS / 2 < time.monotonic() - begin < PATIENCE / 2


def test_one_through_a_proxy_ends_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    with dripping() as url:
        monkeypatch.setenv("HTTP_PROXY", url)
        with (
            bounded(httpx.Client(timeout=60), seconds=SECONDS) as client,
            pytest.raises(httpx.ReadTimeout),
        ):
            client.get("http://partner.example")


@pytest.mark.parametrize(
    "ask",
    [
        lambda url: HttpTransport().exchange(url, b"parcel"),
        lambda url: HttpLogs().fetch(url, "checkpoint"),
        lambda url: HttpWitnesses().add_checkpoint(url, b"note"),
        lambda url: HttpLinks().exchange(url, b"code"),
        lambda url: HttpPapers(SECONDS / 2).send(url, b"paper"),
        lambda url: HttpKeySet(url).fetch(),
        lambda url: HttpHooks(private=True).post(url, b"event", {}),
        lambda url: HttpSource(url, pause=lambda _seconds: None).fetch("checkpoint"),
    ],
    ids=["parcels", "logs", "witnesses", "links", "papers", "key sets", "hooks", "audits"],
)
def test_nobody_who_is_asked_holds_the_node_up(ask: Callable[[str], object], monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (parcels, "_PAUSE_SECONDS"),
        (parcels, "ANSWER_SECONDS"),
        (logs, "_SECONDS"),
        (witnesses, "_SECONDS"),
        (links, "ANSWER_SECONDS"),
        (key_sets, "_SECONDS"),
        (hooks, "ANSWER_SECONDS"),
        (log_source, "ANSWER_SECONDS"),
        (log_source, "FILE_SECONDS"),
    ):
        monkeypatch.setattr(module, name, SECONDS / 2)
    begin = time.monotonic()
    with dripping() as url, pytest.raises((TransportFailed, HookFailed, CouldNotCheck)):
        ask(url)
    assert time.monotonic() - begin < PATIENCE / 2


def test_what_is_under_way_ends_at_once_when_the_node_stops() -> None:
    with dripping() as url, dripping(WHOLE) as other, closing(HttpTransport()) as transport:
        assert transport.exchange(other, b"parcel") == b"OK"
        with ThreadPoolExecutor() as pool:
            waiting = [pool.submit(transport.exchange, each, b"parcel") for each in (url, other)]
            # They have sent what they had to say, and hear the beginning of an answer.
            time.sleep(SECONDS)
            assert not any(each.done() for each in waiting)
            transport.halt()
            for each in waiting:
                with pytest.raises(TransportFailed):
                    each.result(SECONDS * 10)


def test_nothing_is_begun_once_the_node_stops() -> None:
    with dripping() as url, dripping(WHOLE) as other:
        for used in (False, True):
            with closing(HttpTransport()) as transport:
                if used:
                    transport.exchange(other, b"parcel")
                transport.halt()
                begun = time.monotonic()
                for each in (url, other):
                    with pytest.raises(TransportFailed):
                        transport.exchange(each, b"parcel")
                assert time.monotonic() - begun < SECONDS * 10
