"""People who carry files between nodes: late, again, out of order, in halves, to the wrong door."""

from dataclasses import dataclass
from itertools import permutations
from typing import Final, Literal, TypeAlias

from node.services.channel.exchange_files import ImportAnswer
from protocol.errors import TallystickError
from protocol.exchange_file import decode_exchange_file
from protocol.identifiers import Ledger
from protocol.ledger.state import AGREEMENTS, CURRENT
from scripts.simulation.invariants import Invariant, Violation
from scripts.simulation.network import Watcher
from scripts.simulation.place import Place
from scripts.simulation.world import World

_How: TypeAlias = Literal["newest", "older", "half", "altered", "misdirected"]
_HOW: Final[tuple[tuple[_How, int], ...]] = (
    ("newest", 6),
    ("older", 2),
    ("half", 1),
    ("altered", 1),
    ("misdirected", 1),
)
_KEPT_MAX: Final = 20
_AGAIN: Final = 0.25


@dataclass(frozen=True, slots=True)
class Carried:
    """A file that was written, from whom and for whom."""

    sender: Place
    receiver: Place
    data: bytes


class Courier:
    """Carries files for every pair that has agreed on them."""

    def __init__(self, world: World, places: list[Place], watcher: Watcher) -> None:
        self._world = world
        self._places = places
        self._watcher = watcher
        self._bag: list[Carried] = []

    def write(self) -> None:
        """Let some node write a file for a partner."""
        ways = self._ways()
        if ways:
            self._write(*self._world.random.choice(ways))

    def bring(self) -> None:
        """Bring some file to some node."""
        if not self._bag:
            return
        kinds, weights = zip(*_HOW, strict=True)
        (how,) = self._world.random.choices(kinds, weights)
        carried = self._bag[-1] if how == "newest" else self._world.random.choice(self._bag)
        if how == "half":
            self._refused(carried.receiver, carried.data[: self._world.random.randrange(len(carried.data))], how)
        elif how == "altered":
            self._refused(carried.receiver, self._altered(carried.data), how)
        elif how == "misdirected":
            others = [place for place in self._places if place is not carried.receiver]
            self._refused(self._world.random.choice(others), carried.data, how)
        else:
            self._bring(carried, again=self._world.random.random() < _AGAIN)

    def serve(self) -> None:
        """Carry a file both ways between any two that wait for one another's."""
        for sender, receiver in self._ways():
            if _waits(sender, receiver) or _waits(receiver, sender):
                self._write(sender, receiver)
                self._bring(self._bag[-1], again=False)

    def _ways(self) -> list[tuple[Place, Place]]:
        return [
            (one, other)
            for one, other in permutations(self._places, 2)
            if _by_files(one, other.ledger) or _by_files(other, one.ledger)
        ]

    def _write(self, sender: Place, receiver: Place) -> None:
        with sender.process():
            # People who carry files are slower than the worker that writes the file beside the store.
            sender.keep_state()
            try:
                file = sender.running.node.exchange_files.export(receiver.ledger)
            except TallystickError as failure:
                self._world.say(f"{sender.name}: {failure.code}")
                return
            self._world.say(f"{sender.name} writes {file.name}")
            for parcel in decode_exchange_file(file.data).parcels:
                self._watcher.leaves(sender, parcel)
            self._bag = [*self._bag[1 - _KEPT_MAX :], Carried(sender, receiver, file.data)]

    def _bring(self, carried: Carried, *, again: bool) -> None:
        answer = self._import(carried.receiver, carried.data)
        if answer is None:
            return
        told = f"file {answer.number} of {carried.sender.name}: {answer.outcome}, next {answer.next}"
        self._world.say(f"{carried.receiver.name} takes {told}")
        if again and not answer.waiting:
            second = self._import(carried.receiver, carried.data)
            if second is not None and (second.applied or second.outcome != "repeated"):
                raise Violation(
                    Invariant.FILE_TAKEN, f"file {answer.number} of {carried.sender.name} was taken in twice"
                )

    def _refused(self, receiver: Place, data: bytes, how: _How) -> None:
        self._world.note(f"{how} file")
        before = receiver.disk.state
        answer = self._import(receiver, data)
        if answer is not None or receiver.disk.state is not before:
            raise Violation(Invariant.FILE_TAKEN, f"{receiver.name} has taken in a file that was {how}")

    def _import(self, receiver: Place, data: bytes) -> ImportAnswer | None:
        with receiver.process():
            try:
                return receiver.running.node.exchange_files.take(data)
            except TallystickError as failure:
                self._world.say(f"{receiver.name}: {failure.code}")
        return None

    def _altered(self, data: bytes) -> bytes:
        place = self._world.random.randrange(len(data))
        return data[:place] + bytes([data[place] ^ self._world.random.randint(1, 255)]) + data[place + 1 :]


def _by_files(place: Place, partner: Ledger) -> bool:
    current = place.disk.state.row(CURRENT, partner)
    agreements = place.disk.state.table(AGREEMENTS)
    return current is not None and agreements[current.digest].signed.agreement.transport.kind == "files"


def _waits(place: Place, partner: Place) -> bool:
    """Return whether a place has something to say to a partner."""
    outgoing = place.running.node.exchange.peer(partner.ledger).outgoing
    return bool(outgoing.frames) or partner.ledger in place.disk.state.outbox.values()
