"""What anybody holds of a ledger's logs: of any two checkpoints of one log, one is a prefix of the other."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from protocol.checkpoint import Checkpoint, parse_checkpoint
from protocol.identifiers import Ledger, first_of, generation_of
from protocol.merkle import Hash
from protocol.note import parse_note
from scripts.simulation.book import Book
from scripts.simulation.doubts import Doubts
from scripts.simulation.invariants import Invariant, Violation
from scripts.simulation.place import Place

Log: TypeAlias = tuple[Ledger, int]


@dataclass(frozen=True, slots=True)
class Seen:
    """A checkpoint: how many entries a log has, and their root."""

    size: int
    root: Hash


def log_of(checkpoint: Checkpoint) -> Log:
    """Return the ledger, and the generation of its log, that a checkpoint is of."""
    origin = Ledger(checkpoint.origin)
    return first_of(origin), generation_of(origin)


class Histories:
    """Remembers which roots led to each checkpoint that has left a node, and follows who holds which."""

    def __init__(self, places: Iterable[Place], books: Mapping[Ledger, Book], doubts: Doubts) -> None:
        self._places = list(places)
        self._books = books
        self._doubts = doubts
        self._roots: dict[tuple[Log, Seen], list[Hash]] = {}
        self._largest: dict[tuple[Ledger, Log], Seen] = {}
        self._looked_at = {place.ledger: 0 for place in self._places}

    def leaves(self, checkpoint: Checkpoint, book: Book) -> None:
        """Remember what led to a checkpoint that leaves a node."""
        log = log_of(checkpoint)
        self._roots[log, Seen(checkpoint.size, checkpoint.root)] = book.roots(log[1])

    def restored(self, place: Place) -> None:
        """Forget what a place has forgotten."""
        self._looked_at[place.ledger] = 0
        self._largest = {key: seen for key, seen in self._largest.items() if key[0] != place.ledger}

    def check(self) -> None:
        """Raise unless what places have newly got of each log fits what anybody holds of it."""
        for place in self._places:
            kept = place.disk.state.partner_checkpoints
            for each in kept[self._looked_at[place.ledger] :]:
                checkpoint = parse_checkpoint(parse_note(each.note).text)
                self._take(place.ledger, log_of(checkpoint), Seen(checkpoint.size, checkpoint.root))
            self._looked_at[place.ledger] = len(kept)

    def check_against_log(self, ledger: Ledger) -> None:
        """Raise unless a ledger that is whole has all that anybody holds of its logs, or says what of it is lost."""
        book = self._books[ledger]
        for (holder, log), seen in self._largest.items():
            if log[0] == ledger:
                self._check_known(book, log[1], seen, holder)

    def _take(self, holder: Ledger, log: Log, seen: Seen) -> None:
        before = self._largest.get((holder, log))
        if before is None or before.size < seen.size:
            self._largest[holder, log] = seen
        if any(log[0] in pair for pair in self._doubts.risked):
            return
        for (other, of), held in self._largest.items():
            if of == log and not self._fits(log, seen, held):
                raise Violation(
                    Invariant.TWO_HISTORIES,
                    f"{holder} has a log {log} of {seen.size} entries, and {other} another of {held.size}",
                )
        if self._doubts.is_whole(log[0]):
            self._check_known(self._books[log[0]], log[1], seen, holder)

    def _fits(self, log: Log, one: Seen, other: Seen) -> bool:
        less, more = sorted((one, other), key=lambda seen: seen.size)
        return self._roots[log, more][less.size - 1] == less.root

    def _check_known(self, book: Book, generation: int, seen: Seen, holder: Ledger) -> None:
        if generation == book.generation:
            known, invariant = book.root_at(seen.size, generation) == seen.root, Invariant.TWO_HISTORIES
        else:
            next_log = book.begun.get(generation + 1)
            before = None if next_log is None else next_log.predecessor
            known, invariant = before is not None and seen.size <= before.size, Invariant.GAP
        if not known:
            detail = f"{holder} holds {seen.size} entries of the log {generation} of {book.ledger}, which has others"
            raise Violation(invariant, detail)
