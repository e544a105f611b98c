"""What must hold after every step, checked over what is new: in each ledger by itself, and between ledgers."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from operator import is_
from typing import Final

from protocol.checkpoint import parse_checkpoint
from protocol.conversion import DestinationState, SourceState
from protocol.entries import AnyEntry
from protocol.identifiers import Digest, Id, Ledger, program_of
from protocol.ledger.state import AGREEMENTS, LEDGER, ONLY
from protocol.messages import body_digest
from protocol.note import parse_note
from protocol.recovery_entries import RecoveryWaived
from scripts.simulation.book import Book, Credit, same_terms
from scripts.simulation.doubts import Doubts, Memory
from scripts.simulation.histories import Histories, log_of
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
        self.doubts = Doubts(self._places)
        self._histories = Histories(self._places, self._books, self.doubts)
        self._memory = Memory(self._places, self.doubts)
        self._shown: dict[Ledger, str] = {}
        self._behind: dict[tuple[Ledger, Ledger], int] = {}
        self._looked_at: list[State] = [State() for _ in self._places]
        self._touched: dict[tuple[Ledger, Id], None] = {}
        self._stirred: dict[frozenset[Ledger], None] = {}
        self._accused = {place.ledger: 0 for place in self._places}
        self.tainted: set[tuple[Ledger, Id]] = set()
        for place in self._places:
            self._books[place.ledger].follow(place.disk.state)

    def book(self, place: Place) -> Book:
        """Return what a place's log says."""
        return self._books[place.ledger]

    def check(self) -> None:
        """Look at all that is new on every disk."""
        for place in self._places:
            self._follow(place)
        self._check_alarms()
        for one, other in self.doubts.settle():
            self._compare_again(one, other)
        states = [place.disk.state for place in self._places]
        if all(map(is_, states, self._looked_at)):
            return
        self._looked_at = states
        for place in self._places:
            self._check_decisions(place)
        touched, self._touched = self._touched, {}
        for source, conversion in touched:
            self._check_conversion(source, conversion)
        stirred, self._stirred = self._stirred, {}
        for pair in stirred:
            one, other = (place for place in self._places if place.ledger in pair)
            self.check_pair(one, other)
        self._require_all(self._memory.check, self._histories.check)

    def check_pair(self, one: Place, other: Place) -> None:
        """Raise unless two places, if both are honest and have forgotten nothing, agree on what both have."""
        if self.doubts.is_sound(one.ledger, other.ledger):
            self._require_all(lambda: check_pair(self._books, one, other, ignored=self._ignored))

    def restored(self, places: Iterable[Place]) -> None:
        """Take old copies of stores as the beginning of what their places know."""
        for place in places:
            self._books[place.ledger] = Book(place.ledger, ignored=self._ignored)
            self._books[place.ledger].follow(place.disk.state)
            self.doubts.restore(place)
            self._histories.restored(place)
            self._memory.restored(place)
            self._shown.pop(place.ledger, None)
            self._accused[place.ledger] = 0
            self._behind = {key: moves for key, moves in self._behind.items() if key[0] != place.ledger}
        # What a decider and its partner have both forgotten was never decided.
        for place in self._places:
            self._decisions[place.ledger] = self._recalled(place)

    def _recalled(self, place: Place) -> Decisions:
        """Return the decisions of a place that it knows, or that a partner has heard."""
        decisions = Decisions(looked_at=len(place.disk.state.sent))
        for message in place.disk.state.sent:
            if message.kind in _DECISIONS and message.conversion is not None:
                decisions.said.setdefault((message.partner, message.conversion), message.digest)
        for other in self._places:
            for word in other.disk.state.words:
                if word.partner == place.ledger and word.kind in _DECISIONS and word.conversion is not None:
                    decisions.said.setdefault((other.ledger, word.conversion), word.digest)
        return decisions

    def _compare_again(self, one: Place, other: Place) -> None:
        """Compare all that two places have, now that neither is in doubt."""
        self._follow(one)
        self._follow(other)
        for source, destination in ((one, other), (other, one)):
            for conversion, held in self._books[source.ledger].outgoing.items():
                if held.destination == destination.ledger:
                    self._check_conversion(source.ledger, conversion)
            for origin, conversion in self._books[source.ledger].incoming:
                if origin == destination.ledger:
                    self._check_conversion(origin, conversion)
        self.check_pair(one, other)
        self._require_all(lambda: self._memory.check_all(one, other))
        for place in (one, other):
            if self.doubts.is_whole(place.ledger):
                self._require_all(partial(self._histories.check_against_log, place.ledger))

    def _require_all(self, *checks: Callable[[], None]) -> None:
        """Look at what a mutation may be looked away from."""
        for check in checks:
            try:
                check()
            except Violation as found:
                if found.invariant not in self._ignored:
                    raise

    def _check_alarms(self) -> None:
        """Raise unless what nodes have logged as an old store, or as misconduct, is of that kind."""
        alarms, self._world.alarms[:] = list(self._world.alarms), []
        for name, alarm in alarms:
            place = next(each for each in self._places if each.name == name)
            known = alarm.startswith("store_behind") and place.ledger in self.doubts.restored
            if not known and not any(each.ledger in alarm for each in self._places if self._may_be_accused(each)):
                self._require(Invariant.FALSE_ALARM, f"{name} says {alarm}")
        for place in self._places:
            kept = place.disk.state.accusations
            for each in kept[self._accused[place.ledger] :]:
                accused = next(one for one in self._places if one.ledger == each.partner)
                if not self._may_be_accused(accused):
                    about = f"{each.subject} {each.name}"
                    self._require(Invariant.HONEST_ACCUSED, f"{place.name} accuses {each.partner}: {about}")
            self._accused[place.ledger] = len(kept)

    def _may_be_accused(self, place: Place) -> bool:
        return place.hostile or any(place.ledger in pair for pair in self.doubts.risked)

    def _require(self, invariant: Invariant, detail: str) -> None:
        if invariant not in self._ignored:
            raise Violation(invariant, detail)

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
            self._histories.leaves(made, self._books[place.ledger])
            if self._books[place.ledger].root_at(made.size, log_of(made)[1]) != made.root:
                raise Violation(
                    Invariant.LEFT_BEFORE_DURABLE, f"{place.name} shows a checkpoint that its log does not lead to"
                )

    def undecided(self) -> list[str]:
        """Return what a source still waits for, tainted conversions apart."""
        return [
            f"{ledger} waits for {held.destination} to decide {conversion}"
            for ledger, book in self._books.items()
            for conversion, held in book.outgoing.items()
            if held.is_undecided
            and (ledger, conversion) not in self.tainted
            and not self.doubts.is_excused(ledger, held.destination)
        ]

    def unsettled(self) -> list[str]:
        """Return which closed windows of honest pairs are not confirmed, and which agreements they have otherwise."""
        return [line for place in self._places if not place.hostile for line in self._unsettled(place)]

    def _unsettled(self, place: Place) -> Iterator[str]:
        sound = {
            other.ledger: other
            for other in self._places
            if other is not place
            and self.doubts.is_sound(place.ledger, other.ledger)
            and not self.doubts.is_excused(place.ledger, other.ledger)
        }
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
        size = book.taken
        if len(place.disk.state.entries) == size:
            return
        news = book.follow(place.disk.state)
        self._touched.update(dict.fromkeys(news.conversions))
        pairs = (frozenset((place.ledger, partner)) for partner in sorted(news.partners) if partner in self._books)
        self._stirred.update(dict.fromkeys(pairs))
        for sealed in place.disk.state.entries[size:]:
            if isinstance(sealed.entry, RecoveryWaived):
                # Whether its operator was told or not, as where the process ended after the commit.
                self._world.note("words waived")
                self.doubts.risk(place, sealed.entry.partner)
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
            if place.ledger in self.doubts.restored and place.is_up and self._is_behind(place)
            for partner in self._books
            if partner != place.ledger and not place.running.node.exchange.peer(partner).excused
        }

    def _check_decisions(self, place: Place) -> None:
        decisions, sent = self._decisions[place.ledger], place.disk.state.sent
        for message in sent[decisions.looked_at :]:
            if message.kind in _DECISIONS and message.conversion is not None:
                key = (message.partner, message.conversion)
                first = decisions.said.setdefault(key, message.digest)
                risked = frozenset((place.ledger, message.partner)) in self.doubts.risked
                if first != message.digest and not place.hostile and not risked:
                    self._require(Invariant.TWO_DECISIONS, f"{place.name} has decided {message.conversion} in two ways")
        decisions.looked_at = len(sent)

    def _check_conversion(self, source: Ledger, conversion: Id) -> None:
        held = self._books[source].outgoing.get(conversion) if source in self._books else None
        credited = self._credit(source, conversion)
        if (source, conversion) in self.tainted:
            return
        partner = held.destination if held else credited.at if credited else None
        if partner is None or not self._may_compare(source, partner):
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

    def _may_compare(self, one: Ledger, other: Ledger) -> bool:
        """Return whether a conversion of two ledgers is to be the same at both, whoever is hostile."""
        return not self.doubts.is_open(one, other) and frozenset((one, other)) not in self.doubts.risked

    def _is_behind(self, place: Place) -> bool:
        record = place.disk.state.row(LEDGER, ONLY)
        return record is not None and not record.recovering

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
