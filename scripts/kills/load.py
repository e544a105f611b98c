"""The clients of both nodes: each orders one conversion after the other and repeats what was not answered."""

import ssl
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

import httpx
import msgspec

from node.client import NodeClient, NodeUnreachable, RequestRefused, read_token
from protocol.encoding import JsonValue
from scripts.alliance.alliance import OPERATOR, Alliance
from scripts.alliance.brands import Brand
from scripts.alliance.process import AllianceFailed
from scripts.kills.plan import PAIR, Flavour, Order, Plan

CLIENTS: Final = 32
"""Clients of each node; all are at work at the same time."""

RETRY_SECONDS: Final = 0.2
PATIENCE_SECONDS: Final = 120.0
DECIDED: Final = "conversion_decided"
_NO_CERTIFICATES: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Nodes on this machine speak plain HTTP, and to load the system's certificates for each client takes long."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What an order's answer says of its entry."""

    id: str
    seq: int
    leaf: str


class Load:
    """Hands the orders of a plan to the clients, as far as they are released, and keeps what they were answered.

    Where the same orders are sent once more, `again`, nobody thinks better of them.
    """

    def __init__(self, plan: Plan, alliance: Alliance, *, again: bool = False) -> None:
        self.answers: dict[str, bytes] = {}
        self.wishes: set[str] = set()
        """Conversions whose cancellation was taken: it has to stand in the log."""
        self.unanswered: Counter[str] = Counter()
        """How many requests got no answer, by the reason."""
        self._alliance = alliance
        self._again = again
        self._released = 0
        self._taken = 0
        self._ended = False
        self._failure: BaseException | None = None
        self._moved = threading.Condition()
        self._waiting: dict[Brand, deque[tuple[int, Order]]] = {brand: deque() for brand in PAIR}
        for place, order in enumerate(plan.orders):
            self._waiting[order.source].append((place, order))

    @property
    def under_way(self) -> int:
        """Return how many orders are sent and not answered."""
        return self._taken - len(self.answers)

    def release(self, count: int) -> None:
        """Let the first `count` orders of the plan be sent."""
        with self._moved:
            self._released = count
            self._moved.notify_all()

    def wait_for(self, answered: int) -> None:
        """Return once so many orders have been answered, or raise `AllianceFailed`."""
        with self._moved:
            done = self._moved.wait_for(lambda: len(self.answers) >= answered or self._ended, PATIENCE_SECONDS)
        if self._failure is not None:
            raise AllianceFailed(f"a client has given up: {self._failure}") from self._failure
        if not done:
            raise AllianceFailed(f"{answered} orders are not answered after {PATIENCE_SECONDS:.0f} s")

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the clients work until all orders are answered, and raise what one of them could not go on with."""
        with ThreadPoolExecutor(CLIENTS * len(PAIR), thread_name_prefix="client") as pool:
            for client in [pool.submit(self._serve, brand) for brand in PAIR for _ in range(CLIENTS)]:
                client.add_done_callback(self._note_end)
            try:
                yield
            except BaseException:
                self._end(None)
                raise
        if self._failure is not None:
            raise self._failure

    def _serve(self, brand: Brand) -> None:
        # A client of its own: a pool of connections that many threads share closes some of them in use.
        with _client_of(self._alliance, brand) as client:
            while (order := self._take(brand)) is not None:
                data = self._ask(client, "/v1/conversions", order.body())
                with self._moved:
                    self.answers[order.id] = data
                    self._moved.notify_all()
                if order.flavour is Flavour.CANCELLED and not self._again:
                    self._cancel(client, order)

    def _take(self, brand: Brand) -> Order | None:
        waiting = self._waiting[brand]
        with self._moved:
            self._moved.wait_for(lambda: self._ended or not waiting or waiting[0][0] < self._released)
            if self._ended or not waiting:
                return None
            self._taken += 1
            return waiting.popleft()[1]

    def _cancel(self, client: NodeClient, order: Order) -> None:
        try:
            self._ask(client, f"/v1/conversions/{order.id}/cancel", {})
        except RequestRefused as refused:
            if refused.code != DECIDED:
                raise
        else:
            with self._moved:
                self.wishes.add(order.id)

    def _ask(self, client: NodeClient, path: str, body: dict[str, JsonValue]) -> bytes:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return client.post(path, body).data
            except NodeUnreachable as failure:
                with self._moved:
                    self.unanswered[reason_of(failure)] += 1
                if self._ended or time.monotonic() > deadline:
                    raise
            time.sleep(RETRY_SECONDS)

    def _note_end(self, client: "Future[None]") -> None:
        failure = client.exception()
        if failure is not None:
            self._end(failure)

    def _end(self, failure: BaseException | None) -> None:
        with self._moved:
            self._ended = True
            self._failure = self._failure or failure
            self._moved.notify_all()


def reason_of(failure: NodeUnreachable) -> str:
    """Return in short why a node gave no answer: the connection's fate, or the code of its own refusal."""
    text = str(failure)
    for words, reason in (("broke off", "broken off"), ("ConnectError", "not running")):
        if words in text:
            return reason
    _, found, code = text.partition("cannot answer now: ")
    return code.partition(":")[0] if found else text


def _client_of(alliance: Alliance, brand: Brand) -> NodeClient:
    node = alliance.nodes[brand]
    token = read_token(node.token_file(OPERATOR))
    return NodeClient(node.url, token=token, transport=httpx.HTTPTransport(verify=_NO_CERTIFICATES))
