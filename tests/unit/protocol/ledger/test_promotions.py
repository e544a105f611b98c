"""Promotions: which one an order gets, until when, and out of what budget, at both sides."""

import msgspec
import pytest

from protocol.agreement import Fee, Promotion, agreement_digest
from protocol.entries import ConversionHeld, ConversionRefused, Sealed
from protocol.errors import Code, Refusal
from protocol.fields import later
from protocol.ledger import promotions
from protocol.ledger.state import PROMOTION_USE, PromotionUse
from protocol.limits import INTEGER_MAX
from protocol.messages import Prepare
from protocol.points import Step
from tests.support.documents import (
    AURORA,
    BLUEBIRD,
    NO_FEE,
    THERE,
    agreement,
    direction,
    promotion,
    signed_agreement,
    uuid,
)
from tests.support.ledger import MemoryLedger, Pair, ask_cancel, force, order, pair_of, receive, refused

BEGIN, END = "2026-03-01T12:00:00.000000Z", "2026-03-02T12:00:00.000000Z"
LIFE_SECONDS = 900
BETTER = Step(source=400, destination=300)
DEAR = direction(BLUEBIRD, AURORA, step=Step(source=INTEGER_MAX, destination=1))
"""A way back on which no promotion multiplies."""


def spring(*, name: str = "spring", step: Step = BETTER, budget: int | None = 600) -> Promotion:
    return promotion(name=name, starts_at=BEGIN, ends_at=END, step=step, budget_points=budget)


def pair_with(*offered: Promotion, steps_min: int = 1, steps_max: int = 1_000) -> Pair:
    there = direction(promotions=offered, steps_min=steps_min, steps_max=steps_max)
    document = agreement(there=there, back=DEAR, quote_life_seconds=LIFE_SECONDS)
    return pair_of(signed=signed_agreement(document), points=100_000)


def held(pair: Pair, amount: int = 400, *, name: str = "conversion") -> Sealed:
    return order(pair.source, BLUEBIRD.ledger, pair.sender, amount, name=name)


def entry_of(sealed: Sealed) -> ConversionHeld:
    assert isinstance(sealed.entry, ConversionHeld)
    return sealed.entry


def outcome(pair: Pair, sealed: Sealed) -> str:
    entry = receive(pair.destination, pair.source.body(sealed)).entry
    return entry.reason if isinstance(entry, ConversionRefused) else "credited"


def used(ledger: MemoryLedger, pair: Pair) -> int:
    record = ledger.state.get(PROMOTION_USE, (agreement_digest(pair.signed.agreement), AURORA.ledger, "spring"))
    return (record or PromotionUse()).points


def test_an_order_gets_the_promotion_that_runs_and_both_sides_take_it_out_of_the_budget() -> None:
    pair = pair_with(spring())
    sealed = held(pair)
    entry = entry_of(sealed)
    assert (entry.promotion, entry.destination_points, entry.value) == ("spring", 300, 2_600_000)
    assert (used(pair.source, pair), used(pair.destination, pair)) == (300, 0)
    assert outcome(pair, sealed) == "credited"
    assert used(pair.destination, pair) == 300


def test_an_order_that_the_budget_does_not_cover_is_made_at_the_own_step() -> None:
    pair = pair_with(spring(budget=599))
    assert entry_of(held(pair, 800)).promotion is None
    assert entry_of(held(pair, name="small")).promotion == "spring"
    assert entry_of(held(pair, name="too late")).promotion is None


@pytest.mark.parametrize(
    ("offered", "amount", "expected"),
    [
        ((spring(name="a", step=Step(source=400, destination=260)), spring(name="b")), 400, "b"),
        ((spring(name="a"), spring(name="b")), 400, "a"),
        ((spring(step=Step(source=800, destination=500)),), 800, None),
        ((spring(step=Step(source=799, destination=500)),), 800, "spring"),
        ((spring(step=Step(source=800, destination=600)),), 799, None),
        ((spring(step=Step(source=100, destination=60)),), 399, "spring"),
        ((spring(step=THERE),), 400, None),
        ((spring(step=Step(source=1, destination=INTEGER_MAX)),), 400, None),
    ],
)
def test_the_member_gets_most_points_then_gives_fewest(
    offered: tuple[Promotion, ...], amount: int, expected: str | None
) -> None:
    assert entry_of(held(pair_with(*offered), amount)).promotion == expected


def test_a_promotion_is_held_to_the_minimum_and_maximum_of_steps() -> None:
    pair = pair_with(spring(step=Step(source=200, destination=150), budget=None), steps_min=2, steps_max=3)
    assert entry_of(held(pair, 400, name="one")).promotion == "spring"
    assert entry_of(held(pair, 800, name="two")).promotion is None
    with refused(Code.LESS_THAN_A_STEP, pair.source):
        held(pair, 399, name="three")


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2026-03-01T11:59:59.999999Z", None),
        (BEGIN, "spring"),
        (later(END, microseconds=-1), "spring"),
        (END, None),
    ],
)
def test_a_promotion_runs_from_its_first_moment_to_before_its_last(time: str, expected: str | None) -> None:
    assert best(time, life_seconds=0) == expected


def best(time: str, *, life_seconds: int) -> str | None:
    pair = pair_with(spring())
    there = pair.signed.agreement.directions[0]
    cited = agreement_digest(pair.signed.agreement)
    found = promotions.best_offer(pair.source.state, cited, there, amount=400, at=time, life_seconds=life_seconds)
    return found.terms.promotion


def test_an_open_quote_outlives_its_promotion() -> None:
    last = later(END, seconds=LIFE_SECONDS)
    assert best(later(last, microseconds=-1), life_seconds=LIFE_SECONDS) == "spring"
    assert best(last, life_seconds=LIFE_SECONDS) is None
    pair = pair_with(spring())
    pair.source.wall = pair.destination.wall = later(END, seconds=LIFE_SECONDS - 1)
    cited = agreement_digest(pair.signed.agreement)
    quoted = order(pair.source, BLUEBIRD.ledger, pair.sender, 400, agreed=cited)
    assert entry_of(quoted).promotion == "spring"
    assert entry_of(held(pair, name="now")).promotion is None
    assert outcome(pair, quoted) == "credited"


def test_promotion_over_by_the_destinations_own_clock() -> None:
    pair = pair_with(spring())
    sealed = order(pair.source, BLUEBIRD.ledger, pair.sender, 400, accept_by="2026-03-07T00:00:00.000000Z")
    pair.destination.wall = later(END, seconds=LIFE_SECONDS)
    assert outcome(pair, sealed) == Code.PROMOTION_OVER
    assert used(pair.destination, pair) == 0


def test_promotion_over_before_it_begins_and_beyond_its_budget_and_promotion_unknown() -> None:
    pair = pair_with(spring(budget=299))
    entry = msgspec.structs.replace(
        entry_of(held(pair_with(spring()))), agreement=agreement_digest(pair.signed.agreement)
    )
    with refused(Code.PROMOTION_OVER, pair.source):
        pair.source.judge(entry)
    with refused(Code.PROMOTION_UNKNOWN, pair.source):
        pair.source.judge(msgspec.structs.replace(entry, promotion="summer"))
    early = pair_with(msgspec.structs.replace(spring(), starts_at="2026-03-01T13:00:00.000000Z"))
    with refused(Code.PROMOTION_OVER, early.source):
        early.source.judge(msgspec.structs.replace(entry, agreement=agreement_digest(early.signed.agreement)))


def test_the_destination_keeps_its_own_budget() -> None:
    pair = pair_with(spring(budget=600))
    sealed = [held(pair, name=name) for name in ("one", "two")]
    body = pair.source.body(sealed[0])
    assert [outcome(pair, each) for each in sealed] == ["credited", "credited"]
    assert isinstance(body, Prepare)
    third = receive(pair.destination, msgspec.structs.replace(body, id=uuid("three"))).entry
    assert isinstance(third, ConversionRefused)
    assert third.reason == Code.PROMOTION_OVER
    assert used(pair.destination, pair) == 600


def test_a_refusal_gives_the_budget_back_and_force_does_only_with_it() -> None:
    pair = pair_with(spring(budget=300))
    held(pair, name="cancelled")
    wish = ask_cancel(pair.source, name="cancelled")
    receive(pair.source, pair.destination.body(receive(pair.destination, pair.source.body(wish))))
    assert used(pair.source, pair) == 0
    held(pair, name="forced")
    force(pair.source, name="forced")
    assert used(pair.source, pair) == 300
    wish = ask_cancel(pair.source, name="forced")
    receive(pair.source, pair.destination.body(receive(pair.destination, pair.source.body(wish))))
    assert used(pair.source, pair) == 0


def test_a_promotion_without_budget_is_counted_and_never_over() -> None:
    pair = pair_with(spring(budget=None))
    for number in range(3):
        assert outcome(pair, held(pair, 8_000, name=f"number {number}")) == "credited"
    assert used(pair.destination, pair) == used(pair.source, pair) == 18_000


def test_balance_overflow_when_no_entry_can_state_a_conversion() -> None:
    steps = INTEGER_MAX // 400
    terms = promotions.own_terms(direction(price=400))
    promotions.check_size(terms, NO_FEE, steps)
    cases = [
        (promotions.own_terms(direction(price=401)), NO_FEE),
        (promotions.own_terms(direction(step=Step(source=1, destination=401), price=0)), NO_FEE),
        (terms, Fee(points_per_conversion=0, points_per_step=401)),
    ]
    for each, fee in cases:
        with pytest.raises(Refusal) as caught:
            promotions.check_size(each, fee, steps)
        assert caught.value.code == Code.BALANCE_OVERFLOW
