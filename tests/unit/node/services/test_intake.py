"""What a node makes of a partner's words: decided once, answered again, in order, and never before it may."""

import threading

import msgspec
import pytest

from node.services.channel.body_commands import command_for
from node.services.channel.channel_rows import incoming_of, with_incoming
from node.store.errors import StoreFailed
from node.store.rows import ChannelState
from protocol.channel import Incoming, Outgoing
from protocol.envelope import Fence, Frame, Sighting, decode_envelope, verify_sighting
from protocol.errors import Code
from protocol.identifiers import Alias, Network
from protocol.keys import Role
from protocol.ledger.commands import CancelConversion
from protocol.ledger.names import cancel_id
from protocol.messages import Cancel, Error, Fulfil, Prepare, Reject, encode_body
from tests.support.documents import (
    AURORA,
    COPPER,
    cancel,
    digest,
    digest_of_body,
    error,
    fulfil,
    hello,
    hex_16,
    prepare,
    query,
    reject,
)
from tests.support.ledger import command_of
from tests.support.nodes import Alliance, LocalNode, convert
from tests.support.puppet import PUPPET_EPOCH, Puppet
from tests.unit.node.services.words import (
    SECONDS_MAX,
    Word,
    asked,
    fail_once,
    gained,
    non_decision,
    taken_in,
    turned,
    writer_held,
)


class TestDecisions:
    def test_a_prepare_is_credited_and_a_repeat_gets_the_same_bytes(self, node: LocalNode, puppet: Puppet) -> None:
        body = asked(node)
        (first,) = puppet.say(body)
        assert isinstance(first, Fulfil)
        assert first.prepare == digest_of_body(body)
        size = node.engine.size
        assert puppet.say(body) == [first]
        assert (gained(node), node.engine.size) == (500, size)
        assert len(node.reader.messages_sent()) == 1

    def test_a_repeat_in_another_epoch_gets_the_same_bytes(self, node: LocalNode, puppet: Puppet) -> None:
        body = asked(node)
        (first,) = puppet.say(body)
        puppet.open(PUPPET_EPOCH + 100)
        puppet.say()
        assert puppet.say(body) == [first]
        assert gained(node) == 500

    def test_a_modified_prepare_is_no_decision_and_changes_nothing(self, node: LocalNode, puppet: Puppet) -> None:
        (first,) = puppet.say(asked(node))
        size = node.engine.size
        other = asked(node, steps=3)
        answer = non_decision(other, Code.CONVERSION_MODIFIED)
        assert puppet.say(other) == [answer]
        assert (gained(node), node.engine.size) == (500, size)
        # Both bodies are kept: together they show what the partner has done.
        received = node.reader.received_of_conversion(AURORA.ledger, other.id)
        assert [message.body for message in received] == [encode_body(asked(node)), encode_body(other)]
        assert puppet.say(other) == [answer]
        assert puppet.say(asked(node)) == [first]

    def test_a_cancel_before_its_prepare_leaves_a_tombstone(self, node: LocalNode, puppet: Puppet) -> None:
        body = asked(node)
        (answer,) = puppet.say(cancel(body))
        assert isinstance(answer, Reject)
        assert (answer.reason, answer.prepare) == (Code.CANCELLED, digest_of_body(body))
        assert answer.cancel == digest_of_body(cancel(body))
        assert puppet.say(body) == [answer]
        assert puppet.say(cancel(body)) == [answer]
        assert gained(node) == 0

    def test_a_cancel_after_the_credit_gets_the_fulfil(self, node: LocalNode, puppet: Puppet) -> None:
        body = asked(node)
        (first,) = puppet.say(body)
        assert puppet.say(cancel(body)) == [first]
        assert gained(node) == 500

    def test_an_order_that_comes_with_the_wish_to_cancel_it_is_refused(self, node: LocalNode, puppet: Puppet) -> None:
        one, other, third = (asked(node, name=name) for name in ("one", "other", "third"))
        answers = puppet.say(one, cancel(one), cancel(other), other, third)
        assert [type(answer) for answer in answers] == [Reject, Reject, Fulfil]
        assert gained(node) == 500

    def test_a_refused_prepare_stays_refused(self, node: LocalNode, puppet: Puppet) -> None:
        body = msgspec.structs.replace(asked(node), alias=Alias(hex_16("nobody")))
        (answer,) = puppet.say(body)
        assert isinstance(answer, Reject)
        assert (answer.reason, answer.prepare, answer.cancel) == (Code.LINK_UNKNOWN, digest_of_body(body), None)
        assert puppet.say(body) == [answer]
        assert gained(node) == 0

    def test_a_query_gets_the_decision_again(self, node: LocalNode, puppet: Puppet) -> None:
        body = asked(node)
        (first,) = puppet.say(body)
        assert puppet.say(query(body)) == [first]

    def test_a_query_about_the_unknown_prevents_nothing(self, node: LocalNode, puppet: Puppet) -> None:
        body, size = asked(node), node.engine.size
        answer = non_decision(query(body), Code.CONVERSION_UNKNOWN)
        assert puppet.say(query(body)) == [answer]
        assert puppet.say() == []
        assert puppet.say(query(body)) == [answer]
        assert node.engine.size == size
        assert isinstance(puppet.say(body)[0], Fulfil)


class TestOrder:
    def test_nothing_is_decided_before_the_hello_is_answered(self, node: LocalNode) -> None:
        played = Puppet(AURORA, node)
        assert played.say(asked(node)) == []
        assert gained(node) == 0
        assert isinstance(played.say()[0], Fulfil)

    def test_no_word_is_taken_in_before_the_hello_is_answered(self, node: LocalNode) -> None:
        Puppet(AURORA, node).say(fulfil(), reject(), error(), query(), cancel())
        assert [message.kind for message in node.reader.messages_received()] == ["hello"]
        channel = node.reader.channel(AURORA.ledger)
        assert channel is not None
        assert (channel.in_next_seq, channel.in_bodies) == (1, 0)

    def test_a_node_that_is_behind_its_own_words_takes_nothing_in(self, node: LocalNode, puppet: Puppet) -> None:
        node.exchange.peer(AURORA.ledger).outgoing.behind = True
        assert puppet.say(asked(node)) == []
        assert len(puppet.outgoing.frames) == 1

    def test_a_gap_is_not_jumped_and_a_repetition_not_applied_again(self, node: LocalNode, puppet: Puppet) -> None:
        bodies = [encode_body(asked(node, name=f"{number}", steps=1)) for number in range(4)]
        start = puppet.outgoing.end_seq
        assert taken_in(node, puppet.parcel_of(start + 1, bodies[1:])) == 0
        assert taken_in(node, puppet.parcel_of(start, bodies[:2])) == 2
        assert taken_in(node, puppet.parcel_of(start, bodies[:2])) == 0
        assert taken_in(node, puppet.parcel_of(start, bodies)) == 2
        assert gained(node) == 4 * 250

    def test_a_stale_epoch_is_void(self, node: LocalNode, puppet: Puppet) -> None:
        late = puppet.parcel_of(puppet.outgoing.end_seq, [encode_body(asked(node))])
        puppet.open(PUPPET_EPOCH + 100)
        puppet.say()
        assert taken_in(node, late) == 0
        assert gained(node) == 0

    def test_an_epoch_used_twice_is_void_and_the_answer_tells_which(self, node: LocalNode, puppet: Puppet) -> None:
        again = Puppet(AURORA, node)
        again.outgoing = Outgoing(epoch=PUPPET_EPOCH, epoch_nonce=hex_16("another nonce"), bodies_sent=0)
        again.offer(msgspec.structs.replace(hello(epoch=PUPPET_EPOCH), epoch_nonce=again.outgoing.epoch_nonce))
        stated = again.read(node.answer(again.parcel())).header.acknowledgement
        assert stated == puppet.read(node.exchange.reply(AURORA.ledger)).header.acknowledgement
        assert again.outgoing.must_open(stated, restarted=False) == PUPPET_EPOCH + 1

    def test_one_body_twice_in_one_commit_is_new_once(self, node: LocalNode, puppet: Puppet) -> None:
        body = asked(node)
        first = puppet.parcel_of(puppet.outgoing.end_seq, [encode_body(body)])
        puppet.open(PUPPET_EPOCH + 100)
        puppet.offer(body)
        second = puppet.parcel()
        with writer_held(node):
            taken = [node.exchange.receive(each)[1] for each in (first, second)]
        assert [future.result(SECONDS_MAX) for future in taken] == [1, 2]
        channel = node.reader.channel(AURORA.ledger)
        assert channel is not None
        assert (channel.in_epoch, channel.in_bodies, channel.fence_bodies) == (PUPPET_EPOCH + 100, 1, 1)
        assert [message.kind for message in node.reader.messages_received()].count("prepare") == 1
        assert gained(node) == 500

    def test_a_parcel_taken_in_while_an_epoch_is_opened_does_not_bring_the_old_one_back(
        self, node: LocalNode, puppet: Puppet
    ) -> None:
        peer = node.exchange.peer(AURORA.ledger)
        epoch = peer.outgoing.epoch + 1
        opening = threading.Thread(target=node.exchange.reopen, args=(peer, epoch))
        with writer_held(node):
            opening.start()
            while not node.writer.waiting:
                opening.join(0.01)
            puppet.offer(asked(node))
            taken = node.exchange.receive(puppet.parcel())[1]
        assert taken.result(SECONDS_MAX) == 1
        opening.join(SECONDS_MAX)
        channel = node.reader.channel(AURORA.ledger)
        assert channel is not None
        assert (channel.out_epoch, channel.out_nonce) == (epoch, peer.outgoing.epoch_nonce)
        assert channel.answered_epoch < epoch


class TestDurability:
    def test_only_what_is_durable_is_acknowledged(self, node: LocalNode, puppet: Puppet) -> None:
        puppet.offer(asked(node))
        before = puppet.read(node.exchange.reply(AURORA.ledger)).header.acknowledgement
        with writer_held(node):
            _, taken = node.exchange.receive(puppet.parcel())
            assert puppet.read(node.exchange.reply(AURORA.ledger)).header.acknowledgement == before
        taken.result(SECONDS_MAX)
        after = puppet.read(node.exchange.reply(AURORA.ledger)).header.acknowledgement
        assert before is not None
        assert after is not None
        assert after.next_seq == before.next_seq + 1

    def test_a_parcel_whose_commit_failed_can_come_again(
        self, node: LocalNode, puppet: Puppet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        puppet.offer(asked(node))
        fail_once(node, monkeypatch, done=False)
        with pytest.raises(StoreFailed):
            node.answer(puppet.parcel())
        assert gained(node) == 0
        assert isinstance(puppet.say()[0], Fulfil)
        assert gained(node) == 500

    def test_a_parcel_whose_commit_failed_after_all_was_done_is_answered(
        self, node: LocalNode, puppet: Puppet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fail_once(node, monkeypatch, done=True)
        assert isinstance(puppet.say(asked(node))[0], Fulfil)
        assert not puppet.outgoing.frames
        assert gained(node) == 500

    def test_words_without_entries_whose_commit_failed_after_all_was_done_come_again(
        self, node: LocalNode, puppet: Puppet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fail_once(node, monkeypatch, done=True)
        puppet.offer(query(asked(node)))
        with pytest.raises(StoreFailed):
            node.answer(puppet.parcel())
        assert [type(body) for body in puppet.say()] == [Error]
        channel = node.reader.channel(AURORA.ledger)
        assert channel is not None
        assert (channel.in_next_seq, channel.in_bodies) == (puppet.outgoing.end_seq, 1)

    def test_every_new_body_is_kept_as_evidence_that_stands_alone(self, node: LocalNode, puppet: Puppet) -> None:
        bodies = [asked(node, name=f"{number}", steps=1) for number in range(5)]
        puppet.say(*bodies)
        puppet.say(*bodies)
        kept = [message for message in node.reader.messages_received() if message.kind == "prepare"]
        assert len(kept) == len(bodies)
        for message, body in zip(kept, bodies, strict=True):
            sighting = Sighting(
                body=msgspec.Raw(message.body),
                frame=Frame(seq=message.frame_seq, body=message.digest),
                path=message.path,
                envelope=decode_envelope(message.envelope),
            )
            header, seen = verify_sighting(sighting, key=AURORA.signing_keys[Role.CHANNEL].public)
            assert (header.epoch, header.epoch_nonce) == (message.epoch, message.epoch_nonce)
            assert seen == body


class TestWordsOutOfPlace:
    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(prepare(source=COPPER), id="another source"),
            pytest.param(prepare(destination=COPPER), id="another destination"),
            pytest.param(msgspec.structs.replace(prepare(), network=Network(hex_16("other"))), id="another network"),
            pytest.param(turned(prepare()), id="a prepare that is the receiver's"),
            pytest.param(turned(cancel()), id="a cancel that is the receiver's"),
            pytest.param(turned(query()), id="a query that is the receiver's"),
        ],
    )
    def test_a_question_that_is_not_the_senders_gets_an_error(
        self, node: LocalNode, puppet: Puppet, body: Word
    ) -> None:
        size = node.engine.size
        assert puppet.say(body) == [non_decision(body, Code.PARTNER_MISMATCH)]
        assert node.engine.size == size

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(fulfil(), id="a fulfil that is the receiver's"),
            pytest.param(reject(), id="a reject that is the receiver's"),
            pytest.param(turned(fulfil()), id="a fulfil of nothing that was asked"),
            pytest.param(turned(reject()), id="a reject of nothing that was asked"),
            pytest.param(error(), id="an error about nothing that was said"),
            pytest.param(msgspec.structs.replace(error(), source=COPPER.ledger), id="an error about others"),
        ],
    )
    def test_an_answer_to_nothing_is_kept_and_not_answered(self, node: LocalNode, puppet: Puppet, body: Word) -> None:
        size = node.engine.size
        assert puppet.say(body) == []
        assert node.engine.size == size
        assert node.reader.messages_received()[-1].body == encode_body(body)
        assert node.reader.messages_sent() == []


class TestAnswers:
    """The node as the source: what its partner's answers do, and what they do not."""

    def test_an_answer_about_another_prepare_releases_nothing(
        self, two: Alliance, node: LocalNode, puppet: Puppet
    ) -> None:
        conversion = convert(node, two.nodes[0], amount=250)
        (sent,) = puppet.say()
        assert isinstance(sent, Prepare)
        told = msgspec.structs.replace(reject(sent), prepare=digest("another prepare"))
        size = node.engine.size
        assert puppet.say(told) == []
        assert (node.engine.size, node.outgoing(conversion).concluded_seq) == (size, None)
        puppet.say(reject(sent))
        assert node.outgoing(conversion).reason == "expired"

    def test_an_error_is_no_decision(self, two: Alliance, node: LocalNode, puppet: Puppet) -> None:
        conversion = convert(node, two.nodes[0], amount=250)
        (sent,) = puppet.say()
        assert isinstance(sent, Prepare)
        puppet.say(non_decision(sent, "conversion_modified"))
        assert node.outgoing(conversion).concluded_seq is None
        assert node.account().held == 250
        assert node.reader.outbox_partners() == [AURORA.ledger]

    def test_the_second_of_two_contradicting_answers_is_only_kept(
        self, two: Alliance, node: LocalNode, puppet: Puppet
    ) -> None:
        conversion = convert(node, two.nodes[0], amount=250)
        (sent,) = puppet.say()
        assert isinstance(sent, Prepare)
        puppet.say(fulfil(sent), reject(sent))
        assert node.outgoing(conversion).reason is None
        assert node.account().posted == 10_000 - 250
        received = node.reader.received_of_conversion(AURORA.ledger, conversion)
        assert [message.kind for message in received] == ["fulfil", "reject"]

    def test_an_answer_ends_the_asking_and_the_wish_to_cancel(
        self, two: Alliance, node: LocalNode, puppet: Puppet
    ) -> None:
        conversion = convert(node, two.nodes[0], amount=250)
        node.do(CancelConversion(id=cancel_id(conversion), conversion=conversion))
        sent, wish = puppet.say()
        assert isinstance(sent, Prepare)
        assert isinstance(wish, Cancel)
        puppet.say(fulfil(sent))
        assert node.reader.outbox_partners() == []


def test_each_kind_of_body_about_a_conversion_has_its_command() -> None:
    for body in (prepare(), fulfil(), reject(), cancel()):
        assert command_for(body, digest_of_body(body)) == command_of(body)
    for asking in (query(), error(), hello()):
        assert command_for(asking, digest_of_body(asking)) is None


@pytest.mark.parametrize(
    "incoming",
    [
        pytest.param(Incoming(), id="never heard"),
        pytest.param(
            Incoming(
                epoch=4,
                epoch_nonce=hex_16("four"),
                next_seq=7,
                bodies=9,
                last_body=digest("last"),
                fence=Fence(epoch=3, next_seq=2, bodies=5, last_body=digest("before")),
            ),
            id="in its second epoch",
        ),
    ],
)
def test_a_row_keeps_the_partners_stream_and_leaves_our_own(incoming: Incoming) -> None:
    before = ChannelState(partner=AURORA.ledger, out_epoch=3, out_nonce=hex_16("three"), answered_epoch=2)
    row = with_incoming(before, incoming)
    assert incoming_of(row) == incoming
    assert (row.partner, row.out_epoch, row.out_nonce, row.answered_epoch) == (AURORA.ledger, 3, hex_16("three"), 2)


def test_a_partner_without_a_row_was_never_heard() -> None:
    assert incoming_of(None) == Incoming()
