"""What a hostile partner can cost where its lies prove nothing to others: never more than the agreement's bounds.

Cases 17 to 21, 23 and 24 of specs/failures.md. The partner is played by hand, with a brand's real keys.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest

from node.services.logs.log import LogService
from node.services.logs.pages import sighting_of
from protocol.agreement import Agreement, InFlightLimits, agreement_digest
from protocol.audit.findings import FindingCode, Verdict
from protocol.audit.log import audit_log
from protocol.audit.matching import match_pair
from protocol.audit.verify import verify_file
from protocol.conversion import SourceState
from protocol.envelope import encode_sighting
from protocol.errors import Code, EnvelopeInvalid, Refusal
from protocol.fields import format_time, later
from protocol.identifiers import Network
from protocol.keys import Role
from protocol.ledger import names
from protocol.ledger.commands import CancelConversion, EnterAgreement
from protocol.ledger.state import OUT
from protocol.messages import Cancel, Error, Fulfil, Prepare, Reject
from protocol.note import Verifier
from protocol.proof import open_receipt
from protocol.settlement.states import WindowState
from tests.support import windows
from tests.support.audits import MemorySource, answer
from tests.support.audits import alliance as halves
from tests.support.documents import (
    AURORA,
    BLUEBIRD,
    COPPER,
    USD,
    agreement,
    digest_of_body,
    direction,
    fulfil,
    hex_16,
    reject,
    signed_agreement,
)
from tests.support.ledger import genesis_of
from tests.support.nodes import (
    LONG_AGO,
    POINTS,
    WINDOWS,
    Alliance,
    FakeClock,
    LocalNetwork,
    LocalNode,
    alliance,
    convert,
    database_path,
    give_ann_an_account,
    introduce,
)
from tests.support.operator import operator_of
from tests.support.puppet import Puppet
from tests.support.settling import context_of
from tests.unit.node.services.words import asked, gained, taken_in

VALUE: Final = 5_000_000
"""What one conversion of `asked` makes its source owe, in millionths."""

BOUND: Final = 3
DAYS_SECONDS: Final = 10 * 86_400


def terms(*, number: int = 1, price: int = 2_400_000) -> Agreement:
    """Return an agreement that caps what AURORA can owe, and what BLUEBIRD can have undecided."""
    there = direction(cap=BOUND * VALUE)
    back = direction(BLUEBIRD, AURORA, price=price, in_flight=InFlightLimits(conversions=BOUND, value=None))
    return agreement(there=there, back=back, valid_from=LONG_AGO, windows=WINDOWS, number=number)


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("bounded")
    clock, network = FakeClock(), LocalNetwork()
    nodes = [
        LocalNode(side, f"sqlite:///{database_path(directory, side)}", clock=clock, network=network)
        for side in (AURORA, BLUEBIRD)
    ]
    for node in nodes:
        node.start()
        node.do(genesis_of(node.side, currencies=(USD,)))
        give_ann_an_account(node)
    introduce(*nodes, document=terms())
    introduce(*nodes[::-1], document=terms())
    for node in nodes:
        node.stop()
    return directory


@pytest.fixture
def two(bounded: Path, tmp_path: Path) -> Iterator[Alliance]:
    for path in bounded.glob("*.sqlite"):
        shutil.copy(path, tmp_path)
    with alliance(tmp_path) as nodes:
        yield nodes


def ordered(two: Alliance, node: LocalNode, puppet: Puppet, name: str) -> Prepare:
    """Order a conversion at `node`, BLUEBIRD's, and return the PREPARE as AURORA gets it."""
    convert(node, two.nodes[0], name=name, amount=400)
    (sent,) = puppet.say()
    assert isinstance(sent, Prepare)
    return sent


class TestCase17:
    """The destination credits, and sends REJECT, or nothing."""

    def test_a_reject_binds_the_destination_that_credited(self) -> None:
        made = halves()
        prepare = made.ordered("one")
        assert isinstance(prepare, Prepare)
        credit = answer(made.source, made.destination, prepare)
        lie = msgspec.structs.replace(reject(prepare), entry=credit.reference)
        answer(made.destination, made.source, lie)
        source, destination = made.source.ledger, made.destination.ledger
        # The member has the points at both, and the one who lied pays for them: nobody owes it anything.
        assert windows.money(source, "payable", destination) == 0
        assert windows.money(destination, "receivable", source) == -prepare.value
        windows.close_both(source, destination, 1)
        assert windows.state(source, destination, 1) is WindowState.MISMATCH
        report = match_pair(*(audit_log(MemorySource(half.files(), half.name)) for half in made.halves))
        assert report.verdict is Verdict.BROKEN
        assert FindingCode.DECISIONS_CONTRADICT in {finding.code for finding in report.findings}

    def test_silence_holds_no_more_than_the_in_flight_limit_until_a_cancel_forces_an_answer(
        self, two: Alliance, node: LocalNode, puppet: Puppet
    ) -> None:
        sent = [ordered(two, node, puppet, f"silent {number}") for number in range(BOUND)]
        with pytest.raises(Refusal) as caught:
            convert(node, two.nodes[0], name="one too many", amount=400)
        assert caught.value.code == Code.IN_FLIGHT_LIMIT
        two.clock.advance(DAYS_SECONDS)
        assert (node.account().posted, node.account().held) == (POINTS, BOUND * 400)
        stuck = [row for row in operator_of(node).look() if row.kind == "stuck"]
        assert [row.conversion for row in stuck] == [each.id for each in sent]
        assert all((row.age_seconds or 0) >= DAYS_SECONDS - 1 for row in stuck)
        for each in sent:
            node.do(CancelConversion(id=names.cancel_id(each.id), conversion=each.id))
        wishes = [wish.id for wish in puppet.say() if isinstance(wish, Cancel)]
        assert wishes == [each.id for each in sent]
        # Whether it had credited or not, it has to say so now.
        puppet.say(fulfil(sent[0]), *(reject(each, reason="cancelled") for each in sent[1:]))
        assert (node.account().posted, node.account().held) == (POINTS - 400, 0)


class TestCase18:
    """The destination signs FULFIL and REJECT of one conversion."""

    def test_the_line_is_disputed_and_not_billed(self) -> None:
        made = halves()
        prepare = made.ordered("one")
        assert isinstance(prepare, Prepare)
        credit = answer(made.source, made.destination, prepare)
        answer(made.destination, made.source, made.destination.ledger.body(credit))
        source, destination = made.source.ledger, made.destination.ledger
        with pytest.raises(Refusal) as caught:
            answer(made.destination, made.source, msgspec.structs.replace(reject(prepare), entry=credit.reference))
        assert caught.value.code == Code.ID_REUSED
        line = windows.disputed(source, destination, OUT, 1)
        windows.dispute(source, destination, line, source=AURORA.ledger)
        windows.close_both(source, destination, 1)
        document = windows.compute(source, destination, 1)
        assert [bill.owed(1) for bill in document.directions] == [0, 0]
        assert document.payer is None
        report = audit_log(MemorySource(made.source.files(), AURORA.points))
        assert report.messages is not None
        (accusation,) = report.messages.accusations.listed
        assert accusation.code == FindingCode.DECISIONS_CONTRADICT


class TestCase19:
    """The destination stalls, or dates its decision back."""

    def test_a_decision_that_stalls_and_is_dated_back_gains_nothing(
        self, two: Alliance, node: LocalNode, puppet: Puppet
    ) -> None:
        sent = ordered(two, node, puppet, "stalled")
        supersede(node, two.nodes[0])
        two.clock.advance(DAYS_SECONDS)
        dated_back = fulfil(sent, decided_at=sent.created_at)
        # More of anything than was asked for is refused, whenever it is said to have been decided.
        for change in ({"value": sent.value + 1}, {"destination_points": sent.destination_points + 1}):
            puppet.say(msgspec.structs.replace(dated_back, **change))
            assert node.outgoing(sent.id).state is SourceState.HELD
        puppet.say(dated_back)
        assert node.outgoing(sent.id).state is SourceState.CAPTURED
        # The price is that of the agreement that the order cites, not today's.
        assert node.balance("payable/aurora.example/main", USD) == sent.value == 2_400_000

    def test_what_it_can_stall_is_bounded(self, two: Alliance, node: LocalNode, puppet: Puppet) -> None:
        sent = [ordered(two, node, puppet, f"stalled {number}") for number in range(BOUND)]
        with pytest.raises(Refusal) as caught:
            convert(node, two.nodes[0], name="one too many", amount=400)
        assert caught.value.code == Code.IN_FLIGHT_LIMIT
        assert sum(each.value for each in sent) == BOUND * 2_400_000


def supersede(*nodes: LocalNode) -> None:
    """Let an agreement with another price bind from now on."""
    ((before, _),) = nodes[0].reader.agreements(AURORA.ledger)
    now = format_time(nodes[0].clock.now())
    document = msgspec.structs.replace(
        terms(number=2, price=1_000_000), supersedes=before, valid_from=later(now, seconds=1)
    )
    signed = signed_agreement(document)
    for node in nodes:
        if node.is_up:
            node.do(EnterAgreement(id=names.agreement_id(agreement_digest(document)), signed=signed))


class TestCases20And21:
    """The source never captures, lets its member spend what is held, or never had the points."""

    def test_the_cap_bounds_what_is_credited_and_every_claim_has_its_proof(
        self, node: LocalNode, puppet: Puppet
    ) -> None:
        # It takes in nothing that it is told, so every answer comes again.
        answers = {}
        for number in range(BOUND + 2):
            puppet.offer(asked(node, name=f"{number}"))
            for said in puppet.overhear(node.answer(puppet.parcel())):
                answers[digest_of_body(said)] = said
        credited = [each for each in answers.values() if isinstance(each, Fulfil)]
        refused = [each for each in answers.values() if isinstance(each, Reject)]
        assert len(credited) == BOUND
        assert [each.reason for each in refused] == [Code.CAP_REACHED] * 2
        assert gained(node) == BOUND * 500
        assert node.balance("receivable/aurora.example/main", USD) == -BOUND * VALUE
        # The source can deny everything: its signed orders and our own entries say what it owes.
        for each in credited:
            check_claim(node, each)

    def test_time_does_not_lift_the_cap(self, two: Alliance, node: LocalNode, puppet: Puppet) -> None:
        for number in range(BOUND):
            puppet.say(asked(node, name=f"{number}"))
        two.clock.advance(DAYS_SECONDS)
        (late,) = puppet.say(asked(node, name="later"))
        assert isinstance(late, Reject)
        assert late.reason == Code.CAP_REACHED
        assert node.balance("receivable/aurora.example/main", USD) == -BOUND * VALUE


def check_claim(node: LocalNode, said: Fulfil) -> None:
    """Hold that the PREPARE, as its source signed it, and the credit's receipt verify without the source."""
    ((_, record),) = node.reader.agreements(AURORA.ledger)
    (order,) = [each for each in node.reader.received_of_conversion(AURORA.ledger, said.id) if each.kind == "prepare"]
    found = verify_file(encode_sighting(sighting_of(order)), agreements=[record.signed])
    assert (found.verdict, found.kind) == (Verdict.HELD, "message")
    assert f"worth 5.00 {USD}" in found.lines[1]
    assert order.digest == said.prepare
    receipt = LogService(context_of(node)).receipt(said.entry.seq)
    opened = open_receipt(receipt, [Verifier(BLUEBIRD.ledger, BLUEBIRD.signing_keys[Role.LOG].public)])
    assert opened.index == said.entry.seq


class TestCase23:
    """What was said to one partner, in one network and one epoch, is said to nobody else."""

    def test_a_parcel_is_for_its_receiver_network_and_epoch_alone(self, three: Alliance) -> None:
        first, second, third = three.nodes
        three.talk()
        begun = len(three.network.requests)
        convert(first, second, amount=400)
        three.talk()
        parcels = [parcel for url, parcel in three.network.requests[begun:] if url == second.url]
        assert parcels
        sizes = [node.engine.size for node in three.nodes]
        for parcel in parcels:
            with pytest.raises(EnvelopeInvalid, match="not for"):
                taken_in(third, parcel)
            assert taken_in(second, parcel) == 0
        first.restart()
        three.talk()
        for parcel in parcels:
            assert taken_in(second, parcel) == 0
        assert [node.engine.size for node in three.nodes] == sizes
        assert operator_of(second).accused() == []

    def test_a_body_that_another_passes_on_is_not_acted_on(self, node: LocalNode, puppet: Puppet) -> None:
        stolen = msgspec.structs.replace(asked(node), source=COPPER.ledger)
        (said,) = puppet.say(stolen)
        assert isinstance(said, Error)
        assert said.reason == Code.PARTNER_MISMATCH
        assert gained(node) == 0

    def test_an_envelope_of_another_network_is_refused(self, node: LocalNode, puppet: Puppet) -> None:
        puppet.offer(asked(node))
        with pytest.raises(EnvelopeInvalid, match="another network"):
            taken_in(node, puppet.parcel(network=Network(hex_16("elsewhere"))))
        assert gained(node) == 0


class TestCase24:
    """A partner's channel key is stolen."""

    def test_a_thief_gets_no_more_than_the_cap_and_the_owner_finds_out(self, two: Alliance) -> None:
        owner, node = two.pair
        two.talk()
        honest = convert(owner, node, name="before the theft", amount=400)
        two.talk()
        assert owner.outgoing(honest).state is SourceState.CAPTURED
        owner.stop()
        thief = Puppet(AURORA, node)
        thief.greet()
        answers = [
            said for number in range(BOUND + 2) for said in thief.say(asked(node, name=f"stolen {number}", steps=1))
        ]
        credited = [each for each in answers if isinstance(each, Fulfil)]
        assert (len(credited) + 1) * VALUE // 2 <= BOUND * VALUE
        assert node.balance("receivable/aurora.example/main", USD) >= -BOUND * VALUE
        owner.start()
        two.talk(30)
        # What was said before stays said; what the owner did not say, the owner is told.
        assert owner.outgoing(honest).state is SourceState.CAPTURED
        assert owner.exchange.peer(node.ledger).outgoing.behind

    def test_an_owner_that_is_at_work_writes_nothing_more_from_the_first_answer_on(self, two: Alliance) -> None:
        owner, node = two.pair
        convert(owner, node, name="before the theft", amount=400)
        two.talk()
        thief = Puppet(AURORA, node)
        thief.greet()
        assert thief.say(asked(node, name="stolen", steps=1))
        size = owner.engine.size
        node.answer(owner.exchange.reply(node.ledger))
        taken_in(owner, node.exchange.reply(owner.ledger))
        # That its own checkpoint is all that the partner shows is no excuse.
        assert owner.writer.gate.behind == f"{node.ledger} has applied words that the store does not have"
        two.talk(30)
        assert owner.engine.size == size
