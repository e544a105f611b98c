"""Notice and force between two real nodes: both enter the end, and a partner that comes back is heard late."""

from datetime import datetime, timedelta

import msgspec
from structlog.testing import capture_logs

from node.services.channel.proposing import EnterWork
from node.store.rows import Proposal
from protocol.agreement import SignedAgreement, agreement_digest
from protocol.conversion import SourceState
from protocol.errors import Code
from protocol.fields import format_time, later
from protocol.identifiers import Digest
from protocol.ledger import commands, names
from protocol.ledger.state import AGREEMENTS, CURRENT
from protocol.messages import decode_body, encode_body
from tests.support.documents import USD, agreement, signed_agreement, uuid
from tests.support.nodes import LONG_AGO, WINDOWS, Alliance, FakeClock, LocalNode, cancel, convert


class FastClock(FakeClock):
    """A clock that shows a later time than the one it goes by."""

    def __init__(self, clock: FakeClock, *, ahead: timedelta) -> None:
        self._clock = clock
        self._ahead = ahead

    def now(self) -> datetime:
        return self._clock.now() + self._ahead

    def monotonic(self) -> float:
        return self._clock.monotonic()


class Papers:
    """A node's papers, and a notice that has come besides."""

    def __init__(self, node: LocalNode, end: bytes) -> None:
        self._node = node
        self._end = end

    def proposals(self) -> list[Proposal]:
        return self._node.reader.proposals()

    def bodies_received(self, *_arguments: object, **_named: object) -> list[bytes]:
        return [self._end]


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


def enter_by_itself(node: LocalNode, signed: SignedAgreement) -> None:
    """Enter an agreement as its document has come, without a word of the partner's."""
    digest = agreement_digest(signed.agreement)
    command = commands.EnterAgreement(id=names.agreement_id(digest), request=digest, signed=signed)
    work = EnterWork(command, digest, own=node.ledger, papers=node.reader, accepting=False)
    node.writer.submit(work).result()


def test_a_notice_that_comes_before_its_agreement_is_entered_with_it(two: Alliance) -> None:
    source, destination = two.pair
    two.talk()
    first = agreed(source, destination)
    signed = signed_agreement(agreement(valid_from=LONG_AGO, windows=WINDOWS, number=2, supersedes=first))
    second = agreement_digest(signed.agreement)
    enter_by_itself(source, signed)
    ends_at = later(format_time(source.clock.now()), seconds=31 * 86_400)
    source.do(commands.EndAgreement(id=names.ended_id(second, source.ledger), agreement=second, ends_at=ends_at))
    two.talk()
    assert destination.reader.messages_received()[-1].kind == "end"
    assert destination.reader.record(AGREEMENTS, second) is None
    enter_by_itself(destination, signed)
    assert end_of(destination, second) == end_of(source, second) == ends_at
    enter_by_itself(destination, signed)
    assert destination.replay() == destination.replay()


def test_a_notice_that_is_too_short_is_not_entered_with_its_agreement_either(two: Alliance) -> None:
    source, destination = two.pair
    two.talk()
    first = agreed(source, destination)
    signed = signed_agreement(agreement(valid_from=LONG_AGO, windows=WINDOWS, number=2, supersedes=first))
    second = agreement_digest(signed.agreement)
    enter_by_itself(source, signed)
    ends_at = later(format_time(source.clock.now()), seconds=31 * 86_400)
    source.do(commands.EndAgreement(id=names.ended_id(second, source.ledger), agreement=second, ends_at=ends_at))
    two.talk()
    shortened = msgspec.structs.replace(signed.agreement, notice_days=32)
    assert agreement_digest(shortened) != second
    (body,) = destination.reader.bodies_received(source.ledger, "end", from_number=0, limit=8)
    said = msgspec.structs.replace(decode_body(body), agreement=agreement_digest(shortened))
    papers = Papers(destination, encode_body(said))
    command = commands.EnterAgreement(
        id=names.agreement_id(agreement_digest(shortened)),
        request=agreement_digest(shortened),
        signed=signed_agreement(shortened),
    )
    work = EnterWork(command, agreement_digest(shortened), own=destination.ledger, papers=papers, accepting=False)
    with capture_logs() as told:
        destination.writer.submit(work).result()
    assert [each["code"] for each in told if each["event"] == "notice_refused"] == [Code.NOTICE_TOO_SHORT]
    assert end_of(destination, agreement_digest(shortened)) is None


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
