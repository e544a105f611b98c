"""Members of three real ledgers convert round and round: under agreements that the check passes nobody ends with more.

`agreement check` and the refusal of loops at signing are the same search (protocol/rates.py).
"""

from itertools import combinations
from typing import Final

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from protocol.agreement import Agreement
from protocol.errors import Refusal
from protocol.identifiers import Account
from protocol.points import Step
from protocol.rates import FindingKind, check_rates
from tests.support.documents import AURORA, BLUEBIRD, COPPER, agreement, direction, promotion, signed_agreement
from tests.support.ledger import MemoryLedger, ally, convert, issue, link, new_ledger, open_holder

BRANDS: Final = (AURORA, BLUEBIRD, COPPER)
START: Final = 1_000
NUMBERS: Final = st.integers(1, 6)
STEPS: Final = st.builds(Step, source=NUMBERS, destination=NUMBERS)
JOURNEYS: Final = st.lists(
    st.tuples(st.sampled_from(range(3)), st.sampled_from(range(3)), st.integers(1, START) | st.none()), max_size=14
)


@st.composite
def alliances(draw: st.DrawFn) -> list[Agreement]:
    """Draw agreements between all three brands; half of the time no way round can gain at the brands' prices."""
    price = {side.ledger: draw(NUMBERS) for side in BRANDS}
    fair = draw(st.booleans())
    found = []
    for first, second in combinations(BRANDS, 2):
        steps = [
            Step(source=price[to.ledger] + draw(st.integers(0, 1)), destination=price[of.ledger])
            if fair
            else draw(STEPS)
            for of, to in ((first, second), (second, first))
        ]
        bonus = (promotion(starts_at="2026-01-01T00:00:00.000000Z", step=draw(STEPS), budget_points=None),)
        promoted = bonus if draw(st.integers(0, 3)) == 0 else ()
        there = direction(first, second, step=steps[0], promotions=promoted)
        found.append(agreement(first, second, there=there, back=direction(second, first, step=steps[1])))
    return found


def ledgers_under(agreements: list[Agreement]) -> list[tuple[MemoryLedger, Account]]:
    """Return the three ledgers and ann's account at each, linked every way; she has points at the first."""
    ledgers = [new_ledger(side, needs=False) for side in BRANDS]
    accounts = [open_holder(ledger, f"ann at {ledger.name}") for ledger in ledgers]
    for (one, other), document in zip(combinations(range(3), 2), agreements, strict=True):
        ally(ledgers[one], ledgers[other], signed=signed_agreement(document))
        for source, destination in ((one, other), (other, one)):
            link(ledgers[source], ledgers[destination], sender=accounts[source], receiver=accounts[destination])
    issue(ledgers[0], accounts[0], START)
    return list(zip(ledgers, accounts, strict=True))


@settings(max_examples=50, deadline=None)
@given(agreements=alliances(), journey=JOURNEYS)
def test_no_round_trip_through_rates_that_the_check_passes_yields_more(
    agreements: list[Agreement], journey: list[tuple[int, int, int | None]]
) -> None:
    assume(not [one for one in check_rates(agreements, at=None) if one.kind is FindingKind.LOOP])
    places = ledgers_under(agreements)
    for number, (start, end, amount) in enumerate(journey):
        source, sender = places[start]
        asked = amount or source.account(sender).posted
        if start != end and asked:
            try:
                convert(source, places[end][0], sender, asked, name=f"leg {number}")
            except Refusal:
                continue
        home, account = places[0]
        assert home.account(account).posted <= START


def test_a_loop_that_the_check_finds_does_yield_more() -> None:
    """Without it the test above would prove nothing."""
    double = Step(source=1, destination=2)
    even = Step(source=1, destination=1)
    agreements = [
        agreement(one, other, there=direction(one, other, step=step), back=direction(other, one, step=back))
        for one, other, step, back in (
            (AURORA, BLUEBIRD, even, even),
            (AURORA, COPPER, Step(source=2, destination=1), double),
            (BLUEBIRD, COPPER, even, even),
        )
    ]
    assert [one for one in check_rates(agreements, at=None) if one.kind is FindingKind.LOOP]
    places = ledgers_under(agreements)
    for number, (start, end) in enumerate(((0, 1), (1, 2), (2, 0))):
        source, sender = places[start]
        convert(source, places[end][0], sender, source.account(sender).posted, name=f"leg {number}")
    home, account = places[0]
    assert home.account(account).posted == 2 * START
