"""Old copies of stores put back, and what an operator does about them, at the nodes of one process."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from node.services.answers import EntryAnswer
from node.services.audits.auditing import audit
from node.services.fsck.fsck import fsck
from node.services.logs.package import StoreSource
from node.services.partners.succession import SucceedRequest, SuccessionService
from protocol.audit.findings import Verdict
from protocol.conversion import DestinationState, SourceState
from protocol.identifiers import Account, Asset, Id, Ledger
from protocol.ledger import commands
from protocol.ledger.state import INCOMING, LEDGER, ONLY, LedgerRecord
from tests.support.documents import NETWORK, USD, uuid
from tests.support.nodes import ANN, Alliance, LocalNode, database_path
from tests.support.settling import context_of

SILENCE_SECONDS: Final = 5


def service_of(node: LocalNode) -> SuccessionService:
    """Return what an operator calls about the standing of a node's ledger."""
    return SuccessionService(context_of(node), node.exchange, gate=node.writer.gate)


def succeed(node: LocalNode, *, without: Sequence[LocalNode] = ()) -> EntryAnswer:
    """Open a node's next log, and return what its operator is told."""
    request = SucceedRequest(
        id=uuid(f"succeed {node.ledger}"), without=tuple(each.ledger for each in without), reason="partner_gone"
    )
    return service_of(node).succeed(request).result(20)


def opens(node: LocalNode, *, seconds: float) -> bool:
    """Return whether the node's gate opens within so long."""
    end = time.monotonic() + seconds
    while not node.writer.gate.is_open and time.monotonic() < end:
        time.sleep(0.01)
    return node.writer.gate.is_open


def record_of(node: LocalNode) -> LedgerRecord:
    """Return what the node's ledger says of itself."""
    record = node.reader.record(LEDGER, ONLY)
    assert record is not None
    return record


def copy_of(directory: Path, node: LocalNode) -> bytes:
    """Return a copy of a node's store as it is now."""
    node.stop()
    copy = database_path(directory, node.side).read_bytes()
    node.start()
    return copy


def replace(directory: Path, node: LocalNode, copy: bytes) -> None:
    """Put a copy in the place of a node's store; the node stays down."""
    node.stop()
    path = database_path(directory, node.side)
    for beside in path.parent.glob(f"{path.name}-*"):
        beside.unlink()
    path.write_bytes(copy)


@contextmanager
def put_back(directory: Path, nodes: Alliance, old: LocalNode) -> Iterator[None]:
    """Copy the store of `old`, let the time inside pass, and start the node over the copy again."""
    copy = copy_of(directory, old)
    nodes.talk(SILENCE_SECONDS)
    yield
    replace(directory, old, copy)
    old.start()
    nodes.talk(SILENCE_SECONDS)


def points_of(node: LocalNode) -> int:
    """Return all points that holders have at a node."""
    return sum(record.posted for _, record in node.reader.accounts(limit=1_000))


def check_pair(source: LocalNode, destination: LocalNode, conversions: Sequence[Id]) -> None:
    """Hold that both sides say the same of every conversion, and owe each other the same."""
    for conversion in conversions:
        held = source.reader.outgoing(conversion)
        decided = destination.reader.record(INCOMING, (NETWORK, source.ledger, conversion))
        states = (held.state if held else None, decided.state if decided else None)
        assert states in {
            (SourceState.CAPTURED, DestinationState.CREDITED),
            (SourceState.RELEASED, DestinationState.REFUSED),
            (None, None),
        }, (conversion, states)
    payable = source.balance(f"payable/{_name(destination.ledger)}", USD)
    assert payable == -destination.balance(f"receivable/{_name(source.ledger)}", USD)


def _name(ledger: Ledger) -> str:
    return ledger.rpartition(".")[0]


def adjustment_of(node: LocalNode) -> int:
    """Return what the program has borne."""
    return node.balance(Account("adjustment"), Asset(node.side.points))


def give(node: LocalNode, points: int, *, name: str = "more") -> None:
    """Let the program give ann points of its own, which no partner hears of."""
    node.do(commands.IssuePoints(id=uuid(name), account=ANN, amount=points))


def check_whole(*nodes: LocalNode) -> None:
    """Hold that stores fit their logs, and the logs each other."""
    for node in nodes:
        checked = fsck(node.database)
        assert checked.verdict is Verdict.HELD, "\n".join(checked.lines())
    report = audit([StoreSource(node.reader) for node in nodes])
    assert report.verdict is Verdict.HELD, "\n".join(report.lines())
