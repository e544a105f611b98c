"""Connections over TLS that come no further than the handshake: none of them keeps others out, or the node up."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
import pytest
from starlette.responses import PlainTextResponse

from node.app import tls_door
from node.app.access import server_tls
from node.app.listening import LOOPBACK, Listener
from node.app.tls import make_certificate
from node.config import make_config

BASE: Final[dict[str, object]] = {"ledger": "aurora.example/main.1", "points": "AUR", "points_name": "Aurora Miles"}
TLS: Final[dict[str, object]] = {"tls_certificate": "tls.pem", "tls_key": "tls.key"}
SECONDS_MAX: Final = 20
BOUND: Final = 8


@contextmanager
def listening(directory: Path, *, port: int = 0) -> Iterator[Listener]:
    config = make_config({**BASE, **TLS, "port": port})
    listener = Listener(config, PlainTextResponse("here"), tls=server_tls(directory, config))
    ready = threading.Event()
    thread = threading.Thread(target=listener.run, args=(lambda _url: ready.set(),))
    thread.start()
    try:
        assert ready.wait(SECONDS_MAX)
        yield listener
    finally:
        listener.stop()
        thread.join(SECONDS_MAX)
        assert not thread.is_alive()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = make_certificate(tmp_path, authority=tmp_path / "ca", names=[LOOPBACK], now=datetime.now(UTC))
    return made.certificate.parent


@pytest.fixture
def client(directory: Path) -> Iterator[httpx.Client]:
    trusted = ssl.create_default_context(cafile=str(directory / "ca" / "ca.pem"))
    with httpx.Client(verify=trusted, timeout=SECONDS_MAX) as made:
        yield made


def silent(listener: Listener) -> socket.socket:
    return socket.create_connection((LOOPBACK, listener.port), SECONDS_MAX)


def test_many_that_say_nothing_keep_nobody_out(
    directory: Path, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_door, "connections_max", lambda: BOUND)
    with listening(directory) as listener, ExitStack() as stack:
        asked = [stack.enter_context(silent(listener)) for _ in range(3 * BOUND)]
        assert client.get(listener.url).text == "here"
        for early in asked[: 2 * BOUND]:
            with suppress(ConnectionResetError):
                assert early.recv(1) == b""
        late = asked[-1]
        late.settimeout(0.1)
        with pytest.raises(TimeoutError):
            late.recv(1)


def test_a_handshake_has_its_time(directory: Path, client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_door, "HANDSHAKE_SECONDS_MAX", 0.2)
    with listening(directory) as listener, silent(listener) as waiting:
        assert waiting.recv(1) == b""
        assert client.get(listener.url).text == "here"


def test_what_is_no_handshake_ends_its_connection_alone(directory: Path, client: httpx.Client) -> None:
    with listening(directory) as listener, silent(listener) as speaking, silent(listener) as leaving:
        leaving.close()
        speaking.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        with suppress(ConnectionResetError):
            while speaking.recv(100):
                pass
        assert client.get(listener.url).text == "here"


def test_handshakes_under_way_keep_no_node_from_its_end(directory: Path) -> None:
    with ExitStack() as stack:
        with listening(directory) as listener:
            for _ in range(BOUND):
                stack.enter_context(silent(listener))
            time.sleep(0.1)
            began = time.monotonic()
        assert time.monotonic() - began < tls_door.HANDSHAKE_SECONDS_MAX / 2
        with listening(directory, port=listener.port):
            pass


def test_a_caller_who_says_no_goodbye_keeps_no_node_from_its_end(directory: Path, client: httpx.Client) -> None:
    with listening(directory) as listener:
        assert client.get(listener.url).text == "here"
        began = time.monotonic()
    assert time.monotonic() - began < make_config(BASE).stop_within_seconds / 2
