"""What happens in a storm, drawn from its seed: who converts what, and which node is killed when."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from itertools import pairwise
from typing import Final
from uuid import UUID

from protocol.encoding import JsonValue
from scripts.alliance.brands import AURORA, BLUEBIRD, Brand, Rate, rate
from scripts.alliance.members import Person

PAIR: Final = (AURORA, BLUEBIRD)
OTHER: Final[Mapping[Brand, Brand]] = {AURORA: BLUEBIRD, BLUEBIRD: AURORA}
PERSONS: Final = 16
STEPS_MAX: Final = 3
HASTE_SECONDS: Final = 1
"""The time that the partner has for a hasty order: less than a killed node needs to come back."""

DELAY_SECONDS_MAX: Final = 0.05
"""The longest time from the answer that a kill waits for to the kill: some ten commits."""

EARLY_SECONDS_MAX: Final = 2.0
"""The longest time from a node's start to a kill that does not wait until it is up."""

DOWN_SECONDS_MAX: Final = 0.5
ORDERS_MIN: Final = 4
"""The fewest orders that are sent between two kills."""

_EARLY: Final = 0.2
_SHARES: Final = {"plain": 70, "cancelled": 12, "hasty": 10, "barred": 8}


@unique
class Flavour(StrEnum):
    """What a member does beside ordering, and so how the conversion may end."""

    PLAIN = "plain"
    CANCELLED = "cancelled"
    HASTY = "hasty"
    BARRED = "barred"


REASONS: Final[Mapping[Flavour, str]] = {
    Flavour.CANCELLED: "cancelled",
    Flavour.HASTY: "expired",
    Flavour.BARRED: "account_closed",
}
"""Why the partner may return a conversion of a flavour; a plain one it must complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One conversion; of `amount`, as many points are converted as fill whole steps."""

    id: str
    source: Brand
    person: Person
    amount: int
    flavour: Flavour

    @property
    def destination(self) -> Brand:
        """Return the brand that decides."""
        return OTHER[self.source]

    @property
    def rate(self) -> Rate:
        """Return the rate of the conversion."""
        return rate(self.source, self.destination)

    @property
    def steps(self) -> int:
        """Return how many whole steps `amount` fills."""
        return self.amount // self.rate.source_step

    def body(self) -> dict[str, JsonValue]:
        """Return the request, which is the same each time it is sent."""
        within: dict[str, JsonValue] = {"accept_within_seconds": HASTE_SECONDS}
        return {
            "id": self.id,
            "account": self.person.account(self.source),
            "partner": self.destination.ledger,
            "amount": self.amount,
            **(within if self.flavour is Flavour.HASTY else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """With both nodes up, orders are sent as far as `released`; `victim` is killed `delay_seconds` after `answered`.

    It lies for `down_seconds`. A kill that is `early` waits for nothing but its delay: it may meet a node that still
    starts, or one whose partner is not there.
    """

    victim: Brand
    released: int
    answered: int
    delay_seconds: float
    down_seconds: float
    early: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One storm. Somebody who is `barred` has closed the account at the partner of the brand in question."""

    seed: int
    people: tuple[Person, ...]
    barred: Mapping[Brand, Person]
    orders: tuple[Order, ...]
    kills: tuple[Kill, ...]


def draw(seed: int, *, conversions: int, kills: int) -> Plan:
    """Return the storm that follows from `seed`, with at least `ORDERS_MIN` conversions before each kill and after."""
    rng = random.Random(seed)
    people = tuple(_person(rng) for _ in range(PERSONS))
    barred = {brand: _person(rng) for brand in PAIR}
    cuts = [conversions * number // (kills + 1) for number in range(kills + 1)]
    return Plan(
        seed=seed,
        people=people,
        barred=barred,
        orders=tuple(_order(rng, people, barred) for _ in range(conversions)),
        kills=tuple(_kill(rng, first, last) for first, last in pairwise(cuts)),
    )


def make_id(rng: random.Random) -> str:
    """Return the next random UUID."""
    return str(UUID(int=rng.getrandbits(128), version=4))


def _person(rng: random.Random) -> Person:
    return Person({brand: make_id(rng) for brand in PAIR})


def _order(rng: random.Random, people: tuple[Person, ...], barred: Mapping[Brand, Person]) -> Order:
    source = rng.choice(PAIR)
    step = rate(source, OTHER[source]).source_step
    flavour = Flavour(rng.choices([*_SHARES], [*_SHARES.values()])[0])
    person = barred[source] if flavour is Flavour.BARRED else rng.choice(people)
    return Order(
        id=make_id(rng),
        source=source,
        person=person,
        amount=rng.randint(1, STEPS_MAX) * step + rng.randrange(step),
        flavour=flavour,
    )


def _kill(rng: random.Random, first: int, last: int) -> Kill:
    early = rng.random() < _EARLY
    return Kill(
        victim=rng.choice(PAIR),
        released=last,
        answered=rng.randrange(first + 1, last),
        delay_seconds=rng.uniform(0, EARLY_SECONDS_MAX if early else DELAY_SECONDS_MAX),
        down_seconds=rng.uniform(0, DOWN_SECONDS_MAX),
        early=early,
    )
