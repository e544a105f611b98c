"""Two nodes that convert with each other over a network that fails, and restart."""

from pathlib import Path
from typing import get_args

import pytest

from node.services.channel import exchange
from node.services.channel.peer import ACKNOWLEDGE_SECONDS, BACKOFF_SECONDS_MAX, REOFFER_SECONDS
from node.store.errors import StoreFailed
from node.store.rows import PartnerUrl
from protocol.conversion import SourceState
from protocol.entries import ConversionCredited, ConversionRefused
from protocol.errors import Code, Refusal
from protocol.identifiers import Id
from protocol.messages import Body, ChannelBody, decode_body
from tests.support.documents import AURORA, BLUEBIRD, USD
from tests.support.nodes import POINTS, Alliance, LocalNode, cancel, convert, database_path
from tests.unit.node.services.words import fail_once

IDLE_SECONDS = 6 * REOFFER_SECONDS


def decisions(node: LocalNode) -> list[ConversionCredited | ConversionRefused]:
    return [entry for entry in node.entries() if isinstance(entry, ConversionCredited | ConversionRefused)]


def sent_kinds(node: LocalNode) -> list[str]:
    return [message.kind for message in node.reader.messages_sent()]


def check_captured(two: Alliance, conversion: Id) -> None:
    """Hold that the one conversion of the test ended credited and captured, once, and that nothing still waits."""
    source, destination = two.pair
    assert source.outgoing(conversion).state is SourceState.CAPTURED
    assert [type(entry) for entry in decisions(destination)] == [ConversionCredited]
    assert (source.account().posted, source.account().held) == (POINTS - 800, 0)
    assert destination.account().posted == POINTS + 500
    assert source.balance("payable/bluebird.example/main", USD) == 5_000_000
    assert destination.balance("receivable/aurora.example/main", USD) == -5_000_000
    check_quiet(two)


def check_quiet(two: Alliance) -> None:
    """Hold that nothing waits in any outbox, and that idle nodes say nothing."""
    for node in two.nodes:
        assert node.reader.outbox_partners() == []
        node.replay()
    before = len(two.network.requests)
    two.talk(IDLE_SECONDS)
    assert len(two.network.requests) == before


def test_a_conversion_completes_in_two_requests(two: Alliance) -> None:
    source, destination = two.pair
    two.talk()
    before = len(two.network.requests)
    conversion = convert(source, destination)
    two.talk()
    # One carries the PREPARE and brings the FULFIL, one acknowledges it.
    assert len(two.network.requests) == before + 2
    check_captured(two, conversion)
    assert sent_kinds(source) == ["prepare"]
    assert sent_kinds(destination) == ["fulfil"]


def test_the_first_words_of_two_nodes_need_no_waiting(two: Alliance) -> None:
    conversion = convert(*two.pair)
    two.talk(3 * ACKNOWLEDGE_SECONDS)
    assert two.nodes[0].outgoing(conversion).state is SourceState.CAPTURED


def test_conversions_both_ways_meet(two: Alliance) -> None:
    first, second = two.pair
    there = [convert(first, second, name=f"there {number}", amount=400) for number in range(5)]
    back = [convert(second, first, name=f"back {number}", amount=250) for number in range(5)]
    two.talk()
    assert {first.outgoing(one).state for one in there} == {SourceState.CAPTURED}
    assert {second.outgoing(one).state for one in back} == {SourceState.CAPTURED}
    assert first.account().posted == POINTS - 5 * 400 + 5 * 360
    check_quiet(two)


def test_a_refused_conversion_gives_the_points_back(two: Alliance) -> None:
    source, destination = two.pair
    conversion = convert(source, destination)
    two.clock.advance(601)
    two.talk()
    record = source.outgoing(conversion)
    assert (record.state, record.reason) == (SourceState.RELEASED, Code.EXPIRED)
    assert [type(entry) for entry in decisions(destination)] == [ConversionRefused]
    assert (source.account().posted, source.account().held) == (POINTS, 0)
    assert destination.account().posted == POINTS
    check_quiet(two)


def test_a_cancelled_conversion_ends_as_the_destination_says(two: Alliance) -> None:
    source, destination = two.pair
    two.talk()
    credited = convert(source, destination, name="credited", amount=400)
    two.network.lost_answers = 1
    two.step()
    assert len(decisions(destination)) == 1
    cancel(source, credited)
    never_sent = convert(source, destination, name="never sent", amount=400)
    cancel(source, never_sent)
    two.talk()
    assert source.outgoing(credited).state is SourceState.CAPTURED
    # PREPARE and CANCEL went out together, and the wish decided.
    assert source.outgoing(never_sent).state is SourceState.RELEASED
    check_quiet(two)


def test_a_lost_request_is_sent_again(two: Alliance) -> None:
    two.talk()
    conversion = convert(*two.pair)
    two.network.lost_requests = 2
    two.talk()
    check_captured(two, conversion)


def test_a_lost_answer_is_given_again_and_nothing_is_decided_twice(two: Alliance) -> None:
    two.talk()
    source, destination = two.pair
    conversion = convert(source, destination)
    two.network.lost_answers = 2
    two.step()
    assert [type(entry) for entry in decisions(destination)] == [ConversionCredited]
    assert source.outgoing(conversion).state is SourceState.HELD
    two.talk()
    check_captured(two, conversion)
    assert sent_kinds(destination) == ["fulfil"]


@pytest.mark.parametrize("restarted", [[0], [1], [0, 1], [1, 0]])
def test_a_restart_opens_a_new_epoch_and_frames_anew_what_still_stands(two: Alliance, restarted: list[int]) -> None:
    two.talk()
    source, destination = two.pair
    epochs = [node.exchange.peer(other.ledger).outgoing.epoch for node, other in (two.pair, two.pair[::-1])]
    conversion = convert(source, destination)
    two.network.lost_answers = 1
    source.deliver_due()
    assert len(decisions(destination)) == 1
    for place in restarted:
        two.nodes[place].restart()
        peer = two.nodes[place].exchange.peer(two.nodes[1 - place].ledger)
        assert peer.outgoing.epoch > epochs[place]
        assert not peer.outgoing.answered
        kinds = [type(decode_body(body)).__name__ for body in framed(two.nodes[place], two.nodes[1 - place])]
        assert kinds == ["Hello", ("Prepare", "Fulfil")[place]]
    two.talk()
    check_captured(two, conversion)
    assert sent_kinds(source) == ["prepare"]
    assert sent_kinds(destination) == ["fulfil"]


def framed(node: LocalNode, partner: LocalNode) -> list[bytes]:
    node.exchange.due(node.clock.monotonic())
    return node.exchange.peer(partner.ledger).outgoing.window(bytes_max=10**6)[1]


def test_an_order_given_while_the_partner_is_away_waits_for_it(two: Alliance) -> None:
    two.talk()
    source, destination = two.pair
    destination.stop()
    conversion = convert(source, destination)
    before = len(two.network.requests)
    two.talk(120)
    tries = len(two.network.requests) - before
    # The pauses grow from a tenth of a second to their bound.
    assert 120 / BACKOFF_SECONDS_MAX <= tries <= 120 / BACKOFF_SECONDS_MAX + 8
    destination.start()
    two.talk(BACKOFF_SECONDS_MAX + 1)
    check_captured(two, conversion)


def test_many_conversions_pass_through_full_envelopes(two: Alliance) -> None:
    source, destination = two.pair
    names = [f"many {number}" for number in range(20)]
    conversions = [convert(source, destination, name=name, amount=400) for name in names]
    two.talk()
    assert {source.outgoing(one).state for one in conversions} == {SourceState.CAPTURED}
    assert len(two.network.requests) < 10
    assert [entry.dec_seq for entry in decisions(destination) if isinstance(entry, ConversionCredited)] == list(
        range(1, 21)
    )
    check_quiet(two)


def test_a_partner_without_an_address_is_answered_when_it_calls(two: Alliance) -> None:
    source, destination = two.pair
    destination.do(writes=[PartnerUrl(source.ledger, "")])
    conversion = convert(source, destination)
    two.talk()
    check_captured(two, conversion)
    assert {url for url, _ in two.network.requests} == {destination.url}


def test_a_partner_without_an_address_does_not_keep_the_sender_awake(two: Alliance) -> None:
    source, destination = two.pair
    destination.do(writes=[PartnerUrl(source.ledger, "")])
    convert(destination, source)
    assert destination.exchange.due(two.clock.monotonic()) == []
    assert destination.exchange.sleep_seconds(two.clock.monotonic()) == REOFFER_SECONDS


def test_a_partner_that_takes_nothing_in_is_asked_ever_more_rarely(two: Alliance) -> None:
    two.talk()
    source, destination = two.pair
    destination.exchange.peer(source.ledger)
    destination.writer.gate.found_behind("the state file has seen more")
    for number in range(10):
        convert(source, destination, name=f"stalled {number}", amount=400)
    before = len(two.network.requests)
    two.talk(120)
    assert len(two.network.requests) - before < 120 / BACKOFF_SECONDS_MAX + 10
    assert decisions(destination) == []


def test_a_store_restored_from_an_old_copy_finds_out_and_decides_nothing(two: Alliance, tmp_path: Path) -> None:
    two.talk()
    source, destination = two.pair
    destination.stop()
    path = database_path(tmp_path, BLUEBIRD)
    copy = path.read_bytes()
    destination.start()
    lost = convert(source, destination, name="lost", amount=400)
    two.talk()
    assert source.outgoing(lost).state is SourceState.CAPTURED
    destination.stop()
    path.write_bytes(copy)
    destination.start()
    # What it says anew, as many words as it has lost, does not hide that they are others.
    convert(destination, source, name="anew", amount=250)
    waiting = convert(source, destination, name="waiting", amount=400)
    two.talk(30)
    assert destination.exchange.peer(source.ledger).outgoing.behind
    assert not source.exchange.peer(destination.ledger).outgoing.behind
    assert decisions(destination) == []
    assert source.outgoing(waiting).state is SourceState.HELD


def test_a_store_that_has_forgotten_only_what_it_heard_finds_out_too(two: Alliance, tmp_path: Path) -> None:
    source, destination = two.pair
    conversion = convert(source, destination)
    source.stop()
    path = database_path(tmp_path, AURORA)
    copy = path.read_bytes()
    source.start()
    two.talk()
    assert source.outgoing(conversion).state is SourceState.CAPTURED
    epoch = destination.exchange.peer(source.ledger).outgoing.epoch
    source.stop()
    path.write_bytes(copy)
    source.start()
    assert source.outgoing(conversion).state is SourceState.HELD
    two.talk(BACKOFF_SECONDS_MAX)
    # The frames that were forgotten are gone, so the other side has begun a new epoch, and shows what it has seen.
    assert destination.exchange.peer(source.ledger).outgoing.epoch > epoch
    assert not source.exchange.peer(destination.ledger).outgoing.behind
    assert source.outgoing(conversion).state is SourceState.HELD
    with pytest.raises(Refusal) as refused:
        convert(source, destination, name="another")
    assert refused.value.code == Code.STORE_BEHIND


def test_a_node_that_is_behind_stays_so_in_its_next_epoch(two: Alliance) -> None:
    source, destination = two.pair
    peer = source.exchange.peer(destination.ledger)
    peer.outgoing.behind = True
    source.exchange.reopen(peer, peer.outgoing.epoch + 1)
    assert peer.outgoing.behind
    assert not peer.outgoing.answered


@pytest.mark.parametrize("kept", [False, True])
def test_what_is_noted_is_of_the_epoch_that_is_spoken_in_whatever_became_of_one_whose_commit_failed(
    two: Alliance, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    source, destination = two.pair
    two.talk()
    peer = source.exchange.peer(destination.ledger)
    epoch = peer.outgoing.epoch
    fail_once(source, monkeypatch, done=kept)
    with pytest.raises(StoreFailed):
        source.exchange.reopen(peer, epoch + 1)
    conversion = convert(source, destination)
    two.talk()
    channel = source.reader.channel(destination.ledger)
    assert channel is not None
    assert (peer.outgoing.epoch, peer.outgoing.answered) == (epoch + kept, True)
    assert (channel.out_epoch, channel.out_nonce) == (peer.outgoing.epoch, peer.outgoing.epoch_nonce)
    assert channel.answered_epoch == peer.outgoing.epoch
    check_captured(two, conversion)


def test_the_same_id_at_another_brand_is_another_conversion(three: Alliance) -> None:
    first, second, third = three.nodes
    one, other = convert(first, second, amount=400), convert(third, second, amount=400)
    assert one == other
    cancel(third, other)
    three.talk()
    assert (first.outgoing(one).state, third.outgoing(other).state) == (SourceState.CAPTURED, SourceState.RELEASED)
    assert len(decisions(second)) == 2
    check_quiet(three)


def test_every_kind_of_word_stands_until_the_page_says() -> None:
    kinds, of_the_channel = ({each.__struct_config__.tag for each in get_args(of)} for of in (Body, ChannelBody))
    assert kinds - of_the_channel - {"prepare", "cancel"} == exchange._DONE_WHEN_APPLIED
