"""Splitting an order never yields more, at two real ledgers, with fees, minimums and maximums.

The one exception is said in specs/agreement.md §5: a promotion's terms are per conversion.
"""

from fractions import Fraction
from typing import Final

import msgspec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from protocol.agreement import Direction, Fee, Promotion
from protocol.errors import Refusal
from protocol.points import Step
from tests.support.documents import AURORA, BLUEBIRD, agreement, direction, promotion, signed_agreement
from tests.support.ledger import Pair, convert, pair_of
from tests.support.pages import page

NUMBERS: Final = st.integers(1, 12)
STEPS: Final = st.builds(Step, source=NUMBERS, destination=NUMBERS)
FEES: Final = st.builds(Fee, points_per_conversion=st.integers(0, 5), points_per_step=st.integers(0, 2))
AMOUNTS: Final = st.lists(st.integers(1, 120), min_size=2, max_size=4)
NO_WAY_BACK: Final = direction(BLUEBIRD, AURORA, step=Step(source=10_000, destination=1))
"""So poor that no terms there can make a round trip of it that makes points."""

RUNS: Final = {"starts_at": "2026-01-01T00:00:00.000000Z", "ends_at": "2026-12-01T00:00:00.000000Z"}


@st.composite
def directions(draw: st.DrawFn) -> Direction:
    """Draw terms without promotions; nothing is so large that it meets the maximum."""
    return direction(step=draw(STEPS), fee=draw(FEES), steps_min=draw(st.integers(1, 4)))


def bonus(step: Step, *, budget: int | None = None) -> Promotion:
    return promotion(step=step, budget_points=budget, **RUNS)


def outcome(terms: Direction, amounts: list[int]) -> tuple[int, int]:
    """Return what the member has got at the destination, and spent at the source, after orders of these amounts."""
    signed = signed_agreement(agreement(there=terms, back=NO_WAY_BACK))
    pair: Pair = pair_of(signed=signed, needs=False)
    for number, amount in enumerate(amounts):
        try:
            convert(pair.source, pair.destination, pair.sender, amount, name=f"part {number}")
        except Refusal:
            continue
    got = pair.destination.account(pair.receiver).posted
    return got, 10_000 - pair.source.account(pair.sender).posted


@settings(max_examples=60, deadline=None)
@given(terms=directions(), amounts=AMOUNTS)
def test_splitting_an_order_never_yields_more(terms: Direction, amounts: list[int]) -> None:
    parts, spent = outcome(terms, amounts)
    whole, spent_at_once = outcome(terms, [sum(amounts)])
    assert parts <= whole
    # Nor does it cost less: the same points come at the same price, and every conversion's fee comes on top.
    if parts == whole:
        assert spent >= spent_at_once


@settings(max_examples=60, deadline=None)
@given(own=STEPS, promoted=STEPS, amounts=AMOUNTS)
def test_with_a_promotion_no_way_of_splitting_passes_the_best_ratio(
    own: Step, promoted: Step, amounts: list[int]
) -> None:
    terms = direction(step=own, promotions=(bonus(promoted),))
    best = max(Fraction(step.destination, step.source) for step in (own, promoted))
    got, spent = outcome(terms, amounts)
    assert got <= best * spent
    assert spent <= sum(amounts)


def test_a_promotion_is_the_exception_and_the_page_says_so() -> None:
    # One order takes one step: 12 points give 12, or the own step's 4 times 4 for 16. Two orders get both.
    terms = direction(step=Step(source=4, destination=4), promotions=(bonus(Step(source=12, destination=15)),))
    assert outcome(terms, [16])[0] < outcome(terms, [12, 4])[0]
    small = msgspec.structs.replace(terms, promotions=(bonus(Step(source=12, destination=15), budget=15),))
    assert outcome(small, [24])[0] < outcome(small, [12, 12])[0]
    assert "A promotion's terms are per conversion" in page("agreement")
    assert "splitting never yields more" in page("agreement")


@settings(max_examples=30, deadline=None)
@given(own=STEPS, amounts=AMOUNTS)
def test_a_promotion_with_the_own_step_changes_nothing(own: Step, amounts: list[int]) -> None:
    assume(sum(amounts) >= own.source)
    plain, promoted = direction(step=own), direction(step=own, promotions=(bonus(own),))
    assert outcome(plain, amounts)[0] == outcome(promoted, amounts)[0]
