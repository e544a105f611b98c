"""What happens in a seed beside plain conversions: each seed has some of it, so that runs are quick and rich."""

from dataclasses import dataclass
from random import Random
from typing import Final

from scripts.simulation.terms import SETS

_LIMITED: Final = 0.6
_SETTLING: Final = 0.5
_REFUNDING: Final = 0.4
_FORCING: Final = 0.3
_TREATING: Final = 0.25
_CLOSING_ALL: Final = 0.4
_RESTORING: Final = 0.35
_ASKING: Final = 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """Which parts of life a seed has.

    `terms` is the set of terms that is agreed at the beginning, 0 the one without limits. With `nights`, hours and
    days pass; with `closes_all`, operators close every window in the end, so that everything is settled. With
    `restores`, old copies of stores are put back; then nodes wait for their partners at each start, which they do by
    `asks` in most other seeds, too.
    """

    terms: int = 0
    nights: bool = False
    settles: bool = False
    closes_all: bool = False
    refunds: bool = False
    forces: bool = False
    treats: bool = False
    restores: bool = False
    asks: bool = True

    @classmethod
    def draw(cls, random: Random) -> "Life":
        """Return the parts of life of one seed."""
        chances = [random.random() for _ in range(6)]
        settles = chances[1] < _SETTLING
        restores = random.random() < _RESTORING
        return cls(
            terms=random.randrange(1, SETS) if chances[0] < _LIMITED else 0,
            nights=settles or chances[5] < 1 / 5,
            settles=settles,
            closes_all=settles and random.random() < _CLOSING_ALL,
            refunds=chances[2] < _REFUNDING,
            forces=chances[3] < _FORCING,
            treats=chances[4] < _TREATING,
            restores=restores,
            asks=restores or random.random() < _ASKING,
        )
