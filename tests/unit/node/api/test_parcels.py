"""A partner's parcel goes the quick way or the routes': either says the same, and nobody waits for ever."""

from collections.abc import AsyncIterator
from concurrent.futures import Future
from typing import Final

import httpx
import pytest
from starlette.types import Scope

from node.api.app import create_app
from node.store.errors import StoreFailed
from protocol.envelope import decode_parcel
from tests.support.api import Api
from tests.support.documents import AURORA, BLUEBIRD, COPPER, hello
from tests.support.parcels import parcel_bytes

ENVELOPES: Final = "/peer/v1/envelopes"
GREETING: Final = parcel_bytes([hello(BLUEBIRD, AURORA)], sender=BLUEBIRD, receiver=AURORA)


def post(api: Api, content: bytes) -> httpx.Response:
    return api.call("POST", ENVELOPES, content=content, role=None)


def long_way(api: Api, content: bytes) -> httpx.Response:
    """Return what the route answers to a parcel that comes in pieces, and so goes no quick way."""

    async def in_pieces() -> AsyncIterator[bytes]:
        yield content

    return api.runner.run(api.client.post(ENVELOPES, content=in_pieces()))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"\xff", GREETING[:-1],
        parcel_bytes([hello(COPPER, AURORA)], sender=COPPER, receiver=AURORA),
        parcel_bytes([hello(BLUEBIRD, COPPER)], sender=BLUEBIRD, receiver=COPPER),
    ],
)  # fmt: skip
def test_either_way_refuses_with_the_same_bytes(api: Api, content: bytes) -> None:
    quick, long = post(api, content), long_way(api, content)
    assert quick.status_code in {403, 422}
    assert (quick.status_code, quick.content) == (long.status_code, long.content)
    assert quick.headers.keys() == long.headers.keys()


def test_either_way_answers_with_a_parcel(api: Api) -> None:
    quick, long = post(api, GREETING), long_way(api, GREETING)
    assert (quick.status_code, long.status_code) == (200, 200)
    assert quick.headers.keys() == long.headers.keys()
    assert quick.headers["content-type"] == long.headers["content-type"]
    said = [decode_parcel(each.content).header for each in (quick, long)]
    assert [(each.sender, each.receiver) for each in said] == [(AURORA.ledger, BLUEBIRD.ledger)] * 2
    assert said[0].acknowledgement == said[1].acknowledgement


def test_a_parcel_that_is_not_written_is_not_acknowledged(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> object:
        failed: Future[int] = Future()
        failed.set_exception(StoreFailed("no disk"))
        return BLUEBIRD.ledger, failed

    monkeypatch.setattr(api.node.exchange, "receive", fails)
    quick, long = post(api, GREETING), long_way(api, GREETING)
    assert (quick.status_code, quick.json()["code"]) == (503, "store_failed")
    assert quick.content == long.content


@pytest.mark.parametrize("name", ["receive", "reply"])
def test_a_bug_is_answered_whichever_step_has_it(api: Api, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(api.node.exchange, name, fail)
    quick, long = post(api, GREETING), long_way(api, GREETING)
    assert (quick.status_code, quick.json()["code"]) == (500, "internal")
    assert quick.content == long.content


def test_a_certificate_is_asked_for_whatever_is_sent(api: Api) -> None:
    app = create_app(api.node, partners_show_certificates=True)

    async def answered(**extensions: object) -> httpx.Response:
        async def certified(scope: Scope, *rest: object) -> None:
            await app({**scope, "extensions": extensions}, *rest)  # type: ignore[arg-type]

        async with httpx.AsyncClient(transport=httpx.ASGITransport(certified), base_url="http://node") as client:
            return await client.post(ENVELOPES, content=GREETING)

    refused = api.runner.run(answered())
    assert (refused.status_code, refused.json()["code"]) == (403, "certificate_missing")
    assert api.runner.run(answered(tls={"client_cert_name": "CN=bluebird"})).status_code == 200
