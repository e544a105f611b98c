"""The three brands and the six rates between them.

The steps are of the kinds that people meet: 1,000:1,000 between a shop and a hotel chain, 400:250 from a shop to an
airline, 3,000:1,000 from a hotel chain to an airline, 500:400 from an airline to a shop. No round trip and no triangle
gives back more than went in, and no way through a third brand beats the direct one.
"""

from dataclasses import dataclass
from typing import Final

CURRENCY: Final = "USD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    """A program and the directory name of its node; `port_offset` is added to the first port."""

    name: str
    title: str
    program: str
    points: str
    points_name: str
    port_offset: int

    @property
    def ledger(self) -> str:
        """Return the name of the brand's one ledger."""
        return f"{self.program}/main.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Every `source_step` points of `source` give `destination_step` of `destination`.

    `price` is what the source brand pays for a step, in millionths of `CURRENCY`. `fee_points` is what a conversion
    costs its member besides. Converted points can be spent for `expires_days` days, or for ever when None.
    """

    source: Brand
    destination: Brand
    source_step: int
    destination_step: int
    price: int
    fee_points: int = 0
    expires_days: int | None = None


AURORA: Final = Brand(
    name="aurora",
    title="Aurora Air",
    program="aurora.example",
    points="AUR",
    points_name="Aurora Miles",
    port_offset=0,
)
BLUEBIRD: Final = Brand(
    name="bluebird",
    title="Bluebird Hotels",
    program="bluebird.example",
    points="BLU",
    points_name="Bluebird Nights",
    port_offset=1,
)
CEDAR: Final = Brand(
    name="cedar",
    title="Cedar Grocers",
    program="cedar.example",
    points="CED",
    points_name="Cedar Points",
    port_offset=2,
)
BRANDS: Final = (AURORA, BLUEBIRD, CEDAR)

# A step's price is what its points are worth to the brand that gives them: 1.2 cents a mile, 0.6 cents a hotel point,
# 0.75 cents a grocery point.
RATES: Final = (
    Rate(
        source=AURORA,
        destination=BLUEBIRD,
        source_step=1_000,
        destination_step=1_000,
        price=6_000_000,
        fee_points=25,
        expires_days=1_095,
    ),
    Rate(
        source=BLUEBIRD,
        destination=AURORA,
        source_step=3_000,
        destination_step=1_000,
        price=12_000_000,
        expires_days=730,
    ),
    Rate(source=AURORA, destination=CEDAR, source_step=500, destination_step=400, price=3_000_000, expires_days=730),
    Rate(source=CEDAR, destination=AURORA, source_step=400, destination_step=250, price=3_000_000, expires_days=730),
    Rate(source=BLUEBIRD, destination=CEDAR, source_step=3_000, destination_step=1_000, price=7_500_000),
    Rate(source=CEDAR, destination=BLUEBIRD, source_step=1_000, destination_step=1_000, price=6_000_000),
)


def rate(source: Brand, destination: Brand) -> Rate:
    """Return the rate from `source` to `destination`."""
    return next(each for each in RATES if (each.source, each.destination) == (source, destination))
