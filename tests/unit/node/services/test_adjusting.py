"""Lines given back once they were billed, payments that came back, proposals as others read them, pages of lists."""

import csv
from io import StringIO

import pytest

from node.services.refusals import NodeRefusal
from node.services.requests import ConfirmationRequest, DisputeRequest, PaymentRequest, ReturnRequest
from node.services.settlement.adjusting import Adjustment
from node.services.settlement.settlement_views import WindowView
from node.services.settlement.signing import Signing
from protocol.encoding import ZERO_DIGEST
from protocol.errors import Code, Refusal
from protocol.identifiers import Digest, Id, Ledger, partner_of
from protocol.ledger.state import IN, LINES, OUT, STATEMENTS, StatementRecord
from protocol.statement import AdjustmentReason, Statement
from tests.support.documents import USD, uuid
from tests.support.nodes import Alliance, convert
from tests.support.settling import Settler, settlers, work


def statement(party: Settler, other: Settler, window: int = 1) -> StatementRecord:
    record = party.node.reader.record(STATEMENTS, (other.node.ledger, window))
    assert record is not None
    return record


def closed(nodes: Alliance, one: Settler, other: Settler, window: int) -> None:
    one.service.close(other.node.ledger, window).result()
    nodes.talk()


def taken_back(*conversions: Id, value: int | None = None) -> Signing:
    reason = AdjustmentReason.TAKEN_BACK
    return Signing(adjustments=[Adjustment(conversion=each, reason=reason, value=value) for each in conversions])


def signed(nodes: Alliance, one: Settler, other: Settler, *, window: int, signing: Signing) -> Statement:
    """Let the first party propose a statement with adjustments and the second, who has read it, agree."""
    one.service.sign(other.node.ledger, window, signing).result()
    nodes.talk()
    (proposal,) = other.service.proposals(one.node.ledger).proposals
    other.service.sign(one.node.ledger, None, Signing(proposal=Digest(proposal.digest))).result()
    nodes.talk()
    return statement(one, other, window).signed.statement


def both_ways(nodes: Alliance, one: Settler, other: Settler) -> tuple[Id, Id]:
    """Bill a conversion each way in window 1, and close window 2."""
    there, back = convert(one.node, other.node, name="there"), convert(other.node, one.node, name="back", amount=500)
    nodes.talk()
    closed(nodes, one, other, 1)
    work(nodes, one, other)
    closed(nodes, one, other, 2)
    return there, back


def test_what_was_billed_is_given_back_whole_and_in_part_and_not_twice(two: Alliance) -> None:
    one, other = settlers(two)
    there, back = both_ways(two, one, other)
    billed = statement(one, other).signed.statement
    second = signed(two, one, other, window=2, signing=taken_back(there, back))
    values = [bill.owed(1) for bill in billed.directions]
    assert [bill.owed(2) for bill in second.directions] == [-value for value in values]
    assert int(second.net) == int(billed.carry) - values[0] + values[1]
    closed(two, one, other, 3)
    with pytest.raises(Refusal) as refused:
        one.service.sign(other.node.ledger, 3, taken_back(there, value=1)).result()
    assert refused.value.code == Code.STATEMENT_MISMATCH
    with pytest.raises(Refusal) as refused:
        one.service.sign(other.node.ledger, 3, taken_back(there)).result()
    assert refused.value.code == Code.STATEMENT_INVALID
    for each in (one, other):
        assert each.node.replay()


def test_a_part_is_given_back_and_later_the_rest(two: Alliance) -> None:
    one, other = settlers(two)
    there, _ = both_ways(two, one, other)
    value = statement(one, other).signed.statement.directions[0].owed(1)
    signed(two, one, other, window=2, signing=taken_back(there, value=1))
    closed(two, one, other, 3)
    third = signed(two, one, other, window=3, signing=taken_back(there))
    assert third.directions[0].owed(3) == -(value - 1)
    for each, partner, way in ((one, other, OUT), (other, one, IN)):
        line = each.node.reader.record(LINES, (partner.node.ledger, way, 1))
        assert line is not None
        assert line.billed_value == 0


def test_a_line_that_was_disputed_and_upheld_can_be_given_back(two: Alliance) -> None:
    one, other = settlers(two)
    there = convert(one.node, other.node, name="there")
    two.talk()
    request = DisputeRequest(
        id=uuid("dispute"), partner=other.node.ledger, window=1, direction="out", lines=(there,), reason="terms"
    )
    one.service.dispute(request).result()
    two.talk()
    closed(two, one, other, 1)
    work(two, one, other)
    closed(two, one, other, 2)
    # Not billed yet: there is nothing to give back.
    with pytest.raises(Refusal) as refused:
        one.service.sign(other.node.ledger, 2, taken_back(there))
    assert refused.value.code == Code.STATEMENT_INVALID
    upheld = Signing(adjustments=[Adjustment(conversion=there, reason=AdjustmentReason.UPHELD)])
    value = signed(two, one, other, window=2, signing=upheld).directions[0].owed(2)
    closed(two, one, other, 3)
    third = signed(two, one, other, window=3, signing=taken_back(there))
    assert third.directions[0].owed(3) == -value < 0


def test_a_line_that_is_none_is_not_given_back(two: Alliance) -> None:
    one, other = settlers(two)
    both_ways(two, one, other)
    convert(one.node, other.node, name="unsettled")
    two.talk()
    for conversion, code in ((uuid("nothing"), Code.LINE_UNKNOWN), (uuid("unsettled"), Code.STATEMENT_INVALID)):
        with pytest.raises(Refusal) as refused:
            one.service.sign(other.node.ledger, 2, taken_back(conversion))
        assert refused.value.code == code
    with pytest.raises(Refusal) as refused:
        one.service.sign(Ledger("stranger.example/main.1"), 2, taken_back(uuid("there")))
    assert refused.value.code == Code.PARTNER_UNKNOWN


def test_a_proposal_is_read_by_both_and_signed_as_it_was_read(two: Alliance) -> None:
    one, other = settlers(two)
    there, _ = both_ways(two, one, other)
    assert one.service.proposals() == other.service.proposals()
    one.service.sign(other.node.ledger, 2, taken_back(there)).result()
    two.talk()
    (ours,), (theirs,) = (each.service.proposals().proposals for each in (one, other))
    assert (ours.by, ours.signed, ours.digest) == (theirs.by, theirs.signed, theirs.digest)
    assert (ours.partner, theirs.partner) == (other.node.ledger, one.node.ledger)
    digest = Digest(ours.digest)
    for each in (one, other):
        shown = each.service.statement(digest)
        assert (shown.state, shown.agreed_seq, shown.window) == ("proposed", None, 2)
        rows = list(csv.DictReader(StringIO(each.service.statement_csv(digest))))
        assert [(row["kind"], row["reason"]) for row in rows] == [("adjusted", "taken_back")]
        assert "taken_back" in each.service.statement_page(digest)
    for party, partner, signing in (
        (other, one, Signing(proposal=Digest(ZERO_DIGEST))),
        (other, one, Signing()),
        (other, one, taken_back(there, value=1)),
    ):
        with pytest.raises(Refusal) as refused:
            party.service.sign(partner.node.ledger, 2, signing)
        assert refused.value.code == Code.STATEMENT_MISMATCH
    with pytest.raises(Refusal) as refused:
        one.service.sign(other.node.ledger, 2, Signing(proposal=Digest(ZERO_DIGEST)))
    assert refused.value.code == Code.WINDOW_AGREED
    agreed = other.service.sign(one.node.ledger, 2, Signing(proposal=digest)).result()
    assert other.service.sign(one.node.ledger, 2, Signing(proposal=digest)).result() == agreed
    two.talk()
    assert one.service.proposals() == other.service.proposals()
    assert one.service.statement(digest).state == other.service.statement(digest).state == "agreed"


def test_the_first_party_agrees_to_no_proposal(two: Alliance) -> None:
    one, other = settlers(two)
    closed(two, one, other, 1)
    with pytest.raises(Refusal) as refused:
        one.service.sign(other.node.ledger, 1, Signing(proposal=Digest(ZERO_DIGEST)))
    assert refused.value.code == Code.STATEMENT_MISMATCH


def test_a_payment_that_came_back_is_due_again_and_paid_once(two: Alliance) -> None:
    one, other = settlers(two)
    convert(one.node, other.node, name="there")
    two.talk()
    closed(two, one, other, 1)
    work(two, one, other)
    digest, amount = statement(one, other).digest, statement(one, other).signed.statement.amount
    due = f"due/{partner_of(other.node.ledger)}"
    assert one.node.balance(due, USD) == amount
    sent_back = ReturnRequest(id=uuid("return"), statement=digest)
    with pytest.raises(Refusal) as refused:
        one.service.send_back(sent_back).result()
    assert refused.value.code == Code.WINDOW_NOT_PAID
    one.service.pay(PaymentRequest(id=uuid("pay"), statement=digest, reference="RF 1")).result()
    two.talk()
    assert one.node.balance(due, USD) == 0
    with pytest.raises(Refusal) as refused:
        other.service.send_back(sent_back).result()
    assert refused.value.code == Code.PAYMENT_MISMATCH
    first = one.service.send_back(sent_back).result()
    assert one.service.send_back(sent_back).result() == first
    assert one.node.balance(due, USD) == amount
    one.service.pay(PaymentRequest(id=uuid("again"), statement=digest, reference="RF 2")).result()
    two.talk()
    other.service.confirm(ConfirmationRequest(id=uuid("confirm"), statement=digest)).result()
    two.talk()
    with pytest.raises(Refusal) as refused:
        one.service.send_back(ReturnRequest(id=uuid("late"), statement=digest)).result()
    assert refused.value.code == Code.WINDOW_CONFIRMED
    assert one.node.balance(due, USD) == 0
    with pytest.raises(NodeRefusal):
        one.service.send_back(ReturnRequest(id=uuid("none"), statement=Digest(ZERO_DIGEST)))
    for each in (one, other):
        assert each.node.replay()


def test_lists_go_on_after_a_cursor(three: Alliance) -> None:
    one, other = settlers(three)
    for window in (1, 2):
        closed(three, one, other, window)
        work(three, one, other)
    everything = one.service.windows()
    assert everything.next is None
    assert [(row.window, row.partner) for row in everything.windows] == sorted(
        ((row.window, row.partner) for row in everything.windows), key=lambda each: (-each[0], each[1])
    )
    assert len(everything.windows) == 4
    for limit in (1, 2, 3):
        rows: list[WindowView] = []
        cursor: tuple[int, Ledger] | None = None
        while True:
            page = one.service.windows(after=cursor, limit=limit)
            rows += page.windows
            if page.next is None:
                break
            number, _, ledger = page.next.partition("/")
            cursor = (int(number), other.node.ledger if ledger == other.node.ledger else three.nodes[2].ledger)
        assert tuple(rows) == everything.windows
    statements = one.service.statements()
    assert [row.window for row in statements.statements] == [2, 1]
    first = one.service.statements(limit=1)
    assert first.next is not None
    second = one.service.statements(after=first.next, limit=1)
    assert (*first.statements, *second.statements) == statements.statements
    assert (statements.next, second.next) == (None, None)
