"""Lean callers of a node: one connection each, requests written by hand, so that little of the time is theirs."""

import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Final, Self
from urllib.parse import urlsplit

import msgspec

from scripts.alliance.process import AllianceFailed
from scripts.benchmark.figures import Round
from scripts.benchmark.lean import answer_in

_TIMEOUT_SECONDS: Final = 120.0
_RECEIVED_MAX: Final = 1 << 20


class _Result(msgspec.Struct, frozen=True):
    status: int


class _Results(msgspec.Struct, frozen=True):
    results: tuple[_Result, ...]


_ENCODER: Final = msgspec.json.Encoder()
_RESULTS: Final = msgspec.json.Decoder(_Results)


class Caller:
    """One connection to a node, with a credential. An answer must say how long it is."""

    def __init__(self, url: str, token: str) -> None:
        """Connect at the first request."""
        parts = urlsplit(url)
        self._place = (parts.hostname or "", parts.port or 80)
        self._headers = (
            f" HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        )
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        """Return the caller itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()

    def post(self, path: str, body: object) -> bytes:
        """Return the answer to POST, or raise `AllianceFailed`: a benchmark's requests are all granted."""
        return self._asked("POST", path, _ENCODER.encode(body))

    def post_each(self, path: str, items: Sequence[object]) -> None:
        """POST items in one commit, each by itself, or raise `AllianceFailed` unless every one of them is granted."""
        found = _RESULTS.decode(self.post(path, {"atomic": False, "items": items}))
        if any(each.status != HTTPStatus.CREATED for each in found.results):
            raise AllianceFailed(f"an item of POST {path} was refused")

    def get(self, path: str) -> bytes:
        """Return the answer to GET, or raise `AllianceFailed`."""
        return self._asked("GET", path, b"")

    def _asked(self, method: str, path: str, body: bytes) -> bytes:
        if self._socket is None:
            self._socket = socket.create_connection(self._place, timeout=_TIMEOUT_SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(f"{method} {path}{self._headers}{len(body)}\r\n\r\n".encode() + body)
        received = bytearray()
        while (answer := answer_in(received)) is None:
            some = self._socket.recv(_RECEIVED_MAX)
            if not some:
                raise AllianceFailed(f"the node closed the connection instead of answering {method} {path}")
            received += some
        status, data = answer
        if status >= HTTPStatus.BAD_REQUEST:
            raise AllianceFailed(f"{method} {path} was refused ({status}): {data[:300]!r}")
        return data


def at_once(callers: Sequence[Caller], call: Callable[[Caller, int], None], *, each: int, units: int = 1) -> Round:
    """Let every caller make `each` calls, all of them at the same time; `call` is given its number."""

    def work(place: int) -> list[float]:
        taken = []
        for number in range(each):
            before = time.perf_counter()
            call(callers[place], place * each + number)
            taken.append(time.perf_counter() - before)
        return taken

    begun = time.perf_counter()
    calls = _all(callers, work)
    return Round(units=units * len(calls), seconds=time.perf_counter() - begun, calls=calls)


def at_a_pace(
    callers: Sequence[Caller], call: Callable[[Caller, int], None], *, count: int, per_second: float, units: int = 1
) -> Round:
    """Make `count` calls, each due at its own time whatever the ones before take; its latency counts from then."""
    begun = time.perf_counter()

    def work(place: int) -> list[float]:
        taken = []
        for number in range(place, count, len(callers)):
            due = begun + number / per_second
            time.sleep(max(0.0, due - time.perf_counter()))
            call(callers[place], number)
            taken.append(time.perf_counter() - due)
        return taken

    calls = _all(callers, work)
    return Round(units=units * count, seconds=time.perf_counter() - begun, calls=calls)


def _all(callers: Sequence[Caller], work: Callable[[int], list[float]]) -> tuple[float, ...]:
    with ThreadPoolExecutor(len(callers)) as pool:
        return tuple(seconds for taken in pool.map(work, range(len(callers))) for seconds in taken)
