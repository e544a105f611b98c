"""Settlement at the nodes of one process: their services and workers."""

from collections.abc import Callable
from dataclasses import dataclass

from node.ports import TransportFailed
from node.services.context import Context
from node.services.logs.log import LogService
from node.services.refusals import NodeRefusal
from node.services.request_digest import RequestDigests
from node.services.settlement.settlement import SettlementService
from node.workers.close_windows import CloseWindows
from protocol.identifiers import Ledger
from protocol.ledger.state import LEDGER, ONLY
from tests.support.keyrings import SeededRandomness, SideKeyring
from tests.support.nodes import Alliance, LocalNetwork, LocalNode


class LocalLogs:
    """The logs of nodes of this process, as they publish them; `changed` is called with what a node serves."""

    def __init__(self, network: LocalNetwork) -> None:
        self._network = network
        self.asked: list[str] = []
        self.changed: Callable[[bytes], bytes | None] = lambda data: data

    def fetch(self, url: str, path: str, *, credential: str | None = None) -> bytes | None:
        self.asked.append(path)
        node = self._network.nodes.get(url)
        if node is None or not node.is_up:
            raise TransportFailed("connection refused")
        log = LogService(context_of(node))
        try:
            return self.changed(log.checkpoint() if path == "checkpoint" else log.tile(path))
        except NodeRefusal:
            return None


@dataclass(frozen=True)
class Settler:
    """One brand's settlement: what its operator calls, and what its node does by itself."""

    node: LocalNode
    service: SettlementService
    worker: CloseWindows
    logs: LocalLogs


def context_of(node: LocalNode) -> Context:
    """Return what the services of a node are given."""
    record = node.reader.record(LEDGER, ONLY)
    assert record is not None
    return Context(
        record=record,
        reader=node.reader,
        writer=node.writer,
        keyring=SideKeyring(node.side),
        clock=node.clock,
        randomness=SeededRandomness("settling"),
        digests=RequestDigests(bytes(32)),
    )


def settler(node: LocalNode) -> Settler:
    """Return a node's settlement."""
    logs = LocalLogs(node.network)
    service = SettlementService(context_of(node), logs)
    return Settler(node, service, CloseWindows(service), logs)


def settlers(nodes: Alliance) -> tuple[Settler, Settler]:
    """Return the settlement of the first two nodes, who have spoken; the first is the first party."""
    one, other = sorted(map(settler, nodes.pair), key=lambda each: each.node.ledger)
    nodes.talk()
    return one, other


def work(nodes: Alliance, *parties: Settler, rounds: int = 3) -> None:
    """Let the workers do what is due and the nodes speak, until all is said."""
    for _ in range(rounds):
        for each in parties:
            each.worker.step()
        nodes.talk()


def partner_of(party: Settler) -> Ledger:
    """Return the only partner of a node of two."""
    (partner,) = party.service.partners()
    return partner
