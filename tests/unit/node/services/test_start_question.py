"""After a start nothing is written until every partner that is dialled has answered, or an operator goes on without."""

from dataclasses import replace
from pathlib import Path

import pytest

from node.services.partners.succession import StartRequest, WaiveRequest
from node.store.rows import PartnerUrl
from protocol.agreement import Transport
from protocol.errors import Code, Refusal
from protocol.ledger import commands
from protocol.ledger.state import INCOMING
from protocol.recovery_entries import StartOverridden
from tests.support.documents import AURORA, BLUEBIRD, COPPER, NETWORK, uuid
from tests.support.nodes import ANN, Alliance, FakeClock, LocalNode, alliance, convert, make_alliance
from tests.support.succeeding import service_of


def ask(node: LocalNode) -> None:
    """Start the node again as `serve` does."""
    node.restart()
    node.exchange.ask()


def write(node: LocalNode, name: str = "issue more") -> None:
    node.do(commands.IssuePoints(id=uuid(name), account=ANN, amount=1))


def check_unanswered(node: LocalNode) -> None:
    with pytest.raises(Refusal) as refused:
        write(node)
    assert refused.value.code == Code.START_UNANSWERED
    assert service_of(node).standing().condition == "starting"


def start(*without: LocalNode, name: str = "start") -> StartRequest:
    return StartRequest(id=uuid(name), without=tuple(node.ledger for node in without), reason="partner_gone")


def test_nothing_is_written_until_all_partners_have_answered(three: Alliance) -> None:
    node, second, third = three.nodes
    three.talk()
    third.stop()
    ask(node)
    newest = node.reader.latest_checkpoint()
    check_unanswered(node)
    three.talk()
    assert service_of(node).standing().waiting == (third.ledger,)
    check_unanswered(node)
    assert node.reader.latest_checkpoint() == newest
    third.start()
    three.talk(20)
    assert service_of(node).standing().condition == "open"
    write(node)
    assert second.writer.gate.is_open


def test_nothing_of_partners_is_decided_meanwhile_and_nothing_is_lost(three: Alliance) -> None:
    node, second, third = three.nodes
    three.talk()
    third.stop()
    ask(node)
    conversion = convert(second, node, amount=400)
    three.talk()
    key = (NETWORK, second.ledger, conversion)
    assert node.reader.record(INCOMING, key) is None
    third.start()
    three.talk(20)
    assert node.reader.record(INCOMING, key) is not None
    assert second.outgoing(conversion).concluded_seq is not None


def test_an_operator_goes_on_without_and_the_log_says_so_first(three: Alliance) -> None:
    node, second, third = three.nodes
    three.talk()
    third.stop()
    ask(node)
    three.talk()
    conversion = convert(second, node, amount=400)
    three.talk()
    size = node.engine.size
    answer = service_of(node).start(start(third)).result(20)
    three.talk()
    (entry, *later) = node.entries()[size:]
    assert isinstance(entry, StartOverridden)
    assert (entry.partners, entry.reason, answer.seq) == ((third.ledger,), "partner_gone", size)
    assert later
    assert second.outgoing(conversion).concluded_seq is not None
    again = service_of(node).start(start(third)).result(20)
    assert (again.seq, node.engine.size) == (size, size + 1 + len(later))


def test_all_that_are_silent_must_be_named(three: Alliance) -> None:
    node, second, third = three.nodes
    three.talk()
    second.stop()
    third.stop()
    ask(node)
    three.talk()
    with pytest.raises(Refusal) as refused:
        service_of(node).start(start(third)).result(20)
    assert refused.value.code == Code.START_UNANSWERED
    assert second.ledger in refused.value.detail
    check_unanswered(node)
    service_of(node).start(start(second, third, name="both")).result(20)
    write(node)


def test_a_partner_by_files_is_not_waited_for(tmp_path: Path) -> None:
    sides, clock = (AURORA, BLUEBIRD), FakeClock()
    make_alliance(tmp_path, sides, transport=Transport(kind="files", cycle_seconds=3_600), clock=clock)
    with alliance(tmp_path, sides, clock=clock) as nodes:
        node, _ = nodes.pair
        ask(node)
        assert node.writer.gate.is_open
        write(node)


def test_a_partner_without_an_address_is_not_waited_for(two: Alliance) -> None:
    node, partner = two.pair
    node.do(writes=[PartnerUrl(partner.ledger, "")])
    ask(node)
    write(node)


def test_a_waiver_needs_a_recovery(two: Alliance) -> None:
    node, partner = two.pair
    two.talk()
    request = WaiveRequest(id=uuid("waive"), partner=partner.ledger, reason="partner_gone")
    with pytest.raises(Refusal) as refused:
        service_of(node).waive(request).result(20)
    assert refused.value.code in {Code.SUCCESSION_INVALID, Code.RECOVERY_MISMATCH}
    with pytest.raises(Refusal) as unknown:
        service_of(node).waive(replace(request, partner=COPPER.ledger)).result(20)
    assert unknown.value.code == Code.PARTNER_UNKNOWN
