"""One seed: a schedule of steps with faults, then a world without faults in which everything must come to an end."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from scripts.simulation.alliance import make_places
from scripts.simulation.chaos import Chaos, heal, next_moment
from scripts.simulation.checker import Checker
from scripts.simulation.clients import Clients
from scripts.simulation.hostile import Hostile
from scripts.simulation.logs import bugs_of
from scripts.simulation.network import Network
from scripts.simulation.world import Invariant, Violation, Weather, World

STEPS: Final = 300
_ROUNDS_MAX: Final = 400
_ROUNDS_EXCUSED: Final = 20
_NESTED_MAX: Final = 2
_HOSTILE_SEEDS: Final = 0.25
_COPIES_MAX: Final = 60
_HABITS: Final = (0.3, 1.0, 1.0, 3.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What all seeds have in common: how many steps, whether old copies of stores are put back, and what is ignored.

    Of the invariants, `two-decisions` and `not-live` can be ignored, to see what else follows.
    """

    steps: int = STEPS
    restores: bool = False
    ignored: frozenset[Invariant] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one seed; `violation` is None when all held, `taken` are the numbers of the steps taken."""

    seed: int
    taken: tuple[int, ...]
    faults: Counter[str]
    conversions: Counter[str]
    entries: int
    lines: Sequence[str]
    digest: str
    violation: Violation | None


class Simulation:
    """Runs the steps of one seed. Each step's choices are drawn anew, so that a step can be left out of a trace."""

    def __init__(self, seed: int, settings: Settings, *, only: Iterable[int] | None = None) -> None:
        """Prepare all steps of `seed`, or of these only those numbered in `only`."""
        random = Random(seed)
        self.seed = seed
        self._ignored = settings.ignored
        chosen = None if only is None else set(only)
        keys = [(number, random.getrandbits(64)) for number in range(1, settings.steps + 1)]
        self._keys = [each for each in keys if chosen is None or each[0] in chosen]
        weather = Weather.draw(random)
        hostile = random.randrange(3) if random.random() < _HOSTILE_SEEDS else None
        self._position = 0
        self._depth = 0
        self.world = World(random, weather)
        self.places = make_places(self.world)
        if hostile is not None:
            self.places[hostile].hostile = True
        self.checker = Checker(self.world, self.places, ignored=settings.ignored)
        self.network = Network(self.world, self.places, self.checker)
        self.network.meanwhile = self._meanwhile
        clients = Clients(self.world, self.places)
        self._hostile = Hostile(self.world, self.places, self.checker)
        chaos = Chaos(self.world, self.places, self.network, clients=clients, checker=self.checker)
        actions = _actions(clients, chaos, self._hostile)
        if settings.restores:
            actions.append((1, chaos.restore))
            for place in self.places:
                place.disk.copies_max = _COPIES_MAX
        self._acts = [act for _, act in actions]
        # Each seed has habits of its own, so that rare sequences are common somewhere.
        self._weights = [weight * random.choice(_HABITS) for weight, _ in actions]

    def run(self) -> Outcome:
        """Run all steps, then heal, and return what came of it."""
        violation = None
        with bugs_of(self.world):
            try:
                self._run()
            except Violation as found:
                violation = found
        return Outcome(
            seed=self.seed,
            taken=tuple(number for number, _ in self._keys[: self._position]),
            faults=self.world.faults,
            conversions=self.checker.conversions(),
            entries=sum(len(place.disk.state.entries) for place in self.places),
            lines=self.world.lines,
            digest=self.world.digest(),
            violation=violation,
        )

    def _run(self) -> None:
        for place in self.places:
            place.start()
        while self._position < len(self._keys):
            self._step()
        self._end()

    def _step(self) -> None:
        """Take the next step and look at what it has left."""
        self.world.step, key = self._keys[self._position]
        self._position += 1
        self.world.random.seed(key)
        (act,) = self.world.random.choices(self._acts, self._weights)
        self._watched(act)

    def _watched(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as bug:
            raise Violation(Invariant.BUG, f"{type(bug).__name__}: {bug}") from bug
        if self.world.bugs:
            raise Violation(Invariant.BUG, self.world.bugs[0])
        if self.world.alarms and not self.checker.any_restored:
            raise Violation(Invariant.FALSE_ALARM, self.world.alarms[0])
        self.checker.check()
        self.checker.check_behind()

    def _meanwhile(self) -> None:
        """Take a step or two while a thread of some node waits for the network."""
        if self._depth < _NESTED_MAX:
            self._depth += 1
            for _ in range(self.world.random.randint(1, 2)):
                if self._position < len(self._keys):
                    self._step()
            self._depth -= 1

    def _end(self) -> None:
        self.world.step += 1
        self.world.random.seed(self.seed)
        self.world.say("all faults end")
        self._watched(lambda: heal(self.world, self.places, self.network))
        self._watched(self._hostile.leave)
        # A store that is behind stays so: giving its words back to it is not in the shipped code yet.
        excused = self.checker.any_restored or Invariant.NOT_LIVE in self._ignored
        for _ in range(_ROUNDS_EXCUSED if excused else _ROUNDS_MAX):
            for place in self.places:
                self._watched(place.deliver)
                self._watched(place.running.expire_holds.step)
            if not self._waiting():
                break
            self.world.seconds += next_moment(self.places)
        self.checker.check_end()
        if (waiting := self._waiting()) and not excused:
            raise Violation(Invariant.NOT_LIVE, "; ".join(waiting[:5]))

    def _waiting(self) -> list[str]:
        waiting = self.checker.undecided()
        for place in self.places:
            if place.disk.state.outbox:
                waiting.append(f"{place.name} still wants answers to {len(place.disk.state.outbox)} bodies")
            for partner in place.running.node.exchange.partners():
                if place.running.node.exchange.peer(partner).outgoing.frames:
                    waiting.append(f"{place.name} has frames for {partner}")
        return waiting


def _actions(clients: Clients, chaos: Chaos, hostile: Hostile) -> list[tuple[float, Callable[[], None]]]:
    return [
        (26, chaos.deliver),
        (18, chaos.wait),
        (10, chaos.arrive),
        (4, chaos.gather),
        (3, chaos.work),
        (1, chaos.crash),
        (1, chaos.doom),
        (6, chaos.start),
        (1, chaos.cut),
        (2, chaos.step_clock),
        (1, chaos.misread_clock),
        (2, chaos.confirm_clock),
        (2, chaos.replay),
        (12, clients.order),
        (5, clients.cancel),
        (3, clients.repeat),
        (1, clients.repeat_otherwise),
        (2, clients.move_points),
        (1, clients.place_hold),
        (1, clients.settle_hold),
        (1, clients.settle_conversion),
        (0.5, clients.close_account),
        (3, hostile.lie),
    ]
