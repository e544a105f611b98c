"""Many callers on one thread: requests made ahead, one connection each, so that next to no time is the callers' own."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, cast

import uvloop

_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"


@dataclass(frozen=True, slots=True)
class Target:
    """A node's address, and the headers of every request."""

    host: str
    port: int
    token: str

    def post(self, path: str, body: bytes) -> bytes:
        """Return the bytes of a request."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nAuthorization: Bearer {self.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode("ascii") + body


@dataclass(frozen=True, slots=True)
class Due:
    """A request, and the time of `time.perf_counter` at which it is to be sent; 0 is at once."""

    at: float
    request: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer: its status, and how many seconds after its request was due it was there."""

    status: int
    seconds: float


Following: TypeAlias = Callable[[], Due | None]
"""What a caller asks next, or None when it is done."""


@dataclass(slots=True)
class _Caller(asyncio.Protocol):
    """One connection: sends a request when the one before is answered, until there is none."""

    following: Following
    ended: "asyncio.Future[None]"
    answers: list[Answered] = field(default_factory=list)
    _transport: asyncio.Transport | None = None
    _received: bytearray = field(default_factory=bytearray)
    _due: Due | None = None
    _began: float = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # uvloop's transports are none by class.
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        """Take in a part of an answer, and send the next request when all of it is there."""
        self._received += data
        answer = answer_in(self._received)
        if answer is not None:
            self._received.clear()
            self.answers.append(Answered(answer[0], time.perf_counter() - self._began))
            self._next()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell of a connection that the node has ended."""
        if not self.ended.done():
            self.ended.set_exception(error or ConnectionError("the node has closed a connection"))

    def _next(self) -> None:
        self._due = self.following()
        assert self._transport is not None, "it is connected"
        if self._due is None:
            self.ended.set_result(None)
            self._transport.close()
            return
        now = time.perf_counter()
        self._began = self._due.at or now
        if self._began <= now:
            self._send()
        else:
            asyncio.get_running_loop().call_later(self._began - now, self._send)

    def _send(self) -> None:
        assert self._transport is not None, "it is connected"
        assert self._due is not None, "something is to be asked"
        self._transport.write(self._due.request)


def answer_in(received: bytearray) -> tuple[int, bytes] | None:
    """Return the status and the body of an answer that says how long it is, or None while some of it is missing."""
    end = received.find(_END)
    if end < 0:
        return None
    head, begin = bytes(received[:end]).lower(), end + len(_END)
    length = int(head.partition(_LENGTH)[2].partition(b"\r\n")[0])
    return (int(head[9:12]), bytes(received[begin : begin + length])) if len(received) >= begin + length else None


def ask_all(target: Target, followings: Sequence[Following]) -> list[Answered]:
    """Let as many callers as there are `followings` ask at the same time, each for what its own returns next."""

    async def run() -> list[Answered]:
        loop = asyncio.get_running_loop()
        callers = [_Caller(each, loop.create_future()) for each in followings]
        for caller in callers:
            await loop.create_connection(lambda caller=caller: caller, target.host, target.port)  # type: ignore[misc]
        await asyncio.gather(*(caller.ended for caller in callers))
        return [answer for caller in callers for answer in caller.answers]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())
