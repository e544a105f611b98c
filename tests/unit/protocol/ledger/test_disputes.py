from collections.abc import Callable

import msgspec
import pytest

from protocol.errors import Code
from protocol.identifiers import Asset
from protocol.ledger import commands
from protocol.ledger.state import EXPOSURE, IN, OUT
from protocol.limits import INTEGER_MAX
from protocol.messages import Dispute
from protocol.settlement.states import WindowState
from protocol.statement import LINES_MAX, AdjustmentReason, DisputeReason, Line
from protocol.window_entries import DisputeReceived, LinesDisputed
from tests.support.documents import COPPER, digest, uuid
from tests.support.ledger import Pair, convert, order, pair_of, receive, refused
from tests.support.settled import both_ways, doubt, rejected_and_credited
from tests.support.windows import (
    adjusted,
    agree,
    close_both,
    compute,
    dispute,
    disputed,
    line_record,
    money,
    propose,
    settle,
    state,
    take,
    window,
)


def converted(*, points: int = 10_000) -> Pair:
    """Return a pair with two lines out of the source and one back."""
    pair = pair_of(points=points)
    both_ways(pair, "a", out=800)
    convert(pair.source, pair.destination, pair.sender, 400, name="b")
    return pair


def raw(pair: Pair, **fields: object) -> Dispute:
    """Return the destination's dispute of the source's first line, with other `fields`."""
    one, other = pair.source, pair.destination
    sealed = dispute(other, one, disputed(other, one, IN, 1), source=one.name)
    body = other.body(sealed)
    assert isinstance(body, Dispute)
    return msgspec.structs.replace(body, **fields)


def test_a_line_may_be_disputed_while_the_window_is_open() -> None:
    pair = converted()
    one, other = pair.source, pair.destination
    take(other, one.body(dispute(one, other, disputed(one, other, OUT, 2), source=one.name)))
    assert line_record(one, other, OUT, 2).dispute == line_record(other, one, IN, 2).dispute
    assert state(one, other, 1) == state(other, one, 1) == WindowState.OPEN
    close_both(one, other, 1)
    document = agree(one, other, 1)
    assert [line.dec_seq for line in document.directions[0].disputed] == [2]


def test_disputes_of_both_sides_add_up_in_order_and_the_first_partys_reason_stands() -> None:
    pair = converted()
    one, other = pair.source, pair.destination
    ours = [disputed(one, other, OUT, 2), disputed(one, other, OUT, 1, reason=DisputeReason.TERMS)]
    theirs = disputed(other, one, IN, 1, reason=DisputeReason.LATE)
    there = [one.body(dispute(one, other, line, source=one.name)) for line in ours]
    back = other.body(dispute(other, one, theirs, source=one.name))
    take(one, back)
    for body in there:
        take(other, body)
    for ledger, partner in ((one, other), (other, one)):
        record = window(ledger, partner, 1)
        lines = record.disputed_out if ledger is one else record.disputed_in
        assert [(line.dec_seq, line.reason) for line in lines] == [
            (1, DisputeReason.TERMS),
            (2, DisputeReason.NOT_CREDITED),
        ]
    close_both(one, other, 1)
    agree(one, other, 1)


def test_window_agreed_where_the_statement_is_signed() -> None:
    pair = converted()
    one, other = pair.source, pair.destination
    close_both(one, other, 1)
    line = disputed(one, other, OUT, 1)
    propose(one, other, compute(one, other, 1))
    with refused(Code.WINDOW_AGREED, one):
        dispute(one, other, line, source=one.name)
    # The second party has not signed: its dispute voids the proposal, and the first may dispute again.
    take(one, other.body(dispute(other, one, line, source=one.name)))
    assert window(one, other, 1).proposed is None
    take(other, one.body(dispute(one, other, disputed(one, other, OUT, 2), source=one.name)))
    agree(one, other, 1)
    with refused(Code.WINDOW_AGREED, other):
        dispute(other, one, disputed(other, one, OUT, 1), source=other.name)


def test_line_disputed_where_it_is_in_dispute_already() -> None:
    pair = converted()
    one, other = pair.source, pair.destination
    line = disputed(one, other, OUT, 1)
    dispute(one, other, line, source=one.name)
    entry = one.sealed[-1].entry
    with refused(Code.LINE_DISPUTED, one):
        one.judge(msgspec.structs.replace(entry, id=uuid("again")))


@pytest.mark.parametrize(
    "fields",
    [{"dec_seq": 9}, {"id": uuid("another")}, {"value": 1}, {"window": 2}],
)
def test_line_unknown_where_there_is_no_such_line(fields: dict[str, object]) -> None:
    pair = converted()
    one, other = pair.source, pair.destination
    line = msgspec.structs.replace(disputed(one, other, OUT, 1), **fields)
    with refused(Code.LINE_UNKNOWN, one):
        dispute(one, other, line, source=one.name)


def test_line_unknown_where_a_line_is_of_another_window() -> None:
    pair = converted()
    one, other = pair.source, pair.destination
    close_both(one, other, 1)
    command = commands.DisputeLines(
        id=uuid("wrong"), partner=other.name, window=2, source=one.name, lines=(disputed(one, other, OUT, 1),)
    )
    with refused(Code.LINE_UNKNOWN, one):
        one.execute(command)


def test_line_unknown_where_lines_are_not_in_order() -> None:
    pair = converted()
    one, other = pair.source, pair.destination
    lines = [disputed(one, other, OUT, number) for number in (1, 2)]
    for wrong in (lines[::-1], [lines[0], lines[0]]):
        with refused(Code.LINE_UNKNOWN, one):
            dispute(one, other, *wrong, source=one.name)


def test_partner_mismatch_where_the_source_is_neither_of_both() -> None:
    pair = converted()
    one, other = pair.source, pair.destination
    with refused(Code.PARTNER_MISMATCH, one):
        dispute(one, other, disputed(one, other, OUT, 1), source=COPPER.ledger)
    with refused(Code.PARTNER_MISMATCH, one):
        take(one, raw(pair, source=COPPER.ledger))


def test_lines_too_many_where_a_statement_could_not_list_them() -> None:
    pair = pair_of(points=400 * (LINES_MAX + 1))
    one, other = pair.source, pair.destination
    for number in range(LINES_MAX + 1):
        convert(one, other, pair.sender, 400, name=f"{number}")
    lines = [disputed(one, other, OUT, number) for number in range(1, LINES_MAX + 2)]
    dispute(one, other, *lines[:LINES_MAX], source=one.name)
    with refused(Code.LINES_TOO_MANY, one):
        dispute(one, other, lines[-1], source=one.name)


def test_decision_mismatch_where_an_entry_does_not_cite_its_dispute() -> None:
    pair = converted()
    take(pair.source, raw(pair))
    entry = pair.source.sealed[-1].entry
    assert isinstance(entry, DisputeReceived)
    fresh = converted().source
    for fields in ({"dispute": digest("x"), "id": f"received/{digest('x')}"}, {"request": digest("x")}):
        with refused(Code.DECISION_MISMATCH, fresh):
            fresh.judge(msgspec.structs.replace(entry, **fields))


def test_a_line_that_was_rejected_and_credited_is_entered_in_dispute_and_waived() -> None:
    pair = converted()
    one, other = pair.source, pair.destination
    claimed = rejected_and_credited(pair)
    close_both(one, other, 1)
    assert (state(one, other, 1), state(other, one, 1)) == (WindowState.MISMATCH, WindowState.RECONCILED)
    before = money(one, "payable", other)
    take(other, one.body(dispute(one, other, doubt(claimed), source=one.name, entered=(claimed,))))
    assert state(one, other, 1) == WindowState.RECONCILED
    assert money(one, "payable", other) == before + claimed.value
    exposure = one.state.get(EXPOSURE, (other.name, OUT))
    assert exposure is not None
    assert exposure.open_value == before + claimed.value
    agree(one, other, 1)
    settle(pair, 1)
    close_both(one, other, 2)
    waived = adjusted(doubt(claimed), AdjustmentReason.WAIVED, 0)
    agree(one, other, 2, {one.name: [waived]})
    settle(pair, 2)
    assert money(one, "payable", other) == money(other, "receivable", one) == 0
    exposure = one.state.get(EXPOSURE, (other.name, OUT))
    assert exposure is not None
    assert exposure.open_value == 0


def claimed_by(**fields: object) -> Callable[[Line], Line]:
    return lambda line: msgspec.structs.replace(line, **fields)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (claimed_by(destination=COPPER.ledger), Code.LINE_UNKNOWN),
        (claimed_by(source=COPPER.ledger), Code.LINE_UNKNOWN),
        (claimed_by(currency=Asset("EUR")), Code.LINE_UNKNOWN),
        (claimed_by(window=2), Code.LINE_UNKNOWN),
        (claimed_by(id=uuid("not in dispute")), Code.LINE_UNKNOWN),
        (claimed_by(agreement=digest("unknown")), Code.AGREEMENT_UNKNOWN),
    ],
)
def test_line_unknown_where_an_entered_line_is_not_ours(change: Callable[[Line], Line], code: Code) -> None:
    pair = converted()
    one, other = pair.source, pair.destination
    claimed = rejected_and_credited(pair)
    with refused(code, one):
        dispute(one, other, doubt(claimed), source=one.name, entered=(change(claimed),))


def test_line_unknown_where_the_partners_own_conversion_is_entered() -> None:
    pair = converted()
    one, other = pair.source, pair.destination
    claimed = rejected_and_credited(pair)
    with refused(Code.LINE_UNKNOWN, one):
        dispute(one, other, doubt(claimed), source=other.name, entered=(claimed,))


def test_conversion_exists_where_an_entered_line_can_still_be_captured_or_was() -> None:
    pair = converted()
    one, other = pair.source, pair.destination
    asked = order(one, other.name, pair.sender, 400, name="waiting")
    receive(other, one.body(asked))
    torn = rejected_and_credited(pair)
    for name in ("waiting", "a out"):
        line = msgspec.structs.replace(torn, id=uuid(name))
        with refused(Code.CONVERSION_EXISTS, one):
            dispute(one, other, doubt(line), source=one.name, entered=(line,))


def test_decision_mismatch_where_an_entered_line_takes_a_number_twice() -> None:
    pair = converted()
    one, other = pair.source, pair.destination
    claimed = msgspec.structs.replace(rejected_and_credited(pair), dec_seq=1)
    with refused(Code.DECISION_MISMATCH, one):
        dispute(one, other, doubt(claimed), source=one.name, entered=(claimed,))


def test_an_entered_line_may_be_of_a_conversion_that_was_never_ordered() -> None:
    pair = converted()
    one, other = pair.source, pair.destination
    claimed = msgspec.structs.replace(rejected_and_credited(pair), id=uuid("invented"))
    entry = dispute(one, other, doubt(claimed), source=one.name, entered=(claimed,)).entry
    assert isinstance(entry, LinesDisputed)
    assert len(entry.postings) == 2


def test_balance_overflow_where_entered_lines_sum_to_more_than_an_entry_states() -> None:
    pair = converted()
    one, other = pair.source, pair.destination
    claimed = rejected_and_credited(pair)
    lines = tuple(
        msgspec.structs.replace(claimed, id=uuid(f"{number}"), dec_seq=number, value=INTEGER_MAX)
        for number in range(10, 19)
    )
    with refused(Code.BALANCE_OVERFLOW, one):
        dispute(one, other, *map(doubt, lines), source=one.name, entered=lines)


def test_postings_invalid_where_an_entered_line_posts_something_else() -> None:
    pair = converted()
    one, other = pair.source, pair.destination
    claimed = rejected_and_credited(pair)
    dispute(one, other, doubt(claimed), source=one.name, entered=(claimed,))
    entry = one.sealed.pop().entry
    fresh = converted()
    rejected_and_credited(fresh)
    with refused(Code.POSTINGS_INVALID, fresh.source):
        fresh.source.judge(msgspec.structs.replace(entry, postings=()))


def test_partner_unknown_where_a_dispute_is_with_a_stranger() -> None:
    pair = converted()
    one, other = pair.source, pair.destination
    line = disputed(one, other, OUT, 1)
    command = commands.DisputeLines(id=uuid("wrong"), partner=COPPER.ledger, window=1, source=one.name, lines=(line,))
    with refused(Code.PARTNER_UNKNOWN, one):
        one.execute(command)
