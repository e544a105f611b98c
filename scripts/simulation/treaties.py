"""How terms change: operators propose, accept and end agreements, and papers travel between their nodes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from node.ports import TransportFailed
from node.services.conversions.agreements import AGREEMENTS_PATH
from node.services.requests import EndRequest
from protocol.agreement import decode_signed_agreement
from protocol.errors import TallystickError
from protocol.fields import format_time, later
from protocol.identifiers import Digest, Ledger
from protocol.ledger.state import AGREEMENTS, CURRENT, AgreementRecord
from scripts.simulation.asking import Asking
from scripts.simulation.network import Network
from scripts.simulation.place import Place
from scripts.simulation.terms import Way, draw_terms, proposal
from scripts.simulation.world import World

_AHEAD_SECONDS: Final = (None, None, 5, 3_600)
_NOTICE_SECONDS: Final = (-60, 1, 30)
_DAY_SECONDS: Final = 86_400
_KEPT_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class Sent:
    """A paper that was sent: to whom, to which of its addresses."""

    receiver: str
    url: str
    document: bytes


class Post:
    """Carries papers: they get lost, and come again."""

    def __init__(self, world: World, places: Iterable[Place], network: Network) -> None:
        self._world = world
        self._network = network
        self._places: Mapping[str, Place] = {place.url: place for place in places}
        self.past: list[Sent] = []
        for place in self._places.values():
            place.papers = Carrier(self, place)

    def send(self, sender: Place, url: str, document: bytes) -> None:
        """Carry a paper to whoever listens at `url`, or raise `TransportFailed`."""
        start = sender.starts
        receiver = next(place for address, place in self._places.items() if url.startswith(address + "/"))
        if len(self.past) < _KEPT_MAX:
            self.past.append(Sent(receiver.name, url, document))
        if self._network.is_cut(sender, receiver) or self._world.strikes("lost_request"):
            raise TransportFailed("the paper was lost")
        taken = receiver.take_paper(document, complete=url.endswith(AGREEMENTS_PATH))
        sender.check_alive(start)
        if not taken:
            raise TransportFailed("the partner did not take the paper")
        if self._world.strikes("lost_answer"):
            raise TransportFailed("the answer was lost")

    def replay(self) -> None:
        """Bring an old paper once more."""
        if self.past:
            old = self._world.random.choice(self.past)
            receiver = next(place for place in self._places.values() if place.name == old.receiver)
            self._world.say(f"an old paper comes to {receiver.name}")
            receiver.take_paper(old.document, complete=old.url.endswith(AGREEMENTS_PATH))


class Carrier:
    """One place's way to the post: a `Papers`."""

    def __init__(self, post: Post, place: Place) -> None:
        self._post = post
        self._place = place

    def send(self, url: str, document: bytes) -> None:
        """Return once whoever listens at `url` has taken `document`, or raise `TransportFailed`."""
        self._post.send(self._place, url, document)


class Treaties:
    """The people who make agreements, and accept whatever the node lets them: proposals cross on their way."""

    def __init__(self, world: World, places: list[Place], asking: Asking) -> None:
        self._world = world
        self._places = places
        self._asking = asking

    def work(self) -> None:
        """Let a node's worker send the papers that partners should have."""
        place = self._world.random.choice(self._places)
        if place.is_up:
            with place.process():
                place.running.send_papers.step()

    def propose(self) -> None:
        """Propose other terms to a partner."""
        place, partner = self._world.random.sample(self._places, 2)
        first, second = sorted((place, partner), key=lambda each: each.ledger)
        terms = draw_terms(self._world.random, first.brand, second.brand, way=self._way(place, partner.ledger))
        ahead_seconds = self._world.random.choice(_AHEAD_SECONDS)
        now = format_time(place.clock.now())
        valid_from = None if ahead_seconds is None else later(now, seconds=ahead_seconds)
        request = proposal(terms, partner.ledger, valid_from=valid_from)
        self._world.say(f"{place.name} proposes other terms to {partner.name}")
        with place.process():
            try:
                place.running.node.agreements.propose(request).result()
            except TallystickError as failure:
                self._world.say(f"{place.name}: {failure.code}")

    def accept(self) -> None:
        """Accept a proposal that has been received."""
        place, partner = self._world.random.sample(self._places, 2)
        number = self._number(place, partner.ledger) + 1
        received: list[Digest] = []
        for each in place.disk.state.proposals.values():
            signed = decode_signed_agreement(each.document)
            theirs = signed.signatures[0].ledger == partner.ledger
            if theirs and (each.partner, signed.agreement.number) == (partner.ledger, number):
                received.append(each.digest)
        if not received:
            return
        digest = self._world.random.choice(received)
        self._world.say(f"{place.name} accepts what {partner.name} has proposed")
        with place.process():
            try:
                place.running.node.agreements.accept(None, digest, forced=False).result()
            except TallystickError as failure:
                self._world.say(f"{place.name}: {failure.code}")

    def end(self) -> None:
        """Give notice of an agreement, or too little of it."""
        place, partner = self._world.random.sample(self._places, 2)
        state = place.disk.state
        current = state.row(CURRENT, partner.ledger)
        assert current is not None, "the brands begin with an agreement"
        days = state.table(AGREEMENTS)[current.digest].signed.agreement.notice_days
        seconds = days * _DAY_SECONDS + self._world.random.choice(_NOTICE_SECONDS)
        ends_at = later(format_time(place.clock.now()), seconds=seconds)
        self._asking.ask(place, EndRequest(agreement=current.digest, ends_at=ends_at))

    def _way(self, place: Place, partner: Ledger) -> Way:
        """Return how two brands exchange from now on: mostly as before."""
        files = self._current(place, partner).signed.agreement.transport.kind == "files"
        return "files" if files != (self._world.random.random() < 1 / 8) else "https"

    def _number(self, place: Place, partner: Ledger) -> int:
        return self._current(place, partner).signed.agreement.number

    def _current(self, place: Place, partner: Ledger) -> AgreementRecord:
        current = place.disk.state.row(CURRENT, partner)
        assert current is not None, "the brands begin with an agreement"
        return place.disk.state.table(AGREEMENTS)[current.digest]
