"""The fake network: it loses parcels and answers, repeats them, holds them back, and cuts places off."""

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Final, Protocol

import msgspec

from node.ports import TransportFailed
from scripts.simulation.place import Place
from scripts.simulation.world import World

KEPT_MAX: Final = 400
_LATE_ANSWER_KEPT: Final = 0.5


def _nothing() -> None:
    """Do nothing."""


class Watcher(Protocol):
    """Looks at what leaves a node."""

    def leaves(self, place: Place, parcel: bytes) -> None:
        """Raise `Violation` for what may not leave."""


@dataclass(frozen=True, slots=True)
class InFlight:
    """A parcel that was sent and has not arrived."""

    sender: str
    receiver: str
    parcel: bytes


class _Envelope(msgspec.Struct):
    payload: str


class Seen(msgspec.Struct):
    """What of a parcel is looked at without verifying it."""

    bodies: tuple[msgspec.Raw, ...]
    envelope: _Envelope


class SeenHeader(msgspec.Struct):
    """What of an envelope's header is looked at."""

    epoch: int
    first_seq: Annotated[int, msgspec.Meta(ge=0)]
    checkpoint: str | None


_PARCELS: Final = msgspec.json.Decoder(Seen)
_HEADERS: Final = msgspec.json.Decoder(SeenHeader)


def look_at(parcel: bytes) -> tuple[SeenHeader, list[bytes]]:
    """Return header and bodies of a parcel that a node has made."""
    seen = _PARCELS.decode(parcel)
    return _HEADERS.decode(base64.b64decode(seen.envelope.payload)), [bytes(body) for body in seen.bodies]


class Network:
    """Carries parcels between places. Whatever was sent may arrive at any time, any number of times, or never."""

    def __init__(self, world: World, places: Iterable[Place], watcher: Watcher) -> None:
        self._world = world
        self._places: Mapping[str, Place] = {place.name: place for place in places}
        self._by_url = {place.url: place for place in self._places.values()}
        self._watcher = watcher
        self._cuts: set[frozenset[str]] = set()
        self.in_flight: list[InFlight] = []
        self.past: list[InFlight] = []
        self.meanwhile: Callable[[], None] = _nothing
        self._held: frozenset[str] = frozenset()
        for place in self._places.values():
            place.transport = Line(self, place)
            place.logs = PublicLogs(self, place)

    def cut(self, one: Place, other: Place) -> None:
        """Separate two places, or connect them again."""
        self._cuts ^= {frozenset((one.name, other.name))}

    def heal(self) -> None:
        """Connect everybody; what is under way is lost."""
        self._cuts.clear()
        self.in_flight.clear()

    @contextmanager
    def holding(self, sender: Place) -> Iterator[None]:
        """Let nothing that a place says arrive meanwhile: it is late."""
        self._held = frozenset({sender.name})
        try:
            yield
        finally:
            self._held = frozenset()

    def is_cut(self, one: Place, other: Place) -> bool:
        """Return whether two places are separated."""
        return frozenset((one.name, other.name)) in self._cuts

    def exchange(self, sender: Place, url: str, parcel: bytes) -> bytes:
        """Carry a parcel to whoever listens at `url` and the answer back, unless something happens to them."""
        receiver, start = self._by_url[url], sender.starts
        self._leaves(sender, receiver, parcel)
        if self.is_cut(sender, receiver) or not receiver.is_up:
            raise TransportFailed("no connection")
        if self._world.strikes("lost_request"):
            raise TransportFailed("the request was lost")
        if self._goes_astray("late_request", sender, receiver, parcel):
            raise TransportFailed("no answer in time")
        self._pause(sender, start)
        answer = receiver.answer(parcel)
        if answer is None:
            raise TransportFailed("the partner did not take it")
        self._leaves(receiver, sender, answer)
        if self._world.strikes("lost_answer"):
            raise TransportFailed("the answer was lost")
        if self._goes_astray("late_answer", receiver, sender, answer):
            raise TransportFailed("no answer in time")
        self._pause(sender, start)
        return answer

    def fetch(self, reader: Place, url: str, path: str) -> bytes | None:
        """Let a place read a file of the log of the node at `url`; a restarted reader reads no more."""
        start, other = reader.starts, self._by_url[url]
        if self.is_cut(reader, other) or self._world.strikes("lost_request"):
            raise TransportFailed("no connection")
        served, data = other.published(path)
        reader.check_alive(start)
        if not served or self._world.strikes("lost_answer"):
            raise TransportFailed("no answer")
        return data

    def arrive(self, place: int) -> None:
        """Let one of the parcels in flight arrive."""
        flying = self.in_flight.pop(place)
        sender, receiver = self._places[flying.sender], self._places[flying.receiver]
        if self.is_cut(sender, receiver) or not receiver.is_up:
            self._world.say(f"a parcel from {sender.name} does not reach {receiver.name}")
            return
        self._world.say(f"{receiver.name} gets a late parcel from {sender.name}")
        self.deliver(receiver, [flying])

    def deliver(self, receiver: Place, arriving: list[InFlight], *, beside: Callable[[], None] = _nothing) -> None:
        """Give a place parcels that nobody waits for; some of its answers will arrive later."""
        answers = receiver.answer_all([each.parcel for each in arriving], beside=beside)
        for flying, answer in zip(arriving, answers, strict=True):
            if answer is None:
                continue
            sender = self._places[flying.sender]
            self._leaves(receiver, sender, answer)
            if self._world.random.random() < _LATE_ANSWER_KEPT:
                self.in_flight.append(InFlight(receiver.name, sender.name, answer))

    def _leaves(self, sender: Place, receiver: Place, parcel: bytes) -> None:
        self._watcher.leaves(sender, parcel)
        if len(self.past) < KEPT_MAX:
            self.past.append(InFlight(sender.name, receiver.name, parcel))

    def _goes_astray(self, fault: str, sender: Place, receiver: Place, parcel: bytes) -> bool:
        """Put a parcel among those in flight if it is late, and then return True, or if it is there twice."""
        late = sender.name in self._held or self._world.strikes(fault)
        if late or self._world.strikes("repeated"):
            self.in_flight.append(InFlight(sender.name, receiver.name, parcel))
        return late

    def _pause(self, sender: Place, start: int) -> None:
        """Let other things happen while the sender's thread waits."""
        if self._world.strikes("meanwhile"):
            self.meanwhile()
        sender.check_alive(start)


class PublicLogs:
    """What partners publish of their logs, as one place reads it over the network."""

    def __init__(self, network: Network, place: Place) -> None:
        self._network = network
        self._place = place

    def fetch(
        self,
        url: str,
        path: str,
        *,
        credential: str | None = None,  # noqa: ARG002 - of a protocol: every log here is open
    ) -> bytes | None:
        """Return the file at `path` of the log of the node at `url`, or None; or raise `TransportFailed`."""
        return self._network.fetch(self._place, url, path)


class Line:
    """One place's way into the network: a `Transport`."""

    def __init__(self, network: Network, place: Place) -> None:
        self._network = network
        self._place = place

    def exchange(self, url: str, parcel: bytes) -> bytes:
        """Send `parcel` to the partner at `url` and return its answer, or raise `TransportFailed`."""
        return self._network.exchange(self._place, url, parcel)
