"""A process that stands by: what it answers itself, what it passes on, and what it says when nobody writes."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from aiohttp import web
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.testing import capture_logs

from node.app.http_protocol import Direct, Reply
from node.app.standby import FORWARDED, Standby, Switch
from node.engine.standby import NotWriting, StandbyWriter
from node.services.context import Ping

Ask = Callable[..., httpx.Response]
NOWHERE = "http://127.0.0.1:9"
WAITING = 260
"""As many as there may be of event streams alone, and a few."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it has reached the process that writes."""

    target: str
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(slots=True)
class Writer:
    """The process that writes: it answers 201, and fails where the path says so."""

    seen: list[Sent] = field(default_factory=list)
    url: str = ""
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    crowded: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        headers = [(name.lower(), value) for name, value in request.headers.items()]
        try:
            body = await request.read()
        except ConnectionResetError:
            return web.Response(status=400)
        self.seen.append(Sent(request.raw_path, headers, body))
        self.asked.set()
        if len(self.seen) == WAITING:
            self.crowded.set()
        if request.path == "/gone":
            assert request.transport is not None
            request.transport.abort()
        if request.path == "/slow":
            await asyncio.sleep(3_600)
        answer = web.StreamResponse(status=201, headers={"retry-after": "1", "connection": "close", "etag": '"x"'})
        await answer.prepare(request)
        for piece in (b'{"there"', b": true}"):
            await answer.write(piece)
        return answer


async def read(request: Request) -> Response:
    return JSONResponse({"here": request.url.path})


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def writer(runner: asyncio.Runner) -> Iterator[Writer]:
    writer = Writer()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", writer.answer)
    served = web.AppRunner(app, shutdown_timeout=0.1)

    async def start() -> None:
        await served.setup()
        await web.TCPSite(served, "127.0.0.1", 0).start()
        host, port = served.addresses[0][:2]
        writer.url = f"http://{host}:{port}"

    runner.run(start())
    yield writer
    runner.run(served.cleanup())


def standby(url: str | None) -> Standby:
    return Standby(Starlette(routes=[Route("/{rest:path}", read)]), lambda: url)


@pytest.fixture
def ask(runner: asyncio.Runner) -> Callable[[Standby, str, str, dict[str, str]], httpx.Response]:
    def asked(app: Standby, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
        async def go() -> httpx.Response:
            try:
                async with httpx.AsyncClient(transport=httpx.ASGITransport(Switch(app)), base_url="http://n") as client:
                    content = None if method == "GET" else b"{}"
                    return await client.request(method, path, headers=headers, content=content)
            finally:
                await app.close()

        return runner.run(go())

    return asked


def test_reads_are_answered_here_and_all_else_by_the_process_that_writes(ask: Ask, writer: Writer) -> None:
    app = standby(writer.url)
    assert ask(app, "GET", "/v1/accounts/x", {}).json() == {"here": "/v1/accounts/x"}
    assert writer.seen == []
    assert ask(standby(writer.url), "GET", "/v1/entries/5/receipt", {}).status_code == 201
    writer.seen.clear()
    answer = ask(standby(writer.url), "GET", "/v1/conversions/x", {})
    assert answer.status_code == 201
    assert (writer.seen[0].body, "transfer-encoding" in dict(writer.seen[0].headers)) == (b"", False)


def test_a_request_is_passed_on_as_it_came_and_its_answer_as_it_is(ask: Ask, writer: Writer) -> None:
    headers = {"authorization": "Bearer t", "connection": "close", "te": "trailers", "x-forwarded-for": "192.0.2.1"}
    answer = ask(standby(writer.url), "POST", "/v1/tra%2Fns%20actions?atomic=true&atomic=%7e", headers)
    assert (answer.status_code, answer.json()) == (201, {"there": True})
    assert (answer.headers["retry-after"], answer.headers["etag"]) == ("1", '"x"')
    assert not {"connection", "transfer-encoding", "date"} & set(answer.headers)
    (sent,) = writer.seen
    assert (sent.target, sent.body) == ("/v1/tra%2Fns%20actions?atomic=true&atomic=%7e", b"{}")
    told = dict(sent.headers)
    assert (told["authorization"], told[FORWARDED], told["content-length"]) == ("Bearer t", "1", "2")
    assert "te" not in told
    # Who calls is whom the server has seen calling, not whom the caller names.
    assert (told["x-forwarded-for"], told["x-forwarded-proto"]) == ("127.0.0.1", "http")
    assert len(sent.headers) == len(told), "nothing is said twice"


@pytest.mark.parametrize("target", ["*", "@example.net/v1/transactions"])
def test_what_is_asked_of_no_path_is_not_passed_on(runner: asyncio.Runner, writer: Writer, target: str) -> None:
    said: list[Message] = []

    async def send(message: Message) -> None:
        said.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope: Scope = {
        "type": "http", "method": "OPTIONS", "path": target, "raw_path": target.encode(), "query_string": b"",
        "headers": [(b"authorization", b"Bearer t")],
    }  # fmt: skip
    runner.run(standby(writer.url)(scope, receive, send))
    assert said[0]["status"] in {404, 405}
    assert writer.seen == []


def test_a_caller_that_goes_amid_its_request_is_no_failure_of_who_writes(
    runner: asyncio.Runner, writer: Writer
) -> None:
    coming: list[Message] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return coming.pop(0) if coming else {"type": "http.disconnect"}

    async def send(_message: Message) -> None:
        pass

    scope: Scope = {
        "type": "http", "method": "POST", "scheme": "http", "path": "/v1/transactions", "raw_path": b"/v1/transactions",
        "query_string": b"", "headers": [(b"host", b"n"), (b"content-length", b"10")], "client": None, "server": None,
    }  # fmt: skip
    app = standby(writer.url)
    with capture_logs() as logs:
        runner.run(app(scope, receive, send))
        runner.run(app.close())
    assert writer.seen == []
    assert [each["event"] for each in logs] == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_for_a_caller_that_has_gone_nobody_waits_any_longer(
    runner: asyncio.Runner, writer: Writer, method: str
) -> None:
    coming: list[Message] = [{"type": "http.request", "body": b"{}" if method == "POST" else b""}]
    said: list[Message] = []

    async def receive() -> Message:
        if not coming:
            # It goes once the process that writes has its request.
            await writer.asked.wait()
            return {"type": "http.disconnect"}
        return coming.pop()

    async def send(message: Message) -> None:
        said.append(message)

    headers = [(b"host", b"n"), *([(b"content-length", b"2")] if method == "POST" else [])]
    scope: Scope = {
        "type": "http", "method": method, "scheme": "http", "path": "/slow", "raw_path": b"/slow",
        "query_string": b"", "headers": headers, "client": None, "server": None,
    }  # fmt: skip
    app = standby(writer.url)
    with capture_logs() as logs:
        runner.run(asyncio.wait_for(app(scope, receive, send), 10))
        runner.run(app.close())
    assert [each.body for each in writer.seen] == [b"{}" if method == "POST" else b""]
    # It is no failure of who writes.
    assert [each["event"] for each in logs] == []


def test_nobody_writes(ask: Ask, writer: Writer) -> None:
    for app, path, headers in (
        (standby(None), "/v1/transactions", {}),
        (standby(writer.url), "/v1/transactions", {FORWARDED: "1"}),
        (standby(writer.url), "/gone", {}),
        (standby(NOWHERE), "/v1/transactions", {}),
    ):
        answer = ask(app, "POST", path, headers)
        assert (answer.status_code, answer.json()["code"]) == (503, NotWriting.code)
        assert answer.headers["retry-after"]
    assert [each.target for each in writer.seen] == ["/gone"]


def test_a_request_waits_a_moment_for_some_process_to_write(ask: Ask, writer: Writer) -> None:
    known: list[str] = []

    class Learning(Standby):
        """Learns who writes while a request waits for that."""

        async def _forwarded(self, request: Request) -> Response:
            def learn() -> None:
                known.append(writer.url)
                self.give_up()

            asyncio.get_running_loop().call_later(0.1, learn)
            return await super()._forwarded(request)

    answer = ask(Learning(Starlette(), lambda: known[0] if known else None), "POST", "/v1/transactions", {})
    assert answer.status_code == 201


def test_nobody_waits_for_a_process_that_no_longer_writes(ask: Ask, writer: Writer) -> None:
    standby(writer.url).give_up()

    class GivingUp(Standby):
        """Gives up as soon as its request is under way."""

        async def _forwarded(self, request: Request) -> Response:
            asyncio.get_running_loop().call_later(0.2, self.give_up)
            return await super()._forwarded(request)

    answer = ask(GivingUp(Starlette(), lambda: writer.url), "POST", "/slow", {})
    assert (answer.status_code, answer.json()["code"]) == (503, NotWriting.code)
    assert len(writer.seen) == 1


def test_nobody_waits_for_those_who_wait(runner: asyncio.Runner, writer: Writer) -> None:
    async def go() -> httpx.Response:
        async with (
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://n", timeout=20) as client,
            asyncio.timeout(20),
        ):
            waiting = [asyncio.create_task(client.get("/slow")) for _ in range(WAITING)]
            await writer.crowded.wait()
            answer = await client.post("/v1/transactions", content=b"{}")
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await app.close()
            return answer

    app = standby(writer.url)
    assert runner.run(go()).status_code == 201


def test_the_direct_way_is_that_of_the_application_in_place() -> None:
    class Way:
        """Takes everything and says what it was given."""

        def takes(self, scope: Scope) -> bool:
            return bool(scope)

        def answer(self, _scope: Scope, body: bytes, reply: Reply) -> bool:
            reply(200, (), body)
            return True

    class Quick:
        """An application with a direct way."""

        direct: Direct = Way()

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            raise AssertionError("it is asked directly")

    said: list[bytes] = []
    scope: Scope = {"type": "http"}
    switch = Switch(Quick())
    way = switch.direct
    assert way.takes(scope)
    assert way.answer(scope, b"{}", lambda _status, _headers, body: said.append(body))
    slow: ASGIApp = standby(None)
    switch.app = slow
    assert not way.takes(scope)
    assert not way.answer(scope, b"{}", lambda _status, _headers, body: said.append(body))
    assert said == [b"{}"]


def test_a_writer_that_stands_by_takes_nothing() -> None:
    writer = StandbyWriter()
    writer.confirm_clock()
    writer.listen(lambda _committed: None)
    assert (writer.failure, writer.waiting, writer.clock_stopped) == (None, 0, False)
    with pytest.raises(NotWriting):
        writer.submit(Ping())
