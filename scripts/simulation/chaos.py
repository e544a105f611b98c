"""Faults that happen between steps: crashes, cuts, clocks that step, parcels that come late or once more."""

from typing import Final

from protocol.fields import parse_time
from protocol.ledger.state import AGREEMENTS
from scripts.simulation.asking import Asking
from scripts.simulation.checker import Checker
from scripts.simulation.clients import Clients
from scripts.simulation.network import InFlight, Network
from scripts.simulation.place import Place
from scripts.simulation.store import Fate
from scripts.simulation.world import BEGINNING, World

POINTS: Final = (
    "commit.before",
    "commit.after",
    "intake.before",
    "answer.before",
    "answer.after",
    "send.before",
    "send.after",
)
"""The failure points of the shipped code."""

_PAUSES_SECONDS: Final = (0.02, 0.06, 0.3, 1.0, 1.6, 4.0, 11.0)
_NIGHTS_SECONDS: Final = (600, 3_600, 43_200, 90_000)
_MISREAD_SECONDS: Final = (9, 90, 500)
_ASKS_MAX: Final = 5
_ASK_SECONDS: Final = 0.7
_TWO_AT_ONCE: Final = 0.25
_DEPTHS: Final = (1, 2, 3, 5, 10, 20, 60)
"""From how many of the last copies one is taken."""

_CLOCK_STEPS_SECONDS: Final = (-4_000, -300, -90, -8, -2, 2, 8, 90, 300, 4_000)


class Chaos:
    """What befalls places and network."""

    def __init__(
        self, world: World, places: list[Place], network: Network, *, asking: Asking, clients: Clients, checker: Checker
    ) -> None:
        self._world = world
        self._places = places
        self._network = network
        self._asking = asking
        self._clients = clients
        self._checker = checker
        for place in places:
            place.disk.fate = self._fate

    def wait(self) -> None:
        """Let time pass."""
        self._world.seconds += self._world.random.choice(_PAUSES_SECONDS) * self._world.random.random()

    def pass_night(self) -> None:
        """Let hours or days pass."""
        self._world.seconds += self._world.random.choice(_NIGHTS_SECONDS)
        self._world.say("time passes")

    def crash(self) -> None:
        """End a node's process."""
        place = self._place()
        if place.is_up:
            self._world.note("crash")
            self._world.say(f"{place.name} crashes")
            place.crash()

    def restore(self) -> None:
        """Put old copies of stores back, of one place or of two at once, and start over them.

        The file beside the store stays, or is lost with it; where a partner exchanges files it always stays, since
        nobody waits for such a partner's answer at a start.
        """
        honest = [place for place in self._places if place.disk.copies and not place.hostile]
        count = 2 if self._world.random.random() < _TWO_AT_ONCE else 1
        places = self._world.random.sample(honest, min(len(honest), count))
        for place in places:
            self._put_back(place)
        self._checker.restored(places)
        for place in places:
            self._start(place)

    def restore_unheard(self) -> None:
        """Put a store back to before an order or a decision that is still under way, and let that arrive afterwards."""
        place, other = self._world.random.sample(self._places, 2)
        if place.hostile or other.hostile or not (place.is_up and other.is_up):
            return
        before = place.disk.state
        source, destination = self._world.random.sample((place, other), 2)
        self._clients.order_from(source, destination)
        with self._network.holding(place):
            self._deliver(source)
        copies = place.disk.copies
        known = next((number for number, copy in enumerate(copies) if copy is before), None)
        if known is None:
            return
        self._put_back(place, known)
        self._checker.restored([place])
        self._start(place)
        self._deliver(place)
        for flying in [each for each in self._network.in_flight if each.sender == place.name]:
            if flying in self._network.in_flight:
                self._network.arrive(self._network.in_flight.index(flying))

    def _put_back(self, place: Place, known: int | None = None) -> None:
        self._world.note("restore")
        place.crash()
        copies = place.disk.copies
        place.disk.lost.append(place.disk.state)
        depth = self._world.random.choice(_DEPTHS)
        chosen = self._world.random.randrange(max(len(copies) - depth, 0), len(copies)) if known is None else known
        place.disk.state = copies[chosen]
        # What came after it is a history that is given up now: nobody has backups of that any more.
        del copies[chosen + 1 :]
        keeps = self._world.random.random() < 1 / 2 or self._by_files(place)
        if not keeps:
            place.disk.kept = None
        here = "here" if keeps else "gone"
        self._world.say(f"{place.name} is back at entry {len(place.disk.state.entries)}, its state file is {here}")
        self._asking.forget(place)

    def _by_files(self, place: Place) -> bool:
        agreements = place.disk.state.table(AGREEMENTS).values()
        return any(each.signed.agreement.transport.kind == "files" for each in agreements)

    def start(self) -> None:
        """Start a node that is down."""
        down = [place for place in self._places if not place.is_up]
        if down:
            self._start(self._world.random.choice(down))

    def _start(self, place: Place) -> None:
        """Start a node, which asks its partners at once, and again a moment later."""
        self._world.say(f"{place.name} starts")
        place.start()
        for _ in range(self._world.random.randint(0, _ASKS_MAX)):
            if place.is_up and place.running.node.gate.waiting:
                place.deliver()
                self._world.seconds += _ASK_SECONDS

    def cut(self) -> None:
        """Separate two places, or connect them again."""
        one, other = self._world.random.sample(self._places, 2)
        cut = self._network.is_cut(one, other)
        if not cut:
            self._world.note("partition")
        self._world.say(f"{one.name} and {other.name} are {'connected' if cut else 'separated'}")
        self._network.cut(one, other)

    def step_clock(self) -> None:
        """Set a wall clock, or set a wrong one right."""
        place = self._place()
        wrong = bool(place.clock.error_seconds) and self._world.random.random() < 1 / 2
        step = -place.clock.error_seconds if wrong else self._world.random.choice(_CLOCK_STEPS_SECONDS)
        self._world.note("clock step")
        self._world.say(f"{place.name}'s clock steps by {step:g} s")
        place.clock.error_seconds += step

    def misread_clock(self) -> None:
        """Let a wall clock be ahead for a moment, just when an order comes from somebody who may not survive that."""
        place, other = self._world.random.sample(self._places, 2)
        error = self._world.random.choice(_MISREAD_SECONDS)
        self._world.note("clock step")
        self._world.say(f"{place.name}'s clock is {error} s ahead for a moment")
        self._clients.order_from(other, place)
        other.doom = self._world.random.choice((None, "send.after"))
        place.clock.error_seconds += error
        self._deliver(other)
        place.clock.error_seconds -= error
        if not other.is_up and self._world.random.random() < 1 / 2:
            self._start(other)
        self._deliver(other)

    def doom(self) -> None:
        """Let a node crash when it next comes to a certain point."""
        place = self._place()
        place.doom = self._world.random.choice(POINTS)
        self._world.say(f"{place.name} will crash at {place.doom}")

    def confirm_clock(self) -> None:
        """Let an operator confirm a clock that has jumped."""
        for place in self._places:
            if place.is_up and place.running.writer.clock_stopped:
                self._world.say(f"{place.name}'s clock is confirmed")
                with place.process():
                    place.running.node.confirm_clock()
                return

    def work(self) -> None:
        """Let a node's other workers take a step."""
        place = self._place()
        if place.is_up:
            place.work()

    def deliver(self) -> None:
        """Let a node send what is due."""
        self._deliver(self._place())

    def arrive(self) -> None:
        """Let a late parcel arrive."""
        if self._network.in_flight:
            self._network.arrive(self._world.random.randrange(len(self._network.in_flight)))

    def replay(self) -> None:
        """Bring an old parcel once more, to whom it was for or to somebody else."""
        if not self._network.past:
            return
        old = self._world.random.choice(self._network.past)
        receiver = self._place() if self._world.random.random() < 1 / 4 else self._named(old.receiver)
        if receiver.is_up:
            self._world.note("replay")
            self._world.say(f"an old parcel from {old.sender} to {old.receiver} comes to {receiver.name}")
            self._network.deliver(receiver, [InFlight(old.sender, receiver.name, old.parcel)])

    def gather(self) -> None:
        """Let requests and parcels arrive at one node together, so that they share a commit."""
        place = self._place()
        if not place.is_up:
            return
        waiting = [each for each in self._network.in_flight if each.receiver == place.name]
        arriving = self._world.random.sample(waiting, min(len(waiting), 3))
        for each in arriving:
            self._network.in_flight.remove(each)
        looks = []
        self._network.deliver(place, arriving, beside=lambda: looks.append(self._clients.ask_together(place)))
        for look in looks:
            look()

    def _deliver(self, place: Place) -> None:
        if place.is_up:
            place.deliver()

    def _fate(self) -> Fate:
        if self._world.strikes("failed_commit"):
            return Fate.FAILED
        return Fate.FAILED_BUT_KEPT if self._world.strikes("failed_but_kept") else Fate.KEPT

    def _named(self, name: str) -> Place:
        return next(place for place in self._places if place.name == name)

    def _place(self) -> Place:
        return self._world.random.choice(self._places)


def heal(world: World, places: list[Place], network: Network) -> None:
    """End all faults: from here on everybody runs, everything arrives, and clocks are right."""
    world.calm()
    network.heal()
    for place in places:
        place.clock.error_seconds = 0.0
    for place in places:
        place.doom = None
        if not place.is_up:
            world.say(f"{place.name} starts")
            place.start()
        place.running.node.confirm_clock()


def catch_up(world: World, places: list[Place]) -> None:
    """Let time go on until no log is ahead of it: what came from a wrong clock's future is past then."""
    last = max(parse_time(place.disk.state.entries[-1].entry.time) for place in places)
    world.seconds = max(world.seconds, (last - BEGINNING).total_seconds() + 1)


def next_moment(places: list[Place]) -> float:
    """Return after how many seconds a node may have something to do by time alone."""
    seconds = [place.running.node.exchange.sleep_seconds(place.clock.monotonic()) for place in places]
    return min(max(min(seconds), 0.02), 10.0)
