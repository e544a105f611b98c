"""A node asked for more than it can do: it refuses what is too much, and loses nothing of what it has granted."""

import http.client
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

import msgspec
import pytest

from node.client import read_token
from protocol.identifiers import Id
from scripts.alliance.alliance import BACKEND, running_alliance
from scripts.alliance.brands import AURORA
from tests.support.documents import uuid

pytestmark = pytest.mark.integration

CALLERS: Final = 32
ROUNDS: Final = 3
ITEMS: Final = 40
BODY_BYTES: Final = 1_048_576
"""Bodies are long, so that a few of them are more than a node takes in at once; the rest of each is white space."""

SECONDS_MAX: Final = 120
ACCOUNT: Final = f"member/{uuid('flooded')}"


@dataclass(frozen=True, slots=True)
class Node:
    """Where the node is, and the token to ask it with."""

    host: str
    token: str

    def ask(self, method: str, path: str, body: bytes | None = None) -> "Answer":
        """Ask over a connection of its own."""
        connection = http.client.HTTPConnection(self.host, timeout=SECONDS_MAX)
        try:
            headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Answer(HTTPStatus(answer.status), answer.headers.get("Retry-After"), answer.read())
        finally:
            connection.close()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: HTTPStatus
    retry_after: str | None
    body: bytes


class _Result(msgspec.Struct):
    status: int
    answer: msgspec.Raw


class _Results(msgspec.Struct):
    results: list[_Result]


class _Problem(msgspec.Struct):
    code: str


class _Balance(msgspec.Struct):
    posted: int


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder: Path = tmp_path_factory.mktemp("overload")
    with running_alliance(folder / "nodes", port_base=None, ephemeral=True, brands=(AURORA,)) as alliance:
        process = alliance.nodes[AURORA]
        yield Node(process.url.removeprefix("http://"), read_token(process.token_file(BACKEND)))


def test_what_is_granted_is_kept_and_what_is_too_much_is_refused(node: Node) -> None:
    opened = node.ask("POST", "/v1/accounts", msgspec.json.encode({"id": uuid("flooded"), "kind": "member"}))
    assert opened.status == HTTPStatus.CREATED
    granted: dict[str, bytes] = {}
    refused: list[str] = []
    with ThreadPoolExecutor(CALLERS + 1) as callers:
        reads = callers.submit(lambda: [balance(node) for _ in range(50)])
        for sent, answers in callers.map(lambda caller: flood(node, caller), range(CALLERS)):
            for ids, answer in zip(sent, answers, strict=True):
                if answer.status == HTTPStatus.OK:
                    granted.update(zip(ids, each_of(answer), strict=True))
                else:
                    check_refusal(answer)
                    refused.extend(ids)
    assert refused, "the flood was too small"
    assert granted, "nothing got through"
    assert balance(node) == len(granted)
    assert max(reads.result(SECONDS_MAX)) <= len(granted)
    check_kept(node, granted, refused)


def flood(node: Node, caller: int) -> tuple[list[list[Id]], list[Answer]]:
    """Send batches as fast as they are answered; return the ids of each, and its answer."""
    sent = [[uuid(f"flood {caller} {number} {item}") for item in range(ITEMS)] for number in range(ROUNDS)]
    return sent, [node.ask("POST", "/v1/transactions/batch", body_of(ids)) for ids in sent]


def body_of(ids: Sequence[str]) -> bytes:
    items = [{"id": each, "type": "issue", "account": ACCOUNT, "amount": 1} for each in ids]
    return msgspec.json.encode({"atomic": False, "items": items}).ljust(BODY_BYTES)


def each_of(answer: Answer) -> list[bytes]:
    """Return the answer to each item, all of which were granted."""
    results = msgspec.json.decode(answer.body, type=_Results).results
    assert {each.status for each in results} == {HTTPStatus.CREATED}
    return [bytes(each.answer) for each in results]


def check_refusal(answer: Answer) -> None:
    assert answer.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert answer.retry_after is not None
    assert int(answer.retry_after) >= 1
    assert msgspec.json.decode(answer.body, type=_Problem).code == "busy"


def balance(node: Node) -> int:
    answer = node.ask("GET", f"/v1/accounts/{ACCOUNT}")
    assert answer.status == HTTPStatus.OK
    return msgspec.json.decode(answer.body, type=_Balance).posted


def check_kept(node: Node, granted: dict[str, bytes], refused: Sequence[str]) -> None:
    """Check that a sample of the granted is shown as it was answered, and that nothing of the refused is there."""
    for each in [*granted][::ITEMS]:
        assert node.ask("GET", f"/v1/transactions/{each}").body == granted[each]
    for each in refused[::ITEMS]:
        assert node.ask("GET", f"/v1/transactions/{each}").status == HTTPStatus.NOT_FOUND
