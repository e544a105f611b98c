"""Old copies of stores put back: found out, refused to sign, and gone on from as successors."""

from pathlib import Path

import pytest

from node.services.audits.auditing import audit
from node.services.fsck.fsck import fsck
from node.services.logs.package import StoreSource
from node.store.errors import StoreFailed
from protocol.audit.findings import Verdict
from protocol.conversion import SourceState
from protocol.errors import Code, Refusal
from protocol.identifiers import Id
from protocol.ledger import commands
from tests.support.documents import uuid
from tests.support.nodes import ANN, Alliance, LocalNode, cancel, convert
from tests.support.succeeding import (
    SILENCE_SECONDS,
    adjustment_of,
    check_pair,
    copy_of,
    opens,
    put_back,
    record_of,
    replace,
    succeed,
)
from tests.unit.node.services.words import fail_once

HEALING_SECONDS = 20


def exchange_points(source: LocalNode, destination: LocalNode, two: Alliance, name: str) -> tuple[list[Id], list[Id]]:
    """Convert both ways, one of the orders in vain, and return the ids."""
    there = [convert(source, destination, name=f"{name} there {number}", amount=400) for number in range(3)]
    two.talk(1)
    back = [convert(destination, source, name=f"{name} back", amount=250)]
    two.talk(1)
    destination.stop()
    there.append(convert(source, destination, name=f"{name} late", amount=400))
    cancel(source, there[-1])
    two.clock.advance(601)
    destination.start()
    two.talk(5)
    return there, back


def check_closed(node: LocalNode) -> None:
    """Hold that the node signs nothing for anybody, whatever is asked of it."""
    before = node.reader.latest_checkpoint()
    with pytest.raises(Refusal) as refused:
        node.do(commands.IssuePoints(id=uuid("refused"), account=ANN, amount=1))
    assert refused.value.code == Code.STORE_BEHIND
    assert node.reader.latest_checkpoint() == before


def check_succeeded(node: LocalNode, size: int) -> None:
    """Hold that the node has gone on as its second log, has its words back, and writes."""
    record = record_of(node)
    assert (record.log, record.recovering) == (f"{node.ledger[:-1]}2", ())
    assert record.first_seq > size
    assert node.writer.gate.is_open
    newest = node.reader.latest_checkpoint()
    assert newest is not None
    assert (newest.generation, newest.size) == (2, node.engine.size)


def check_day(two: Alliance, name: str) -> None:
    """Hold that both nodes go on as if nothing had happened."""
    source, destination = two.pair
    there, back = exchange_points(source, destination, two, name)
    check_pair(source, destination, there)
    check_pair(destination, source, back)
    assert [source.outgoing(each).state for each in there] == [*[SourceState.CAPTURED] * 3, SourceState.RELEASED]
    for node in two.nodes:
        assert node.reader.outbox_partners() == []
        checked = fsck(node.database)
        assert checked.verdict is Verdict.HELD, "\n".join(checked.lines())
    report = audit([StoreSource(node.reader) for node in two.nodes])
    assert report.verdict is Verdict.HELD, "\n".join(report.lines())


@pytest.mark.parametrize("place", [0, 1], ids=["source", "destination"])
def test_no_conversion_diverges_when_an_old_copy_is_put_back(two: Alliance, tmp_path: Path, place: int) -> None:
    source, destination = two.pair
    old = two.nodes[place]
    before = exchange_points(source, destination, two, "before")
    with put_back(tmp_path, two, old):
        gap = exchange_points(source, destination, two, "gap")
    size = old.engine.size
    check_closed(old)
    answer = succeed(old)
    assert (answer.kind, answer.seq > size) == ("genesis", True)
    two.talk(HEALING_SECONDS)
    check_succeeded(old, size)
    check_pair(source, destination, [*before[0], *gap[0]])
    check_pair(destination, source, [*before[1], *gap[1]])
    assert [source.outgoing(each).state for each in gap[0]] == [*[SourceState.CAPTURED] * 3, SourceState.RELEASED]
    check_day(two, "after")
    assert adjustment_of(source) == adjustment_of(destination) == 0


def test_a_successor_has_its_words_back_also_where_the_commit_of_an_epoch_failed_and_was_kept(
    two: Alliance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, destination = two.pair
    copy = copy_of(tmp_path, source)
    two.talk(SILENCE_SECONDS)
    there, back = exchange_points(source, destination, two, "gap")
    replace(tmp_path, source, copy)
    source.start()
    peer = source.exchange.peer(destination.ledger)
    fail_once(source, monkeypatch, done=True)
    with pytest.raises(StoreFailed):
        source.exchange.reopen(peer, peer.outgoing.epoch + 1)
    two.talk(SILENCE_SECONDS)
    size = source.engine.size
    check_closed(source)
    succeed(source)
    two.talk(HEALING_SECONDS)
    check_succeeded(source, size)
    check_pair(source, destination, there)
    check_pair(destination, source, back)


@pytest.mark.parametrize("look", ["record", "latest_checkpoint"])
def test_who_looked_at_the_store_before_the_successor_began_does_not_shut_its_gate_again(
    two: Alliance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    source, destination = two.pair
    with put_back(tmp_path, two, source):
        exchange_points(source, destination, two, "gap")
    check_closed(source)
    size, reads = source.engine.size, getattr(source.reader, look)

    def read_and_succeed(*place: object) -> object:
        read = reads(*place)
        monkeypatch.setattr(source.reader, look, reads)
        succeed(source)
        # What follows on the writer's thread may have to wait until this look has had its consequence.
        opens(source, seconds=0.3)
        return read

    monkeypatch.setattr(source.reader, look, read_and_succeed)
    source.answer(destination.exchange.reply(source.ledger))
    assert record_of(source).predecessor is not None
    assert opens(source, seconds=20)
    two.talk(HEALING_SECONDS)
    check_succeeded(source, size)


def test_two_old_copies_at_once_have_what_either_of_them_knows(two: Alliance, tmp_path: Path) -> None:
    source, destination = two.pair
    before = exchange_points(source, destination, two, "before")
    older = copy_of(tmp_path, source)
    kept = exchange_points(source, destination, two, "kept")
    newer = copy_of(tmp_path, destination)
    lost = exchange_points(source, destination, two, "lost")
    replace(tmp_path, source, older)
    replace(tmp_path, destination, newer)
    source.start()
    destination.start()
    two.talk(HEALING_SECONDS)
    size = source.engine.size
    check_closed(source)
    # Nobody knows of what the destination has lost: what was agreed on then is void on both sides.
    assert destination.writer.gate.is_open
    succeed(source)
    two.talk(HEALING_SECONDS)
    check_succeeded(source, size)
    check_pair(source, destination, [*before[0], *kept[0]])
    check_pair(destination, source, [*before[1], *kept[1]])
    assert [source.reader.outgoing(each) for each in lost[0]] == [None] * 4
    assert [destination.reader.outgoing(each) for each in lost[1]] == [None]
    check_day(two, "after")


def test_both_sides_may_be_behind_each_other(three: Alliance, tmp_path: Path) -> None:
    first, second, third = three.nodes
    copies = {node: copy_of(tmp_path, node) for node in (first, second)}
    three.talk(SILENCE_SECONDS)
    asked = [convert(first, third, name="to the third", amount=400), convert(second, third, name="too", amount=400)]
    between = convert(first, second, name="between", amount=400)
    three.talk()
    for node, copy in copies.items():
        replace(tmp_path, node, copy)
    for node in copies:
        node.start()
    three.talk(SILENCE_SECONDS)
    for node in copies:
        check_closed(node)
        succeed(node)
    three.talk(HEALING_SECONDS)
    for node, conversion in zip(copies, asked, strict=True):
        check_succeeded(node, 9)
        check_pair(node, third, [conversion])
        assert node.outgoing(conversion).state is SourceState.CAPTURED
    check_pair(first, second, [between])
    assert first.reader.outgoing(between) is None
    again = convert(first, second, name="again", amount=400)
    three.talk()
    assert first.outgoing(again).state is SourceState.CAPTURED
