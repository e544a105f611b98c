"""Rates that `check_rates` passes never make points, whatever a member does; splitting a conversion never helps."""

from fractions import Fraction
from itertools import combinations, pairwise, permutations
from math import prod

from hypothesis import assume, given
from hypothesis import strategies as st

from protocol.agreement import Agreement
from protocol.identifiers import Ledger
from protocol.points import Step, split_into_steps
from protocol.rates import FindingKind, Rate, check_rates, rates_of, step_from_decimal
from tests.support.documents import AURORA, BLUEBIRD, COPPER, agreement, direction, promotion, side

BRANDS = (AURORA, BLUEBIRD, COPPER, side("damson.example/main.1", "DAM"))
NUMBERS = st.integers(1, 12)
STEPS = st.builds(Step, source=NUMBERS, destination=NUMBERS)
AMOUNTS = st.integers(1, 100_000)


@st.composite
def alliances(draw: st.DrawFn, steps: st.SearchStrategy[Step] = STEPS) -> list[Agreement]:
    """Draw agreements between some of the brands, some with a promotion."""
    found = []
    for first, second in combinations(BRANDS, 2):
        if draw(st.integers(0, 3)):
            bonus = (promotion(step=draw(steps)),) if draw(st.booleans()) else ()
            there = direction(first, second, step=draw(steps), promotions=bonus)
            found.append(agreement(first, second, there=there, back=direction(second, first, step=draw(steps))))
    return found


@st.composite
def fair_alliances(draw: st.DrawFn) -> list[Agreement]:
    """Draw agreements under which no conversion gains at the brands' prices: these have no loop by construction."""
    price = {one.ledger: draw(NUMBERS) for one in BRANDS}
    found = []
    for first, second in combinations(BRANDS, 2):
        there, back = (
            Step(source=price[to.ledger] + draw(st.integers(0, 2)), destination=price[of.ledger])
            for of, to in ((first, second), (second, first))
        )
        found.append(
            agreement(
                first,
                second,
                there=direction(first, second, step=there),
                back=direction(second, first, step=back),
            )
        )
    return found


def products(agreements: list[Agreement], way: tuple[Ledger, ...]) -> Fraction:
    """Return the best product of ratios along `way`, 0 where no rate leads on."""
    best: dict[tuple[Ledger, Ledger], Fraction] = {}
    for rate in rates_of(agreements, at=None):
        pair = (rate.source, rate.destination)
        best[pair] = max(rate.ratio, best.get(pair, Fraction(0)))
    product = Fraction(1)
    for pair in pairwise(way):
        product *= best.get(pair, Fraction(0))
    return product


def simple_ways(*, closed: bool) -> list[tuple[Ledger, ...]]:
    names = [one.ledger for one in BRANDS]
    ways = [way for count in range(2, len(names) + 1) for way in permutations(names, count)]
    return [(*way, way[0]) for way in ways if way[0] == min(way)] if closed else ways


@given(agreements=alliances())
def test_findings_are_those_of_trying_every_way(agreements: list[Agreement]) -> None:
    found = check_rates(agreements, at=None)
    loops = {finding.path: finding.ratio for finding in found if finding.kind is FindingKind.LOOP}
    tried = {way: products(agreements, way) for way in simple_ways(closed=True)}
    assert loops == {way: product for way, product in tried.items() if product > 1}
    if loops:
        return
    detours = {(one.path[0], one.path[-1]): one.ratio for one in found if one.kind is FindingKind.DETOUR}
    expected: dict[tuple[Ledger, Ledger], Fraction] = {}
    for way in simple_ways(closed=False):
        direct = products(agreements, (way[0], way[-1]))
        pair = (way[0], way[-1])
        if 0 < direct < products(agreements, way):
            expected[pair] = max(products(agreements, way), expected.get(pair, Fraction(0)))
    assert detours == expected
    assert all(products(agreements, one.path) == one.ratio for one in found)


@given(agreements=fair_alliances())
def test_rates_under_which_nothing_gains_pass(agreements: list[Agreement]) -> None:
    assert not [one for one in check_rates(agreements, at=None) if one.kind is FindingKind.LOOP]


def wander(rates: list[Rate], start: Ledger, amount: int, data: st.DataObject) -> int:
    """Convert back and forth, any part of anything at any rate, and return the most ever held at `start`."""
    held = {start: amount}
    most = amount
    for _ in range(data.draw(st.integers(1, 12))):
        usable = [rate for rate in rates if held.get(rate.source, 0) >= rate.step.source]
        if not usable:
            break
        rate = data.draw(st.sampled_from(usable))
        asked = data.draw(st.integers(rate.step.source, held[rate.source]) | st.just(held[rate.source]))
        split = split_into_steps(asked, rate.step)
        held[rate.source] -= split.used
        held[rate.destination] = held.get(rate.destination, 0) + split.gives
        most = max(most, held[start])
    return most


@given(agreements=fair_alliances() | alliances(), amount=AMOUNTS, data=st.data())
def test_no_journey_through_rates_that_pass_ends_with_more(
    agreements: list[Agreement], amount: int, data: st.DataObject
) -> None:
    assume(agreements)
    assume(all(finding.kind is FindingKind.DETOUR for finding in check_rates(agreements, at=None)))
    rates = list(rates_of(agreements, at=None))
    start = data.draw(st.sampled_from(sorted({rate.source for rate in rates})))
    assert wander(rates, start, amount, data) <= amount


@given(agreements=alliances())
def test_a_loop_that_is_found_makes_points_in_whole_steps(agreements: list[Agreement]) -> None:
    for finding in check_rates(agreements, at=None):
        start = amount = prod(rate.step.source for rate in finding.rates)
        for rate in finding.rates:
            split = split_into_steps(amount, rate.step)
            assert split.stays == 0
            amount = split.gives
        assert amount == start * finding.ratio
        assert amount > start or finding.kind is FindingKind.DETOUR


@given(step=STEPS, first=AMOUNTS, second=AMOUNTS)
def test_splitting_a_conversion_never_yields_more(step: Step, first: int, second: int) -> None:
    parts = sum(split_into_steps(part, step).gives for part in (first, second) if part >= step.source)
    whole = split_into_steps(first + second, step).gives if first + second >= step.source else 0
    assert parts <= whole


@given(whole=st.integers(0, 10**9), tenths=st.integers(0, 10**6 - 1))
def test_a_decimal_is_its_step_exactly(whole: int, tenths: int) -> None:
    text = f"{whole}.{tenths:06}"
    assume(whole or tenths)
    step = step_from_decimal(text)
    assert Fraction(step.destination, step.source) == Fraction(text)
    assert step_from_decimal(f"{step.source}:{step.destination}") == step
