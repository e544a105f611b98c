"""What a process that does not write answers: reads from the store it shares, all else through the one that writes.

Whatever is forwarded carries a mark, so that two processes which each take the other for the writer do not send a
request round for ever.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Final

import aiohttp
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from yarl import URL

from node.api.problems import problem_of
from node.app.http_bounds import connections_max
from node.app.http_protocol import Direct, HasDirect, Reply
from node.engine.standby import NotWriting

FORWARDED: Final = "x-tallystick-forwarded"

_READS: Final = ("/tile/", "/past/", "/v1/entries", "/v1/accounts", "/v1/transactions/", "/v1/statements", "/livez")
"""What is answered here: rows of the store, or hashes that never change. The rest is asked of who writes."""

_RECEIPT: Final = "/receipt"
"""What ends so is asked of who writes, too: which cosignatures witnesses have given is known there first."""

_HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "te", "trailer", "transfer-encoding", "upgrade", "host"}
)
_CALLER: Final = frozenset({"x-forwarded-for", "x-forwarded-proto"})
"""What the server that answers here has read already, if it believes who said it. The one that writes believes us."""

_NOT_PASSED_BACK: Final = _HOP_BY_HOP | {"date"}
"""The server that answers here says the time itself."""

_OF_THE_LIBRARY: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""What the library would add of itself where the caller has said nothing."""

_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=5.0, sock_connect=2.0, sock_read=90.0)
"""To wait for a connection that others have is bounded, too."""

UNKNOWN_SECONDS_MAX: Final = 1.0
"""How long a request waits for some process to write: one has just been started, or takes over."""

_KEPT_SECONDS: Final = 15.0
"""For how long an idle connection is kept: less than a node keeps it."""

_LOG: Final = structlog.get_logger()

UrlOf = Callable[[], str | None]


class Standby:
    """An ASGI application; `url_of` tells where the process that writes is, if any is known."""

    def __init__(self, reads: ASGIApp, url_of: UrlOf) -> None:
        """Answer reads by the application `reads`."""
        self._reads = reads
        self._url_of = url_of
        self._session: aiohttp.ClientSession | None = None
        self._waiting: set[asyncio.Task[aiohttp.ClientResponse]] = set()
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def give_up(self) -> None:
        """Let nobody wait any longer for a process that no longer writes; any thread may call this."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        for task in self._waiting:
            task.cancel()
        self._changed.set()
        self._changed = asyncio.Event()

    async def close(self) -> None:
        """Close the connections to the process that writes."""
        if self._session is not None:
            await self._session.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or _is_read(scope):
            await self._reads(scope, receive, send)
            return
        self._loop = asyncio.get_running_loop()
        answer = await self._forwarded(Request(scope, receive))
        await answer(scope, receive, send)

    async def _forwarded(self, request: Request) -> Response:
        url = None if FORWARDED in request.headers else await self._writer()
        if url is None:
            return problem_of(NotWriting("no process writes this ledger now: repeat the request"))
        sent = _Sent(request)
        task = asyncio.ensure_future(self._asked(URL(url), request, sent))
        gone = asyncio.ensure_future(sent.caller_gone())
        self._waiting.add(task)
        try:
            await asyncio.wait([task, gone], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                # Nobody waits for the answer: what asks for it is not to keep a connection from those who do.
                task.cancel()
            answer = await task
        except (aiohttp.ClientError, TimeoutError, asyncio.CancelledError) as failure:
            if not task.done():
                # It is the caller who has gone.
                task.cancel()
                raise
            if not (sent.broken_off or gone.done()):
                _LOG.warning("writer_unreachable", url=url, failure=type(failure).__name__)
            return problem_of(NotWriting("the process that writes this ledger does not answer: repeat the request"))
        finally:
            self._waiting.discard(task)
            gone.cancel()
        told = StreamingResponse(_body(answer), status_code=answer.status)
        told.raw_headers = [
            (name.lower(), value)
            for name, value in answer.raw_headers
            if name.lower().decode("latin-1") not in _NOT_PASSED_BACK
        ]
        return told

    async def _writer(self) -> str | None:
        """Return where the process that writes is, once that is known, or None where it is not for too long."""
        url = self._url_of()
        if url is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), UNKNOWN_SECONDS_MAX)
            url = self._url_of()
        return url

    async def _asked(self, url: URL, request: Request, sent: "_Sent") -> aiohttp.ClientResponse:
        """Return the head of the answer of the process at `url`, and its body as far as it is there."""
        query = request.scope["query_string"].decode("latin-1")
        path = request.scope["raw_path"].decode("latin-1")
        dropped = _HOP_BY_HOP | _CALLER
        headers = [(name, value) for name, value in request.headers.items() if name not in dropped]
        headers += [(FORWARDED, "1"), ("x-forwarded-proto", request.url.scheme)]
        headers += [("x-forwarded-for", request.client.host)] if request.client else []
        return await self._connected().request(
            request.method,
            # As it came: neither quoted nor put in order a second time.
            URL(f"{url.origin()}{path}{'?' if query else ''}{query}", encoded=True),
            headers=headers,
            data=sent.chunks() if sent.has_body else None,
            skip_auto_headers=_OF_THE_LIBRARY,
            allow_redirects=False,
        )

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # One for each caller, of whom there are no more than may be: many of them wait for something to happen,
                # or send slowly, and nobody else is to wait for that.
                connector=aiohttp.TCPConnector(limit=connections_max(), keepalive_timeout=_KEPT_SECONDS),
                timeout=_TIMEOUT,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


class _Sent:
    """What a caller sends, as it comes; `broken_off` where the caller has gone amid it."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._is_whole = asyncio.Event()
        self.has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
        self.broken_off = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body's parts."""
        try:
            async for chunk in self._request.stream():
                yield chunk
        except ClientDisconnect:
            self.broken_off = True
            raise
        self._is_whole.set()

    async def caller_gone(self) -> None:
        """Return once the caller has gone that has sent its request as a whole."""
        if self.has_body:
            await self._is_whole.wait()
        while (await self._request.receive())["type"] != "http.disconnect":
            pass


def _is_read(scope: Scope) -> bool:
    """Return whether a request is answered here; so is what is asked of no path: it could name another server."""
    return not scope["raw_path"].startswith(b"/") or (
        scope["method"] in {"GET", "HEAD"} and scope["path"].startswith(_READS) and not scope["path"].endswith(_RECEIPT)
    )


class Switch:
    """An ASGI application that another one can take the place of, from any thread; direct where that one is."""

    def __init__(self, app: ASGIApp) -> None:
        """Answer by `app`."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request by the application that is in place when it comes."""
        await self.app(scope, receive, send)

    @property
    def direct(self) -> Direct:
        """Return the direct way of whatever application is in place."""
        return _DirectOf(self)


class _DirectOf:
    """The direct way of the application that is in place when a request comes, and when it is there as a whole."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch

    def takes(self, scope: Scope) -> bool:
        app: object = self._switch.app
        return isinstance(app, HasDirect) and app.direct.takes(scope)

    def answer(self, scope: Scope, body: bytes, reply: Reply) -> bool:
        app: object = self._switch.app
        return isinstance(app, HasDirect) and app.direct.answer(scope, body, reply)


async def _body(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.content.iter_any():
            yield chunk
    finally:
        answer.close()
