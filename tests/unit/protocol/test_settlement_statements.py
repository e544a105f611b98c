from collections.abc import Callable

import msgspec
import pytest

from protocol.agreement import agreement_digest
from protocol.errors import StatementInvalid
from protocol.identifiers import Asset
from protocol.settlement.statements import Corrections, Movements, check_follows, compute_statement, movements_of
from protocol.statement import AdjustedLine, AdjustmentReason, DisputeReason, Line, Statement
from tests.support.documents import AURORA, BLUEBIRD, COPPER, agreement, digest, uuid
from tests.support.settlement import AGREEMENT, checkpoints, close, disputed, line, lines, statement

OUT = lines(1, [2_500_000, 7_500_000, 1])
IN = lines(1, [4_000_000], source=BLUEBIRD)
DISPUTES = Corrections(
    disputed={AURORA.ledger: [disputed(OUT[1]), disputed(OUT[0])], BLUEBIRD.ledger: [disputed(IN[0])]}
)
FIRST = statement([*IN, *OUT], corrections=DISPUTES)


def ended(about: Line, reason: AdjustmentReason, value: int) -> AdjustedLine:
    return AdjustedLine(window=about.window, dec_seq=about.dec_seq, id=about.id, value=value, reason=reason)


def after(*adjustments: AdjustedLine, source: str = AURORA.ledger) -> Statement:
    found = {AURORA.ledger: adjustments} if source == AURORA.ledger else {BLUEBIRD.ledger: adjustments}
    return statement(previous=FIRST, corrections=Corrections(adjustments=found))


def test_both_sides_compute_the_same() -> None:
    assert statement([*OUT[::-1], *IN], corrections=DISPUTES) == FIRST


def test_a_statement_names_what_it_rests_on() -> None:
    assert FIRST.agreements == (agreement_digest(AGREEMENT),)
    assert (FIRST.currency, FIRST.minor_unit) == ("USD", 10_000)
    assert FIRST.due_at == "2026-03-07T00:00:00.000000Z"
    assert FIRST.checkpoints == checkpoints(1)
    assert [bill.totals.count for bill in FIRST.directions] == [3, 1]
    assert [one.dec_seq for one in FIRST.directions[0].disputed] == [1, 2]


def test_the_payment_is_due_from_the_later_close() -> None:
    closes = (
        close(AURORA, (), closed_at="2026-03-02T00:00:00.000000Z"),
        close(BLUEBIRD, (), closed_at="2026-03-02T00:00:01.000000Z"),
    )
    document = compute_statement((), agreement=AGREEMENT, closes=closes, checkpoints=checkpoints(), previous=None)
    assert document.due_at == "2026-03-07T00:00:01.000000Z"
    with pytest.raises(StatementInvalid):
        compute_statement((), agreement=AGREEMENT, closes=closes[::-1], checkpoints=checkpoints(), previous=None)


def test_every_agreement_that_a_line_cites_is_named() -> None:
    older = msgspec.structs.replace(line(1), agreement=digest("older"))
    assert set(statement([older]).agreements) == {digest("older"), agreement_digest(AGREEMENT)}


@pytest.mark.parametrize(
    "wrong",
    [
        line(1, window=2),
        msgspec.structs.replace(line(1), destination=COPPER.ledger),
        msgspec.structs.replace(line(1), source=COPPER.ledger),
        msgspec.structs.replace(line(1), currency=Asset("EUR")),
        line(2),
    ],
)
def test_a_line_that_does_not_belong_is_refused(wrong: Line) -> None:
    with pytest.raises(StatementInvalid):
        statement([wrong])


@pytest.mark.parametrize(
    "wrong",
    [
        disputed(line(4)),
        disputed(line(1, window=2)),
        msgspec.structs.replace(disputed(OUT[0]), value=1),
        msgspec.structs.replace(disputed(OUT[0]), id=uuid("another")),
    ],
)
def test_only_a_line_of_the_window_can_be_disputed(wrong: object) -> None:
    with pytest.raises(StatementInvalid):
        statement(OUT, corrections=Corrections(disputed={AURORA.ledger: [wrong]}))  # type: ignore[list-item]


def test_a_dispute_stays_until_it_ends() -> None:
    second = statement(previous=FIRST)
    third = statement(previous=second)
    assert third.directions[0].disputed == second.directions[0].disputed == FIRST.directions[0].disputed
    assert third.net == FIRST.carry == second.net


@pytest.mark.parametrize(
    ("reason", "value", "written_off"),
    [
        (AdjustmentReason.UPHELD, 7_500_000, 0),
        (AdjustmentReason.REDUCED, 5_000_000, 2_500_000),
        (AdjustmentReason.WAIVED, 0, 7_500_000),
    ],
)
def test_a_dispute_ends_in_one_of_three_ways(reason: AdjustmentReason, value: int, written_off: int) -> None:
    document = after(ended(OUT[1], reason, value))
    assert document.directions[0].owed(2) == value
    assert [one.dec_seq for one in document.directions[0].disputed] == [1]
    assert movements_of(document, FIRST, ledger=AURORA.ledger) == Movements(
        billed_out=value, billed_in=0, written_off_out=written_off, written_off_in=0
    )
    assert movements_of(document, FIRST, ledger=BLUEBIRD.ledger) == Movements(
        billed_out=0, billed_in=value, written_off_out=0, written_off_in=written_off
    )


def test_a_billed_line_can_be_taken_back() -> None:
    document = after(ended(OUT[2], AdjustmentReason.TAKEN_BACK, -1))
    assert document.directions[0].owed(2) == -1
    moved = movements_of(document, FIRST, ledger=AURORA.ledger)
    assert (moved.billed_out, moved.written_off_out) == (-1, 1)


def test_the_first_statement_moves_what_is_not_in_dispute() -> None:
    assert movements_of(FIRST, None, ledger=AURORA.ledger) == Movements(
        billed_out=1, billed_in=0, written_off_out=0, written_off_in=0
    )


@pytest.mark.parametrize(
    "wrong",
    [
        ended(OUT[1], AdjustmentReason.UPHELD, 7_499_999),
        ended(OUT[1], AdjustmentReason.REDUCED, 7_500_000),
        ended(OUT[1], AdjustmentReason.REDUCED, 0),
        ended(OUT[1], AdjustmentReason.WAIVED, 1),
        ended(OUT[1], AdjustmentReason.TAKEN_BACK, -1),
        ended(OUT[2], AdjustmentReason.UPHELD, 1),
        ended(OUT[2], AdjustmentReason.WAIVED, 0),
        ended(msgspec.structs.replace(OUT[1], id=uuid("another")), AdjustmentReason.UPHELD, 7_500_000),
    ],
)
def test_an_adjustment_fits_its_dispute_and_no_line_is_billed_twice(wrong: AdjustedLine) -> None:
    with pytest.raises(StatementInvalid):
        after(wrong)


def test_a_line_whose_dispute_ended_cannot_be_billed_again() -> None:
    upheld = ended(OUT[1], AdjustmentReason.UPHELD, 7_500_000)
    second = after(upheld)
    with pytest.raises(StatementInvalid):
        statement(previous=second, corrections=Corrections(adjustments={AURORA.ledger: [upheld]}))


def with_bill(document: Statement, **fields: object) -> Statement:
    first, second = document.directions
    return msgspec.structs.replace(document, directions=(msgspec.structs.replace(first, **fields), second))


SECOND = statement(lines(4, [1], window=2), previous=FIRST)
BREAKS: dict[str, Callable[[], Statement]] = {
    "network": lambda: msgspec.structs.replace(SECOND, network="0" * 32),
    "parties": lambda: msgspec.structs.replace(SECOND, parties=(AURORA.ledger, COPPER.ledger)),
    "currency": lambda: msgspec.structs.replace(SECOND, currency="EUR"),
    "window": lambda: msgspec.structs.replace(SECOND, window=3),
    "previous": lambda: msgspec.structs.replace(SECOND, previous=digest("another")),
    "no previous": lambda: msgspec.structs.replace(SECOND, previous=None),
    "carry": lambda: msgspec.structs.replace(SECOND, opening_carry="0"),
    "numbers": lambda: with_bill(
        SECOND, totals=msgspec.structs.replace(SECOND.directions[0].totals, first_dec_seq=5, last_dec_seq=5)
    ),
    "close": lambda: with_bill(SECOND, closed_at="2026-03-01T00:00:00.000000Z"),
    "a dispute lost": lambda: with_bill(SECOND, disputed=SECOND.directions[0].disputed[:1]),
    "a dispute's value": lambda: with_bill(
        SECOND,
        disputed=(
            msgspec.structs.replace(SECOND.directions[0].disputed[0], value=1),
            *SECOND.directions[0].disputed[1:],
        ),
    ),
    "a shorter log": lambda: msgspec.structs.replace(
        SECOND, checkpoints=(msgspec.structs.replace(SECOND.checkpoints[0], size=99), SECOND.checkpoints[1])
    ),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_a_statement_follows_the_one_before(broken: str) -> None:
    check_follows(SECOND, FIRST)
    with pytest.raises(StatementInvalid):
        check_follows(BREAKS[broken](), FIRST)


def test_another_reason_for_the_same_dispute_changes_nothing() -> None:
    kept = SECOND.directions[0].disputed
    restated = tuple(msgspec.structs.replace(one, reason=DisputeReason.OTHER) for one in kept)
    check_follows(with_bill(SECOND, disputed=restated), FIRST)


def test_the_first_statement_follows_none() -> None:
    check_follows(FIRST, None)
    with pytest.raises(StatementInvalid):
        check_follows(SECOND, None)
    started_late = msgspec.structs.replace(FIRST.directions[0].totals, first_dec_seq=2, last_dec_seq=4)
    with pytest.raises(StatementInvalid):
        check_follows(with_bill(FIRST, totals=started_late), None)


def test_a_currency_is_for_good() -> None:
    with pytest.raises(StatementInvalid):
        statement(previous=FIRST, terms=agreement(currency=Asset("EUR")))
