"""A brand's node and the sandbox partner in one process, over a network of the test that carries real requests."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import httpx
from starlette.types import ASGIApp

from node.api.app import create_app
from node.api.parcels import PARCEL_TYPE
from node.app.directory import create_node_directory, token_path
from node.app.open import OpenedNode, PortOverrides, open_node
from node.app.sandbox import LEDGER, make_sandbox
from node.app.sandbox_host import SandboxHost
from node.app.sandbox_parts import ENVELOPES_PATH, Performance, SandboxEngine, SpoilingApp, SpoilingTransport
from node.ports import TransportFailed
from node.services.access.credentials import CallerRole
from node.services.channel.exchange import Exchange
from node.workers.send_papers import SendPapers
from protocol.errors import TallystickError
from protocol.identifiers import Account, Id, Ledger
from tests.support.api import Json
from tests.support.documents import AURORA, uuid
from tests.support.keyrings import SeededRandomness
from tests.support.nodes import FakeClock

SANDBOX: Final = Ledger(LEDGER)
BRAND_URL: Final = "http://aurora.example"
SANDBOX_URL: Final = "http://127.0.0.1:8490"
ANN: Final = Account(f"member/{uuid('ann')}")
POINTS: Final = 100_000
TICK_SECONDS: Final = 0.1


@dataclass
class Web:
    """Carries requests to the applications of this process, and notes with which codes parcels are refused."""

    runner: asyncio.Runner
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)
    exchanges: dict[str, Exchange] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def open(self, url: str, app: ASGIApp) -> None:
        """Let `app` listen at `url`."""
        self.clients[url] = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=url)

    def request(self, url: str, path: str, *, content: bytes, headers: dict[str, str]) -> httpx.Response:
        """Return the answer to a POST."""
        return self.runner.run(self.clients[url].post(path, content=content, headers=headers))


@dataclass
class Line:
    """A node's way into the web, as its transport and for its papers."""

    web: Web
    own_url: str

    def exchange(self, url: str, parcel: bytes) -> bytes:
        response = self.web.request(url, ENVELOPES_PATH, content=parcel, headers={"content-type": PARCEL_TYPE})
        if not response.is_success:
            self.web.refused.append(response.json()["code"])
            raise TransportFailed(response.text)
        try:
            self.web.exchanges[self.own_url].check(response.content)
        except TallystickError as error:
            self.web.refused.append(error.code)
        return response.content

    def send(self, url: str, document: bytes) -> None:
        to = next(known for known in self.web.clients if url.startswith(known))
        response = self.web.request(
            to, url.removeprefix(to), content=document, headers={"content-type": "application/json"}
        )
        if not response.is_success:
            raise TransportFailed(response.text)


@dataclass
class Stage:
    """Both nodes at work."""

    web: Web
    clock: FakeClock
    brand: OpenedNode
    sandbox: OpenedNode
    host: SandboxHost
    performance: Performance
    papers: list[SendPapers]

    def call(self, path: str, body: object, *, url: str = BRAND_URL) -> Json:
        """Return the answer to a POST that must succeed."""
        directory = (self.brand if url == BRAND_URL else self.sandbox).directory
        token = token_path(directory, CallerRole.ADMINISTRATOR).read_text().strip()
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        response = self.web.request(url, path, content=json.dumps(body).encode(), headers=headers)
        assert response.is_success, response.text
        answer: Json = response.json()
        return answer

    def talk(self, seconds: float) -> None:
        """Let time pass, with every worker of both nodes at work."""
        for _ in range(round(seconds / TICK_SECONDS)):
            for each in self.papers:
                each.step()
            self.host.step()
            for opened in (self.brand, self.sandbox):
                for ledger in opened.node.exchange.due(self.clock.monotonic()):
                    opened.node.exchange.begin(ledger)
                    opened.node.exchange.deliver(ledger)
            self.clock.advance(TICK_SECONDS)

    def order(self, steps: int) -> Id:
        """Order a conversion of `steps` steps of one point."""
        conversion = uuid(f"sandbox {steps}")
        self.call("/v1/conversions", {"id": conversion, "account": ANN, "partner": SANDBOX, "amount": steps})
        return conversion

    def outcome(self, conversion: Id) -> tuple[str, str | None]:
        """Return state and reason of a conversion as members see it."""
        view = self.brand.node.conversions.state(conversion)
        return view.state, view.reason

    def heard(self, conversion: Id) -> list[str]:
        """Return the kinds of the different bodies that the brand has received about a conversion."""
        found = self.brand.node.reader.received_of_conversion(SANDBOX, conversion)
        return [each.kind for each in found]


def become_partners(stage: Stage) -> None:
    """Do what the sandbox's guide says."""
    ours = stage.call("/v1/partners/invitations", {})
    reply = stage.call("/v1/partners", {"invitation": ours}, url=SANDBOX_URL)["reply"]
    stage.call("/v1/partners", {"invitation": reply})
    one = {"step": {"source": 1, "destination": 1}, "price": 10_000}
    directions = [{"source": AURORA.ledger, **one}, {"source": SANDBOX, **one}]
    terms = {"currency": "USD", "directions": directions}
    stage.call("/v1/agreements/proposals", {"partner": SANDBOX, "terms": terms})
    stage.talk(1)
    stage.call("/v1/accounts", {"id": uuid("ann"), "kind": "member"})
    stage.call("/v1/transactions", {"id": uuid("welcome"), "type": "issue", "account": ANN, "amount": POINTS})
    link = json.loads(stage.host.link_path(AURORA.ledger).read_text())
    stage.call("/v1/links/accept", {"id": uuid("link"), "account": ANN, "document": link})


@contextmanager
def stage_of(directory: Path) -> Iterator[Stage]:
    """Lend a brand that is the sandbox's partner, as after the first minutes."""
    clock = FakeClock()
    with ExitStack() as stack:
        web = Web(stack.enter_context(asyncio.Runner()))
        brand = stack.enter_context(_brand(directory / "aurora", web, clock))
        performance = Performance(clock)
        sandbox = stack.enter_context(_sandbox(directory / "sandbox", web, clock, performance))
        web.open(BRAND_URL, create_app(brand.node))
        web.open(SANDBOX_URL, SpoilingApp(create_app(sandbox.node), performance))
        web.exchanges = {BRAND_URL: brand.node.exchange, SANDBOX_URL: sandbox.node.exchange}
        host = SandboxHost(sandbox.node, sandbox.directory, performance)
        papers = [SendPapers(each.node.agreements, each.node.papers, clock) for each in (brand, sandbox)]
        stage = Stage(web, clock, brand, sandbox, host, performance, papers)
        become_partners(stage)
        yield stage
        for client in web.clients.values():
            web.runner.run(client.aclose())


@contextmanager
def _brand(directory: Path, web: Web, clock: FakeClock) -> Iterator[OpenedNode]:
    create_node_directory(
        directory,
        ledger=AURORA.ledger,
        points="AUR",
        points_name="Aurora Miles",
        url=BRAND_URL,
        currencies=("USD",),
        clock=clock,
    )
    line = Line(web, BRAND_URL)
    ports = PortOverrides(clock=clock, randomness=SeededRandomness("brand"), transport=line, papers=line)
    with open_node(directory, ports=ports) as opened:
        yield opened


@contextmanager
def _sandbox(directory: Path, web: Web, clock: FakeClock, performance: Performance) -> Iterator[OpenedNode]:
    make_sandbox(directory, port=8_490, clock=clock)
    line = Line(web, SANDBOX_URL)
    ports = PortOverrides(clock=clock, transport=SpoilingTransport(line, performance), papers=line)
    with open_node(directory, ports=ports, make_engine=partial(SandboxEngine, performance=performance)) as opened:
        yield opened
