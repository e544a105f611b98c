import msgspec
import pytest

from protocol.errors import StatementInvalid
from protocol.messages import BODY_LINES_MAX
from protocol.settlement.differences import (
    DifferenceKind,
    LineDifference,
    compare,
    decided,
    is_last,
    narrow,
    pages,
    standing,
)
from protocol.settlement.lines import line_of, totals_of
from protocol.settlement.statements import Corrections, Mismatch
from protocol.statement import Line
from tests.support.documents import AURORA, BLUEBIRD, digest, fulfil
from tests.support.settlement import asked, disputed, line, lines, statement

OWN = [*lines(1, [100, 200, 300]), *lines(1, [50], source=BLUEBIRD)]


def test_equal_documents_do_not_differ() -> None:
    assert compare(statement(OWN), statement(OWN[::-1])) is None
    assert narrow(OWN, OWN[::-1]) == ()


def test_a_mismatch_names_its_fields() -> None:
    theirs = statement(OWN, corrections=Corrections(disputed={AURORA.ledger: [disputed(OWN[0])]}))
    assert compare(statement(OWN), theirs) == Mismatch(fields=("directions.0.disputed", "net", "carry"))
    other = msgspec.structs.replace(statement(OWN), payer=AURORA.ledger, agreements=(digest("another"),))
    assert compare(statement(OWN), other) == Mismatch(fields=("agreements.0", "payer"))


def test_a_close_is_compared_with_our_own_totals() -> None:
    ours, theirs = totals_of(OWN[:2], first_dec_seq=1), totals_of(OWN[:3], first_dec_seq=1)
    found = compare(ours, theirs)
    assert found is not None
    assert found.fields == ("last_dec_seq", "count", "source_points", "destination_points", "value", "root")


def test_a_mismatch_is_narrowed_to_its_lines() -> None:
    dearer = line(2, value=201)
    found = narrow([OWN[3], OWN[1], OWN[0]], [OWN[0], dearer, OWN[2]])
    assert [(one.kind, one.source, one.window, one.dec_seq) for one in found] == [
        (DifferenceKind.TERMS, AURORA.ledger, 1, 2),
        (DifferenceKind.MISSING_HERE, AURORA.ledger, 1, 3),
        (DifferenceKind.MISSING_THERE, BLUEBIRD.ledger, 1, 1),
    ]
    assert (found[0].ours, found[0].theirs) == (OWN[1], dearer)
    assert (found[1].ours, found[1].theirs) == (None, OWN[2])
    assert (found[2].ours, found[2].theirs) == (OWN[3], None)


def test_one_side_has_one_line_for_a_decision() -> None:
    with pytest.raises(StatementInvalid):
        narrow([OWN[0], OWN[0]], OWN)
    with pytest.raises(StatementInvalid):
        narrow(OWN, [OWN[0], line(1, value=5)])


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (0, [0]),
        (1, [1]),
        (BODY_LINES_MAX - 1, [BODY_LINES_MAX - 1]),
        (BODY_LINES_MAX, [BODY_LINES_MAX, 0]),
        (BODY_LINES_MAX + 1, [BODY_LINES_MAX, 1]),
    ],
)
def test_lines_travel_in_order_in_pages_of_which_the_last_alone_is_not_full(count: int, sizes: list[int]) -> None:
    one = line(1)
    found = list(pages(msgspec.structs.replace(one, dec_seq=number) for number in range(count, 0, -1)))
    assert [len(page) for page in found] == sizes
    assert [is_last(page) for page in found] == [False] * (len(found) - 1) + [True]
    assert [each.dec_seq for page in found for each in page] == list(range(1, count + 1))


CLOSED = totals_of(OWN[:3], first_dec_seq=1)


@pytest.mark.parametrize(
    ("ours", "shown"),
    [
        (OWN[:3], []),
        (OWN[:2], OWN[2:3]),
        ([], OWN[:3]),
        ([line(2, value=7), *OWN[::2]], [OWN[1]]),
        ([*OWN[:3], line(4, value=9)], []),
    ],
)
def test_what_a_decider_shows_takes_the_place_of_ours_up_to_its_close(ours: list[Line], shown: list[Line]) -> None:
    assert decided(ours, shown, totals=CLOSED) == tuple(OWN[:3])


@pytest.mark.parametrize(
    ("ours", "shown"),
    [
        ([], []),
        (OWN[:2], []),
        (OWN[1:3], []),
        (OWN[:2], [line(3, value=301)]),
        (OWN[:2], [line(3, steps=2, value=300)]),
    ],
)
def test_lines_that_do_not_sum_to_a_close_are_not_behind_it(ours: list[Line], shown: list[Line]) -> None:
    assert decided(ours, shown, totals=CLOSED) is None


def test_nothing_is_behind_an_empty_close() -> None:
    assert decided(OWN[:2], [], totals=totals_of([], first_dec_seq=1)) == ()
    assert decided(OWN[:2], [], totals=totals_of([], first_dec_seq=3)) == ()


BODY = asked(2)
ANSWER = fulfil(BODY, dec_seq=2)


@pytest.mark.parametrize("ours", [None, line(2, value=7), line_of(BODY, ANSWER)])
@pytest.mark.parametrize("theirs", [None, line(2, value=8), line_of(BODY, ANSWER)])
def test_the_signed_fulfil_decides_whatever_either_side_has(ours: object, theirs: object) -> None:
    difference = LineDifference(source=AURORA.ledger, window=1, dec_seq=2, ours=ours, theirs=theirs)  # type: ignore[arg-type]
    assert standing(difference, [(BODY, ANSWER)]) == line_of(BODY, ANSWER)
    assert standing(difference, [(BODY, ANSWER), (BODY, ANSWER)]) == line_of(BODY, ANSWER)


def test_a_line_that_nobody_can_show_does_not_stand() -> None:
    difference = LineDifference(source=AURORA.ledger, window=1, dec_seq=2, ours=OWN[1], theirs=None)
    assert standing(difference, []) is None
    assert standing(difference, [(asked(3), fulfil(asked(3), dec_seq=3))]) is None
    assert standing(difference, [(BODY, fulfil(BODY, window=2, dec_seq=2))]) is None
    other = asked(2, source=BLUEBIRD)
    assert standing(difference, [(other, fulfil(other, dec_seq=2))]) is None


def test_of_two_signed_decisions_with_one_number_neither_stands() -> None:
    difference = LineDifference(source=AURORA.ledger, window=1, dec_seq=2, ours=OWN[1], theirs=None)
    second = asked(3)
    assert standing(difference, [(BODY, ANSWER), (second, fulfil(second, dec_seq=2))]) is None


def test_bodies_that_do_not_belong_together_decide_nothing() -> None:
    difference = LineDifference(source=AURORA.ledger, window=1, dec_seq=2, ours=OWN[1], theirs=None)
    with pytest.raises(StatementInvalid):
        standing(difference, [(asked(3), ANSWER)])
