"""What the simulated nodes live in: one source of chance, one flow of time, the weather of faults, and the trace."""

from collections import Counter
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from random import Random
from typing import Final

BEGINNING: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
MONOTONIC_BEGINNING: Final = 1_000.0
_STRENGTHS: Final = (0.0, 0.1, 0.3)


class Invariant(StrEnum):
    """What holds after every step. Each is named for what happens where it does not."""

    CHAIN = "chain"
    """Every entry follows the one before it, later, and is what its bytes say."""
    ROOT = "root"
    """The checkpoint is over exactly the entries."""
    ZERO_SUM = "zero-sum"
    """The postings of an entry sum to zero in each asset."""
    BALANCES = "balances"
    """Derived rows are what the entries' postings come to; a holder's are also what holds and lots say."""
    NEGATIVE_HOLDER = "negative-holder"
    """No holder has fewer points than nothing, nor fewer than are held."""
    OUTSTANDING = "outstanding"
    """Points of holders = issued - redeemed + converted in - converted out - fees."""
    HOLD_MOVED = "hold-moved"
    """An undecided conversion's hold has all its points, and a concluded one's none."""
    CONCLUDED_TWICE = "concluded-twice"
    """A conversion is captured or released once."""
    DECIDED_TWICE = "decided-twice"
    """A conversion is credited or refused once."""
    RELEASED_AND_CREDITED = "released-and-credited"
    """No conversion is given back at its source and credited at its destination."""
    CAPTURED_NOT_CREDITED = "captured-not-credited"
    """No conversion is taken at its source and not credited at its destination."""
    CREDITED_OTHERWISE = "credited-otherwise"
    """What is credited is what the source asked for."""
    CREDITED_TWICE = "credited-twice"
    """No two ledgers credit one conversion."""
    PAYABLE_IS_NOT_RECEIVABLE = "payable-is-not-receivable"
    """What one side owes, and what is credited and not captured yet, is what the other is owed."""
    TWO_DECISIONS = "two-decisions"
    """Whatever is asked again is answered by the same bytes."""
    LEFT_BEFORE_DURABLE = "left-before-durable"
    """Nothing leaves a node that its store does not hold."""
    REPEAT_DIFFERS = "repeat-differs"
    """A repeated request has the same answer, byte for byte."""
    ID_REUSED = "id-reused"
    """An id that was used is refused for anything else."""
    NO_EVIDENCE = "no-evidence"
    """Whoever acted on a hostile partner's word has that word, signed."""
    DECIDES_WHILE_BEHIND = "decides-while-behind"
    """A store shown to be behind its own words decides nothing for that partner."""
    FALSE_ALARM = "false-alarm"
    """No store that was never put back is called behind, and no honest log forked."""
    BUG = "bug"
    """No service raises, or logs, what it calls a bug."""
    NOT_LIVE = "not-live"
    """Once all faults have ended, everything is decided and nothing waits to be sent."""


class Violation(BaseException):
    """Something happened that never may.

    It is no `Exception`, because the services under test survive those.
    """

    def __init__(self, invariant: Invariant, detail: str) -> None:
        super().__init__(invariant, detail)
        self.invariant = invariant
        self.detail = detail

    def __str__(self) -> str:
        """Return what was violated, and how."""
        return f"{self.invariant}: {self.detail}"


class Crashed(BaseException):
    """The process whose code is running has ended; `start` tells which of its node's starts it was.

    It is no `Exception`, because a process that ends handles nothing.
    """

    def __init__(self, name: str, start: int) -> None:
        super().__init__(f"{name} has crashed")
        self.name = name
        self.start = start


@dataclass(slots=True)
class Weather:
    """How likely each fault is, each time that it could happen."""

    lost_request: float = 0.0
    lost_answer: float = 0.0
    late_request: float = 0.0
    late_answer: float = 0.0
    repeated: float = 0.0
    meanwhile: float = 0.0
    crash_at_a_point: float = 0.0
    failed_commit: float = 0.0
    failed_but_kept: float = 0.0
    other_order: float = 0.0

    @classmethod
    def draw(cls, random: Random) -> "Weather":
        """Return a weather in which some faults are absent, some rare and some common."""
        weather = cls(*(random.choice(_STRENGTHS) for _ in fields(cls)))
        # Both happen several times in each exchange.
        weather.crash_at_a_point /= 10
        weather.failed_commit /= 3
        weather.failed_but_kept /= 3
        return weather


@dataclass(slots=True)
class World:
    """Chance, time and the record of what happened. After `calm` there are no more faults."""

    random: Random
    weather: Weather = field(default_factory=Weather)
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)
    bugs: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    step: int = 0

    def strikes(self, fault: str) -> bool:
        """Return whether the weather's `fault` happens now, and count it if so."""
        likelihood: float = getattr(self.weather, fault)
        if not likelihood or self.random.random() >= likelihood:
            return False
        if fault != "crash_at_a_point":
            self.note(fault.replace("_", " "))
        return True

    def note(self, fault: str) -> None:
        """Count a fault and record it."""
        self.faults[fault] += 1
        self.say(f"! {fault}")

    def say(self, line: str) -> None:
        """Record what happened."""
        self.lines.append(f"{self.step:>4} {self.seconds:>9.3f}  {line}")

    def calm(self) -> None:
        """End all weather."""
        self.weather = Weather()

    def digest(self) -> str:
        """Return the digest of all that was recorded."""
        return sha256("\n".join(self.lines).encode()).hexdigest()


class SimulatedClock:
    """One node's clocks: the wall clock is the world's time and an error of its own."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.error_seconds = 0.0

    def now(self) -> datetime:
        """Return the wall time in UTC."""
        return BEGINNING + timedelta(seconds=self._world.seconds + self.error_seconds)

    def monotonic(self) -> float:
        """Return seconds since the beginning of the world."""
        return MONOTONIC_BEGINNING + self._world.seconds


class SimulatedRandomness:
    """The nodes' random bytes come from the one source of chance."""

    def __init__(self, world: World) -> None:
        self._world = world

    def token(self, count: int) -> bytes:
        """Return `count` random bytes."""
        return self._world.random.randbytes(count)
