"""Two proposals of one number that cross: one party alone accepts, so that both enter the same agreement."""

from random import Random

import pytest

from node.services.refusals import NodeCode, NodeRefusal
from protocol.errors import Code, Refusal
from protocol.identifiers import Digest
from scripts.simulation.alliance import make_places
from scripts.simulation.checker import Checker
from scripts.simulation.network import Network
from scripts.simulation.place import Place
from scripts.simulation.terms import draw_terms, proposal
from scripts.simulation.treaties import Post
from scripts.simulation.world import World


@pytest.fixture
def pair() -> tuple[Place, Place]:
    """Return two nodes that run, the first party first."""
    world = World(Random(1))
    places = make_places(world)
    network = Network(world, places, Checker(world, places))
    Post(world, places, network)
    for place in places:
        place.start()
    first, second = sorted(places[:2], key=lambda place: place.ledger)
    return first, second


def propose(place: Place, partner: Place, seed: int) -> Digest:
    first, second = sorted((place, partner), key=lambda each: each.ledger)
    terms = draw_terms(Random(seed), first.brand, second.brand, way="https")
    view = place.running.node.agreements.propose(proposal(terms, partner.ledger, valid_from=None)).result()
    return Digest(view.digest)


def accept(place: Place, digest: Digest) -> None:
    place.running.node.agreements.accept(None, digest, forced=True).result()


def numbers(place: Place, partner: Place) -> list[tuple[int, str]]:
    found = place.running.node.agreements.all().agreements
    return sorted((each.number, each.digest) for each in found if each.partner == partner.ledger)


def send(*places: Place) -> None:
    for place in places:
        place.running.send_papers.step()


def test_the_first_party_does_not_accept_while_its_own_proposal_is_out(pair: tuple[Place, Place]) -> None:
    first, second = pair
    ours, theirs = propose(first, second, 1), propose(second, first, 2)
    send(first, second)
    with pytest.raises(NodeRefusal, match="propose again on the partner's terms") as refused:
        accept(first, theirs)
    assert refused.value.code == NodeCode.PROPOSALS_CROSS.value
    accept(second, ours)
    send(first, second)
    assert numbers(first, second) == numbers(second, first)
    assert [number for number, _ in numbers(first, second)] == [1, 2]


def test_the_first_party_accepts_where_it_has_proposed_nothing(pair: tuple[Place, Place]) -> None:
    first, second = pair
    theirs = propose(second, first, 2)
    send(second)
    accept(first, theirs)
    send(first)
    assert numbers(first, second) == numbers(second, first)
    assert numbers(first, second)[-1] == (2, theirs)


def test_the_first_party_proposes_again_what_the_second_wants(pair: tuple[Place, Place]) -> None:
    first, second = pair
    propose(first, second, 1)
    propose(second, first, 2)
    again = propose(first, second, 2)
    send(first, second)
    accept(second, again)
    send(second)
    assert numbers(first, second)[-1] == (2, again)


def test_a_proposal_that_was_lost_at_the_partner_is_sent_again_when_it_is_made_again(
    pair: tuple[Place, Place],
) -> None:
    first, second = pair
    terms = draw_terms(Random(1), first.brand, second.brand, way="https")
    request = proposal(terms, second.ledger, valid_from="2026-03-02T00:00:00.000000Z")
    first.running.node.agreements.propose(request).result()
    lost = second.disk.state
    send(first)
    second.crash()
    second.disk.state = lost
    second.start()
    send(first)
    assert not second.disk.state.proposals
    first.world.seconds += 1
    again = first.running.node.agreements.propose(request).result()
    send(first)
    assert list(second.disk.state.proposals) == [again.digest]


def test_a_proposal_is_not_signed_once_another_of_its_number_is_entered(
    pair: tuple[Place, Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = pair
    theirs = propose(second, first, 2)
    send(second)
    agreements = first.running.node.agreements
    before = agreements._context.reader.current_agreement(second.ledger)
    accept(first, theirs)
    monkeypatch.setattr(agreements._context.reader, "current_agreement", lambda _: before)
    with pytest.raises(Refusal) as refused:
        propose(first, second, 1)
    assert refused.value.code == Code.AGREEMENT_EXISTS.value
