"""What a process that does not write answers: reads from the store it shares, all else through the one that writes.

Whatever is forwarded carries a mark, so that two processes which each take the other for the writer do not send a
request round for ever.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

import httpx
import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from node.api.problems import problem_of
from node.engine.standby import NotWriting

FORWARDED: Final = "x-tallystick-forwarded"

_READS: Final = ("/tile/", "/past/", "/v1/entries", "/v1/accounts", "/v1/transactions/", "/v1/statements", "/livez")
"""What is answered here: rows of the store, or hashes that never change. The rest is asked of who writes."""

_HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "te", "trailer", "transfer-encoding", "upgrade", "host"}
)
_TIMEOUT: Final = httpx.Timeout(90.0, connect=2.0)
_LOG: Final = structlog.get_logger()

UrlOf = Callable[[], str | None]


class Standby:
    """An ASGI application; `url_of` tells where the process that writes is, if any is known."""

    def __init__(self, reads: ASGIApp, url_of: UrlOf) -> None:
        """Answer reads by the application `reads`."""
        self._reads = reads
        self._url_of = url_of
        self._client = httpx.AsyncClient(timeout=_TIMEOUT, limits=httpx.Limits(max_connections=256))
        self._waiting: set[asyncio.Task[httpx.Response]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def give_up(self) -> None:
        """Let nobody wait any longer for a process that no longer writes; any thread may call this."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        for task in self._waiting:
            task.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = str(scope.get("path", ""))
        if scope["type"] != "http" or (scope["method"] in {"GET", "HEAD"} and path.startswith(_READS)):
            await self._reads(scope, receive, send)
            return
        self._loop = asyncio.get_running_loop()
        answer = await self._forwarded(Request(scope, receive))
        await answer(scope, receive, send)

    async def _forwarded(self, request: Request) -> Response:
        url = self._url_of()
        if url is None or FORWARDED in request.headers:
            return problem_of(NotWriting("no process writes this ledger now: repeat the request"))
        headers = [(name, value) for name, value in request.headers.items() if name not in _HOP_BY_HOP]
        target = httpx.URL(url).join(request.url.path).copy_with(query=request.url.query.encode())
        made = self._client.build_request(
            request.method, target, headers=[*headers, (FORWARDED, "1")], content=request.stream()
        )
        task = asyncio.ensure_future(self._client.send(made, stream=True))
        self._waiting.add(task)
        try:
            (done,) = (await asyncio.wait([task]))[0]
            answer = done.result()
        except (httpx.HTTPError, asyncio.CancelledError) as failure:
            if not task.done():
                # It is the caller who has gone.
                task.cancel()
                raise
            _LOG.warning("writer_unreachable", url=url, failure=type(failure).__name__)
            return problem_of(NotWriting("the process that writes this ledger does not answer: repeat the request"))
        finally:
            self._waiting.discard(task)
        kept = {name: value for name, value in answer.headers.items() if name not in _HOP_BY_HOP}
        return StreamingResponse(_body(answer), status_code=answer.status_code, headers=kept)


class Switch:
    """An ASGI application that another one can take the place of, from any thread."""

    def __init__(self, app: ASGIApp) -> None:
        """Answer by `app`."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request by the application that is in place when it comes."""
        await self.app(scope, receive, send)


async def _body(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()
