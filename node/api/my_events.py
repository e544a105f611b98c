"""`/v1/me/events`: server-sent events (WHATWG HTML §9.2) of a member's account, resumed by `Last-Event-ID`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, suppress
from typing import Annotated, Final

from fastapi import Header, Query, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from node.api.events import AfterQuery, PlaceText
from node.api.fields import WHOLE
from node.api.me import LocaleQuery, own, speech_of
from node.api.routes import READS, NodeDependency, answers_bytes, requires, router
from node.services.access.credentials import Scope as Permission
from node.services.answers import encode_answer
from node.services.events.events import Place
from node.services.members.member_events import MemberEvents, Pushed
from node.services.members.texts import Speech
from node.services.refusals import NodeCode
from protocol.identifiers import Account

ROUTER: Final = router("me", "/v1/me/events")
EVENT_STREAM: Final = "text/event-stream"
OPEN_SECONDS: Final = 300
"""How long a stream stays open; then the browser comes again and goes on where it was."""
SILENCE_SECONDS: Final = 15.0
PAUSE_SECONDS: Final = 0.25
RETRY_MILLISECONDS: Final = 2_000
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@ROUTER.get(
    "",
    dependencies=[requires(Permission.ME)],
    responses=answers_bytes(
        EVENT_STREAM, *READS, NodeCode.RATE_LIMITED, description="The account's events, as they happen."
    ),
)
async def stream_my_events(
    *,
    request: Request,
    node: NodeDependency,
    after: AfterQuery = None,
    last_event_id: Annotated[PlaceText | None, Header()] = None,
    seconds: Annotated[int, WHOLE, Query(ge=0, le=OPEN_SECONDS, description="How long to stay open.")] = OPEN_SECONDS,
    locale: LocaleQuery = None,
) -> StreamingResponse:
    """Push what happens to the account, in words, from now on or from the last event that was seen."""
    account, events = own(request), node.member_events
    speech = await run_in_threadpool(speech_of, request, node, locale)
    place = await run_in_threadpool(events.place, last_event_id or after)
    # A stream that cannot be opened is refused before its answer begins.
    events.admit(account)
    return StreamedEvents(EventStream(events, account, speech, place=place, seconds=seconds))


class StreamedEvents(StreamingResponse):
    """The answer that a stream is: counted from the moment that it is given, before anything of it is sent.

    Nothing is awaited between its admission and this, so that many asked for at once are not all let in.
    """

    def __init__(self, stream: "EventStream") -> None:
        super().__init__(stream.told(), media_type=EVENT_STREAM, headers=_HEADERS)
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        with self._stream.listening():
            await super().__call__(scope, receive, send)


class EventStream:
    """One stream while it is open."""

    def __init__(self, events: MemberEvents, account: Account, speech: Speech, *, place: Place, seconds: int) -> None:
        self._events = events
        self._account = account
        self._speech = speech
        self._place = place
        self._seconds = seconds

    def listening(self) -> AbstractContextManager[None]:
        """Count the stream while it is open."""
        return self._events.listening(self._account)

    async def told(self) -> AsyncIterator[bytes]:
        """Yield the stream's lines until its time is over or the node stops."""
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # The loop may just have ended, and then nobody listens any more.
                loop.call_soon_threadsafe(news.set)

        stop, end = self._events.watch(wake), loop.time() + self._seconds
        try:
            async for chunk in self._pushed(news, end):
                yield chunk
        finally:
            stop()

    async def _pushed(self, news: asyncio.Event, end: float) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        yield f"retry: {RETRY_MILLISECONDS}\nid: {self._place}\n\n".encode()
        while not self._events.closed:
            pushed = await run_in_threadpool(self._events.after, self._account, self._place, self._speech)
            for each in pushed:
                self._place = self._events.place(each.place)
                yield _lines(each)
            if pushed:
                continue
            left = end - loop.time()
            if left <= 0:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), min(left, SILENCE_SECONDS))
            if not news.is_set():
                yield b":\n\n"
            else:
                # Many commits a second are one look.
                await asyncio.sleep(min(left, PAUSE_SECONDS))
            news.clear()


def _lines(pushed: Pushed) -> bytes:
    """Return the lines of one entry's events; the place stands with the last, so that a half is told again whole."""
    told = b"".join(
        b"event: " + event.type.encode() + b"\ndata: " + encode_answer(event) + b"\n\n" for event in pushed.events[:-1]
    )
    if not pushed.events:
        return f"id: {pushed.place}\n\n".encode()
    last = pushed.events[-1]
    identified = f"id: {pushed.place}\nevent: {last.type}\ndata: ".encode() + encode_answer(last) + b"\n\n"
    return told + identified
