import pytest

from protocol.errors import Code, Refusal
from protocol.limits import INTEGER_MAX
from protocol.points import Split, Step, check_amount, multiplies, split_into_steps

STEP = Step(source=400, destination=250)


@pytest.mark.parametrize(
    ("amount", "split"),
    [
        (400, Split(steps=1, used=400, stays=0, gives=250)),
        (401, Split(steps=1, used=400, stays=1, gives=250)),
        (799, Split(steps=1, used=400, stays=399, gives=250)),
        (800, Split(steps=2, used=800, stays=0, gives=500)),
        (1_234_567, Split(steps=3_086, used=1_234_400, stays=167, gives=771_500)),
    ],
)
def test_an_amount_is_split_into_whole_steps(amount: int, split: Split) -> None:
    assert split_into_steps(amount, STEP) == split


def test_what_fills_no_step_stays() -> None:
    assert split_into_steps(5_000, Step(source=3, destination=1)) == Split(
        steps=1_666, used=4_998, stays=2, gives=1_666
    )


def test_large_amounts_are_exact() -> None:
    split = split_into_steps(INTEGER_MAX, Step(source=1, destination=1))
    assert (split.used, split.stays, split.gives) == (INTEGER_MAX, 0, INTEGER_MAX)
    split = split_into_steps(INTEGER_MAX, Step(source=3, destination=2))
    assert split.used == 3 * (INTEGER_MAX // 3)
    assert split.gives == 2 * (INTEGER_MAX // 3)


@pytest.mark.parametrize(
    ("amount", "step", "code"),
    [
        (0, STEP, Code.AMOUNT_INVALID),
        (-400, STEP, Code.AMOUNT_INVALID),
        (INTEGER_MAX + 1, STEP, Code.AMOUNT_INVALID),
        (1, STEP, Code.LESS_THAN_A_STEP),
        (399, STEP, Code.LESS_THAN_A_STEP),
        (INTEGER_MAX, Step(source=1, destination=2), Code.BALANCE_OVERFLOW),
        (2, Step(source=1, destination=INTEGER_MAX), Code.BALANCE_OVERFLOW),
        (2, Step(source=1, destination=2**52), Code.BALANCE_OVERFLOW),
    ],
)
def test_an_amount_that_cannot_be_converted_is_refused(amount: int, step: Step, code: Code) -> None:
    with pytest.raises(Refusal) as caught:
        split_into_steps(amount, step)
    assert caught.value.code == code


@pytest.mark.parametrize("amount", [1, 2, INTEGER_MAX])
def test_an_amount_is_positive_and_bounded(amount: int) -> None:
    check_amount(amount)


@pytest.mark.parametrize(
    ("there", "back", "grows"),
    [
        ((400, 250), (250, 400), False),
        ((400, 250), (250, 401), True),
        ((3, 1), (1, 3), False),
        ((1, 1), (1, 1), False),
        ((1, 1), (1, 2), True),
        ((2, 1), (1, 1), False),
        # These differ from 1 by less than a binary floating-point number can tell.
        ((INTEGER_MAX, INTEGER_MAX - 1), (INTEGER_MAX - 1, INTEGER_MAX), False),
        ((INTEGER_MAX - 1, INTEGER_MAX), (INTEGER_MAX, INTEGER_MAX - 1), False),
        ((INTEGER_MAX - 1, INTEGER_MAX - 1), (INTEGER_MAX - 1, INTEGER_MAX), True),
        ((INTEGER_MAX, INTEGER_MAX - 1), (INTEGER_MAX - 2, INTEGER_MAX - 1), True),
        ((INTEGER_MAX - 1, INTEGER_MAX), (INTEGER_MAX, INTEGER_MAX - 2), False),
    ],
)
def test_a_round_trip_that_makes_points_is_found(there: tuple[int, int], back: tuple[int, int], *, grows: bool) -> None:
    out, home = (Step(source=source, destination=destination) for source, destination in (there, back))
    assert multiplies(out, home) is grows
    assert multiplies(home, out) is grows
