"""The terms on which simulated brands convert: sets of them, from none of the limits to all, so that seeds differ."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from itertools import combinations
from random import Random
from typing import Final, Literal, TypeAlias

from node.services.requests import DirectionTerms, ProposalRequest
from protocol.agreement import (
    ConvertedExpiry,
    Direction,
    Fee,
    InFlightLimits,
    MemberLimits,
    Promotion,
    WindowCalendar,
)
from protocol.fields import format_time
from protocol.identifiers import Ledger
from protocol.points import Step
from scripts.alliance.brands import BRANDS, CURRENCY, Brand, Rate, rate
from scripts.simulation.world import BEGINNING

Way: TypeAlias = Literal["https", "answers", "files"]

SETS: Final = 24
"""How many sets of terms there are; number 0 has no limits at all."""

STEPS_MAX: Final = 20
MINOR_UNIT: Final = 10_000
BEGINS_AT: Final = "2026-01-01T00:00:00.000000Z"
_SPRING: Final = "spring"
_PROMOTION_DAYS: Final = 1
_ODD_PRICES: Final = (0, 1, 3_333, 9_999)
_FACTORS: Final = (3, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTerms:
    """What two brands agree on, in the order of their ledgers, their parties and number apart."""

    directions: tuple[Direction, Direction]
    windows: WindowCalendar
    quote_life_seconds: int
    notice_days: int
    transport: Way


@cache
def pair_terms(number: int, first: Brand, second: Brand) -> PairTerms:
    """Return what the set of terms `number` says about two brands, in the order of their ledgers."""
    if number == 0:
        return PairTerms(
            directions=(_plain(rate(first, second)), _plain(rate(second, first))),
            windows=_calendar(hours=24),
            quote_life_seconds=900,
            notice_days=30,
            transport="https",
        )
    # In every fourth set, one of the pairs exchanges files.
    with_files = list(combinations(BRANDS, 2))[number // 4 % 3] if number % 4 == 1 else None
    random = Random(f"terms {number} {first.name} {second.name}")
    return draw_terms(random, first, second, way="files" if (first, second) == with_files else "https")


def draw_terms(random: Random, first: Brand, second: Brand, *, way: Way) -> PairTerms:
    """Return some terms for two brands, in the order of their ledgers."""
    promoted = random.randrange(3)
    return PairTerms(
        directions=(
            _drawn(random, rate(first, second), promoted=promoted == 0),
            _drawn(random, rate(second, first), promoted=promoted == 1),
        ),
        windows=_calendar(hours=random.choice((1, 24, 168))),
        quote_life_seconds=random.choice((1, 60, 900)),
        notice_days=random.choice((0, 0, 30)),
        transport=way,
    )


def proposal(terms: PairTerms, partner: Ledger, *, valid_from: str | None) -> ProposalRequest:
    """Return the request that proposes `terms` to a partner."""
    first, second = (_asked(direction) for direction in terms.directions)
    return ProposalRequest(
        partner=partner,
        currency=CURRENCY,
        directions=(first, second),
        valid_from=valid_from,
        valid_until=None,
        quote_life_seconds=terms.quote_life_seconds,
        notice_days=terms.notice_days,
        windows_start_at=terms.windows.starts_at,
        window_hours=terms.windows.hours,
        due_days=terms.windows.due_days,
        minor_unit=terms.windows.minor_unit,
        transport=terms.transport,
        cycle_seconds=0,
        forced=False,
    )


def _calendar(*, hours: int) -> WindowCalendar:
    return WindowCalendar(starts_at=BEGINS_AT, hours=hours, due_days=5, minor_unit=MINOR_UNIT)


def _plain(terms: Rate) -> Direction:
    return Direction(
        source=Ledger(terms.source.ledger),
        destination=Ledger(terms.destination.ledger),
        step=Step(source=terms.source_step, destination=terms.destination_step),
        price=terms.price,
        steps_min=1,
        steps_max=STEPS_MAX,
        fee=Fee(points_per_conversion=terms.fee_points, points_per_step=0),
        member_limits=_member_limits(terms),
        in_flight=InFlightLimits(conversions=None, value=None),
        cap=None,
        expiry=ConvertedExpiry(days=terms.expires_days),
        promotions=(),
    )


def _drawn(random: Random, terms: Rate, *, promoted: bool) -> Direction:
    """Return a direction with limits that a few conversions reach."""
    price = terms.price + random.choice(_ODD_PRICES)
    flight, flight_steps, cap_steps, out_steps, in_steps = (
        random.choice((None, *some)) for some in ((1, 2, 4), (4, 12), (4, 7, 12), (6, 20), (8, 20))
    )
    return Direction(
        source=Ledger(terms.source.ledger),
        destination=Ledger(terms.destination.ledger),
        step=Step(source=terms.source_step, destination=terms.destination_step),
        price=price,
        steps_min=random.choice((1, 1, 2)),
        steps_max=STEPS_MAX,
        fee=Fee(points_per_conversion=terms.fee_points, points_per_step=random.choice((0, 0, 1))),
        member_limits=_member_limits(terms, out_steps=out_steps, in_steps=in_steps),
        in_flight=InFlightLimits(conversions=flight, value=flight_steps and flight_steps * price),
        cap=cap_steps and cap_steps * price,
        expiry=ConvertedExpiry(days=terms.expires_days),
        promotions=(_promotion(random, terms, price),) if promoted else (),
    )


def _member_limits(terms: Rate, *, out_steps: int | None = None, in_steps: int | None = None) -> MemberLimits:
    """Return limits in steps a day, and twice of them a year."""
    out_points, in_points = (
        None if steps is None else steps * points
        for steps, points in ((out_steps, terms.source_step), (in_steps, terms.destination_step))
    )
    return MemberLimits(
        out_points_per_day=out_points,
        out_points_per_year=out_points and 2 * out_points,
        in_points_per_day=in_points,
        in_points_per_year=in_points and 2 * in_points,
    )


def _promotion(random: Random, terms: Rate, price: int) -> Promotion:
    """Return half as many points again, in one direction alone: so no way round multiplies."""
    more, less = _FACTORS
    points = terms.destination_step * more // less
    starts = BEGINNING + timedelta(seconds=random.choice((-3_600, -3_600, 5)))
    ends = BEGINNING + random.choice((timedelta(seconds=20), timedelta(hours=1), timedelta(days=_PROMOTION_DAYS)))
    budget_steps = random.choice((None, 3, 6, 12))
    return Promotion(
        name=_SPRING,
        starts_at=format_time(starts),
        ends_at=format_time(ends),
        step=Step(source=terms.source_step, destination=points),
        price=price + random.choice(_ODD_PRICES),
        budget_points=budget_steps and budget_steps * points,
    )


def _asked(direction: Direction) -> DirectionTerms:
    return DirectionTerms(
        source=direction.source,
        step_source=direction.step.source,
        step_destination=direction.step.destination,
        price=direction.price,
        steps_min=direction.steps_min,
        steps_max=direction.steps_max,
        fee_per_conversion=direction.fee.points_per_conversion,
        fee_per_step=direction.fee.points_per_step,
        expiry_days=direction.expiry.days,
        member_limits=direction.member_limits,
        in_flight=direction.in_flight,
        cap=direction.cap,
        promotions=direction.promotions,
    )
