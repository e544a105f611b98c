"""Settlement between two nodes: windows close, statements are agreed, paid and confirmed; disputes move lines."""

import csv
from io import StringIO

import pytest

from node.services.refusals import NodeRefusal
from node.services.requests import ConfirmationRequest, DisputeRequest, PaymentRequest
from node.services.settlement.adjusting import Adjustment
from node.services.settlement.signing import REVIEW_SECONDS, Signing
from protocol.encoding import ZERO_DIGEST
from protocol.errors import Code, Refusal
from protocol.identifiers import Digest, Id, partner_of
from protocol.ledger.state import STATEMENTS, StatementRecord
from protocol.statement import AdjustmentReason, encode_signed_statement
from tests.support.documents import USD, uuid
from tests.support.nodes import Alliance, convert
from tests.support.settling import Settler, settlers, work

DAY = 86_400


def agreed(party: Settler, other: Settler, window: int = 1) -> StatementRecord:
    record = party.node.reader.record(STATEMENTS, (other.node.ledger, window))
    assert record is not None
    return record


def due(party: Settler, other: Settler) -> int:
    return party.node.balance(f"due/{partner_of(other.node.ledger)}", USD)


def settle(nodes: Alliance, one: Settler, other: Settler, window: int = 1) -> None:
    digest = agreed(one, other, window).digest
    payer = agreed(one, other, window).signed.statement.payer
    pays, takes = (one, other) if payer == one.node.ledger else (other, one)
    pays.service.pay(PaymentRequest(id=uuid(f"pay {window}"), statement=digest, reference="RF 1")).result()
    nodes.talk()
    takes.service.confirm(ConfirmationRequest(id=uuid(f"confirm {window}"), statement=digest)).result()
    nodes.talk()


def dispute(party: Settler, other: Settler, *lines: Id, direction: str = "out", window: int = 1) -> DisputeRequest:
    assert direction in {"out", "in"}
    return DisputeRequest(
        id=uuid(f"dispute {party.node.ledger} {window}"),
        partner=other.node.ledger,
        window=window,
        direction="out" if direction == "out" else "in",
        lines=lines,
        reason="terms",
    )


def test_conversions_are_closed_agreed_paid_and_confirmed(two: Alliance) -> None:
    one, other = settlers(two)
    convert(one.node, other.node)
    convert(other.node, one.node, name="back", amount=500)
    two.talk()
    (window,) = one.service.windows().windows
    assert (window.state, window.sent.count, window.received.count) == ("open", 1, 1)
    two.clock.advance(DAY)
    work(two, one, other)
    ours, theirs = agreed(one, other), agreed(other, one)
    assert encode_signed_statement(ours.signed) == encode_signed_statement(theirs.signed)
    assert [row.state for row in one.service.statements().statements] == ["agreed"]
    settle(two, one, other)
    assert [each.service.statement(ours.digest).state for each in (one, other)] == ["confirmed", "confirmed"]
    carry = int(ours.signed.statement.carry)
    assert (due(one, other), due(other, one)) == (carry, -carry)
    for each in (one, other):
        assert each.node.replay()


def test_an_early_close_is_answered_and_repeated_alike(two: Alliance) -> None:
    one, other = settlers(two)
    convert(one.node, other.node)
    two.talk()
    first = other.service.close(one.node.ledger, 1).result()
    assert other.service.close(one.node.ledger, 1).result() == first
    two.talk()
    states = [window.state for window in one.service.windows().windows]
    assert states == ["open", "reconciled"]
    work(two, one, other)
    assert agreed(one, other).digest == agreed(other, one).digest
    with pytest.raises(Refusal, match="the window open"):
        one.service.close(other.node.ledger, 7).result()


def test_the_worker_does_nothing_twice_and_never_pays(two: Alliance) -> None:
    one, other = settlers(two)
    convert(one.node, other.node)
    two.talk()
    two.clock.advance(DAY)
    work(two, one, other)
    sizes = [each.node.engine.size for each in (one, other)]
    work(two, one, other)
    assert [each.node.engine.size for each in (one, other)] == sizes
    assert [window.state for window in one.service.windows().windows] == ["open", "agreed"]


def test_a_disputed_line_moves_to_the_next_statement(two: Alliance) -> None:
    one, other = settlers(two)
    disputed, kept = convert(one.node, other.node), convert(one.node, other.node, name="kept")
    two.talk()
    one.service.dispute(dispute(one, other, disputed)).result()
    two.talk()
    one.service.close(other.node.ledger, 1).result()
    two.talk()
    work(two, one, other)
    bill = agreed(other, one).signed.statement.bill(one.node.ledger)
    assert [line.id for line in bill.disputed] == [disputed]
    rows = list(csv.DictReader(StringIO(other.service.statement_csv(agreed(one, other).digest))))
    kinds = {row["conversion"]: row["kind"] for row in rows}
    assert kinds == {disputed: "disputed", kept: "billed"}
    assert sum(int(row["value_millionths"]) for row in rows if row["kind"] != "disputed") == bill.owed(1)
    assert disputed in one.service.statement_page(agreed(one, other).digest)
    settle(two, one, other)

    two.clock.advance(DAY)
    work(two, one, other)
    assert one.service.windows().windows[1].state == "reconciled"
    upheld = Adjustment(conversion=disputed, reason=AdjustmentReason.UPHELD)
    proposed = one.service.sign(other.node.ledger, 2, Signing(adjustments=[upheld])).result()
    assert one.service.sign(other.node.ledger, 2, Signing(adjustments=[upheld])).result() == proposed
    with pytest.raises(Refusal) as refused:
        one.service.sign(other.node.ledger, 2)
    assert refused.value.code == Code.WINDOW_AGREED
    work(two, one, other)
    assert other.service.windows().windows[1].state == "reconciled"
    other.service.sign(one.node.ledger, None, Signing(adjustments=[upheld])).result()
    two.talk()
    second = agreed(one, other, 2).signed.statement.bill(one.node.ledger)
    assert (second.owed(2), second.disputed) == (bill.disputed[0].value, ())
    rows = list(csv.DictReader(StringIO(one.service.statement_csv(agreed(one, other, 2).digest))))
    assert [(row["kind"], row["reason"]) for row in rows] == [("adjusted", "upheld")]
    settle(two, one, other, 2)
    assert due(one, other) == int(agreed(one, other, 2).signed.statement.carry) == -due(other, one)


def test_a_dispute_that_nobody_ends_is_listed_again_after_a_day(two: Alliance) -> None:
    one, other = settlers(two)
    disputed = convert(one.node, other.node)
    two.talk()
    other.service.dispute(dispute(other, one, disputed, direction="in")).result()
    two.talk()
    for window in (1, 2):
        one.service.close(other.node.ledger, window).result()
        two.talk()
        work(two, one, other)
    assert one.service.windows().windows[1].state == "reconciled"
    two.clock.advance(REVIEW_SECONDS)
    work(two, one, other)
    bill = agreed(one, other, 2).signed.statement.bill(one.node.ledger)
    assert [line.id for line in bill.disputed] == [disputed]


def test_what_cannot_be_is_refused(two: Alliance) -> None:
    one, other = settlers(two)
    convert(one.node, other.node)
    two.talk()
    with pytest.raises(Refusal) as refused:
        one.service.dispute(dispute(one, other, uuid("nothing")))
    assert refused.value.code == Code.LINE_UNKNOWN
    for signs, partner in ((one, other), (other, one)):
        with pytest.raises(Refusal):
            signs.service.sign(partner.node.ledger)
    with pytest.raises(NodeRefusal):
        one.service.statement(Digest(ZERO_DIGEST))
    one.service.close(other.node.ledger, 1).result()
    two.talk()
    ended = Adjustment(conversion=uuid("nothing"), reason=AdjustmentReason.WAIVED)
    with pytest.raises(Refusal) as refused:
        one.service.sign(other.node.ledger, 1, Signing(adjustments=[ended]))
    assert refused.value.code == Code.LINE_UNKNOWN
    work(two, one, other)
    takes = other if agreed(one, other).signed.statement.payer == one.node.ledger else one
    payment = PaymentRequest(id=uuid("wrong"), statement=agreed(one, other).digest, reference="RF 1")
    with pytest.raises(Refusal) as refused:
        takes.service.pay(payment).result()
    assert refused.value.code == Code.PAYMENT_MISMATCH


def test_an_empty_window_is_agreed_and_done_with(two: Alliance) -> None:
    one, other = settlers(two)
    one.service.close(other.node.ledger, 1).result()
    two.talk()
    work(two, one, other)
    record = agreed(one, other)
    assert record.signed.statement.payer is None
    assert one.service.statement(record.digest).state == "confirmed"
    assert "nothing is paid" in one.service.statement_page(record.digest)
    assert "(decisions" not in one.service.statement_page(record.digest)
    assert "In dispute" not in other.service.statement_page(record.digest)


def test_a_dispute_ends_at_a_reduced_value(two: Alliance) -> None:
    one, other = settlers(two)
    disputed = convert(one.node, other.node)
    two.talk()
    one.service.dispute(dispute(one, other, disputed)).result()
    two.talk()
    for window in (1, 2):
        one.service.close(other.node.ledger, window).result()
        two.talk()
        work(two, one, other)
    reduced = Adjustment(conversion=disputed, reason=AdjustmentReason.REDUCED, value=1_000_000)
    waived = Adjustment(conversion=disputed, reason=AdjustmentReason.WAIVED)
    one.service.sign(other.node.ledger, 2, Signing(adjustments=[reduced])).result()
    two.talk()
    with pytest.raises(Refusal) as refused:
        other.service.sign(one.node.ledger, 2, Signing(adjustments=[waived]))
    assert refused.value.code == Code.STATEMENT_MISMATCH
    other.service.sign(one.node.ledger, 2, Signing(adjustments=[reduced])).result()
    two.talk()
    assert agreed(one, other, 2).signed.statement.bill(one.node.ledger).owed(2) == 1_000_000
