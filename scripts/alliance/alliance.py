"""Nodes that know each other: their directories made, their processes run, their agreements in force."""

import hashlib
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from types import MappingProxyType
from typing import Final
from uuid import UUID

from node.cli.main import run
from node.client import NodeClient, read_token
from scripts.alliance.brands import BRANDS, CURRENCY, Brand
from scripts.alliance.guests import go_on_without_guests
from scripts.alliance.partnership import agree, introduce
from scripts.alliance.process import HOST, AllianceFailed, NodeProcess, check_ports_free, find_free_ports
from scripts.alliance.progress import say

PORT_BASE: Final = 7_101
CONFIG: Final = "node.toml"
OPERATOR: Final = "operator"
BACKEND: Final = "backend"
AUDITOR: Final = "auditor"
GUEST_SECONDS: Final = 10.0
"""For how long nobody asks why a node is not ready: its partners have answered by then if they run."""

GUEST_WAITS: Final = 3
SQLITE: Final[Mapping[Brand, str]] = MappingProxyType({})
"""No other database than the file that each node makes in its directory."""


def stable_id(*words: str) -> str:
    """Return a version 4 UUID that `words` always lead to, so that a step done twice is one request repeated."""
    return str(UUID(bytes=hashlib.sha256("/".join(words).encode()).digest()[:16], version=4))


@dataclass(frozen=True, slots=True)
class Alliance:
    """The running nodes, by brand."""

    directory: Path
    nodes: dict[Brand, NodeProcess]

    def client(self, brand: Brand, role: str = BACKEND) -> NodeClient:
        """Return a client of a brand's node with the token of `role`."""
        node = self.nodes[brand]
        return NodeClient(node.url, token=read_token(node.token_file(role)))

    def restart(self, brand: Brand) -> None:
        """Start a killed node again and wait until it is ready."""
        self.nodes[brand].start()
        self.wait_ready(brand)

    def wait_ready(self, brand: Brand) -> None:
        """Return once a node is ready, or raise `AllianceFailed`.

        It waits for every partner's word, also for that of nodes which somebody has tried out and stopped: what is no
        brand of this alliance and says nothing for a while is gone on without.
        """
        node = self.nodes[brand]
        for _ in range(GUEST_WAITS):
            if node.is_ready_within(GUEST_SECONDS):
                return
            with self.client(brand, OPERATOR) as operator:
                gone = go_on_without_guests(operator, known={each.ledger for each in self.nodes})
            if gone:
                say(f"{brand.title} goes on without {' and '.join(gone)}: no answer")
        node.wait_ready()


@contextmanager
def running_alliance(
    directory: Path,
    *,
    port_base: int | None,
    ephemeral: bool = False,
    brands: Sequence[Brand] = BRANDS,
    database_urls: Mapping[Brand, str] = SQLITE,
    prepare: Callable[[NodeProcess], None] = lambda _: None,
) -> Iterator[Alliance]:
    """Make what is missing under `directory`, run the nodes of `brands`, and stop them all at the end.

    A node that is made keeps its ledger in the database that `database_urls` names for it, or in a file of its own;
    `prepare` is called with each node before it starts.
    Raises `AllianceFailed` where a port is taken or a node does not start.
    """
    directory.mkdir(parents=True, exist_ok=True)
    ports = _choose_ports(directory, port_base, ephemeral=ephemeral, brands=brands)
    nodes = {brand: _node(directory, brand, port) for brand, port in ports}
    check_ports_free(node.port for node in nodes.values())
    for brand, node in nodes.items():
        _make(brand, node, database_urls.get(brand))
        prepare(node)
    alliance = Alliance(directory, nodes)
    with ExitStack() as stack:
        # Every node is asked to stop before the first is waited for.
        for node in nodes.values():
            stack.callback(node.stop)
        for node in nodes.values():
            stack.callback(node.ask_to_stop)
        say(f"starting {len(nodes)} nodes")
        for node in nodes.values():
            node.start()
        for brand in nodes:
            alliance.wait_ready(brand)
        _connect(alliance)
        yield alliance


def _choose_ports(
    directory: Path, port_base: int | None, *, ephemeral: bool, brands: Sequence[Brand] = BRANDS
) -> list[tuple[Brand, int]]:
    known = [_configured_port(directory / brand.name) for brand in brands]
    wanted = [None if port_base is None else port_base + brand.port_offset for brand in brands]
    free = find_free_ports(len(brands)) if ephemeral else [PORT_BASE + brand.port_offset for brand in brands]
    ports = []
    for brand, has, wants, default in zip(brands, known, wanted, free, strict=True):
        if has is not None and wants is not None and has != wants:
            raise AllianceFailed(
                f"{brand.title} in {directory} listens on port {has}, as its partners know: "
                "leave --port-base out, or choose another --dir"
            )
        ports.append((brand, has or wants or default))
    return ports


def _configured_port(directory: Path) -> int | None:
    path = directory / CONFIG
    if not path.exists():
        return None
    port = tomllib.loads(path.read_text(encoding="utf-8")).get("port")
    return port if isinstance(port, int) else None


def _node(directory: Path, brand: Brand, port: int) -> NodeProcess:
    place = directory / brand.name
    return NodeProcess(brand=brand, directory=place, port=port, log=directory / f"{brand.name}.log")


def _make(brand: Brand, node: NodeProcess, database_url: str | None) -> None:
    if (node.directory / CONFIG).exists():
        return
    say(f"making {brand.title}'s node")
    command = ["init", str(node.directory), "--program", brand.program, "--points", brand.points]
    command += ["--points-name", brand.points_name, "--currency", CURRENCY, "--url", node.url]
    command += ["--host", HOST, "--port", str(node.port), "--quiet"]
    command += ["--database-url", database_url] if database_url else []
    if run(command):
        raise AllianceFailed(f"{brand.title}'s node cannot be made in {node.directory}")


def _connect(alliance: Alliance) -> None:
    with ExitStack() as stack:
        operators = {brand: stack.enter_context(alliance.client(brand, OPERATOR)) for brand in alliance.nodes}
        network: str | None = None
        for first, second in combinations(alliance.nodes, 2):
            network = introduce(operators, first, second, network=network)
        for first, second in combinations(alliance.nodes, 2):
            agree(operators, first, second)
