"""What three brands of a week agree on: odd prices in three currencies, fees, promotions, caps, one change of prices.

Every price is a number of millionths that no minor unit divides, so that each statement leaves a rest to carry.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from scripts.alliance.brands import AURORA, BLUEBIRD, CEDAR, Brand

Pair: TypeAlias = tuple[Brand, Brand]
"""Two brands in the order of their ledgers: the first proposes the statements."""

DAYS: Final = 7
ORDERS_A_DAY: Final = 75
"""How many conversions are ordered a day out of each brand to each of the others, by about."""

STEPS_MAX: Final = 8
CAP_STEPS: Final = 14 * ORDERS_A_DAY
"""How many steps may be unpaid at once: about three days' of the seven."""

BEFORE: Final = "2026-03-01T12:00:00.000000Z"
MONDAY: Final = "2026-03-02T00:00:00.000000Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """A better step for some of the week."""

    name: str
    starts_at: str
    ends_at: str
    step: tuple[int, int]
    price: int
    budget_points: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The terms of one direction: `fee` is in points a conversion and points a step, `days` until points expire."""

    step: tuple[int, int]
    price: int
    fee: tuple[int, int] = (0, 0)
    days: int | None = None
    promotion: Promotion | None = None

    def price_of(self, promotion: str | None) -> int:
        """Return the price of a step on the terms that a conversion names."""
        return self.price if promotion is None else self._promotion(promotion).price

    def step_of(self, promotion: str | None) -> tuple[int, int]:
        """Return the step on the terms that a conversion names."""
        return self.step if promotion is None else self._promotion(promotion).step

    def _promotion(self, name: str) -> Promotion:
        assert self.promotion is not None
        assert self.promotion.name == name
        return self.promotion


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What two brands agree on: there is from the first brand of the pair to the second."""

    currency: str
    minor_unit: int
    there: Way
    back: Way


FIRST: Final[Mapping[Pair, Terms]] = {
    (AURORA, BLUEBIRD): Terms(
        currency="USD",
        minor_unit=10_000,
        there=Way(
            step=(400, 250),
            price=2_500_003,
            fee=(10, 1),
            days=365,
            promotion=Promotion(
                name="spring",
                starts_at="2026-03-03T12:00:00.000000Z",
                ends_at="2026-03-05T12:00:00.000000Z",
                step=(400, 275),
                price=2_777_777,
            ),
        ),
        back=Way(step=(250, 360), price=3_333_331),
    ),
    (AURORA, CEDAR): Terms(
        currency="EUR",
        minor_unit=10_000,
        there=Way(step=(500, 400), price=3_141_593, fee=(25, 0)),
        back=Way(step=(400, 250), price=2_718_281, days=730),
    ),
    (BLUEBIRD, CEDAR): Terms(
        currency="JPY",
        minor_unit=1_000_000,
        there=Way(step=(300, 200), price=141_421_357),
        back=Way(
            step=(700, 500),
            price=271_828_183,
            promotion=Promotion(
                name="harvest",
                starts_at=MONDAY,
                ends_at="2026-03-09T00:00:00.000000Z",
                step=(700, 600),
                price=299_999_999,
                budget_points=300_000,
            ),
        ),
    ),
}

LATER: Final = Terms(
    currency="EUR",
    minor_unit=10_000,
    there=Way(step=(500, 400), price=3_161_719, fee=(25, 0)),
    back=Way(step=(400, 250), price=2_999_983, days=730),
)
"""What Aurora and Cedar agree on in the middle of the week, in place of their first terms."""


def way_between(terms: Mapping[Pair, Terms], source: Brand, destination: Brand) -> Way:
    """Return the terms of converting from one brand to another."""
    there = terms.get((source, destination))
    return there.there if there else terms[destination, source].back


def document(pair: Pair, terms: Terms) -> dict[str, object]:
    """Return the terms as the API takes them, with one window a day."""
    first, second = pair
    return {
        "currency": terms.currency,
        "directions": [_direction(first, terms.there), _direction(second, terms.back)],
        "valid_from": MONDAY if terms in FIRST.values() else None,
        "windows": {"starts_at": MONDAY, "hours": 24, "due_days": 2, "minor_unit": terms.minor_unit},
    }


def _direction(source: Brand, way: Way) -> dict[str, object]:
    promotions = [] if way.promotion is None else [_promotion(way.promotion)]
    return {
        "source": source.ledger,
        "step": {"source": way.step[0], "destination": way.step[1]},
        "price": way.price,
        "steps_max": STEPS_MAX,
        "fee": {"points_per_conversion": way.fee[0], "points_per_step": way.fee[1]},
        "expiry_days": way.days,
        "cap": way.price * CAP_STEPS,
        "promotions": promotions,
    }


def _promotion(promotion: Promotion) -> dict[str, object]:
    return {
        "name": promotion.name,
        "starts_at": promotion.starts_at,
        "ends_at": promotion.ends_at,
        "step": {"source": promotion.step[0], "destination": promotion.step[1]},
        "price": promotion.price,
        "budget_points": promotion.budget_points,
    }
