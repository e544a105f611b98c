"""A partner that is suspended while conversions are on their way: case 24 of specs/failures.md, on real stores."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from node.services.partners.suspending import Suspend, SuspensionRequest, SuspensionService
from protocol.conversion import SourceState
from protocol.errors import Code, Refusal
from protocol.identifiers import Id
from protocol.key_entries import PartnerResumed, PartnerSuspended
from protocol.ledger.commands import SuspendPartner
from protocol.ledger.state import PARTNERS
from protocol.messages import Cancel, Fulfil, Prepare, Reject
from tests.support.documents import AURORA, BLUEBIRD, USD, reject, uuid
from tests.support.nodes import Alliance, LocalNode, alliance, cancel, convert, make_alliance
from tests.support.puppet import Puppet
from tests.support.settling import context_of
from tests.unit.node.services.words import asked

VALUE: Final = 5_000_000
"""What one conversion of `asked` makes its source owe, in millionths."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("suspended")
    make_alliance(directory, (AURORA, BLUEBIRD))
    return directory


@pytest.fixture
def two(template: Path, tmp_path: Path) -> Iterator[Alliance]:
    for path in template.glob("*.sqlite"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with alliance(tmp_path) as nodes:
        yield nodes


def request(node: LocalNode, name: str, reason: str = "key_stolen") -> SuspensionRequest:
    partner = AURORA if node.side is BLUEBIRD else BLUEBIRD
    return SuspensionRequest(id=uuid(name), partner=partner.ledger, reason=reason)


def suspended(node: LocalNode, name: str = "suspend") -> PartnerSuspended:
    SuspensionService(context_of(node), node.exchange).suspend(request(node, name)).result(20)
    entry = node.entries()[-1]
    assert isinstance(entry, PartnerSuspended)
    return entry


def reasons(bodies: list[object]) -> list[str]:
    return [body.reason for body in bodies if isinstance(body, Reject)]


def test_case_24_a_suspension_takes_effect_at_a_place_of_the_stream_and_what_was_said_before_stays(
    two: Alliance,
) -> None:
    owner, node = two.pair
    two.talk()
    honest = convert(owner, node, name="before the theft", amount=400)
    two.talk()
    owner.stop()
    opened = convert(node, owner, name="on its way", amount=250)
    thief = Puppet(AURORA, node)
    thief.greet()
    stolen = asked(node, name="stolen", steps=1)
    (fulfil,) = (body for body in thief.say(stolen) if isinstance(body, Fulfil))
    owed = node.balance("receivable/aurora.example/main", USD)

    entry = suspended(node)

    # Frame 0 was the thief's HELLO, and frame 1 the order that was credited.
    assert (entry.epoch, entry.next_seq) == (thief.outgoing.epoch, 2)
    # Nothing new begins, either way.
    assert reasons([*thief.say(asked(node, name="more", steps=1))]) == ["partner_suspended"]
    assert node.balance("receivable/aurora.example/main", USD) == owed
    with pytest.raises(Refusal) as refused:
        convert(node, owner, name="after")
    assert refused.value.code == Code.PARTNER_SUSPENDED
    # What was said before stays said, the same bytes again.
    assert fulfil in thief.say(stolen)
    # What was on its way ends by the partner's word.
    prepare = next(body for body in thief.heard if isinstance(body, Prepare))
    thief.say(reject(prepare))
    assert node.outgoing(opened).state is SourceState.RELEASED
    owner.start()
    assert owner.outgoing(honest).state is SourceState.CAPTURED
    node.replay()


def test_what_is_on_its_way_can_be_cancelled(two: Alliance) -> None:
    owner, node = two.pair
    owner.stop()
    opened = convert(node, owner, name="on its way", amount=250)
    suspended(node)
    cancel(node, opened)
    thief = Puppet(AURORA, node)
    thief.greet()
    said = list(thief.heard)
    wish = next(body for body in said if isinstance(body, Cancel))
    prepare = next(body for body in said if isinstance(body, Prepare))
    thief.say(reject(prepare, by=wish, reason="cancelled"))
    assert node.outgoing(opened).state is SourceState.RELEASED


def test_a_partner_that_never_spoke_is_suspended_from_the_beginning_and_once(two: Alliance) -> None:
    _, node = two.pair
    entry = suspended(node)
    assert (entry.epoch, entry.next_seq) == (0, 0)
    assert suspended(node) == entry
    with pytest.raises(Refusal) as refused:
        suspended(node, "again")
    assert refused.value.code == Code.PARTNER_SUSPENDED


def test_a_partner_is_taken_back_and_both_convert_as_before(two: Alliance) -> None:
    owner, node = two.pair
    two.talk()
    suspended(node)
    returned = convert(owner, node, name="meanwhile", amount=400)
    two.talk()
    assert owner.outgoing(returned).state is SourceState.RELEASED
    assert owner.outgoing(returned).reason == "partner_suspended"
    SuspensionService(context_of(node), node.exchange).resume(request(node, "resume", "keys_checked")).result(20)
    assert isinstance(node.entries()[-1], PartnerResumed)
    after = [convert(owner, node, name="there", amount=400), convert(node, owner, name="back", amount=250)]
    two.talk()
    assert owner.outgoing(after[0]).state is node.outgoing(after[1]).state is SourceState.CAPTURED
    for each in two.nodes:
        each.replay()
    again = convert(owner, node, name="at last", amount=400)
    two.talk()
    assert owner.outgoing(again).state is SourceState.CAPTURED


def test_words_of_the_same_commit_count_as_taken(two: Alliance) -> None:
    owner, node = two.pair
    two.talk()
    convert(owner, node, name="with it", amount=400)
    _, taken = node.exchange.receive(owner.exchange.reply(node.ledger))
    command = SuspendPartner(id=Id(uuid("suspend")), partner=owner.ledger, reason="key_stolen", epoch=0, next_seq=0)
    done = node.writer.submit(Suspend(node.reader, command))
    taken.result(20)
    done.result(20)
    channel = node.reader.channel(owner.ledger)
    entry = next(each for each in node.entries() if isinstance(each, PartnerSuspended))
    assert channel is not None
    assert (entry.epoch, entry.next_seq) == (channel.in_epoch, channel.in_next_seq)
    record = node.reader.record(PARTNERS, owner.ledger)
    assert record is not None
    assert record.suspended_seq == entry.seq
