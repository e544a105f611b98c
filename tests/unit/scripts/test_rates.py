"""No way through the alliance's rates gives back more than went in, and none beats the direct one."""

from fractions import Fraction
from itertools import pairwise, permutations

import pytest

from scripts.alliance.brands import BRANDS, RATES, Brand, rate

STEPS_PEOPLE_MEET = {(1_000, 1_000), (400, 250), (3_000, 1_000), (500, 400)}


def ratio(*way: Brand) -> Fraction:
    product = Fraction(1)
    for source, destination in pairwise(way):
        one = rate(source, destination)
        product *= Fraction(one.destination_step, one.source_step)
    return product


def test_there_is_a_rate_for_each_direction() -> None:
    assert sorted((one.source.name, one.destination.name) for one in RATES) == sorted(
        (source.name, destination.name) for source, destination in permutations(BRANDS, 2)
    )


def test_the_steps_are_the_four_that_people_meet() -> None:
    assert {(one.source_step, one.destination_step) for one in RATES} == STEPS_PEOPLE_MEET


@pytest.mark.parametrize(("first", "second"), list(permutations(BRANDS, 2)))
def test_no_round_trip_multiplies(first: Brand, second: Brand) -> None:
    assert ratio(first, second, first) <= 1


@pytest.mark.parametrize(("first", "second", "third"), list(permutations(BRANDS, 3)))
def test_no_triangle_multiplies(first: Brand, second: Brand, third: Brand) -> None:
    assert ratio(first, second, third, first) <= 1


@pytest.mark.parametrize(("first", "second", "third"), list(permutations(BRANDS, 3)))
def test_no_detour_beats_the_direct_way(first: Brand, second: Brand, third: Brand) -> None:
    assert ratio(first, second, third) <= ratio(first, third)


def test_the_ratio_sees_a_loop_that_multiplies() -> None:
    aurora, bluebird, cedar = BRANDS
    assert ratio(aurora, bluebird) * 2 * ratio(bluebird, cedar) * 3 * ratio(cedar, aurora) > 1
