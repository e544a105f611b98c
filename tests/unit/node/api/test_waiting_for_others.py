"""What takes long keeps a few of the node's threads, and everybody else is answered meanwhile."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import httpx
import pytest

from node.ports import HookFailed, LinkReply, TransportFailed
from node.services.access.credentials import CallerRole
from tests.support.api import ANN, BOB, Api, api_of, meet, open_accounts, request_id
from tests.support.documents import BLUEBIRD, uuid
from tests.support.issuers import claims_at, signed, with_issuer

MANY = 60
"""More than there are threads."""

SECONDS = 30.0
HOOK = uuid("hook")


class Silent:
    """A partner and a receiver that answer nothing until they are let go."""

    def __init__(self) -> None:
        self.asked, self.let_go = threading.Event(), threading.Event()

    def wait(self) -> None:
        self.asked.set()
        self.let_go.wait(SECONDS)

    def exchange(self, _url: str, _request: bytes) -> LinkReply:
        self.wait()
        raise TransportFailed("too late")

    def check(self, _url: str) -> None:
        """Look nobody up."""

    def post(self, _url: str, _body: bytes, _headers: Mapping[str, str]) -> None:
        self.wait()
        raise HookFailed("too late", reached=True)


@pytest.fixture
def silent() -> Silent:
    return Silent()


@pytest.fixture
def api(tmp_path: Path, silent: Silent, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    with api_of(tmp_path / "aurora", hooks=silent, settings=with_issuer(tmp_path)) as opened:
        open_accounts(opened)
        meet(opened)
        monkeypatch.setattr(opened.node.linking, "_links", silent)
        yield opened


def member(api: Api) -> str:
    """Return a token of Ann's."""
    return signed(claims_at(api.clock.now().timestamp(), sub=ANN))


def answered_meanwhile(api: Api, silent: Silent, ask: Callable[[int], httpx.Request]) -> Counter[str]:
    """Return how often which code came of `MANY` requests, while another request was answered at once."""

    async def together() -> Counter[str]:
        asked = [asyncio.ensure_future(api.client.send(ask(number))) for number in range(MANY)]
        assert await asyncio.to_thread(silent.asked.wait, SECONDS)
        try:
            ready = await asyncio.wait_for(api.client.get("/readyz"), SECONDS / 3)
            assert ready.status_code == 200
        finally:
            silent.let_go.set()
        return Counter(_code(each) for each in await asyncio.gather(*asked))

    return api.runner.run(together())


def _code(answer: httpx.Response) -> str:
    return "" if answer.is_success else str(answer.json()["code"])


def stuck(silent: Silent, read: Callable[..., object], *wanted: object) -> object:
    """Read, once the test lets it."""
    silent.wait()
    return read(*wanted)


def test_one_member_waits_for_a_partner_once_at_a_time(api: Api, silent: Silent) -> None:
    headers = {"authorization": f"Bearer {member(api)}"}

    def ask(number: int) -> httpx.Request:
        body = {"id": request_id(f"typed {number}"), "partner": BLUEBIRD.ledger, "code": "BCDF-GHJK"}
        return api.client.build_request("POST", "/v1/me/links/typed", json=body, headers=headers)

    found = answered_meanwhile(api, silent, ask)
    assert found["busy"] >= MANY - 20
    assert found["busy"] + found["partner_unreachable"] == MANY


def test_a_partner_that_does_not_answer_keeps_a_few_threads(api: Api, silent: Silent) -> None:
    headers = {"authorization": f"Bearer {api.token(CallerRole.BACKEND)}"}

    def ask(number: int) -> httpx.Request:
        body = {
            "id": request_id(f"typed {number}"),
            "account": ANN if number % 2 else BOB,
            "partner": BLUEBIRD.ledger,
            "code": "BCDF-GHJK",
        }
        return api.client.build_request("POST", "/v1/links/typed", json=body, headers=headers)

    assert answered_meanwhile(api, silent, ask)["busy"] >= MANY - 20


def test_a_receiver_that_does_not_answer_keeps_a_few_threads(api: Api, silent: Silent) -> None:
    headers = {"authorization": f"Bearer {api.token(CallerRole.BACKEND)}"}
    api.done("/v1/webhooks", {"id": HOOK, "url": "https://receiver.example/", "types": []})

    def ask(_number: int) -> httpx.Request:
        return api.client.build_request("POST", f"/v1/webhooks/{HOOK}/test", headers=headers)

    assert answered_meanwhile(api, silent, ask)["busy"] >= MANY - 20


def test_those_who_read_journals_keep_a_few_threads(api: Api, silent: Silent, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = api.node.journal
    monkeypatch.setattr(journal, "_entries", partial(stuck, silent, journal._entries))
    headers = {"authorization": f"Bearer {api.token(CallerRole.AUDITOR)}"}

    def ask(_number: int) -> httpx.Request:
        return api.client.build_request("GET", "/v1/journal.csv?from=2026-01-01&to=2026-01-02", headers=headers)

    assert answered_meanwhile(api, silent, ask)["busy"] >= MANY - 20


def test_members_who_download_all_that_is_kept_keep_a_few_threads(
    api: Api, silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.node.members, "_rows", partial(stuck, silent, api.node.members._rows))
    headers = {"authorization": f"Bearer {member(api)}"}

    def ask(_number: int) -> httpx.Request:
        return api.client.build_request("GET", "/v1/me/data", headers=headers)

    assert answered_meanwhile(api, silent, ask)["busy"] >= MANY - 20


def test_whoever_reads_an_account_far_back_keeps_a_few_threads(
    api: Api, silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = api.node.member_statements._past
    monkeypatch.setattr(past, "entries", partial(stuck, silent, past.entries))
    headers = {"authorization": f"Bearer {member(api)}"}

    def ask(_number: int) -> httpx.Request:
        return api.client.build_request("GET", "/v1/me/statements/2001-01", headers=headers)

    assert answered_meanwhile(api, silent, ask)["busy"] >= MANY - 20
