"""Notice and force between two real nodes: both enter the end, and a partner that comes back is heard late."""

from datetime import datetime, timedelta

from protocol.agreement import agreement_digest
from protocol.conversion import SourceState
from protocol.fields import format_time, later
from protocol.identifiers import Digest
from protocol.ledger import commands, names
from protocol.ledger.state import AGREEMENTS, CURRENT
from tests.support.documents import USD, uuid
from tests.support.nodes import Alliance, FakeClock, LocalNode, cancel, convert


class FastClock(FakeClock):
    """A clock that shows a later time than the one it goes by."""

    def __init__(self, clock: FakeClock, *, ahead: timedelta) -> None:
        self._clock = clock
        self._ahead = ahead

    def now(self) -> datetime:
        return self._clock.now() + self._ahead

    def monotonic(self) -> float:
        return self._clock.monotonic()


def agreed(node: LocalNode, partner: LocalNode) -> Digest:
    current = node.reader.record(CURRENT, partner.ledger)
    assert current is not None
    return current.digest


def end_of(node: LocalNode, digest: Digest) -> str | None:
    record = node.reader.record(AGREEMENTS, digest)
    assert record is not None
    assert agreement_digest(record.signed.agreement) == digest
    return record.ends_at


def test_both_nodes_know_the_end(two: Alliance) -> None:
    source, destination = two.pair
    digest = agreed(source, destination)
    ends_at = later(format_time(source.clock.now()), seconds=31 * 86_400)
    source.do(commands.EndAgreement(id=names.ended_id(digest, source.ledger), agreement=digest, ends_at=ends_at))
    two.talk()
    assert end_of(source, digest) == end_of(destination, digest) == ends_at
    assert source.reader.pending_outbox(destination.ledger) == []
    assert destination.reader.messages_received()[-1].kind == "end"
    source.restart()
    two.talk()
    assert end_of(destination, digest) == ends_at
    assert source.replay() == source.replay()


def test_a_notice_from_ahead_of_the_clock_waits_until_that_has_come_so_far(two: Alliance) -> None:
    source, destination = two.pair
    two.talk()
    digest = agreed(source, destination)
    source.stop()
    source.clock = FastClock(two.clock, ahead=timedelta(hours=1))
    source.start()
    ends_at = later(format_time(source.clock.now()), seconds=31 * 86_400)
    source.do(commands.EndAgreement(id=names.ended_id(digest, source.ledger), agreement=digest, ends_at=ends_at))
    two.talk()
    # It is not taken for said: the sender offers it again, and whatever comes after it waits behind it.
    assert end_of(destination, digest) is None
    assert "end" not in {each.kind for each in destination.reader.messages_received()}
    assert len(source.reader.pending_outbox(destination.ledger)) == 1
    two.clock.advance(3_600)
    two.talk(120)
    assert end_of(destination, digest) == ends_at
    assert source.reader.pending_outbox(destination.ledger) == []


def test_a_partner_that_comes_back_after_force_is_owed_what_it_credits(two: Alliance) -> None:
    source, destination = two.pair
    two.talk(1)
    destination.stop()
    conversion = convert(source, destination)
    source.do(commands.ForceRelease(id=uuid("force"), conversion=conversion, reason="partner_gone"))
    assert source.outgoing(conversion).state is SourceState.FORCED
    destination.start()
    two.talk(20)
    assert source.outgoing(conversion).state is SourceState.FORCED_OWED
    owed = source.balance("payable/bluebird.example/main", USD)
    assert owed == -destination.balance("receivable/aurora.example/main", USD) > 0
    assert source.balance("contingent/bluebird.example/main", USD) == 0


def test_a_partner_that_was_asked_to_refuse_clears_what_was_forced(two: Alliance) -> None:
    source, destination = two.pair
    two.talk(1)
    destination.stop()
    conversion = convert(source, destination)
    source.do(commands.ForceRelease(id=uuid("force"), conversion=conversion, reason="partner_gone"))
    cancel(source, conversion)
    two.clock.advance(700)
    destination.start()
    two.talk(20)
    assert source.outgoing(conversion).state is SourceState.FORCED_CLEARED
    assert source.balance("loss/bluebird.example/main", USD) == 0
