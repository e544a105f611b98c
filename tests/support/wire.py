"""A wire between two node processes that loses, repeats, keeps back and cuts what it carries, as a test tells it."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import Final

import httpx

from node.peers.http import ENVELOPES_PATH
from scripts.alliance.process import find_free_ports
from tests.support.serving import LocalServer, QuietHandler, serving

SECONDS_MAX: Final = 60
_TYPE: Final = "content-type"


class Fate(Enum):
    """What becomes of one request."""

    PASS = auto()
    LOSE_REQUEST = auto()
    LOSE_ANSWER = auto()
    TWICE = auto()
    """It arrives twice, and the second answer comes back."""
    LATE = auto()
    """It is lost to its sender, and arrives when the test lets it."""


class Wire:
    """Carries requests to the node at `target`; what has no fate of its own passes, unless the wire is cut."""

    def __init__(self, target: str) -> None:
        self.url = ""
        self.carried = 0
        self.answers: list[bytes] = []
        self.late: list[tuple[str, dict[str, str], bytes]] = []
        self.is_cut = False
        self._fates: deque[Fate] = deque()
        self._lock = threading.Lock()
        # Connections are not kept, so that a node that comes back is found.
        self._client = httpx.Client(
            base_url=target,
            timeout=SECONDS_MAX,
            verify=False,  # noqa: S501 - there is nothing to verify
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def plan(self, *fates: Fate) -> None:
        """Let the next parcels have these fates, in their order."""
        with self._lock:
            self._fates.extend(fates)

    @property
    def planned(self) -> int:
        """Return how many fates nothing has met yet."""
        return len(self._fates)

    def release(self) -> list[bytes]:
        """Let everything that was kept back arrive now, in its order, and return the answers, which nobody hears."""
        with self._lock:
            late, self.late = self.late, []
        return [self._send(*request).content for request in late]

    def carry(self, path: str, headers: dict[str, str], body: bytes) -> httpx.Response | None:
        """Return the answer to a request, or None where it is lost."""
        with self._lock:
            fate = self._fate(path)
            if fate is Fate.LATE:
                self.late.append((path, headers, body))
        if fate in {Fate.LOSE_REQUEST, Fate.LATE}:
            return None
        try:
            answer = self._send(path, headers, body)
            if fate is Fate.TWICE:
                answer = self._send(path, headers, body)
        except httpx.TransportError:
            return None
        with self._lock:
            self.carried += 1
        # A wire that was cut meanwhile carries nothing back.
        return None if fate is Fate.LOSE_ANSWER or self.is_cut else answer

    def _fate(self, path: str) -> Fate:
        """Return what becomes of a request; what is no parcel passes, unless the wire is cut."""
        if self.is_cut:
            return Fate.LOSE_REQUEST
        return self._fates.popleft() if self._fates and path == ENVELOPES_PATH else Fate.PASS

    def _send(self, path: str, headers: dict[str, str], body: bytes) -> httpx.Response:
        answer = self._client.post(path, content=body, headers=headers)
        self.answers.append(answer.content)
        return answer


class _Server(LocalServer):
    def __init__(self, wire: Wire) -> None:
        super().__init__(_Handler, port=find_free_ports(1)[0])
        self.wire = wire


class _Handler(QuietHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        answer = self.server.wire.carry(self.path, {_TYPE: self.headers[_TYPE]}, self.read_body())
        self.close_connection = True
        if answer is not None:
            self.answer(answer.status_code, answer.content, {_TYPE: answer.headers[_TYPE]})


@contextmanager
def wire_to(target: str) -> Iterator[Wire]:
    """Lend a wire to the node at `target`, listening at its `url`."""
    wire = Wire(target)
    with serving(_Server(wire)) as server:
        wire.url = server.url
        yield wire
