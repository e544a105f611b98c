"""HTTP/1.1 as uvicorn speaks it, with a shorter way to applications that have one.

uvicorn starts a task for each request and sends an answer in two writes, each of which wakes whoever waits for it. A
request that the application takes directly has neither.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Protocol, cast, runtime_checkable

from starlette.types import Scope
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from node.app.http_bounds import BoundedProtocol, Headers, encoded

Reply = Callable[[int, Headers, bytes], None]


class Direct(Protocol):
    """What answers requests that are there as a whole."""

    def takes(self, scope: Scope) -> bool:
        """Return whether a request is to be handed over once its body is there."""

    def answer(self, scope: Scope, body: bytes, reply: Reply) -> bool:
        """Let `reply` send the answer once there is one, or return False where the application is to be asked."""


@runtime_checkable
class HasDirect(Protocol):
    """An application with a direct way."""

    @property
    def direct(self) -> Direct:
        """Return it."""


class NodeProtocol(BoundedProtocol):
    """One connection."""

    _held: RequestResponseCycle | None = None
    _direct: Direct | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(transport)
        app: object = self.config.app
        self._direct = app.direct if isinstance(app, HasDirect) else None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        direct = self._direct
        # Whoever waits for leave to send a body, or does not read what it is sent, is dealt with by a task.
        is_plain = not (cycle.waiting_for_100_continue or self.flow.write_paused)
        if direct is None or not is_plain or not direct.takes(cast("Scope", cycle.scope)):
            super()._start_asgi_task(cycle, app)
        elif cycle.more_body:
            self._held = cycle
        else:
            self._ask(cycle, direct)

    def on_message_complete(self) -> None:
        """Hand over the request that waited for its end."""
        super().on_message_complete()
        held, self._held = self._held, None
        if held is not None and self._direct is not None:
            self._ask(held, self._direct)

    def _ask(self, cycle: RequestResponseCycle, direct: Direct) -> None:
        if not direct.answer(cast("Scope", cycle.scope), bytes(cycle.body), partial(_reply, cycle)):
            super()._start_asgi_task(cycle, self.app)


def _reply(cycle: RequestResponseCycle, status: int, headers: Headers, body: bytes) -> None:
    """Send a whole answer in one write, and go on as uvicorn does after an answer."""
    if cycle.disconnected:
        return
    cycle.response_started = cycle.response_complete = True
    cycle.transport.write(encoded(status, (*cycle.default_headers, *headers), body, keep_alive=cycle.keep_alive))
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
