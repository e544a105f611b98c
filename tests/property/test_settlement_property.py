"""Weeks of windows between two brands, settled by the written postings: nothing is lost, billed twice or rounded."""

from collections import Counter
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import StatementInvalid
from protocol.identifiers import Ledger
from protocol.settlement.differences import DifferenceKind, compare, narrow
from protocol.settlement.statements import Corrections, movements_of
from protocol.statement import (
    AdjustedLine,
    AdjustmentReason,
    Line,
    Statement,
    decode_signed_statement,
    decode_statement,
    encode_signed_statement,
    encode_statement,
    payment_of,
)
from tests.support.documents import AURORA, BLUEBIRD, WINDOWS, Side, agreement
from tests.support.mutations import damaged
from tests.support.settlement import disputed, line, lines, signed_statement, statement

BRANDS = (AURORA, BLUEBIRD)
VALUES = st.lists(st.integers(0, 30_000) | st.integers(0, 10**12), max_size=4)
MINOR_UNITS = st.sampled_from([1, 7, 10_000, 1_000_000, 999_983])


@dataclass(slots=True)
class Books:
    """One brand's money accounts with the other, moved as specs/settlement.md writes it; credits are positive."""

    ledger: Ledger
    balances: Counter[str] = field(default_factory=Counter)

    def move(self, debit: str, credit: str, amount: int) -> None:
        self.balances[debit] -= amount
        self.balances[credit] += amount

    def convert(self, one: Line) -> None:
        if one.source == self.ledger:
            self.move("conversion_cost", "payable", one.value)
        else:
            self.move("receivable", "conversion_income", one.value)

    def agree(self, document: Statement, previous: Statement | None) -> None:
        moved = movements_of(document, previous, ledger=self.ledger)
        self.move("payable", "due", moved.billed_out)
        self.move("due", "receivable", moved.billed_in)
        self.move("payable", "conversion_cost", moved.written_off_out)
        self.move("conversion_income", "receivable", moved.written_off_in)

    def settle(self, document: Statement) -> None:
        if document.payer == self.ledger:
            self.move("due", "paid", document.amount)
        elif document.payer is not None:
            self.move("paid", "due", document.amount)


@dataclass(slots=True)
class Pair:
    """Two brands that settle window after window, and all that ever was converted, disputed and billed."""

    books: tuple[Books, Books] = field(default_factory=lambda: (Books(AURORA.ledger), Books(BLUEBIRD.ledger)))
    previous: Statement | None = None
    open: list[Line] = field(default_factory=list)
    billed: list[Line] = field(default_factory=list)
    paid: int = 0

    def window(self, data: st.DataObject) -> None:
        fresh = [one for source in BRANDS for one in self.converted(source, data)]
        terms = agreement(windows=msgspec.structs.replace(WINDOWS, minor_unit=data.draw(MINOR_UNITS)))
        corrections = self.corrected(fresh, data)
        documents = [
            statement(own, previous=self.previous, corrections=corrections, terms=terms)
            for own in (fresh, data.draw(st.permutations(fresh)))
        ]
        assert compare(*documents) is None
        self.settle(documents[0])

    def converted(self, source: Side, data: st.DataObject) -> list[Line]:
        first = self.previous.bill(source.ledger).totals.last_dec_seq + 1 if self.previous else 1
        window = self.previous.window + 1 if self.previous else 1
        fresh = lines(first, data.draw(VALUES), source=source, window=window)
        for one in fresh:
            for books in self.books:
                books.convert(one)
        return fresh

    def corrected(self, fresh: list[Line], data: st.DataObject) -> Corrections:
        """Dispute some fresh lines, end some open disputes, take some billed lines back."""
        adjustments = []
        for one in [one for one in self.open if data.draw(st.booleans())]:
            self.open.remove(one)
            adjustments.append((one, ended(one, data)))
            self.billed += [one] if adjustments[-1][1].value == one.value else []
        for one in [one for one in self.billed if one.value and one not in dict(adjustments) and data.draw(rarely())]:
            self.billed.remove(one)
            adjustments.append((one, adjustment(one, AdjustmentReason.TAKEN_BACK, -one.value)))
        doubted = [one for one in fresh if data.draw(rarely())]
        self.open += doubted
        self.billed += [one for one in fresh if one not in doubted]
        return Corrections(
            disputed={who.ledger: [disputed(one) for one in doubted if one.source == who.ledger] for who in BRANDS},
            adjustments={who.ledger: [item for one, item in adjustments if one.source == who.ledger] for who in BRANDS},
        )

    def settle(self, document: Statement) -> None:
        assert decode_statement(encode_statement(document)) == document
        for books in self.books:
            books.agree(document, self.previous)
            books.settle(document)
        self.paid += document.amount if document.payer == AURORA.ledger else -document.amount
        self.previous = document
        self.check(document)

    def check(self, document: Statement) -> None:
        ours, theirs = (books.balances for books in self.books)
        assert sum(ours.values()) == sum(theirs.values()) == 0
        for name, mirrored in (
            ("payable", "receivable"),
            ("receivable", "payable"),
            ("due", "due"),
            ("paid", "paid"),
            ("conversion_cost", "conversion_income"),
            ("conversion_income", "conversion_cost"),
        ):
            assert ours[name] == -theirs[mirrored]
        assert ours["due"] == int(document.carry)
        assert abs(ours["due"]) < document.minor_unit
        assert ours["paid"] == self.paid
        assert ours["payable"] == sum(one.value for one in self.open if one.source == AURORA.ledger)
        assert ours["receivable"] == -sum(one.value for one in self.open if one.source == BLUEBIRD.ledger)


def rarely() -> st.SearchStrategy[bool]:
    return st.integers(0, 3).map(lambda number: number == 3)


def adjustment(one: Line, reason: AdjustmentReason, value: int) -> AdjustedLine:
    return AdjustedLine(window=one.window, dec_seq=one.dec_seq, id=one.id, value=value, reason=reason)


def ended(one: Line, data: st.DataObject) -> AdjustedLine:
    value = data.draw(st.sampled_from([0, one.value]) | st.integers(0, one.value))
    if value == one.value:
        return adjustment(one, AdjustmentReason.UPHELD, value)
    return adjustment(one, AdjustmentReason.REDUCED if value else AdjustmentReason.WAIVED, value)


@given(windows=st.integers(1, 8), data=st.data())
def test_what_was_paid_and_what_is_carried_is_what_was_owed_for_ever(windows: int, data: st.DataObject) -> None:
    pair = Pair()
    for _ in range(windows):
        pair.window(data)


@given(values=st.lists(st.lists(st.integers(-(10**9), 10**9), max_size=5), max_size=40), unit=st.integers(1, 10**6))
def test_payments_and_carry_sum_to_the_values_whatever_the_windows(values: list[list[int]], unit: int) -> None:
    parties = (AURORA.ledger, BLUEBIRD.ledger)
    paid = carry = 0
    for window in values:
        payment = payment_of(carry + sum(window), minor_unit=unit, parties=parties)
        amount = payment.minor_units * unit
        paid += amount if payment.payer == AURORA.ledger else -amount
        carry = payment.carry
        assert abs(carry) < unit
        assert (payment.payer is None) == (amount == 0)
    assert paid + carry == sum(map(sum, values))


@given(values=st.lists(st.integers(0, 10**9), min_size=1, max_size=12), data=st.data())
def test_any_difference_between_two_sides_is_narrowed_to_its_lines(values: list[int], data: st.DataObject) -> None:
    whole = lines(1, values)
    lost = set(data.draw(st.lists(st.sampled_from(whole).map(lambda one: one.dec_seq), unique=True)))
    dearer = set(data.draw(st.lists(st.sampled_from(whole).map(lambda one: one.dec_seq), unique=True))) - lost
    ours = [one for one in whole if one.dec_seq not in lost]
    theirs = [line(one.dec_seq, value=one.value + 1) if one.dec_seq in dearer else one for one in whole]
    found = {one.dec_seq: one.kind for one in narrow(ours, theirs)}
    assert found == dict.fromkeys(lost, DifferenceKind.MISSING_HERE) | dict.fromkeys(dearer, DifferenceKind.TERMS)
    mirrored = {one.dec_seq: one.kind for one in narrow(theirs, ours)}
    assert mirrored == dict.fromkeys(lost, DifferenceKind.MISSING_THERE) | dict.fromkeys(dearer, DifferenceKind.TERMS)


DOCUMENT = statement([*lines(1, [5, 20_000]), *lines(1, [7], source=BLUEBIRD)])
SIGNED_BYTES = encode_signed_statement(signed_statement(DOCUMENT))


@given(data=st.binary(max_size=200) | damaged(encode_statement(DOCUMENT)))
def test_any_bytes_are_a_statement_or_refused(data: bytes) -> None:
    try:
        document = decode_statement(data)
    except StatementInvalid:
        return
    assert encode_statement(document) == data


@given(data=st.binary(max_size=200) | damaged(SIGNED_BYTES))
def test_any_bytes_are_a_signed_statement_or_refused(data: bytes) -> None:
    try:
        signed = decode_signed_statement(data)
    except StatementInvalid:
        return
    assert encode_signed_statement(signed) == data


def test_the_books_see_a_statement_that_is_wrong() -> None:
    pair = Pair()
    fresh = lines(1, [25_001])
    for books in pair.books:
        books.convert(fresh[0])
    pair.settle(statement(fresh))
    wrong = msgspec.structs.replace(statement(previous=pair.previous), carry="5000")
    with pytest.raises(StatementInvalid):
        pair.settle(wrong)
    with pytest.raises(AssertionError):
        pair.check(wrong)
