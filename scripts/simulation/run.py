"""One seed: a schedule of steps with faults, then a world without faults in which everything must come to an end."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate
from random import Random
from typing import Final

from scripts.simulation.alliance import make_places
from scripts.simulation.asking import Asking
from scripts.simulation.chaos import Chaos, catch_up, heal, next_moment
from scripts.simulation.checker import Checker
from scripts.simulation.clients import Clients
from scripts.simulation.courier import Courier
from scripts.simulation.hostile import Hostile
from scripts.simulation.invariants import Invariant, Violation
from scripts.simulation.keepers import Keepers
from scripts.simulation.life import Life
from scripts.simulation.logs import bugs_of
from scripts.simulation.network import Network
from scripts.simulation.operators import Operators
from scripts.simulation.treaties import Post, Treaties
from scripts.simulation.world import Weather, World

STEPS: Final = 300
_ROUNDS_MAX: Final = 400
_PATIENT_ROUNDS: Final = 15
_ROUNDS_REPLICA: Final = 40
_ROUNDS_EXCUSED: Final = 20
_NESTED_MAX: Final = 2
_HOSTILE_SEEDS: Final = 0.25
_COPIES_MAX: Final = 60
_HABITS: Final = (0.3, 1.0, 1.0, 3.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What all seeds have in common: how many steps, and what is ignored.

    Of the invariants, those that a mutation violates on its way can be ignored, to see what else follows.
    """

    steps: int = STEPS
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
    violation: Violation | None

    @property
    def digest(self) -> str:
        """Return the digest of all that was recorded."""
        return sha256("\n".join(self.lines).encode()).hexdigest()


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
        self.life = Life.draw(random)
        self._position = 0
        self._depth = 0
        self.world = World(random, weather)
        self.places = make_places(self.world, self.life.terms)
        if self.life.restores:
            # Who says its decisions out of their order cannot have them back in order (specs/channel.md).
            weather.other_order = 0.0
        for number, place in enumerate(self.places):
            place.hostile = number == hostile
            place.disk.copies_max = _COPIES_MAX if self.life.restores else 0
        self.checker = Checker(self.world, self.places, ignored=settings.ignored)
        self.network = Network(self.world, self.places, self.checker)
        self.network.meanwhile = self._meanwhile
        self._hostile = Hostile(self.world, self.places, self.checker)
        self._asking = Asking(self.world)
        self._operators = Operators(self.world, self.places, self._asking)
        self._keepers = Keepers(self.world, self.places, self._asking, self.checker)
        self._courier = Courier(self.world, self.places, self.checker)
        actions = self._actions()
        self._acts = [act for _, act in actions]
        # Each seed has habits of its own, so that rare sequences are common somewhere.
        self._weights = list(accumulate(weight * random.choice(_HABITS) for weight, _ in actions))

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
            violation=violation,
        )

    def _run(self) -> None:
        for place in self.places:
            place.start()
            # Nobody has been spoken with before the first start.
            place.asks = self.life.asks
        while self._position < len(self._keys):
            self._step()
        self._end()

    def _step(self) -> None:
        """Take the next step and look at what it has left."""
        self.world.step, key = self._keys[self._position]
        self._position += 1
        self.world.random.seed(key)
        (act,) = self.world.random.choices(self._acts, cum_weights=self._weights)
        self._watched(act)

    def _watched(self, action: Callable[[], None]) -> None:
        for each in (action, self._check_bugs, self.checker.check, self.checker.check_behind):
            try:
                each()
            except Violation as found:
                if found.invariant not in self._ignored:
                    raise
            except Exception as bug:
                if Invariant.BUG not in self._ignored:
                    raise Violation(Invariant.BUG, f"{type(bug).__name__}: {bug}") from bug

    def _check_bugs(self) -> None:
        bugs, self.world.bugs[:] = list(self.world.bugs), []
        if bugs:
            raise Violation(Invariant.BUG, bugs[0])

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
        if self.life.closes_all:
            self._watched(self._operators.close_all)
        excused = Invariant.NOT_LIVE in self._ignored
        for number in range(_ROUNDS_EXCUSED if excused else _ROUNDS_MAX):
            self._settle_down(number)
            if not self._waiting():
                break
            if number == _PATIENT_ROUNDS:
                catch_up(self.world, self.places)
            self.world.seconds += next_moment(self.places)
        self.checker.check_end()
        if (waiting := self._waiting()) and not excused:
            raise Violation(Invariant.NOT_LIVE, "; ".join(waiting[:5]))

    def _settle_down(self, number: int) -> None:
        """Let everybody do what there is to do now, for the time `number`."""
        for place in self.places:
            self._watched(place.deliver)
            self._watched(place.work)
            if self.life.settles:
                self._watched(place.close_windows)
            if self.life.treats:
                self._watched(place.running.send_papers.step)
        self._watched(self._courier.serve)
        patient, replicas = number < _PATIENT_ROUNDS, number % _ROUNDS_REPLICA == _PATIENT_ROUNDS
        self._watched(lambda: self._keepers.look_at_all(patient=patient, replicas=replicas))
        if self.life.settles:
            self._watched(self._operators.settle)

    def _actions(self) -> list[tuple[float, Callable[[], None]]]:
        """Return what can happen in this seed, each with how often it does."""
        clients = Clients(self.world, self.places, self._asking, self.life)
        chaos = Chaos(self.world, self.places, self.network, asking=self._asking, clients=clients, checker=self.checker)
        post = Post(self.world, self.places, self.network)
        treaties = Treaties(self.world, self.places, self._asking)
        actions = [*_always(clients, chaos, self._hostile), *_sometimes(self.life, clients, chaos, self._operators)]
        if self.life.treats:
            actions += _treating(treaties, post)
        if self.life.treats or self.life.terms:
            actions += [(6, self._courier.write), (8, self._courier.bring)]
        if self.life.asks:
            actions.append((3, self._keepers.look))
        if self.life.restores:
            actions += [(1.5, chaos.restore), (2, chaos.restore_unheard), (6, self._keepers.look)]
        return actions

    def _waiting(self) -> list[str]:
        doubts = self.checker.doubts
        waiting = [*doubts.left(), *doubts.unheard(), *self.checker.undecided(), *self.checker.unsettled()]
        for place in self.places:
            for partner in place.running.node.exchange.partners():
                if self.checker.doubts.is_excused(place.ledger, partner):
                    continue
                wanted = sum(each == partner for each in place.disk.state.outbox.values())
                if wanted:
                    waiting.append(f"{place.name} still wants answers to {wanted} bodies from {partner}")
                if place.running.node.exchange.peer(partner).outgoing.frames:
                    waiting.append(f"{place.name} has frames for {partner}")
        return waiting


def _always(clients: Clients, chaos: Chaos, hostile: Hostile) -> list[tuple[float, Callable[[], None]]]:
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
        (2, chaos.misread_clock),
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


def _sometimes(
    life: Life, clients: Clients, chaos: Chaos, operators: Operators
) -> list[tuple[float, Callable[[], None]]]:
    parts: list[tuple[bool, float, Callable[[], None]]] = [
        (life.nights, 1.5, chaos.pass_night),
        (life.settles, 5, operators.work),
        (life.settles, 2, operators.close_early),
        (life.settles, 2, operators.dispute),
        (life.settles, 2, operators.sign),
        (life.settles, 3, operators.pay),
        (life.settles, 3, operators.confirm),
        (life.settles, 1, operators.send_back),
        (life.refunds, 3, clients.refund),
        (life.forces, 1, operators.force),
    ]
    return [(weight, act) for wanted, weight, act in parts if wanted]


def _treating(treaties: Treaties, post: Post) -> list[tuple[float, Callable[[], None]]]:
    return [
        (4, treaties.work),
        (1.5, treaties.propose),
        (4, treaties.accept),
        (0.3, treaties.end),
        (0.5, post.replay),
    ]
