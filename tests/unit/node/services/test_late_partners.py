"""Partners that an operator went on without, and that come back: asked for words, told of the log, or heard no more."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from node.services.channel.taking_back import TakingBack
from protocol.conversion import SourceState
from protocol.errors import Code
from protocol.identifiers import Id, Ledger
from protocol.ledger.state import PARTNERS
from protocol.ledger.view import Need, Overlay
from protocol.recovery_entries import Recovered, RecoveryBegun, RecoveryEnded, RecoveryWaived
from tests.support.nodes import Alliance, LocalNode, convert
from tests.support.succeeding import (
    SILENCE_SECONDS,
    check_pair,
    check_whole,
    give,
    put_back,
    record_of,
    service_of,
    succeed,
)

HEALING_SECONDS = 20


def log_known_to(node: LocalNode, partner: LocalNode) -> Ledger:
    """Return the log by which `node` knows its partner's ledger."""
    record = node.reader.record(PARTNERS, partner.ledger)
    assert record is not None
    return record.log


def convert_now(nodes: Alliance, source: LocalNode, destination: LocalNode) -> Id:
    """Order a conversion, let it come to its end, and return its id."""
    conversion = convert(source, destination, name="now", amount=400)
    nodes.talk()
    return conversion


def test_a_partner_that_was_gone_is_asked_when_it_comes_back(three: Alliance, tmp_path: Path) -> None:
    node, second, third = three.nodes
    three.talk()
    with put_back(tmp_path, three, node):
        conversion = convert(node, third, amount=400)
        three.talk()
        third.stop()
        other = convert(node, second, name="other", amount=400)
        three.talk()
    succeed(node, without=[third])
    three.talk(HEALING_SECONDS)
    assert service_of(node).standing().condition == "open"
    check_pair(node, second, [other])
    assert node.reader.outgoing(conversion) is None
    give(node, 1)
    third.start()
    three.talk(60)
    assert record_of(node).recovering == ()
    check_pair(node, third, [conversion])
    told = [type(entry) for entry in node.entries() if getattr(entry, "partner", None) == third.ledger]
    assert told[-4:] == [RecoveryWaived, RecoveryBegun, Recovered, RecoveryEnded]
    again = convert(third, node, name="again", amount=400)
    three.talk()
    check_pair(third, node, [again])
    check_whole(*three.nodes)


def test_one_that_turns_out_to_be_late_once_its_parcel_has_said_what_it_reads_is_asked_all_the_same(
    three: Alliance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, _, third = three.nodes
    go_on_without_the_third(three, tmp_path)
    needs = TakingBack.needs

    def before(back: TakingBack, view: Overlay) -> Iterator[Need]:
        peer = node.exchange.peer(third.ledger)
        late, peer.late = peer.late, False
        yield from needs(back, view)
        peer.late = late

    monkeypatch.setattr(TakingBack, "needs", before)
    with capture_logs() as logged:
        third.start()
        three.talk(60)
    assert "work_failed" not in [line["event"] for line in logged]
    told = [type(entry) for entry in node.entries() if getattr(entry, "partner", None) == third.ledger]
    assert told[-3:] == [RecoveryWaived, RecoveryBegun, RecoveryEnded]
    check_pair(node, third, [convert_now(three, node, third)])


def go_on_without_the_third(three: Alliance, directory: Path) -> Id:
    """Let the first node succeed itself while the third is gone; return a conversion to the second from before."""
    node, second, third = three.nodes
    three.talk()
    with put_back(directory, three, node):
        third.stop()
        conversion = convert(node, second, amount=400)
        three.talk()
    succeed(node, without=[third])
    three.talk(HEALING_SECONDS)
    return conversion


def test_one_that_has_nothing_to_give_back_hears_of_the_log_all_the_same(three: Alliance, tmp_path: Path) -> None:
    node, second, third = three.nodes
    conversion = go_on_without_the_third(three, tmp_path)
    third.start()
    three.talk(60)
    told = [type(entry) for entry in node.entries() if getattr(entry, "partner", None) == third.ledger]
    assert told[-3:] == [RecoveryWaived, RecoveryBegun, RecoveryEnded]
    assert record_of(node).recovering == ()
    assert (log_known_to(third, node), log_known_to(second, node)) == (record_of(node).log, record_of(node).log)
    check_pair(node, second, [conversion])
    check_pair(node, third, [convert_now(three, node, third)])
    node.restart()
    three.talk(HEALING_SECONDS)
    assert [each for each in node.entries() if isinstance(each, RecoveryBegun)][-1].partner == third.ledger
    assert sum(isinstance(each, RecoveryBegun) for each in node.entries()) == 2
    check_whole(*three.nodes)


def test_one_that_answers_before_the_gate_opens_is_asked_once_it_does(three: Alliance, tmp_path: Path) -> None:
    node, second, third = three.nodes
    conversion = go_on_without_the_third(three, tmp_path)
    node.stop()
    second.stop()
    third.start()
    node.start()
    node.exchange.ask()
    three.talk(SILENCE_SECONDS)
    assert not node.writer.gate.is_open
    assert log_known_to(third, node) == node.ledger
    second.start()
    three.talk(HEALING_SECONDS)
    assert node.writer.gate.is_open
    later = convert_now(three, node, third)
    told = [entry for entry in node.entries() if isinstance(entry, RecoveryBegun | RecoveryEnded)][-2:]
    assert [(type(entry), entry.partner) for entry in told] == [
        (RecoveryBegun, third.ledger),
        (RecoveryEnded, third.ledger),
    ]
    sizes = [entry.seq - record_of(node).first_seq + 1 for entry in told]
    covering = [node.reader.checkpoint_covering(size, generation=2) for size in sizes]
    assert covering[0] == covering[1] is not None, "one commit asks, and ends the waiting"
    assert (log_known_to(third, node), record_of(node).recovering) == (record_of(node).log, ())
    check_pair(node, second, [conversion])
    check_pair(node, third, [later])


def test_nothing_goes_on_with_one_that_holds_more_of_the_log_and_no_word_of_it(three: Alliance, tmp_path: Path) -> None:
    node, second, third = three.nodes
    three.talk()
    with put_back(tmp_path, three, node):
        other = convert(node, second, name="other", amount=400)
        three.talk()
        second.stop()
        give(node, 1)
        third.restart()
        three.talk()
        third.stop()
        second.start()
    succeed(node, without=[third])
    third.start()
    three.talk(60)
    held = service_of(node).standing().partners[1]
    assert (held.words, held.recovering, held.stuck) == (0, False, Code.SUCCESSION_INVALID)
    assert node.writer.gate.is_open
    check_pair(node, second, [other, convert_now(three, node, second)])
    order = convert(third, node, name="not heard", amount=400)
    three.talk()
    assert third.outgoing(order).state is SourceState.HELD
    assert log_known_to(third, node) == node.ledger


def test_one_that_holds_more_than_the_successor_says_is_heard_no_more_and_all_others_are(
    three: Alliance, tmp_path: Path
) -> None:
    node, second, third = three.nodes
    three.talk()
    with put_back(tmp_path, three, node):
        other = convert(node, second, name="other", amount=400)
        three.talk()
        second.stop()
        conversion = convert(node, third, amount=400)
        three.talk()
        third.stop()
        second.start()
    succeed(node, without=[third])
    third.start()
    three.talk(60)
    assert service_of(node).standing().condition == "open"
    held = service_of(node).standing().partners[1]
    assert (held.partner, held.recovering, held.stuck) == (third.ledger, False, Code.SUCCESSION_INVALID)
    assert node.reader.outgoing(conversion) is None
    check_pair(node, second, [other, convert_now(three, node, second)])
    order = convert(third, node, name="not heard", amount=400)
    three.talk()
    assert third.outgoing(order).state is SourceState.HELD
