"""The replay and the recount share no code and must come to the same totals; both are checked on a part by hand."""

import re
from uuid import UUID

import pytest

from scripts.purchases.baskets import Basket, amounts_to_convert, id_for, load_purchases, points_of_households
from scripts.purchases.recount import recount


@pytest.mark.parametrize(("cents", "points"), [(0, 0), (99, 0), (100, 1), (199, 1), (200, 2), (96_149, 961)])
def test_a_basket_earns_a_point_for_each_whole_dollar(cents: int, points: int) -> None:
    assert Basket(1, 1, "2017-01-01", cents).points == points


def test_a_household_earns_by_basket_not_by_sum() -> None:
    baskets = [Basket(1, 7, "2017-01-01", 199), Basket(2, 7, "2017-01-02", 199), Basket(3, 8, "2017-01-02", 50)]
    assert points_of_households(baskets) == {7: 2}


@pytest.mark.parametrize(
    ("points", "amounts"),
    [
        (0, (0, 0)),
        (399, (0, 0)),
        (400, (400, 0)),
        (801, (400, 0)),
        (1_399, (699, 0)),
        (1_400, (700, 1_000)),
        (9_999, (4_999, 2_599)),
    ],
)
def test_half_is_converted_then_half_of_the_rest(points: int, amounts: tuple[int, int]) -> None:
    assert amounts_to_convert(points, first_step=400, second_step=1_000) == amounts


def test_ids_stand_for_their_key_and_hide_it() -> None:
    one = id_for("household", 1085)
    assert one == id_for("household", 1085)
    assert UUID(one).version == 4
    assert len({one, id_for("household", 1086), id_for("basket", 1085)}) == 3
    assert not re.search("1085", one)


def test_replay_and_recount_agree() -> None:
    limit = 5_000
    purchases, expected = load_purchases(limit), recount(limit)
    households = points_of_households(purchases.baskets)
    amounts = [amounts_to_convert(points, first_step=400, second_step=1_000) for points in households.values()]
    assert (len(purchases.baskets), purchases.lines) == (expected.baskets, expected.lines)
    assert sum(1 for basket in purchases.baskets if basket.points) == expected.earning_baskets
    assert (len(households), sum(households.values())) == (expected.households, expected.points)
    assert sum(first // 400 * 400 for first, _ in amounts) == expected.sent_to_aurora
    assert sum(second // 1_000 * 1_000 for _, second in amounts) == expected.sent_to_bluebird
    assert sum(1 for pair in amounts for amount in pair if amount) == expected.conversions


def test_the_whole_year_is_what_the_data_says() -> None:
    expected = recount()
    assert (expected.baskets, expected.lines, expected.points) == (155_848, 1_469_307, 4_519_934)
