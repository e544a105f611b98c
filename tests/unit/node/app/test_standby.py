"""A process that stands by: what it answers itself, what it passes on, and what it says when nobody writes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from node.app.standby import FORWARDED, Standby, Switch
from node.engine.standby import NotWriting, StandbyWriter
from node.services.context import Ping

Ask = Callable[..., httpx.Response]
URL = "http://writer.example:8420"


async def read(request: Request) -> Response:
    return JSONResponse({"here": request.url.path})


async def pieces() -> AsyncIterator[bytes]:
    for piece in (b'{"there"', b": true}"):
        yield piece


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    """Return what reaches the process that writes; it answers 201, and fails where the path says so."""
    requests: list[httpx.Request] = []

    async def handle(_transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        await request.aread()
        requests.append(request)
        if request.url.path == "/gone":
            raise httpx.ConnectError("nobody is there")
        if request.url.path == "/slow":
            await asyncio.sleep(3_600)
        return httpx.Response(201, content=pieces(), headers={"retry-after": "1", "connection": "close"})

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle)
    return requests


def standby(url: str | None) -> Standby:
    return Standby(Starlette(routes=[Route("/{rest:path}", read)]), lambda: url)


@pytest.fixture
def ask() -> Iterator[Callable[[Standby, str, str, dict[str, str]], httpx.Response]]:
    with asyncio.Runner() as runner:

        def asked(app: Standby, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
            async def go() -> httpx.Response:
                async with httpx.AsyncClient(transport=httpx.ASGITransport(Switch(app)), base_url="http://n") as client:
                    return await client.request(method, path, headers=headers, content=b"{}")

            return runner.run(go())

        yield asked


def test_reads_are_answered_here_and_all_else_by_the_process_that_writes(ask: Ask, seen: list[httpx.Request]) -> None:
    app = standby(URL)
    assert ask(app, "GET", "/v1/accounts/x", {}).json() == {"here": "/v1/accounts/x"}
    assert seen == []
    answer = ask(app, "POST", "/v1/transactions?atomic=true", {"authorization": "Bearer t", "connection": "close"})
    assert (answer.status_code, answer.json()) == (201, {"there": True})
    assert answer.headers["retry-after"] == "1"
    (sent,) = seen
    assert str(sent.url) == f"{URL}/v1/transactions?atomic=true"
    assert (sent.headers["authorization"], sent.headers[FORWARDED], sent.content) == ("Bearer t", "1", b"{}")
    assert ask(app, "GET", "/v1/conversions/x", {}).status_code == 201


def test_nobody_writes(ask: Ask, seen: list[httpx.Request]) -> None:
    for app, path, headers in (
        (standby(None), "/v1/transactions", {}),
        (standby(URL), "/v1/transactions", {FORWARDED: "1"}),
        (standby(URL), "/gone", {}),
    ):
        answer = ask(app, "POST", path, headers)
        assert (answer.status_code, answer.json()["code"]) == (503, NotWriting.code)
        assert answer.headers["retry-after"]
    assert [each.url.path for each in seen] == ["/gone"]


def test_nobody_waits_for_a_process_that_no_longer_writes(ask: Ask, seen: list[httpx.Request]) -> None:
    standby(URL).give_up()

    class GivingUp(Standby):
        """Gives up as soon as its request is under way."""

        async def _forwarded(self, request: Request) -> Response:
            asyncio.get_running_loop().call_later(0.05, self.give_up)
            return await super()._forwarded(request)

    answer = ask(GivingUp(Starlette(), lambda: URL), "POST", "/slow", {})
    assert (answer.status_code, answer.json()["code"]) == (503, NotWriting.code)
    assert len(seen) == 1


def test_a_writer_that_stands_by_takes_nothing() -> None:
    writer = StandbyWriter()
    writer.confirm_clock()
    writer.listen(lambda _committed: None)
    assert (writer.failure, writer.waiting, writer.clock_stopped) == (None, 0, False)
    with pytest.raises(NotWriting):
        writer.submit(Ping())
