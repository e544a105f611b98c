"""What callers may keep a node waiting with: slow requests, heads without end, answers left lying, and connections.

What has come of bodies that are not whole yet is bounded over all of them, for nobody need say who he is to send one.
Where it becomes too much, the one that has been coming for longest is given up: whoever sends steadily is hardly ever
that one, while a bound that refused the next would let a few who send nothing any more keep everybody out.

uvicorn waits for ever for the rest of a request, keeps whatever comes of its head, and makes something of each request
that is sent ahead, however many there are. All connections together are looked at once a second, so that a request
costs no timer; what is sent ahead is read piece by piece, and no further while requests wait for their turn.
"""

import asyncio
import resource
from collections.abc import Collection, Sequence
from typing import Final, cast

import structlog
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from node.api.problems import problem
from node.app.http_offers import OneProtocol
from node.services.refusals import NodeCode

REQUEST_SECONDS_MAX: Final = 30
"""How long a request may take to arrive, beside what its body adds; and how long nothing of an answer may be taken."""

BODY_BYTES_PER_SECOND: Final = 32_768
"""How much of a body adds another second."""

CROWDED_SECONDS_MAX: Final = 5
"""How long it may be instead while more than three quarters of the connections are taken."""

HEAD_BYTES_MAX: Final = 65_536
"""How long a head may be, or what follows a body in chunks, beside the piece of it that is read at once."""

PIECE_BYTES: Final = 4_096
"""How much is read at once of what a caller sends: so many bytes hold some two hundred requests at most."""

ARRIVING_BYTES_MAX: Final = 134_217_728
"""How much may have come of all bodies together that are not whole yet: two of the longest, or 32 full parcels."""

CONNECTIONS_MAX: Final = 16_384
FILES_KEPT: Final = 256
"""How many of the files that the process may open are no callers', but the store's, partners' and helpers'."""

_files_each = 1
"""How many files a caller takes: its connection, and another where what it asks is passed on."""

_LOG: Final = structlog.get_logger()

Headers = Sequence[tuple[bytes, bytes]]


class _Flow(FlowControl):
    """What comes is taken from the connection, unless some of it is not read yet."""

    is_held = False

    def resume_reading(self) -> None:
        """Take more, if that is allowed."""
        if not self.is_held:
            super().resume_reading()


class _Arriving:
    """How much has come of each body that is not whole yet, in the order in which they began; of one process."""

    def __init__(self) -> None:
        self._bytes: dict[BoundedProtocol, int] = {}
        self.total = 0

    def add(self, connection: "BoundedProtocol", size: int) -> None:
        """Count a piece of a connection's body."""
        self._bytes[connection] = self._bytes.get(connection, 0) + size
        self.total += size

    def forget(self, connection: "BoundedProtocol") -> None:
        """Count a connection's body no more: it is whole, or given up."""
        self.total -= self._bytes.pop(connection, 0)

    def relieve(self) -> None:
        """Give up the longest-lasting, until no more has come than may."""
        while self.total > ARRIVING_BYTES_MAX:
            oldest = next(iter(self._bytes))
            self.forget(oldest)
            oldest.give_up()


_ARRIVING: Final = _Arriving()


class BoundedProtocol(OneProtocol):
    """One connection, of which no more is borne than may be."""

    _message: object = None
    """The request that the caller was to go on with when it was last looked at."""

    _unsent = 0
    """How much of its answer the caller had left to take then."""

    _waited = 0
    """How often it has been looked at since and had done nothing but send parts of that request's body."""

    _body_bytes = 0
    """How much of that body has come since."""

    _head_bytes = 0
    """How much has come since the last request or piece of a body was whole."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, or say that there are too many connections."""
        super().connection_made(transport)
        self.flow: _Flow = _Flow(transport)
        self._unread = bytearray()
        if len(self.connections) > connections_max():
            self._refuse(NodeCode.BUSY, "too many connections are open")

    def connection_lost(self, exc: Exception | None) -> None:
        """End; nobody waits for what was not read."""
        self._unread.clear()
        _ARRIVING.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Go on with what has come, as far as no request waits for its turn."""
        if len(data) <= PIECE_BYTES and not (self._unread or self.pipeline):
            self._read(data)
        else:
            self._unread += data
            self._read_on()

    def on_response_complete(self) -> None:
        """Go on with the request that comes next, and where none is left with what was not read."""
        super().on_response_complete()
        if self._unread and not self.pipeline:
            # An answer may be given while its request is being read.
            self.loop.call_soon(self._read_on)
        elif self.flow.is_held or self.pipeline:
            self._hold()

    def _read_on(self) -> None:
        while self._unread and not (self.pipeline or self.transport.is_closing()):
            piece = bytes(self._unread[:PIECE_BYTES])
            del self._unread[:PIECE_BYTES]
            self._read(piece)
        self._hold()

    def _hold(self) -> None:
        """Take more from the connection only once all that was taken is read."""
        was_held, self.flow.is_held = self.flow.is_held, bool(self._unread or self.pipeline)
        if self.flow.is_held:
            self.flow.pause_reading()
        elif was_held:
            self.flow.resume_reading()

    def _read(self, data: bytes) -> None:
        """Read a piece, unless the head of a request has no end."""
        self._head_bytes += len(data)
        super().data_received(data)
        if _ARRIVING.total > ARRIVING_BYTES_MAX:
            _ARRIVING.relieve()
        if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            self._stop(NodeCode.HEAD_TOO_LARGE, f"the head of a request has at most {HEAD_BYTES_MAX} bytes")

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._head_bytes = 0
        self._body_bytes += len(body)
        _ARRIVING.add(self, len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end of a request."""
        self._head_bytes = 0
        _ARRIVING.forget(self)
        super().on_message_complete()

    def is_late(self, seconds_max: int) -> bool:
        """Return whether the node has waited too long for the caller; to be asked once a second."""
        unsent = self.transport.get_write_buffer_size()
        if not self._is_awaited() or self._message is not self.scope or self._unsent != unsent:
            self._message, self._unsent = self.scope, unsent
            self._waited = self._body_bytes = 0
            return False
        self._waited += 1
        return self._waited > seconds_max + self._body_bytes // BODY_BYTES_PER_SECOND

    def cut(self) -> None:
        """Wait no longer; say so where it can be said."""
        if self.transport.is_closing() or self.flow.write_paused:
            self.transport.abort()
        else:
            seconds, rate = REQUEST_SECONDS_MAX, BODY_BYTES_PER_SECOND
            within = f"within {seconds} seconds, and one more for each {rate} bytes of its body"
            self._stop(NodeCode.REQUEST_TIMEOUT, f"a request arrives {within}")

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; where an earlier answer is still to come, this is not taken for it."""
        cycle = self._last()
        if cycle is None or (cycle.response_complete and not cycle.more_body):
            self._refuse(NodeCode.HTTP_INVALID, msg)
        else:
            self._stop(NodeCode.HTTP_INVALID, msg)

    def give_up(self) -> None:
        """Take no more of the body that is coming."""
        _LOG.info("body_given_up")
        self._stop(NodeCode.BUSY, "too much is being sent at once")

    def _is_awaited(self) -> bool:
        """Return whether it is for the caller to go on: to ask, to finish what it asks, or to take the answer."""
        cycle = self._last()
        is_asking = cycle is None or cycle.more_body or cycle.response_complete
        return self.flow.write_paused or (is_asking and not self.flow.read_paused)

    def _last(self) -> RequestResponseCycle | None:
        """Return the request whose head came last as a whole."""
        return cast("RequestResponseCycle | None", self.cycle)

    def _stop(self, code: NodeCode, detail: str) -> None:
        """Refuse the request that is arriving; where none is, or its answer has begun, close the connection."""
        cycle = self._last()
        if cycle is None:
            is_owed = self.scope is not None
        elif cycle.scope is self.scope:
            is_owed = cycle.more_body and not cycle.response_started
        else:
            # An earlier request's answer comes before this one's.
            is_owed = cycle.response_complete
        if cycle is not None and not cycle.response_complete:
            # Nothing that the application still says comes after this.
            cycle.disconnected = True
        if is_owed:
            self._refuse(code, detail)
        else:
            self.transport.close()

    def _refuse(self, code: NodeCode, detail: str) -> None:
        refusal = problem(code, detail)
        headers = (*self.server_state.default_headers, *refusal.raw_headers)
        self.transport.write(encoded(refusal.status_code, headers, bytes(refusal.body), keep_alive=False))
        self.transport.close()


def encoded(status: int, headers: Headers, body: bytes, *, keep_alive: bool) -> bytes:
    """Return a whole answer as it goes over the wire."""
    parts = [STATUS_LINE[status]]
    for name, value in headers:
        parts += (name, b": ", value, b"\r\n")
    parts.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
    return b"".join((*parts, body))


def pass_on() -> None:
    """Count two files for each caller from now on: this process passes on what it is asked."""
    global _files_each  # noqa: PLW0603 - as with the files themselves, it is the whole process that passes on
    _files_each = 2


def connections_max() -> int:
    """Return how many connections there may be, by the files that the process may open and need not keep."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS_MAX if files < 0 else min(CONNECTIONS_MAX, max(files - FILES_KEPT, files // 2) // _files_each)


def cut_late(connections: Collection[object]) -> None:
    """Close the connections whose callers have kept the node waiting too long; to be done once a second."""
    crowded = len(connections) > connections_max() * 3 // 4
    seconds_max = CROWDED_SECONDS_MAX if crowded else REQUEST_SECONDS_MAX
    late = [each for each in connections if isinstance(each, BoundedProtocol) and each.is_late(seconds_max)]
    for each in late:
        each.cut()
    if late:
        _LOG.info("slow_callers", connections=len(late))
