"""Webhooks go to the open internet alone, to the address that was judged, and nobody is followed elsewhere."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from node.peers.hooks import ANSWER_BYTES_MAX, CLIENTS_MAX, HttpHooks, is_public, resolve
from node.ports import HookFailed
from tests.support.receivers import Receiver, listening, refuse

BODY = b'{"id":"1","account":null}'
HEADERS = {"content-type": "application/json", "webhook-id": "1", "webhook-timestamp": "0", "webhook-signature": "v1,"}


@pytest.fixture
def hooks() -> Iterator[HttpHooks]:
    made = HttpHooks(private=True)
    yield made
    made.close()


def failure(hooks: HttpHooks, url: str) -> HookFailed:
    with pytest.raises(HookFailed) as raised:
        hooks.post(url, BODY, HEADERS)
    return raised.value


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - an address to refuse
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::10.0.0.1", False),
        ("64:ff9b::5db8:d822", True),
        ("2002:a00:1::", False),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
        ("fec0::1", False),
        ("64:ff9b:1::10.0.0.1", False),
        ("::10.0.0.1", False),
        ("::ffff:0:10.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("4000::1", False),
    ],
)
def test_an_address_of_the_open_internet_is_one_in_every_reading(address: str, *, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "url",
    [
        "http://receiver.example/hook",
        "ftp://receiver.example/hook",
        "https://user:secret@receiver.example/hook",
        "https://receiver.example/hook#part",
        "https:///hook",
        "https://receiver.example:99999/hook",
        f"https://receiver.example/{'x' * 1_024}",
    ],
)
def test_an_address_that_may_not_be_posted_to_is_refused(url: str) -> None:
    hooks = HttpHooks(resolver=lambda *_: ["93.184.216.34"])
    with pytest.raises(HookFailed):
        hooks.check(url)


def test_a_name_with_any_private_address_is_refused_at_each_attempt() -> None:
    answers = [["93.184.216.34"], ["93.184.216.34", "10.0.0.1"], []]
    hooks = HttpHooks(resolver=lambda *_: answers.pop(0))
    hooks.check("https://receiver.example/hook")
    assert "open internet" in str(failure(hooks, "https://receiver.example/hook"))
    assert "no address" in str(failure(hooks, "https://receiver.example/hook"))


def test_a_name_that_nobody_knows_is_refused() -> None:
    def unknown(_host: str, _port: int) -> list[str]:
        raise socket.gaierror("unknown")

    found = failure(HttpHooks(resolver=unknown), "https://receiver.example/hook")
    assert not found.reached
    assert resolve("127.0.0.1", 80) == ["127.0.0.1"]


def test_the_judged_address_is_connected_to_under_the_receivers_name(hooks: HttpHooks) -> None:
    with listening(Receiver()) as receiver:
        port = httpx.URL(receiver.url).port
        named = HttpHooks(private=True, resolver=lambda *_: ["127.0.0.1"])
        named.post(f"http://receiver.example:{port}/hook", BODY, HEADERS)
        named.close()
        hooks.post(receiver.url, BODY, HEADERS)
    assert len(receiver.tried) == 2


def test_another_address_of_a_name_is_tried_where_nobody_listens_at_the_first() -> None:
    receiver = Receiver()
    named = HttpHooks(private=True, resolver=lambda *_: ["127.0.0.2", "127.0.0.1", "127.0.0.3"])
    nowhere = HttpHooks(private=True, resolver=lambda *_: ["127.0.0.2", "127.0.0.3"])
    with listening(receiver):
        url = f"http://receiver.example:{httpx.URL(receiver.url).port}/hook"
        named.post(url, BODY, HEADERS)
        # Whoever was there has answered: nobody else is asked.
        receiver.behave = refuse()
        assert str(failure(named, url)) == "it answered 500"
        assert len(receiver.tried) == 2
        assert not failure(nowhere, url).reached
    named.close()
    nowhere.close()


def test_an_answer_tells_whether_somebody_was_there(hooks: HttpHooks) -> None:
    receiver = Receiver(behave=refuse(status=302))
    with listening(receiver):
        found = failure(hooks, receiver.url)
        assert (found.reached, str(found)) == (True, "it answered 302")
        assert len(receiver.tried) == 1
        receiver.behave = refuse(status=0)
        assert failure(hooks, receiver.url).reached
    assert not failure(hooks, receiver.url).reached


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    served = iter(lambda: b"x" * 4_096, b"")
    read = 0

    def endless(_request: httpx.Request) -> httpx.Response:
        def parts() -> Iterator[bytes]:
            nonlocal read
            for part in served:
                read += len(part)
                yield part

        return httpx.Response(200, content=parts())

    hooks = HttpHooks(private=True, resolver=lambda *_: ["127.0.0.1"])
    client = httpx.Client(transport=httpx.MockTransport(endless))
    hooks._clients["http://receiver.example"] = client
    hooks.post("http://receiver.example/hook", BODY, HEADERS)
    assert ANSWER_BYTES_MAX < read < 2 * ANSWER_BYTES_MAX
    hooks.close()


def test_connections_are_kept_for_few_receivers(hooks: HttpHooks) -> None:
    for number in range(CLIENTS_MAX + 2):
        assert not failure(hooks, f"http://127.0.0.1:1/{number}").reached
        hooks._client(f"http://receiver-{number}.example")
    assert len(hooks._clients) == CLIENTS_MAX


def test_what_is_under_way_is_given_up_and_nothing_more_begins(hooks: HttpHooks) -> None:
    reached, let_go = threading.Event(), threading.Event()

    def hang(_event: dict[str, object]) -> int:
        reached.set()
        let_go.wait(60)
        return 204

    with listening(Receiver(behave=hang)) as receiver, ThreadPoolExecutor(1) as one:
        posted = one.submit(failure, hooks, receiver.url)
        assert reached.wait(60)
        hooks.halt()
        assert posted.result(60).reached
        assert not failure(hooks, receiver.url).reached
        let_go.set()
