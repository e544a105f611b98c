"""What the simulated nodes live in: one source of chance, one flow of time, the weather of faults, and the trace."""

from collections import Counter
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

BEGINNING: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
MONOTONIC_BEGINNING: Final = 1_000.0
_STRENGTHS: Final = (0.0, 0.1, 0.3)


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
    """Chance, time and the record of what happened. After `calm` there are no more faults.

    `acting` is the place whose code runs now; `alarms` are what a place has logged as misconduct or an old store.
    """

    random: Random
    weather: Weather = field(default_factory=Weather)
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)
    bugs: list[str] = field(default_factory=list)
    alarms: list[tuple[str, str]] = field(default_factory=list)
    acting: str = ""
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
