"""Which ledgers may have forgotten what a partner knows: put back to an old copy, and not whole again yet."""

from collections.abc import Iterable, Iterator
from itertools import permutations
from typing import Final, TypeAlias

from protocol.identifiers import Ledger
from protocol.ledger.names import recovery_id
from protocol.ledger.state import IDS, LEDGER, ONLY
from protocol.messages import body_digest
from scripts.simulation.invariants import Invariant, Violation
from scripts.simulation.place import Place
from scripts.simulation.store import State

Pair: TypeAlias = frozenset[Ledger]
_OF_NO_ENTRY: Final = frozenset({"hello", "returned", "returned_agreement", "query", "error", "lines"})


class Doubts:
    """Follows what becomes of restored ledgers.

    A ledger is in doubt with a partner from a restore until its node, by its own account, writes again and has all its
    words from that partner. A pair is `risked` for good where an operator has gone on without words that may be there.
    `restored` are the ledgers that were ever put back.
    """

    def __init__(self, places: Iterable[Place]) -> None:
        self._places = {place.ledger: place for place in places}
        self._open: set[tuple[Ledger, Ledger]] = set()
        self.restored: set[Ledger] = set()
        self.risked: set[Pair] = set()

    def restore(self, place: Place) -> None:
        """Doubt a ledger that was put back to an old copy."""
        self.restored.add(place.ledger)
        self._open |= {(place.ledger, other) for other in self._places if other != place.ledger}

    def risk(self, place: Place, partner: Ledger) -> None:
        """Note that an operator goes on without what a partner may hold."""
        self.risked.add(frozenset((place.ledger, partner)))
        self._open.discard((place.ledger, partner))

    def is_open(self, one: Ledger, other: Ledger) -> bool:
        """Return whether either of two ledgers may have forgotten what the other knows."""
        return (one, other) in self._open or (other, one) in self._open

    def is_sound(self, one: Ledger, other: Ledger) -> bool:
        """Return whether two ledgers are to agree now on all that both have."""
        honest = not self._places[one].hostile and not self._places[other].hostile
        return honest and not self.is_open(one, other) and frozenset((one, other)) not in self.risked

    def is_whole(self, ledger: Ledger) -> bool:
        """Return whether a ledger has forgotten nothing, and nobody has gone on without what it may have forgotten."""
        return all(ledger not in pair for pair in self.risked) and all(ledger != one for one, _ in self._open)

    def is_excused(self, one: Ledger, other: Ledger) -> bool:
        """Return whether an operator's risk lets anything of two ledgers, or of one of them, stay open for ever."""
        return any(one in pair or other in pair for pair in self.risked)

    def settle(self) -> Iterator[tuple[Place, Place]]:
        """Yield every pair about which there is no doubt any more."""
        for one, other in sorted(self._open):
            if _has_all_from(self._places[one], other):
                self._open.discard((one, other))
                if not self.is_open(one, other):
                    yield self._places[one], self._places[other]

    def left(self) -> list[str]:
        """Return which honest ledgers are not whole again, and what they say about it."""
        return [
            f"{one} is not whole again with {other}: {standing.condition} {standing.reason or ''}"
            for one, other in sorted(self._open)
            if (place := self._places[one]).is_up
            and not self._places[other].hostile
            and not self.is_excused(one, other)
            for standing in [place.running.node.succession.standing()]
        ]

    def unheard(self) -> list[str]:
        """Return which ledgers go on under a log of which an honest partner that speaks with them was never told."""
        return [
            f"{place.ledger} has not told {partner} of its log"
            for place in self._places.values()
            if place.is_up and place.running.node.gate.behind is None
            for partner in _untold(place)
            if not self._places[partner].hostile
        ]


class Memory:
    """Looks whether what was heard of a ledger is what that ledger knows to have said."""

    def __init__(self, places: Iterable[Place], doubts: Doubts) -> None:
        self._places = list(places)
        self._doubts = doubts
        self._heard = {place.ledger: len(place.disk.state.words) for place in self._places}

    def restored(self, place: Place) -> None:
        """Look at a place's words from here on."""
        self._heard[place.ledger] = len(place.disk.state.words)

    def check(self) -> None:
        """Raise for new words whose sender does not know them, though it should."""
        for place in self._places:
            state, begin = place.disk.state, self._heard[place.ledger]
            self._heard[place.ledger] = len(state.words)
            for sender in self._places if begin < len(state.words) else ():
                if sender is not place and self._doubts.is_sound(sender.ledger, place.ledger):
                    _compare(sender, state, begin)

    def check_all(self, one: Place, other: Place) -> None:
        """Raise unless each of two places knows all that the other has heard of it."""
        for sender, hearer in permutations((one, other)):
            if self._doubts.is_sound(one.ledger, other.ledger):
                _compare(sender, hearer.disk.state, 0)


def _compare(sender: Place, heard: State, begin: int) -> None:
    known = sender.disk.state.sent_numbers
    for word in heard.words[begin:]:
        if word.partner == sender.ledger and word.kind not in _OF_NO_ENTRY and word.digest not in known:
            about = f" about {word.conversion}" if word.conversion else ""
            assert body_digest(word.body) == word.digest, "a word is kept under its digest"
            raise Violation(Invariant.WORD_FORGOTTEN, f"{sender.ledger} does not know its own {word.kind}{about}")


def _untold(place: Place) -> Iterator[Ledger]:
    """Yield the partners that were not asked for words when the log that is written now began, nor since."""
    record = place.disk.state.row(LEDGER, ONLY)
    if record is None or record.predecessor is None:
        return
    for partner in record.partners:
        asked = place.disk.state.row(IDS, recovery_id(record.log, partner)) is not None
        # Who holds more of the log before than this one says there was will not take it: its operator must.
        if not asked and not place.running.node.exchange.peer(partner).beyond:
            yield partner


def _has_all_from(place: Place, partner: Ledger) -> bool:
    """Return whether a node writes, and misses no words that `partner` has shown to have."""
    if not place.is_up or not place.running.node.gate.is_open:
        return False
    record = place.disk.state.row(LEDGER, ONLY)
    peer = place.running.node.exchange.peer(partner)
    has_all = peer.outgoing.answered and peer.excused and not peer.late
    return has_all and record is not None and partner not in record.recovering
