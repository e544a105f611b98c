"""Whole nodes of one process: the shipped composition over real stores, called through its HTTP application.

Nothing moves by itself: `work` lets every worker take a step, `talk` carries what is due, and the test moves the clock
that all nodes share.
"""

import asyncio
import json
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import httpx
import msgspec

from node.api.app import create_app
from node.api.parcels import PARCEL_TYPE
from node.app.directory import STATE_NAME, Created, create_node_directory
from node.app.open import OpenedNode, PortOverrides, open_node
from node.peers.http import ENVELOPES_PATH
from node.peers.links import LINKS_PATH
from node.ports import LinkReply, TransportFailed
from node.services.access.credentials import CallerRole
from node.services.node import Node
from node.workers.close_windows import CloseWindows
from node.workers.expire_holds import ExpireHolds
from node.workers.gather_evidence import GatherEvidence
from node.workers.keep_state import KeepState
from node.workers.send_papers import SendPapers
from protocol.identifiers import Ledger, Network
from scripts.alliance.brands import Brand
from tests.support.documents import hex_16
from tests.support.keyrings import SeededRandomness
from tests.support.nodes import FakeClock

NETWORK: Final = Network(hex_16("whole nodes"))
JSON: Final = "application/json"
TICK_SECONDS: Final = 0.001
_T = TypeVar("_T")


class EventLoop:
    """An event loop on a thread of its own: any other thread may run requests there, those of a request included."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="requests", daemon=True)
        self._thread.start()

    def run(self, task: Coroutine[None, None, _T]) -> _T:
        """Return what `task` returns."""
        return asyncio.run_coroutine_threadsafe(task, self._loop).result()

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


@dataclass
class Loopback:
    """Carries everything between the applications of this process: parcels, papers, and what logs publish."""

    loop: EventLoop
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)
    parcels: int = 0

    def exchange(self, url: str, parcel: bytes) -> bytes:
        self.parcels += 1
        return self._post(f"{url}{ENVELOPES_PATH}", parcel, PARCEL_TYPE)

    def send(self, url: str, document: bytes) -> None:
        self._post(url, document, JSON)

    def fetch(self, url: str, path: str, *, credential: str | None = None) -> bytes | None:
        headers = {} if credential is None else {"authorization": credential}
        response = self.loop.run(self.clients[httpx.URL(url).host].get(f"{url}/{path}", headers=headers))
        return response.content if response.is_success else None

    def _post(self, address: str, content: bytes, media_type: str) -> bytes:
        client = self.clients[httpx.URL(address).host]
        response = self.loop.run(client.post(address, content=content, headers={"content-type": media_type}))
        if not response.is_success:
            raise TransportFailed(response.text)
        return response.content


@dataclass(frozen=True)
class LoopbackLinks:
    """Exchanges codes for links between the applications of this process."""

    network: Loopback

    def exchange(self, url: str, request: bytes) -> LinkReply:
        client = self.network.clients[httpx.URL(url).host]
        asked = client.post(f"{url}{LINKS_PATH}", content=request, headers={"content-type": JSON})
        response = self.network.loop.run(asked)
        return LinkReply(status=response.status_code, body=response.content)


@dataclass(kw_only=True)
class WholeNode:
    """A brand's node as `serve` composes it, its workers included, and a client of its application."""

    brand: Brand
    created: Created
    opened: OpenedNode
    client: httpx.AsyncClient
    loop: EventLoop

    def __post_init__(self) -> None:
        node, ports = self.node, self.opened.ports
        self._steps = (
            SendPapers(node.agreements, ports.papers, ports.clock).step,
            ExpireHolds(node.points).step,
            CloseWindows(node.settlement).step,
            GatherEvidence(node.accusations).step,
            self._prove,
            KeepState(node.log, self.opened.directory / STATE_NAME).step,
        )

    def _prove(self) -> None:
        # Here on the test's own thread, where `serve` has several.
        for partner in self.node.proving.due():
            self.node.proving.prove(partner)

    @property
    def node(self) -> Node:
        """Return the services."""
        return self.opened.node

    @property
    def ledger(self) -> Ledger:
        """Return the ledger's name."""
        return Ledger(self.brand.ledger)

    def work(self) -> None:
        """Let every worker take a step."""
        for step in self._steps:
            step()

    def deliver_due(self) -> int:
        """Send to every partner to whom something is due, and return to how many."""
        exchange = self.node.exchange
        due = exchange.due(self.node.clock.monotonic())
        for ledger in due:
            exchange.begin(ledger)
            exchange.deliver(ledger)
        return len(due)

    def get(self, path: str, **query: str | int) -> bytes:
        """Return what the operator's GET is answered."""
        return self._call("GET", path, params=query)

    def read(self, path: str, answer: type[_T], **query: str | int) -> _T:
        """Return what the operator's GET is answered, decoded as `answer`."""
        return msgspec.json.decode(self.get(path, **query), type=answer)

    def post(self, path: str, body: object) -> bytes:
        """Return what the operator's POST is answered, which must succeed."""
        return self._call("POST", path, content=json.dumps(body).encode())

    def _call(
        self, method: str, path: str, *, content: bytes | None = None, params: Mapping[str, str | int] | None = None
    ) -> bytes:
        token = self.created.tokens[CallerRole.ADMINISTRATOR].read_text().strip()
        headers = {"authorization": f"Bearer {token}", "content-type": JSON}
        request = self.client.request(method, path, content=content, params=params, headers=headers)
        response = self.loop.run(request)
        assert response.is_success, f"{method} {path}: {response.text}"
        return response.content


@dataclass(frozen=True, kw_only=True)
class Street:
    """Nodes that can reach each other; they begin as strangers."""

    nodes: Mapping[Brand, WholeNode]
    clock: FakeClock
    network: Loopback

    def work(self, rounds: int = 1) -> None:
        """Let every node's workers take a step and the nodes speak about it, several times."""
        for _ in range(rounds):
            for each in self.nodes.values():
                each.work()
            self.talk()

    def talk(self, seconds: float = 1.0) -> None:
        """Let time pass, each node sleeping as long as it says it can and sending what is due."""
        nodes, end = self.nodes.values(), self.clock.monotonic() + seconds
        while (left := end - self.clock.monotonic()) > 0:
            if sum([each.deliver_due() for each in nodes]):
                self.clock.advance(TICK_SECONDS)
            else:
                pause = min(each.node.exchange.sleep_seconds(self.clock.monotonic()) for each in nodes)
                self.clock.advance(min(max(pause, TICK_SECONDS), left))


@contextmanager
def street(
    directory: Path,
    brands: Mapping[Brand, str],
    *,
    clock: FakeClock,
    currencies: tuple[str, ...],
    seed: str,
) -> Iterator[Street]:
    """Lend a new node for each of `brands`, over the database at the URL given with it, or a file if that is empty."""
    with ExitStack() as stack:
        loop = stack.enter_context(closing(EventLoop()))
        network = Loopback(loop)
        nodes = {}
        for brand, url in brands.items():
            randomness = SeededRandomness(f"{seed} {brand.name}")
            created = create_node_directory(
                directory / brand.name,
                ledger=brand.ledger,
                points=brand.points,
                points_name=brand.points_name,
                url=f"https://{brand.program}",
                currencies=currencies,
                settings={"database_url": url},
                network=NETWORK,
                clock=clock,
                randomness=randomness,
            )
            ports = PortOverrides(
                clock=clock,
                randomness=randomness,
                transport=network,
                papers=network,
                logs=network,
                links=LoopbackLinks(network),
            )
            opened = stack.enter_context(open_node(created.directory, ports=ports))
            transport = httpx.ASGITransport(create_app(opened.node))
            client = httpx.AsyncClient(transport=transport, base_url=f"https://{brand.program}", timeout=60)
            stack.callback(_close, loop, client)
            network.clients[brand.program] = client
            nodes[brand] = WholeNode(brand=brand, created=created, opened=opened, client=client, loop=loop)
        for each in nodes.values():
            each.node.open_channels()
        yield Street(nodes=nodes, clock=clock, network=network)


def _close(loop: EventLoop, client: httpx.AsyncClient) -> None:
    loop.run(client.aclose())
