"""What must hold after every step, checked over what is new: in each ledger by itself, and between ledgers."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import is_
from typing import Final

from protocol.checkpoint import parse_checkpoint
from protocol.conversion import DestinationState, SourceState
from protocol.entries import AnyEntry
from protocol.identifiers import Digest, Id, Ledger, program_of
from protocol.ledger.state import AGREEMENTS
from protocol.messages import body_digest
from protocol.note import parse_note
from scripts.simulation.book import Book, Credit, same_terms
from scripts.simulation.invariants import Invariant, Violation
from scripts.simulation.network import look_at
from scripts.simulation.pairs import check_pair
from scripts.simulation.place import Place
from scripts.simulation.store import State
from scripts.simulation.world import World

_OF_THE_CHANNEL: Final = (b'"kind":"hello"', b'"kind":"returned')
_NAMES: Final = re.compile(rb'"(?:kind|id)":"([a-z]+|[0-9a-f]{8})')
_DECISIONS: Final = ("fulfil", "reject")
_TAKEN: Final = (SourceState.CAPTURED, SourceState.FORCED_OWED)
_GIVEN_BACK: Final = (SourceState.RELEASED, SourceState.FORCED_CLEARED)


@dataclass(slots=True)
class Decisions:
    """What a place has said about partners' conversions, and how far its sent bodies have been looked at."""

    looked_at: int = 0
    said: dict[tuple[Ledger, Id], Digest] = field(default_factory=dict)


class Checker:
    """Follows every place's disk and raises `Violation` at the first step after which something does not hold.

    A conversion in which a hostile partner has had a hand is `tainted`: each ledger must still be right by itself.
    """

    def __init__(self, world: World, places: Iterable[Place], *, ignored: frozenset[Invariant] = frozenset()) -> None:
        """Take what the disks hold now as the beginning; look away from the invariants `ignored`."""
        self._world = world
        self._ignored = ignored
        self._places = list(places)
        self._books = {place.ledger: Book(place.ledger, ignored=ignored) for place in self._places}
        self._decisions = {place.ledger: Decisions() for place in self._places}
        self._restored: set[Ledger] = set()
        self._shown: dict[Ledger, str] = {}
        self._behind: dict[tuple[Ledger, Ledger], int] = {}
        self._looked_at: list[State] = [State() for _ in self._places]
        self._touched: dict[tuple[Ledger, Id], None] = {}
        self._stirred: dict[frozenset[Ledger], None] = {}
        self.tainted: set[tuple[Ledger, Id]] = set()
        for place in self._places:
            self._books[place.ledger].follow(place.disk.state)

    def book(self, place: Place) -> Book:
        """Return what a place's log says."""
        return self._books[place.ledger]

    def check(self) -> None:
        """Look at all that is new on every disk."""
        states = [place.disk.state for place in self._places]
        if all(map(is_, states, self._looked_at)):
            return
        self._looked_at = states
        for place in self._places:
            self._follow(place)
            self._check_decisions(place)
        touched, self._touched = self._touched, {}
        for source, conversion in touched:
            self._check_conversion(source, conversion)
        stirred, self._stirred = self._stirred, {}
        for pair in stirred:
            one, other = (place for place in self._places if place.ledger in pair)
            self.check_pair(one, other)

    def check_pair(self, one: Place, other: Place) -> None:
        """Raise unless two places, if both are honest and have forgotten nothing, agree on what both have."""
        if self._is_sound(one) and self._is_sound(other):
            check_pair(self._books, one, other, ignored=self._ignored)

    def restored(self, place: Place) -> None:
        """Take an old copy of a place's store as the beginning; what it does not know of is tainted."""
        before, after = self._books[place.ledger], Book(place.ledger, ignored=self._ignored)
        after.follow(place.disk.state)
        self._books[place.ledger] = after
        self._restored.add(place.ledger)
        self._shown.pop(place.ledger, None)
        self._decisions[place.ledger] = Decisions(looked_at=len(place.disk.state.sent))
        lost = {key for key, held in before.outgoing.items() if after.outgoing.get(key) != held}
        self.tainted |= {(place.ledger, key) for key in lost}
        self.tainted |= {key for key, credit in before.incoming.items() if after.incoming.get(key) != credit}
        self._behind = {key: moves for key, moves in self._behind.items() if key[0] != place.ledger}

    @property
    def any_restored(self) -> bool:
        """Return whether some place runs over an old copy of its store."""
        return bool(self._restored)

    def leaves(self, place: Place, parcel: bytes) -> None:
        """Raise unless all that a parcel says is durable where it comes from."""
        header, bodies = look_at(parcel)
        state = place.disk.state
        if bodies:
            self._world.say(f"{place.name} says {', '.join(map(name_of, bodies))}")
        for body in bodies:
            if not any(kind in body for kind in _OF_THE_CHANNEL) and body_digest(body) not in state.sent_numbers:
                raise Violation(
                    Invariant.LEFT_BEFORE_DURABLE, f"{place.name} sends a body that its store does not have"
                )
        if header.checkpoint is not None and header.checkpoint != self._shown.get(place.ledger):
            self._shown[place.ledger] = header.checkpoint
            made = parse_checkpoint(parse_note(header.checkpoint.encode()).text)
            self._follow(place)
            if self._books[place.ledger].root_at(made.size) != made.root:
                raise Violation(
                    Invariant.LEFT_BEFORE_DURABLE, f"{place.name} shows a checkpoint that its log does not lead to"
                )

    def undecided(self) -> list[str]:
        """Return what a source still waits for, tainted conversions apart."""
        return [
            f"{ledger} waits for {held.destination} to decide {conversion}"
            for ledger, book in self._books.items()
            for conversion, held in book.outgoing.items()
            if held.is_undecided and (ledger, conversion) not in self.tainted
        ]

    def unsettled(self) -> list[str]:
        """Return which closed windows of honest pairs are not confirmed, and which agreements they have otherwise."""
        return [line for place in self._places if self._is_sound(place) for line in self._unsettled(place)]

    def _unsettled(self, place: Place) -> Iterator[str]:
        sound = {other.ledger: other for other in self._places if self._is_sound(other)}
        for partner, relation in self._books[place.ledger].relations.items():
            if partner in sound and relation.unsettled:
                yield f"{place.name} has not settled the windows {relation.unsettled} with {partner}"
        for digest, record in place.disk.state.table(AGREEMENTS).items():
            if record.partner not in sound:
                continue
            theirs = sound[record.partner].disk.state.row(AGREEMENTS, digest)
            if theirs is None or theirs.ends_at != record.ends_at:
                number = record.signed.agreement.number
                yield f"{record.partner} does not have the agreement {number}, or its end, as {place.name} has it"

    def check_end(self) -> None:
        """Look once more at everything, and at the evidence that a hostile partner's word has left behind."""
        self.check()
        places = {place.ledger: place for place in self._places}
        for source, conversion in self.tainted:
            held = self._books[source].outgoing.get(conversion)
            if held is None or places[source].hostile or held.is_undecided:
                continue
            kind = "fulfil" if held.state in _TAKEN else "reject"
            received = places[source].disk.state.received.values()
            if not any((each.conversion, each.kind) == (conversion, kind) for each in received):
                raise Violation(Invariant.NO_EVIDENCE, f"{source} has concluded {conversion} on nobody's word")

    def conversions(self) -> Counter[str]:
        """Return how many conversions stand in each state at their source."""
        return Counter(str(held.state) for book in self._books.values() for held in book.outgoing.values())

    def _follow(self, place: Place) -> None:
        book = self._books[place.ledger]
        size = book.size
        if len(place.disk.state.entries) == size:
            return
        news = book.follow(place.disk.state)
        self._touched.update(dict.fromkeys(news.conversions))
        pairs = (frozenset((place.ledger, partner)) for partner in sorted(news.partners) if partner in self._books)
        self._stirred.update(dict.fromkeys(pairs))
        for sealed in place.disk.state.entries[size:]:
            told = tell(sealed.entry)
            if told:
                self._world.say(f"{place.name} has {told}")

    def check_behind(self) -> None:
        """Raise if a node has decided for a partner that had shown it to be behind its own words."""
        for (ledger, partner), moves in self._behind.items():
            if self._books[ledger].moves[partner] != moves:
                raise Violation(Invariant.DECIDES_WHILE_BEHIND, f"{ledger} moved a conversion with {partner}")
        self._behind = {
            (place.ledger, partner): self._books[place.ledger].moves[partner]
            for place in self._places
            if place.ledger in self._restored and place.is_up
            for partner in self._books
            if partner != place.ledger and place.running.node.exchange.peer(partner).outgoing.behind
        }

    def _check_decisions(self, place: Place) -> None:
        decisions, sent = self._decisions[place.ledger], place.disk.state.sent
        for message in sent[decisions.looked_at :]:
            if message.kind in _DECISIONS and message.conversion is not None:
                key = (message.partner, message.conversion)
                first = decisions.said.setdefault(key, message.digest)
                if first != message.digest and self._is_sound(place) and Invariant.TWO_DECISIONS not in self._ignored:
                    raise Violation(
                        Invariant.TWO_DECISIONS, f"{place.name} has decided {message.conversion} in two ways"
                    )
        decisions.looked_at = len(sent)

    def _check_conversion(self, source: Ledger, conversion: Id) -> None:
        held = self._books[source].outgoing.get(conversion) if source in self._books else None
        credited = self._credit(source, conversion)
        if (source, conversion) in self.tainted:
            return
        state = held.state if held else SourceState.NONE
        if state in _GIVEN_BACK and credited is not None:
            raise Violation(Invariant.RELEASED_AND_CREDITED, f"{conversion}: given back at {source}, and credited")
        if state in _TAKEN and credited is None:
            raise Violation(Invariant.CAPTURED_NOT_CREDITED, f"{conversion}: taken at {source}, and credited nowhere")
        if credited is not None and (held is None or not same_terms(held, credited)):
            raise Violation(
                Invariant.CREDITED_OTHERWISE, f"{conversion}: what was credited is not what {source} asked for"
            )

    def _is_sound(self, place: Place) -> bool:
        """Return whether a place is honest and has forgotten nothing."""
        return not place.hostile and place.ledger not in self._restored

    def _credit(self, source: Ledger, conversion: Id) -> Credit | None:
        found = [
            credit
            for ledger, book in self._books.items()
            if ledger != source and (credit := book.incoming.get((source, conversion)))
        ]
        credited = [each for each in found if each.state is DestinationState.CREDITED]
        if len(credited) > 1:
            raise Violation(Invariant.CREDITED_TWICE, f"{conversion} of {source} was credited by two ledgers")
        return credited[0] if credited else None


def tell(entry: AnyEntry) -> str | None:
    """Return what an entry about a conversion, a window or an agreement says, in short."""
    kind = str(entry.__struct_config__.tag).replace("_", " ")
    conversion, window, partner = (getattr(entry, name, None) for name in ("conversion", "window", "partner"))
    if conversion is not None:
        return f"{conversion[:8]} {kind.removeprefix('conversion ')}"
    if window is not None:
        return f"{kind}: window {window} with {program_of(Ledger(partner or '')).partition('.')[0]}"
    return kind if kind.startswith("agreement") else None


def name_of(body: bytes) -> str:
    """Return kind and conversion of a body, in short."""
    return " ".join(found.decode() for found in reversed(_NAMES.findall(body)))
