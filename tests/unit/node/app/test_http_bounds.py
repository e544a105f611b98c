"""Callers that keep a node waiting are given up, each with an answer where one is possible; nobody else notices."""

import json
import resource
import select
import socket
import threading
import time
from contextlib import ExitStack, suppress
from typing import Final

import pytest

from node.api.admission import Admission
from node.app import http_bounds, listening
from node.app.http_bounds import BoundedProtocol
from node.services.members.accounts import AccountsService
from tests.unit.node.app.conftest import ANN, Served, issue, read_answer

LOOKS: Final = 5
LONG: Final = 1.5
"""In a test of seconds: several times what a caller has, `LOOKS` of a tenth of a second each."""

HOST: Final = "Host: node\r\n"
ALIVE: Final = f"GET /livez HTTP/1.1\r\n{HOST}\r\n".encode()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at connections ten times as often, and wait for few looks."""
    monkeypatch.setattr(listening, "TICKS_A_SECOND", 1)
    monkeypatch.setattr(http_bounds, "REQUEST_SECONDS_MAX", LOOKS)


def rest_of(connection: socket.socket) -> bytes:
    """Return all that comes until the node closes the connection."""
    parts = []
    try:
        while part := connection.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def trickled(connection: socket.socket, drop: bytes) -> bytes:
    """Send a drop from time to time, and return what the node says before it closes the connection."""
    end = time.monotonic() + 60
    while not select.select([connection], [], [], 0.05)[0]:
        assert time.monotonic() < end, "it waits for ever"
        # The node may have closed the connection a moment ago: what it said is still to be read.
        with suppress(ConnectionError):
            connection.sendall(drop)
    return rest_of(connection)


def refusal(answer: bytes) -> tuple[int, str]:
    """Return the status and the code of a refusal after which the connection is closed."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\nconnection: close" in head
    return int(head.split()[1]), json.loads(body)["code"]


def begun(served: Served, kind: str) -> tuple[bytes, bytes]:
    """Return the beginning of a request, and of what more it is made."""
    body = b'{"id":'
    match kind:
        case "head":
            return b"GET /livez HTTP/1.1\r\nHost: node\r\n", b"X-More: more\r\n"
        case "direct":
            return served.head("Content-Length: 4000") + body, b" "
        case "quick":
            return served.head("Content-Length: 4000000", path="/v1/transactions/batch") + body, b" "
        case "long":
            return served.head("Content-Length: 4000", path="/v1/accounts") + body, b" "
        case "chunked":
            return served.head("Transfer-Encoding: chunked", path="/v1/accounts"), b"1\r\n \r\n"
        case "parcel":
            return f"POST /peer/v1/envelopes HTTP/1.1\r\n{HOST}Content-Length: 4000000\r\n\r\n".encode(), b" "
    raise AssertionError(kind)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("kind", ["head", "direct", "quick", "long", "chunked", "parcel"])
def test_a_request_that_trickles_in_is_given_up(served: Served, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    sizes: list[int] = []
    enter, leave = Admission.enter, Admission.leave

    def entered(self: Admission, size: int) -> None:
        sizes.append(size)
        enter(self, size)

    def left(self: Admission, size: int) -> None:
        sizes.append(-size)
        leave(self, size)

    monkeypatch.setattr(Admission, "enter", entered)
    monkeypatch.setattr(Admission, "leave", left)
    # Whose caller is known at once is let in before its body is read.
    assert served.asked(served.post(issue(f"before {kind}")))[0].startswith(b"HTTP/1.1 201")
    first, drop = begun(served, kind)
    with served.connect() as connection:
        connection.sendall(ALIVE)
        with connection.makefile("rb") as answer:
            assert read_answer(answer.readline, answer.read).startswith(b"HTTP/1.1 200")
        connection.sendall(first)
        assert refusal(trickled(connection, drop)) == (408, "request_timeout")
    assert served.asked(served.post(issue(f"after {kind}")))[0].startswith(b"HTTP/1.1 201")
    assert (4_000_000 in sizes, sum(sizes)) == (kind == "quick", 0)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("drop", [b"", b"\r\n"])
def test_where_nothing_is_asked_nothing_is_said(served: Served, drop: bytes) -> None:
    with served.connect() as connection:
        assert trickled(connection, drop) == b""


@pytest.mark.usefixtures("hurried")
def test_a_body_that_keeps_coming_is_waited_for(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_bounds, "BODY_BYTES_PER_SECOND", 4)
    body = issue("steady").rstrip(b"}")
    drops = int(LONG / 0.05)
    with served.connect() as connection, connection.makefile("rb") as answer:
        connection.sendall(served.head(f"Content-Length: {len(body) + 20 * drops + 1}") + body)
        for _ in range(drops):
            connection.sendall(b" " * 20)
            time.sleep(0.05)
        connection.sendall(b"}")
        assert read_answer(answer.readline, answer.read).startswith(b"HTTP/1.1 201")


@pytest.mark.usefixtures("hurried")
def test_a_caller_who_waits_for_the_node_is_not_cut_off(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    show = AccountsService.show

    def slow(self: AccountsService, account: object) -> object:
        time.sleep(LONG)
        return show(self, account)  # type: ignore[arg-type]

    monkeypatch.setattr(AccountsService, "show", slow)
    asked = f"GET /v1/accounts/{ANN} HTTP/1.1\r\n{HOST}Authorization: Bearer {served.token}\r\n\r\n"
    assert served.asked(asked.encode())[0].startswith(b"HTTP/1.1 200")


@pytest.mark.usefixtures("hurried")
def test_a_connection_that_is_used_again_and_again_stays(served: Served) -> None:
    end = time.monotonic() + LONG
    with served.connect() as connection, connection.makefile("rb") as answer:
        while time.monotonic() < end:
            connection.sendall(ALIVE)
            assert read_answer(answer.readline, answer.read).startswith(b"HTTP/1.1 200")
            time.sleep(0.05)


@pytest.mark.usefixtures("hurried")
def test_an_answer_that_is_not_taken_is_taken_back(served: Served) -> None:
    asked = f"GET /openapi.json HTTP/1.1\r\n{HOST}\r\n".encode()
    (whole,) = served.asked(asked)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.connect(("127.0.0.1", served.port))
        connection.sendall(asked * 20)
        time.sleep(LONG)
        assert len(rest_of(connection)) < 20 * len(whole)


@pytest.mark.parametrize("kind", ["many lines", "one line", "trailers"])
def test_a_head_without_end_is_refused(served: Served, kind: str) -> None:
    first, chunk = begun(served, "chunked" if kind == "trailers" else "head")
    last = chunk + b"0\r\n" if kind == "trailers" else b"X-More: "
    more = b"x" * 16_000 if kind == "one line" else b"X-More: more\r\n" * 1_000
    with served.connect() as connection:
        connection.sendall(first + last)
        assert refusal(trickled(connection, more)) == (431, "head_too_large")


@pytest.mark.parametrize("before", [b"", ALIVE])
@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02 what is this\r\n\r\n", b"GET /livez HTTP/1.1\r\nno header\r\n\r\n"]
)
def test_what_is_no_http_is_refused_in_words(served: Served, before: bytes, garbage: bytes) -> None:
    with served.connect() as connection, connection.makefile("rb") as answer:
        if before:
            connection.sendall(before)
            assert read_answer(answer.readline, answer.read).startswith(b"HTTP/1.1 200")
        connection.sendall(garbage)
        assert refusal(answer.read()) == (400, "http_invalid")


@pytest.mark.parametrize(
    "head",
    [
        "GET /livez HTTP/1.1",
        "GET /livez HTTP/1.1\r\nHost: node\r\nHost: node",
        "GET /livez HTTP/1.1\r\nhost: node\r\nHOST: other",
        "GET /livez HTTP/1.0\r\nHost: node\r\nHost: other",
        "POST /peer/v1/envelopes HTTP/1.1\r\nHost: node\r\nTransfer-Encoding: gzip, chunked",
        "POST /peer/v1/envelopes HTTP/1.1\r\nHost: node\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        "POST /peer/v1/envelopes HTTP/1.1\r\nHost: node\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    ],
)
def test_a_head_that_a_proxy_may_read_otherwise_is_refused(served: Served, head: str) -> None:
    with served.connect() as connection:
        connection.sendall(head.encode() + b"\r\n\r\n0\r\n\r\n")
        assert refusal(rest_of(connection)) == (400, "http_invalid")


def test_a_request_of_http_1_0_need_name_no_host(served: Served) -> None:
    with served.connect() as connection:
        connection.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
        assert rest_of(connection).startswith(b"HTTP/1.1 200")


def test_a_body_that_is_no_http_is_refused_in_words(served: Served) -> None:
    first, _ = begun(served, "chunked")
    with served.connect() as connection:
        connection.sendall(first + b"what is this\r\n")
        assert refusal(rest_of(connection)) == (400, "http_invalid")


def test_a_refusal_is_not_taken_for_an_earlier_answer(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, done = threading.Event(), threading.Event()
    show = AccountsService.show

    def slow(self: AccountsService, account: object) -> object:
        asked.set()
        assert done.wait(60)
        return show(self, account)  # type: ignore[arg-type]

    monkeypatch.setattr(AccountsService, "show", slow)
    head = f"GET /v1/accounts/{ANN} HTTP/1.1\r\n{HOST}Authorization: Bearer {served.token}\r\n\r\n"
    with served.connect() as connection:
        connection.sendall(head.encode())
        assert asked.wait(60)
        connection.sendall(b"what is this\r\n\r\n")
        assert rest_of(connection) == b"", "what it asked for may have been done"
        done.set()


def test_heads_do_not_add_up(served: Served) -> None:
    long = ALIVE.replace(b"\r\n\r\n", b"\r\nX-More: " + b"x" * 40_000 + b"\r\n\r\n")
    body = issue("long head")
    with served.connect() as connection, connection.makefile("rb") as answer:
        for request in (long, long, served.post(body), long, served.post(body), long):
            connection.sendall(request)
            assert read_answer(answer.readline, answer.read).startswith(b"HTTP/1.1 20")


def test_one_connection_too_many_is_told_so(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_bounds, "connections_max", lambda: 2)
    with served.connect() as one, served.connect() as other, ExitStack() as stack:
        first, second = (stack.enter_context(each.makefile("rb")) for each in (one, other))
        for each, answer in ((one, first), (other, second)):
            each.sendall(ALIVE)
            assert read_answer(answer.readline, answer.read).startswith(b"HTTP/1.1 200")
        with served.connect() as third:
            refused = rest_of(third)
        assert refusal(refused) == (503, "busy")
        assert b"retry-after: 1\r\n" in refused
        one.sendall(ALIVE)
        assert read_answer(first.readline, first.read).startswith(b"HTTP/1.1 200")


def test_in_a_crowd_nobody_is_waited_for_as_long(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "TICKS_A_SECOND", 1)
    monkeypatch.setattr(http_bounds, "CROWDED_SECONDS_MAX", LOOKS)
    monkeypatch.setattr(http_bounds, "REQUEST_SECONDS_MAX", 6_000)
    monkeypatch.setattr(http_bounds, "connections_max", lambda: 40)
    with ExitStack() as stack:
        early = [stack.enter_context(served.connect()) for _ in range(20)]
        assert select.select(early, [], [], LONG)[0] == []
        late = [stack.enter_context(served.connect()) for _ in range(11)]
        # Those who have kept the node waiting longest make room for the others.
        assert [each.recv(1) for each in early] == [b""] * len(early)
        assert select.select(late, [], [], LONG)[0] == []


@pytest.mark.parametrize(
    ("files", "connections"), [(64, 32), (1_024, 768), (8_192, 7_936), (1_048_576, 16_384), (-1, 16_384)]
)
def test_files_are_kept_for_what_a_node_needs_itself(
    monkeypatch: pytest.MonkeyPatch, files: int, connections: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (files, -1))
    monkeypatch.setattr(http_bounds, "_files_each", 1)
    assert http_bounds.connections_max() == connections


@pytest.mark.parametrize(("files", "connections"), [(64, 16), (1_024, 384), (20_000, 9_872), (-1, 16_384)])
def test_a_process_that_passes_on_needs_two_files_for_each_caller(
    monkeypatch: pytest.MonkeyPatch, files: int, connections: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (files, -1))
    monkeypatch.setattr(http_bounds, "_files_each", 1)
    http_bounds.pass_on()
    assert http_bounds.connections_max() == connections


def test_requests_sent_ahead_wait_outside(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting: list[int] = []
    started = BoundedProtocol.on_headers_complete

    def counted(protocol: BoundedProtocol) -> None:
        started(protocol)
        waiting.append(len(protocol.pipeline))

    monkeypatch.setattr(BoundedProtocol, "on_headers_complete", counted)
    bare = b"GET /livez HTTP/1.1\r\nHost:n\r\n\r\n"
    count = 65_536 // len(bare)
    with served.connect() as connection, connection.makefile("rb") as answer:
        sending = threading.Thread(target=connection.sendall, args=(bare * count + ALIVE,))
        sending.start()
        for _ in range(count + 1):
            assert read_answer(answer.readline, answer.read).startswith(b"HTTP/1.1 200")
        sending.join()
        # The connection is as good as before.
        connection.sendall(ALIVE)
        assert read_answer(answer.readline, answer.read).startswith(b"HTTP/1.1 200")
    assert len(waiting) == count + 2
    assert max(waiting) <= http_bounds.PIECE_BYTES // len(bare) + 1


def test_of_too_much_that_is_arriving_the_longest_lasting_is_given_up(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_bounds, "ARRIVING_BYTES_MAX", 100_000)
    head, _ = begun(served, "parcel")
    with ExitStack() as stack:
        first, second, third = (stack.enter_context(served.connect()) for _ in range(3))
        first.sendall(head + b"x" * 40_000)
        second.sendall(head + b"x" * 40_000)
        # What is whole counts no more, and who sends little is not asked to go.
        assert served.asked(served.post(issue("meanwhile")))[0].startswith(b"HTTP/1.1 201")
        assert not select.select([first, second], [], [], 0.2)[0]
        third.sendall(head + b"x" * 40_000)
        assert refusal(rest_of(first)) == (503, "busy")
        assert not select.select([second, third], [], [], 0.2)[0]
        second.sendall(b"x" * 40_000)
        assert refusal(rest_of(second)) == (503, "busy")
        # There is room again, for the whole of one.
        third.sendall(b"x" * 50_000)
        assert not select.select([third], [], [], 0.2)[0]
    assert served.asked(served.post(issue("after too much")))[0].startswith(b"HTTP/1.1 201")


def test_what_is_given_up_by_its_caller_counts_no_more(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_bounds, "ARRIVING_BYTES_MAX", 100_000)
    head, _ = begun(served, "parcel")
    with served.connect() as waiting:
        waiting.sendall(head + b"x" * 30_000)
        for _ in range(5):
            with served.connect() as leaving:
                leaving.sendall(head + b"x" * 60_000)
                assert not select.select([waiting], [], [], 0.1)[0]
        assert not select.select([waiting], [], [], 0.2)[0]
