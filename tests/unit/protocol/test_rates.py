import json
import re
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from protocol.agreement import Agreement, agreement_digest
from protocol.errors import AgreementInvalid
from protocol.points import Step
from protocol.rates import FindingKind, RateFinding, check_rates, rates_of, step_from_decimal
from tests.support.documents import AURORA, BLUEBIRD, COPPER, Side, agreement, direction, promotion, side

TRANSFER_PARTNERS = Path(__file__).resolve().parents[4] / "shared" / "vectors" / "rates" / "transfer-partners.json"
DAMSON = side("damson.example/main.1", "DAM")
ELDER = side("elder.example/main.1", "ELD")
FENNEL = side("fennel.example/main.1", "FEN")
MARCH = "2026-03-01T00:00:00.000000Z"
APRIL = "2026-04-01T00:00:00.000000Z"
MAY = "2026-05-01T00:00:00.000000Z"


def pact(first: Side, second: Side, there: str, back: str, *, number: int = 1, valid_from: str = MARCH) -> Agreement:
    return agreement(
        first,
        second,
        there=direction(first, second, step=step_from_decimal(there)),
        back=direction(second, first, step=step_from_decimal(back)),
        number=number,
        valid_from=valid_from,
    )


def ways(findings: tuple[RateFinding, ...]) -> list[tuple[str, str, Fraction]]:
    """Return what was found but the ways back: those of the examples lose nearly all, one more than another."""
    forward = [finding for finding in findings if finding.ratio >= 1]
    return [(one.kind.value, " ".join(ledger[0] for ledger in one.path), one.ratio) for one in forward]


def test_no_agreement_has_no_finding() -> None:
    assert check_rates([], at=None) == ()


def test_reciprocal_rates_pass() -> None:
    assert check_rates([pact(AURORA, BLUEBIRD, "400:250", "250:400")], at=None) == ()


def test_a_round_trip_that_multiplies_is_found() -> None:
    (finding,) = check_rates([pact(AURORA, BLUEBIRD, "400:250", "250:401")], at=None)
    assert finding.kind is FindingKind.LOOP
    assert finding.path == (AURORA.ledger, BLUEBIRD.ledger, AURORA.ledger)
    assert finding.ratio == Fraction(401, 400)
    assert finding.direct is None
    assert [rate.step for rate in finding.rates] == [Step(source=8, destination=5), Step(source=250, destination=401)]


def test_a_gain_below_what_floats_see_is_found() -> None:
    (finding,) = check_rates(
        [
            pact(AURORA, BLUEBIRD, "9007199254740991:9007199254740990", "9007199254740989:9007199254740990"),
        ],
        at=None,
    )
    assert float(finding.ratio) == 1.0
    assert finding.ratio > 1


def test_a_triangle_that_multiplies_is_found_once() -> None:
    pacts = [
        pact(AURORA, BLUEBIRD, "1", "0.9"),
        pact(BLUEBIRD, COPPER, "1.1", "0.9"),
        pact(AURORA, COPPER, "1", "1"),
    ]
    found = check_rates(pacts, at=None)
    assert [one for one in ways(found) if one[0] == "loop"] == [("loop", "a b c a", Fraction(11, 10))]
    assert ("detour", "a b c", Fraction(11, 10)) in ways(found)


def test_the_indirect_way_of_the_domain_is_a_detour() -> None:
    """A bank gave 1 for 1 to both programmes, and one of them 400 for 250 to the other: 1.6 instead of 1."""
    pacts = [
        pact(AURORA, BLUEBIRD, "1", "0.001"),
        pact(AURORA, COPPER, "1", "0.001"),
        pact(BLUEBIRD, COPPER, "250:400", "400:250"),
    ]
    finding, *backward = check_rates(pacts, at=None)
    assert ways((finding, *backward)) == [("detour", "a b c", Fraction(8, 5))]
    assert finding.direct is not None
    assert finding.direct.ratio == 1
    assert (finding.direct.source, finding.direct.destination) == (AURORA.ledger, COPPER.ledger)


def test_the_best_detour_is_named_whatever_its_length() -> None:
    pacts = [
        pact(AURORA, BLUEBIRD, "1", "0.01"),
        pact(BLUEBIRD, COPPER, "2", "0.01"),
        pact(COPPER, DAMSON, "3", "0.01"),
        pact(AURORA, DAMSON, "1", "0.01"),
        pact(BLUEBIRD, DAMSON, "5", "0.01"),
    ]
    assert ways(check_rates(pacts, at=None)) == [
        ("detour", "b c d", Fraction(6)),
        ("detour", "a b c d", Fraction(6)),
    ]


def test_a_loop_of_four_is_listed_and_a_longer_one_at_least_once() -> None:
    ring = [AURORA, BLUEBIRD, COPPER, DAMSON, ELDER, FENNEL]
    for length in (4, 5, 6):
        members = ring[:length]
        pacts = [pact(one, other, "1", "0.001") for one, other in pairwise(members)]
        pacts.append(pact(members[0], members[-1], "0.001", "1.001"))
        loops = [finding for finding in check_rates(pacts, at=None) if finding.kind is FindingKind.LOOP]
        names = " ".join(one.ledger[0] for one in (*members, members[0]))
        assert ways(tuple(loops)) == [("loop", names, Fraction(1001, 1000))]


def test_findings_do_not_depend_on_the_order_of_agreements() -> None:
    pacts = [
        pact(AURORA, BLUEBIRD, "2", "0.9"),
        pact(BLUEBIRD, COPPER, "2", "0.9"),
        pact(AURORA, COPPER, "2", "0.9"),
    ]
    found = check_rates(pacts, at=None)
    assert len(found) > 3
    assert check_rates(pacts[::-1], at=None) == found


def promoted() -> Agreement:
    spring = promotion(step=Step(source=1, destination=2), starts_at=APRIL, ends_at=MAY)
    return agreement(
        there=direction(step=Step(source=1, destination=1), promotions=(spring,)),
        back=direction(BLUEBIRD, AURORA, step=Step(source=1, destination=1)),
    )


@pytest.mark.parametrize(
    ("at", "found"),
    [
        (None, True),
        (MARCH, False),
        (APRIL, True),
        ("2026-04-30T23:59:59.999999Z", True),
        (MAY, False),
    ],
)
def test_a_promotion_counts_while_it_runs_and_for_ever_when_no_time_is_given(at: str | None, *, found: bool) -> None:
    findings = check_rates([promoted()], at=at)
    assert [finding.rates[0].promotion for finding in findings] == (["spring"] if found else [])


def test_promotions_of_different_times_multiply_when_no_time_is_given() -> None:
    later = promotion(
        name="late", step=Step(source=1, destination=1), starts_at=MAY, ends_at="2026-06-01T00:00:00.000000Z"
    )
    document = promoted()
    there, back = document.directions
    back = msgspec.structs.replace(back, step=Step(source=2, destination=1), promotions=(later,))
    document = msgspec.structs.replace(document, directions=(there, back))
    assert all(check_rates([document], at=at) == () for at in (MARCH, APRIL, MAY))
    assert [finding.ratio for finding in check_rates([document], at=None)] == [Fraction(2)]


def test_of_two_equal_rates_the_lasting_one_is_named() -> None:
    spring = promotion(step=Step(source=2, destination=4))
    document = agreement(there=direction(step=Step(source=1, destination=2), promotions=(spring,)))
    (finding,) = check_rates([document], at=None)
    assert finding.rates[0].promotion is None
    assert finding.rates[0].agreement == agreement_digest(document)
    assert finding.rates[0].number == 1


def test_a_later_agreement_replaces_the_earlier_once_it_begins() -> None:
    earlier = pact(AURORA, BLUEBIRD, "2", "1")
    later = pact(AURORA, BLUEBIRD, "1", "1", number=2, valid_from=MAY)
    assert [rate.number for rate in rates_of([earlier, later], at=APRIL)] == [1, 1]
    assert [rate.number for rate in rates_of([earlier, later], at=MAY)] == [2, 2]
    assert [rate.number for rate in rates_of([earlier, later], at=None)] == [1, 1, 2, 2]
    assert len(check_rates([later, earlier], at=APRIL)) == 1
    assert check_rates([later, earlier], at=MAY) == ()


def test_an_agreement_counts_from_its_first_moment_until_its_last() -> None:
    document = agreement(valid_from=MARCH, valid_until=APRIL)
    assert rates_of([document], at="2026-02-28T23:59:59.999999Z") == ()
    assert len(rates_of([document], at=MARCH)) == 2
    assert len(rates_of([document], at="2026-03-31T23:59:59.999999Z")) == 2
    assert rates_of([document], at=APRIL) == ()


@pytest.mark.parametrize(
    ("text", "source", "destination"),
    [
        ("1", 1, 1),
        ("1.0", 1, 1),
        ("0.625", 8, 5),
        ("1.6", 5, 8),
        ("0.667", 1_000, 667),
        ("3:1.1", 30, 11),
        ("2:1.5", 4, 3),
        ("250:200", 5, 4),
        ("200:1", 200, 1),
        ("9007199254740991", 1, 9_007_199_254_740_991),
    ],
)
def test_a_decimal_becomes_the_smallest_step(text: str, source: int, destination: int) -> None:
    assert step_from_decimal(text) == Step(source=source, destination=destination)


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "1.", ".5", "0", "0.0", "1:0", "0:1", "-1", "+1", "1e3", "01", "1:2:3", ":1", "1:", " 1", "1\n",
        "\u0661", "1,5", "NaN", "9007199254740992", "1:0.0000000000000001", "9" * 17, "0." + "1" * 17,
    ],
)  # fmt: skip
def test_what_is_no_ratio_or_no_step_is_refused(text: str) -> None:
    with pytest.raises(AgreementInvalid):
        step_from_decimal(text)


def test_every_ratio_of_the_transfer_partners_is_a_step() -> None:
    if not TRANSFER_PARTNERS.exists():
        pytest.skip("the vectors are not beside this checkout")
    text = TRANSFER_PARTNERS.read_text(encoding="utf-8")
    ratios: list[str] = []

    def keep(item: dict[str, object]) -> dict[str, object]:
        if "ratio" in item:
            ratios.append(str(item["ratio"]))
        return item

    json.loads(text, parse_float=str, object_hook=keep)
    assert len(ratios) == len(re.findall(r'"ratio"\s*:', text)) > 100
    for ratio in ratios:
        step = step_from_decimal(ratio)
        assert Fraction(step.destination, step.source) == Fraction(ratio)
