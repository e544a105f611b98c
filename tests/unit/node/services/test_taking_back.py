"""Words that are given back: points that are missing, words that cannot stand again."""

from pathlib import Path

import msgspec
import pytest

from node.services.channel.taking_back import open_word
from node.services.partners.succession import WaiveRequest
from node.store.rows import SentBody
from protocol.agreement import agreement_digest
from protocol.conversion import SourceState
from protocol.errors import Code, Refusal
from protocol.identifiers import Digest, Network
from protocol.keys import Role
from protocol.ledger import commands, names
from protocol.ledger.state import AGREEMENTS
from protocol.messages import Returned, body_digest, encode_body
from protocol.recovery_entries import Recovered, RecoveryEnded, RecoveryWaived
from tests.support.documents import (
    AURORA,
    BLUEBIRD,
    COPPER,
    USD,
    Side,
    agreement,
    prepare,
    query,
    signed_agreement,
    uuid,
)
from tests.support.nodes import LONG_AGO, POINTS, TICK_SECONDS, WINDOWS, Alliance, LocalNode, convert
from tests.support.returned import returned
from tests.support.succeeding import (
    SILENCE_SECONDS,
    adjustment_of,
    check_pair,
    check_whole,
    copy_of,
    give,
    put_back,
    record_of,
    replace,
    service_of,
    succeed,
)
from tests.unit.node.services.words import fail_once

HEALING_SECONDS = 20


def waive(node: LocalNode, partner: LocalNode) -> None:
    request = WaiveRequest(id=uuid("waive"), partner=partner.ledger, reason="word_refused")
    service_of(node).waive(request).result(20)


class TestMissingPoints:
    def test_the_program_gives_what_the_gap_had_given(self, two: Alliance, tmp_path: Path) -> None:
        node, partner = two.pair
        two.talk()
        with put_back(tmp_path, two, node):
            give(node, 2_000)
            conversion = convert(node, partner, amount=12_000)
            two.talk()
        succeed(node)
        two.talk(HEALING_SECONDS)
        check_pair(node, partner, [conversion])
        assert adjustment_of(node) == -2_000
        assert (node.account().posted, node.account().available) == (0, 0)
        check_whole(node, partner)

    def test_it_gives_nothing_that_another_partner_brings_back(self, three: Alliance, tmp_path: Path) -> None:
        node, second, third = three.nodes
        three.talk()
        with put_back(tmp_path, three, node):
            brought = convert(third, node, amount=5_000)
            three.talk()
            conversion = convert(node, second, amount=node.account().posted // 400 * 400)
            three.talk()
            assert node.outgoing(conversion).state is SourceState.CAPTURED
        second_first = [second, third]
        third.stop()
        assert not service_of(node).standing().partners[1].recovering
        succeed(node)
        three.talk(HEALING_SECONDS)
        standing = service_of(node).standing()
        assert (standing.condition, standing.partners[0].waits) == ("recovering", True)
        assert adjustment_of(node) == 0
        third.start()
        three.talk(40)
        assert record_of(node).recovering == ()
        check_pair(third, node, [brought])
        check_pair(node, second, [conversion])
        assert adjustment_of(node) == 0
        check_whole(node, *second_first)

    def test_where_all_wait_the_earliest_word_takes_what_is_missing(self, three: Alliance, tmp_path: Path) -> None:
        node, second, third = three.nodes
        three.talk()
        with put_back(tmp_path, three, node):
            give(node, 12_000)
            there = convert(node, third, name="to the third", amount=10_800)
            here = convert(node, second, name="to the second", amount=10_800)
            three.talk()
        succeed(node)
        three.talk(HEALING_SECONDS)
        check_pair(node, second, [here])
        check_pair(node, third, [there])
        assert record_of(node).recovering == ()
        again = [entry for entry in node.entries() if isinstance(entry, Recovered)]
        assert [entry.partner for entry in again] == [third.ledger, second.ledger]
        assert adjustment_of(node) == POINTS - 21_600
        check_whole(*three.nodes)


class TestStuck:
    def test_an_operator_goes_on_without_a_word_that_no_rule_lets_stand_again(
        self, two: Alliance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        node, partner = two.pair
        two.talk()
        with put_back(tmp_path, two, node):
            enter_next(two)
            conversion = convert(node, partner, amount=400)
            two.talk()
            # A partner that does not give back the agreement of both.
            monkeypatch.setattr(partner.reader, "agreements", lambda _partner: [])
        succeed(node)
        two.talk(HEALING_SECONDS)
        (seen,) = service_of(node).standing().partners
        assert (seen.recovering, seen.stuck, seen.back) == (True, Code.AGREEMENT_UNKNOWN, 0)
        waive(node, partner)
        two.talk(HEALING_SECONDS)
        assert service_of(node).standing().condition == "open"
        assert node.reader.outgoing(conversion) is None
        assert node.reader.sent_count(partner.ledger) == 2
        assert [type(entry) for entry in node.entries() if isinstance(entry, RecoveryWaived | RecoveryEnded)] == [
            RecoveryWaived
        ]
        monkeypatch.undo()
        give(node, 1)
        after = convert(node, partner, name="after", amount=400)
        two.talk()
        assert node.outgoing(after).state is SourceState.CAPTURED


def enter_next(two: Alliance) -> Digest:
    """Let both enter the next agreement, and return its digest."""
    node, partner = two.pair
    ((known, _),) = node.reader.agreements(partner.ledger)
    signed = signed_agreement(agreement(valid_from=LONG_AGO, windows=WINDOWS, number=2, supersedes=known))
    digest = agreement_digest(signed.agreement)
    for each in two.nodes:
        each.do(commands.EnterAgreement(id=names.agreement_id(digest), signed=signed))
    return digest


def test_an_agreement_of_the_gap_binds_again(two: Alliance, tmp_path: Path) -> None:
    node, partner = two.pair
    two.talk()
    with put_back(tmp_path, two, node):
        digest = enter_next(two)
        conversion = convert(node, partner, amount=400)
        two.talk()
    assert node.reader.record(AGREEMENTS, digest) is None
    succeed(node)
    two.talk(HEALING_SECONDS)
    assert node.reader.record(AGREEMENTS, digest) is not None
    check_pair(node, partner, [conversion])
    check_whole(node, partner)


def put_back_behind_a_query(tmp_path: Path, two: Alliance) -> Digest:
    """Start the first node over a copy from before its last body, a query that the partner has, and return that."""
    node, partner = two.pair
    convert(node, partner, amount=400)
    two.talk()
    copy = copy_of(tmp_path, node)
    two.talk(SILENCE_SECONDS)
    said = say_query(node, partner)
    two.talk()
    replace(tmp_path, node, copy)
    node.start()
    return said


class TestWordsOfNoEntry:
    def test_they_come_back_by_themselves_and_nothing_is_closed(self, two: Alliance, tmp_path: Path) -> None:
        node, partner = two.pair
        convert(node, partner, amount=400)
        two.talk()
        with put_back(tmp_path, two, node):
            said = say_query(node, partner)
            two.talk()
            assert node.reader.sent_count(partner.ledger) == 2
        assert node.writer.gate.is_open
        two.talk(HEALING_SECONDS)
        assert node.reader.sent_count(partner.ledger) == 2
        assert said in node.reader.sent_kinds([said])
        after = convert(node, partner, name="after", amount=400)
        two.talk()
        assert node.outgoing(after).state is SourceState.CAPTURED
        check_whole(node, partner)

    def test_the_partner_hears_that_they_are_back_also_where_the_commit_failed_and_was_kept(
        self, two: Alliance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        node, partner = two.pair
        put_back_behind_a_query(tmp_path, two)
        fail_once(node, monkeypatch, done=True, of=SentBody)
        two.talk(HEALING_SECONDS)
        heard = partner.reader.channel(node.ledger)
        assert heard is not None
        assert heard.in_bodies_sent == node.reader.sent_count(partner.ledger) == 2
        assert not node.exchange.peer(partner.ledger).outgoing.behind
        after = convert(node, partner, name="after", amount=400)
        two.talk()
        assert node.outgoing(after).state is SourceState.CAPTURED
        check_whole(node, partner)

    @pytest.mark.parametrize("early", [False, True])
    def test_the_ledger_goes_on_meanwhile_and_stays_open_also_when_the_partner_shows_what_it_has_signed_since(
        self, two: Alliance, tmp_path: Path, *, early: bool
    ) -> None:
        node, partner = two.pair
        said = put_back_behind_a_query(tmp_path, two)
        size = node.engine.size
        peer = node.exchange.peer(partner.ledger)
        if early:
            give(node, 1)
        while not peer.outgoing.answered:
            two.step()
            two.clock.advance(TICK_SECONDS)
        assert (peer.outgoing.behind, peer.shown and peer.shown.size) == (True, size)
        if not early:
            give(node, 1)
        two.talk(HEALING_SECONDS)
        assert (node.writer.gate.behind, peer.shown and peer.shown.size) == (None, node.engine.size)
        assert said in node.reader.sent_kinds([said])
        assert not peer.outgoing.behind
        check_whole(node, partner)

    def test_they_keep_their_place_among_the_others(self, two: Alliance, tmp_path: Path) -> None:
        node, partner = two.pair
        two.talk()
        with put_back(tmp_path, two, node):
            convert(node, partner, amount=400)
            say_query(node, partner)
            two.talk()
            convert(node, partner, name="second", amount=400)
            two.talk()
            words = kinds(node, partner)
        succeed(node)
        two.talk(HEALING_SECONDS)
        assert kinds(node, partner) == [*words, "succeeded"]
        check_whole(node, partner)


def say_query(node: LocalNode, partner: LocalNode) -> Digest:
    """Let the node say a word that is in no log, and return its digest."""
    word = msgspec.structs.replace(query(prepare()), source=node.ledger, destination=partner.ledger)
    data = encode_body(word)
    node.do(
        writes=[
            SentBody(
                partner=partner.ledger,
                digest=body_digest(data),
                kind="query",
                conversion=word.id,
                body=data,
                entry_seq=None,
            )
        ]
    )
    return body_digest(data)


def kinds(node: LocalNode, partner: LocalNode) -> list[str]:
    """Return the kinds of all words to a partner, in their order."""
    return [message.kind for message in node.reader.sent_since(partner.ledger, 0, 100) if message.kind != "hello"]


def is_taken(body: Returned, *, owner: Side = AURORA) -> bool:
    key = owner.signing_keys[Role.CHANNEL].public
    return open_word(body, ledger=owner.ledger, partner=BLUEBIRD.ledger, key=key) is not None


def test_a_word_that_our_key_signed_for_this_partner_is_ours() -> None:
    assert is_taken(returned(prepare()))


TURNED = msgspec.structs.replace(prepare(), source=BLUEBIRD.ledger, destination=AURORA.ledger)


@pytest.mark.parametrize(
    ("body", "owner"),
    [
        pytest.param(returned(prepare()), BLUEBIRD, id="signed by another"),
        pytest.param(returned(prepare(), partner=COPPER), AURORA, id="to another partner"),
        pytest.param(returned(TURNED), AURORA, id="not ours to say"),
        pytest.param(
            msgspec.structs.replace(returned(prepare()), network=Network("another")), AURORA, id="of another network"
        ),
        pytest.param(msgspec.structs.replace(returned(prepare()), sighting=msgspec.Raw(b"{}")), AURORA, id="no proof"),
    ],
)
def test_any_other_word_is_not(body: Returned, owner: Side) -> None:
    assert not is_taken(body, owner=owner)


def test_nothing_is_asked_again_of_a_partner_that_gave_all(two: Alliance, tmp_path: Path) -> None:
    node, partner = two.pair
    two.talk()
    with put_back(tmp_path, two, node):
        convert(node, partner, amount=400)
        two.talk(SILENCE_SECONDS)
    succeed(node)
    two.talk(HEALING_SECONDS)
    size = node.engine.size
    node.restart()
    partner.restart()
    two.talk(HEALING_SECONDS)
    assert node.engine.size == size
    assert node.writer.gate.is_open
    with pytest.raises(Refusal) as refused:
        waive(node, partner)
    assert refused.value.code == Code.RECOVERY_MISMATCH
    assert node.balance(f"payable/{partner.side.ledger.rpartition('.')[0]}", USD) > 0
