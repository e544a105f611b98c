"""Whole steps: nothing is rounded, nothing is lost, and no way of splitting an amount gives more."""

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from protocol.errors import Code, Refusal
from protocol.limits import INTEGER_MAX
from protocol.points import Split, Step, multiplies, split_into_steps

SIZES = st.integers(1, 1_000) | st.integers(1, INTEGER_MAX)
STEPS = st.builds(lambda source, destination: Step(source=source, destination=destination), SIZES, SIZES)
AMOUNTS = st.integers(1, 1_000_000) | st.integers(1, INTEGER_MAX)
ANY_AMOUNT = st.integers(-1, 1_000_000) | st.integers(-(2**60), 2**60)


def split(amount: int, step: Step) -> Split | None:
    try:
        return split_into_steps(amount, step)
    except Refusal:
        return None


def given_points(amount: int, step: Step) -> int:
    """Return the points that `amount` brings, none when it fills no step; skip what no balance can hold."""
    assume(amount // step.source * step.destination <= INTEGER_MAX)
    found = split(amount, step)
    return found.gives if found else 0


@given(AMOUNTS, STEPS)
def test_nothing_is_rounded_and_nothing_is_lost(amount: int, step: Step) -> None:
    found = split(amount, step)
    assume(found is not None)
    assert found is not None
    assert found.used + found.stays == amount
    assert 0 <= found.stays < step.source
    assert found.used == found.steps * step.source
    assert Fraction(found.gives, found.used) == Fraction(step.destination, step.source)


@given(ANY_AMOUNT, STEPS)
def test_every_amount_is_split_or_refused_for_its_one_reason(amount: int, step: Step) -> None:
    expected = reason(amount, step)
    if expected is None:
        assert 1 <= split_into_steps(amount, step).gives <= INTEGER_MAX
    else:
        with pytest.raises(Refusal) as caught:
            split_into_steps(amount, step)
        assert caught.value.code == expected


def reason(amount: int, step: Step) -> Code | None:
    if not 1 <= amount <= INTEGER_MAX:
        return Code.AMOUNT_INVALID
    if amount < step.source:
        return Code.LESS_THAN_A_STEP
    return Code.BALANCE_OVERFLOW if amount // step.source * step.destination > INTEGER_MAX else None


@given(st.lists(st.integers(1, 100_000), min_size=1, max_size=8), STEPS)
def test_splitting_a_conversion_never_gives_more(amounts: list[int], step: Step) -> None:
    assert sum(given_points(amount, step) for amount in amounts) <= given_points(sum(amounts), step)


@given(AMOUNTS, AMOUNTS, STEPS)
def test_more_points_never_give_less(one: int, other: int, step: Step) -> None:
    less, more = sorted((one, other))
    assert given_points(less, step) <= given_points(more, step)


@given(AMOUNTS, STEPS)
def test_what_stays_fills_no_step_and_what_is_used_fills_all(amount: int, step: Step) -> None:
    found = split(amount, step)
    assume(found is not None)
    assert found is not None
    assert split_into_steps(found.used, step) == Split(steps=found.steps, used=found.used, stays=0, gives=found.gives)
    assert found.stays == 0 or given_points(found.stays, step) == 0


@given(STEPS, STEPS)
def test_a_round_trip_is_judged_in_exact_fractions(there: Step, back: Step) -> None:
    exact = Fraction(there.destination, there.source) * Fraction(back.destination, back.source)
    assert multiplies(there, back) is (exact > 1)
    assert multiplies(back, there) is (exact > 1)


@given(st.integers(1, 10_000_000), STEPS, STEPS)
def test_a_round_trip_that_does_not_multiply_makes_no_points(amount: int, there: Step, back: Step) -> None:
    assume(not multiplies(there, back))
    gone = split(amount, there)
    assume(gone is not None)
    assert gone is not None
    assert gone.stays + given_points(gone.gives, back) <= amount


@given(STEPS)
def test_the_way_back_on_the_same_step_multiplies_nothing(step: Step) -> None:
    assert not multiplies(step, Step(source=step.destination, destination=step.source))
