from hashlib import sha256
from itertools import permutations

import msgspec
import pytest

from protocol.errors import StatementInvalid
from protocol.limits import INTEGER_MAX
from protocol.merkle import EMPTY_ROOT, Hash
from protocol.messages import ConversionKey, Fulfil, Prepare
from protocol.settlement.lines import line_of, totals_of
from tests.support import rfc6962
from tests.support.documents import AURORA, BLUEBIRD, NETWORK, digest, digest_of_body, fulfil, prepare
from tests.support.settlement import asked, line, lines


def test_a_line_is_what_two_bodies_say() -> None:
    body = asked(7, steps=3)
    answer = fulfil(body, window=2, dec_seq=7)
    made = line_of(body, answer)
    assert ConversionKey(NETWORK, made.source, made.destination, made.id) == body.key
    assert (made.window, made.dec_seq, made.agreement, made.currency) == (2, 7, body.agreement, body.currency)
    assert (made.source_points, made.destination_points, made.fee_points, made.value) == (1_200, 750, 0, 7_500_000)
    assert made.fulfil == digest_of_body(answer)


OTHER = prepare(source=BLUEBIRD, destination=AURORA)


@pytest.mark.parametrize(
    "answer",
    [
        fulfil(OTHER),
        msgspec.structs.replace(fulfil(), id=asked(1).id),
        msgspec.structs.replace(fulfil(), network="0" * 32),
        msgspec.structs.replace(fulfil(), prepare=digest("another")),
        msgspec.structs.replace(fulfil(), destination_points=749),
        msgspec.structs.replace(fulfil(), value=1),
    ],
)
def test_a_fulfil_of_something_else_makes_no_line(answer: Fulfil) -> None:
    with pytest.raises(StatementInvalid):
        line_of(prepare(), answer)


def test_terms_that_the_fulfil_does_not_repeat_are_bound_by_the_prepares_digest() -> None:
    body: Prepare = prepare()
    for changed in (
        msgspec.structs.replace(body, source_points=1),
        msgspec.structs.replace(body, fee_points=1),
        msgspec.structs.replace(body, agreement=digest("another")),
    ):
        with pytest.raises(StatementInvalid):
            line_of(changed, fulfil(body))


def test_nothing_sums_to_nothing() -> None:
    totals = totals_of([], first_dec_seq=5)
    assert (totals.first_dec_seq, totals.last_dec_seq, totals.count) == (5, 4, 0)
    assert {totals.source_points, totals.destination_points, totals.fee_points, totals.value} == {"0"}
    assert totals.root == EMPTY_ROOT.hex()


def test_totals_do_not_depend_on_the_order_of_lines() -> None:
    own = lines(3, [1, 20, 300, 4_000])
    found = {totals_of(order, first_dec_seq=3) for order in permutations(own)}
    (totals,) = found
    assert (totals.first_dec_seq, totals.last_dec_seq, totals.count) == (3, 6, 4)
    assert (totals.source_points, totals.destination_points, totals.fee_points) == ("1600", "1000", "0")
    assert totals.value == "4321"


def test_the_root_is_that_of_the_fulfils_digests_in_the_order_of_decisions() -> None:
    own = lines(1, [5, 5, 5])
    leaves = [Hash(sha256(b"\x00" + bytes.fromhex(one.fulfil)).digest()) for one in own]
    assert totals_of(own, first_dec_seq=1).root == rfc6962.tree_root(leaves).hex()


def test_sums_may_pass_what_json_can_state() -> None:
    own = [msgspec.structs.replace(one, value=INTEGER_MAX, source_points=INTEGER_MAX) for one in lines(1, [1] * 3)]
    totals = totals_of(own, first_dec_seq=1)
    assert totals.value == totals.source_points == str(3 * INTEGER_MAX)


@pytest.mark.parametrize(
    ("numbers", "named"),
    [
        ([2], "1"),
        ([1, 3], "2"),
        ([1, 2, 5], "3, 4"),
        ([20], "1, 2, 3, 4, 5, 6, 7, 8"),
        ([INTEGER_MAX], "1, 2, 3, 4, 5, 6, 7, 8"),
    ],
)
def test_a_gap_in_the_numbers_is_named(numbers: list[int], named: str) -> None:
    with pytest.raises(StatementInvalid, match=f"numbered {named} are missing"):
        totals_of([line(number) for number in numbers], first_dec_seq=1)


@pytest.mark.parametrize(("numbers", "first"), [([1, 1], 1), ([1, 2, 2, 3], 1), ([1, 2], 2), ([1], 3)])
def test_a_number_is_there_once_and_not_before_its_time(numbers: list[int], first: int) -> None:
    with pytest.raises(StatementInvalid, match="twice, or below"):
        totals_of([line(number) for number in numbers], first_dec_seq=first)


def test_lines_of_both_directions_are_apart() -> None:
    assert line(1).fulfil != line(1, source=BLUEBIRD).fulfil
    assert {line(1).source, line(1, source=BLUEBIRD).source} == {AURORA.ledger, BLUEBIRD.ledger}
