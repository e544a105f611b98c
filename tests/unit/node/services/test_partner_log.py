"""A partner's checkpoint in a statement is of the log that it has shown before, or is not signed."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from node.services.partner_logs.partner_log import PartnerLog
from node.services.partner_logs.published_logs import PAUSE_SECONDS
from node.services.refusals import NodeCode, NodeRefusal
from node.services.settlement.signing import Signing
from node.store.rows import PartnerUrl
from protocol.agreement import Transport
from protocol.checkpoint import open_checkpoint
from protocol.identifiers import Digest
from protocol.keys import Role
from protocol.ledger.state import STATEMENTS
from protocol.merkle import EMPTY_ROOT
from protocol.note import Verifier
from protocol.statement import CheckpointReference
from tests.support.documents import AURORA, BLUEBIRD
from tests.support.nodes import Alliance, LocalNode, alliance, convert, make_alliance
from tests.support.settling import LocalLogs, Settler, context_of, settlers, work


def stated(node: LocalNode, size: int) -> CheckpointReference:
    """Return the log of `node` as it was at one of its checkpoints."""
    found = node.reader.checkpoint_covering(size)
    assert found is not None
    verifier = Verifier(node.ledger, node.side.signing_keys[Role.LOG].public)
    checkpoint = open_checkpoint(found.note, [verifier])
    return CheckpointReference(origin=node.ledger, size=checkpoint.size, root=Digest(checkpoint.root.hex()))


def latest(party: Settler, other: Settler) -> int:
    kept = party.node.reader.latest_partner_checkpoint(other.node.ledger)
    assert kept is not None
    return kept.size


def log_of(party: Settler) -> PartnerLog:
    return PartnerLog(context_of(party.node), party.logs)


def proposed(nodes: Alliance) -> tuple[Settler, Settler]:
    """Bring two nodes to where the first party has proposed and the second has not looked."""
    one, other = settlers(nodes)
    convert(one.node, other.node)
    nodes.talk()
    one.service.close(other.node.ledger, 1).result()
    nodes.talk()
    one.worker.step()
    nodes.talk()
    return one, other


def refused(party: Settler, other: Settler, signing: Signing | None = None) -> str:
    with pytest.raises(NodeRefusal) as found:
        party.service.sign(other.node.ledger, 1, signing)
    return found.value.code


def agreed(party: Settler, other: Settler) -> bool:
    return party.node.reader.record(STATEMENTS, (other.node.ledger, 1)) is not None


def test_earlier_and_later_states_of_one_log_are_proved_by_its_tiles(two: Alliance) -> None:
    one, other = proposed(two)
    log, known = log_of(other), latest(other, one)
    early, late = stated(one.node, 3), stated(one.node, one.node.engine.size)
    assert early.size < known <= late.size
    for each in (early, stated(one.node, known), late):
        log.check(one.node.ledger, each, None)
        log.check(one.node.ledger, each, early)
    assert any(path.startswith("tile/0/") for path in other.logs.asked)


def test_a_root_that_no_tile_leads_to_is_refused(two: Alliance) -> None:
    one, other = proposed(two)
    log, known = log_of(other), latest(other, one)
    for size in (3, known, one.node.engine.size):
        wrong = msgspec.structs.replace(stated(one.node, size), root=Digest("11" * 32))
        with pytest.raises(NodeRefusal) as found:
            log.check(one.node.ledger, wrong, None)
        assert found.value.code == NodeCode.LOG_INCONSISTENT
    before = msgspec.structs.replace(stated(one.node, 3), root=Digest("11" * 32))
    with pytest.raises(NodeRefusal) as found:
        log.check(one.node.ledger, stated(one.node, known), before)
    assert found.value.code == NodeCode.LOG_INCONSISTENT
    empty = CheckpointReference(origin=one.node.ledger, size=1, root=Digest(EMPTY_ROOT.hex()))
    log.check(one.node.ledger, stated(one.node, known), msgspec.structs.replace(empty, size=0))


@pytest.mark.parametrize("changed", [lambda data: data[::-1], lambda data: data[:-32], lambda _: b""])
def test_a_statement_is_not_signed_over_tiles_of_another_log(
    two: Alliance, changed: Callable[[bytes], bytes | None]
) -> None:
    one, other = proposed(two)
    other.logs.changed = changed
    convert(one.node, other.node, name="more")
    two.talk()
    assert refused(other, one) == NodeCode.LOG_INCONSISTENT
    assert refused(other, one, Signing(unchecked=True)) == NodeCode.LOG_INCONSISTENT
    other.logs.changed = lambda data: data
    work(two, one, other)
    assert agreed(one, other)


def test_a_log_that_cannot_be_read_is_waited_for_unless_an_operator_signs(two: Alliance) -> None:
    one, other = proposed(two)
    convert(one.node, other.node, name="more")
    two.talk()
    one.node.stop()
    assert refused(other, one) == NodeCode.LOG_UNREACHABLE
    asked = len(other.logs.asked)
    assert refused(other, one) == NodeCode.LOG_UNREACHABLE
    assert len(other.logs.asked) == asked
    two.clock.advance(PAUSE_SECONDS)
    assert refused(other, one) == NodeCode.LOG_UNREACHABLE
    assert len(other.logs.asked) > asked
    other.service.sign(one.node.ledger, 1, Signing(unchecked=True)).result()
    assert agreed(other, one)


def test_a_tile_that_is_not_published_yet_is_asked_for_again(two: Alliance) -> None:
    one, other = proposed(two)
    convert(one.node, other.node, name="more")
    two.talk()
    other.logs.changed = lambda _: None
    assert refused(other, one) == NodeCode.LOG_UNREACHABLE
    partial, full = other.logs.asked[-2:]
    assert partial.startswith(f"{full}.p/")
    other.logs.changed = lambda data: data
    other.service.sign(one.node.ledger, 1).result()
    assert agreed(other, one)


def test_a_partner_without_an_address_is_taken_at_its_signature(two: Alliance) -> None:
    one, other = proposed(two)
    convert(one.node, other.node, name="more")
    two.talk()
    other.node.do(writes=[PartnerUrl(one.node.ledger, "")])
    other.service.sign(one.node.ledger, 1).result()
    assert agreed(other, one)
    assert other.logs.asked == []


def test_a_partner_that_exchanges_files_is_not_dialled(tmp_path: Path) -> None:
    make_alliance(tmp_path, (AURORA, BLUEBIRD), transport=Transport(kind="files", cycle_seconds=3_600))
    with alliance(tmp_path, (AURORA, BLUEBIRD)) as nodes:
        one, other = nodes.pair
        other.do(writes=[PartnerUrl(one.ledger, one.url)])
        logs = LocalLogs(nodes.network)
        log = PartnerLog(context_of(other), logs)
        log.check(one.ledger, stated(one, 3), stated(one, 5))
        assert log.latest(one.ledger) is None
        with pytest.raises(NodeRefusal):
            log.check(one.ledger, stated(one, 3), msgspec.structs.replace(stated(one, 3), root=Digest("11" * 32)))
        assert logs.asked == []
