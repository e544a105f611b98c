"""A window whose sides differ: both show their lines, signed FULFILs decide, and what is left moves on in dispute."""

import msgspec
import pytest

from node.services.operating.exceptions import Delivery, ExceptionsService, ExceptionView
from node.services.requests import DisputeRequest
from node.services.settlement import lines_shown, narrowing
from node.services.settlement.adjusting import Adjustment
from node.services.settlement.narrowing import Fault
from node.services.settlement.settlement_views import DifferenceList
from node.services.settlement.signing import Signing
from node.store.rows import Answered, SentBody
from protocol.errors import Code, Refusal
from protocol.identifiers import Id
from protocol.ledger import commands, names
from protocol.ledger.state import OUTGOING, STATEMENTS
from protocol.messages import Fulfil, Lines, body_digest, decode_body, encode_body
from protocol.statement import AdjustmentReason, DisputeReason
from tests.support.differing import credit, decide, hush, invent, ordered, reject
from tests.support.documents import digest_of_body, entry_reference, uuid
from tests.support.nodes import Alliance, LocalNode, convert
from tests.support.settling import Settler, context_of, settler, settlers, work


def close(nodes: Alliance, one: Settler, other: Settler) -> None:
    one.service.close(other.node.ledger, 1).result()
    nodes.talk()


def state(party: Settler, other: Settler, window: int = 1) -> str:
    return party.service.differences(other.node.ledger, window).state


def found(party: Settler, other: Settler) -> DifferenceList:
    return party.service.differences(other.node.ledger, 1)


def faults(party: Settler, other: Settler) -> list[str]:
    return [each.reason for each in found(party, other).differences]


def exceptions(party: Settler) -> list[ExceptionView]:
    service = ExceptionsService(
        context_of(party.node), delivery_of=lambda _: Delivery(last_contact=None, last_failure=None)
    )
    return [each for each in service.all(older_than_seconds=10**6).exceptions if each.kind == "mismatched"]


def agreed(party: Settler, other: Settler, window: int = 1) -> bool:
    return party.node.reader.record(STATEMENTS, (other.node.ledger, window)) is not None


def lines_of(node: LocalNode) -> list[Lines]:
    bodies = (decode_body(sent.body) for sent in node.reader.messages_sent(limit=1_000))
    return [body for body in bodies if isinstance(body, Lines)]


@pytest.mark.parametrize("swap", [False, True])
def test_a_fulfil_that_was_never_heard_is_said_again_and_captured(two: Alliance, *, swap: bool) -> None:
    one, other = sorted(settlers(two), key=lambda each: each.node.ledger, reverse=swap)
    kept = convert(one.node, other.node, name="kept")
    two.talk()
    lost = credit(one.node, other.node, "lost")
    close(two, one, other)
    assert (state(one, other), state(other, one)) == ("mismatch", "reconciled")
    assert found(one, other).reason == Fault.LINES_AWAITED
    one.worker.step()
    two.talk()
    assert [[line.id for line in body.lines] for body in lines_of(one.node)] == [[kept]]
    assert faults(other, one) == [Fault.SENT_AGAIN]
    other.worker.step()
    two.talk(1.0)
    assert [[line.id for line in body.lines] for body in lines_of(other.node)] == [[lost]]
    two.talk(20.0)
    assert state(one, other) == "reconciled"
    work(two, one, other)
    assert agreed(one, other)
    assert agreed(other, one)
    sent = len(one.node.reader.messages_sent(limit=1_000)), len(other.node.reader.messages_sent(limit=1_000))
    work(two, one, other)
    assert sent == (
        len(one.node.reader.messages_sent(limit=1_000)),
        len(other.node.reader.messages_sent(limit=1_000)),
    )
    for each in (one, other):
        assert each.node.replay()


def test_a_window_of_which_the_source_has_nothing_is_narrowed_by_an_empty_list(two: Alliance) -> None:
    one, other = settlers(two)
    credit(one.node, other.node, "lost")
    close(two, one, other)
    work(two, one, other, rounds=6)
    assert [body.lines for body in lines_of(one.node)] == [()]
    assert agreed(one, other)


def test_what_was_rejected_and_credited_is_entered_in_dispute_by_itself_and_waived(two: Alliance) -> None:
    one, other = settlers(two)
    torn = convert(one.node, other.node, name="torn")
    reject(one.node, torn)
    kept = convert(one.node, other.node, name="kept")
    two.talk()
    close(two, one, other)
    one.worker.step()
    two.talk()
    other.worker.step()
    two.talk()
    assert faults(one, other) == [Fault.REJECTED]
    (window, row) = exceptions(one)
    assert (window.conversion, row.conversion, row.reason, row.window) == (None, torn, Fault.REJECTED, 1)
    assert row.value > 0
    (shown,) = exceptions(other)
    assert (shown.conversion, shown.reason) == (torn, Fault.SENT_AGAIN)
    work(two, one, other, rounds=4)
    assert agreed(one, other)
    assert agreed(other, one)
    assert exceptions(one) == exceptions(other) == []
    for each, partner in ((one, other), (other, one)):
        record = each.node.reader.record(STATEMENTS, (partner.node.ledger, 1))
        assert record is not None
        bill = record.signed.statement.bill(one.node.ledger)
        assert [(line.id, line.reason) for line in bill.disputed] == [(torn, DisputeReason.REJECTED)]
        assert bill.totals.count == 2
        assert bill.owed(1) == int(bill.totals.value) - bill.disputed[0].value > 0
    one.service.close(other.node.ledger, 2).result()
    two.talk()
    waived = Signing(adjustments=[Adjustment(conversion=torn, reason=AdjustmentReason.WAIVED)])
    one.service.sign(other.node.ledger, 2, waived).result()
    two.talk()
    other.service.sign(one.node.ledger, 2, waived).result()
    two.talk()
    assert agreed(one, other, 2)
    assert kept in {line.conversion for _, line in one.node.reader.lines(other.node.ledger, 1)}
    for each in (one, other):
        assert each.node.replay()


def dispute_as_decider(decider: Settler, source: Settler, conversion: Id, *, reason: str) -> None:
    request = DisputeRequest(
        id=uuid("dispute"), partner=source.node.ledger, window=1, direction="in", lines=(conversion,), reason=reason
    )
    decider.service.dispute(request).result()


@pytest.mark.parametrize("swap", [False, True])
def test_a_line_that_its_decider_disputes_before_the_source_has_it_is_agreed_on(two: Alliance, *, swap: bool) -> None:
    source, decider = sorted(settlers(two), key=lambda each: each.node.ledger, reverse=swap)
    torn = convert(source.node, decider.node, name="torn")
    reject(source.node, torn)
    two.talk()
    close(two, source, decider)
    dispute_as_decider(decider, source, torn, reason="other")
    work(two, source, decider, rounds=8)
    assert agreed(source, decider)
    assert agreed(decider, source)


@pytest.mark.parametrize("swap", [False, True])
def test_a_dispute_of_a_line_that_the_source_does_not_have_yet_is_entered_with_the_line(
    two: Alliance, *, swap: bool
) -> None:
    source, decider = sorted(settlers(two), key=lambda each: each.node.ledger, reverse=swap)
    late = credit(source.node, decider.node, "late")
    close(two, source, decider)
    dispute_as_decider(decider, source, late, reason="late")
    work(two, source, decider, rounds=10)
    for each, partner in ((source, decider), (decider, source)):
        record = each.node.reader.record(STATEMENTS, (partner.node.ledger, 1))
        assert record is not None
        assert [line.id for line in record.signed.statement.bill(source.node.ledger).disputed] == [late]
        assert each.node.replay()


def entering(other: Settler, *conversions: Id, enters: bool = True, name: str = "enter") -> DisputeRequest:
    return DisputeRequest(
        id=uuid(name),
        partner=other.node.ledger,
        window=1,
        direction="out",
        lines=conversions,
        reason="missing",
        enters=enters,
    )


def test_what_only_the_partner_knows_of_is_shown_and_entered_by_an_operator(two: Alliance) -> None:
    one, other = settlers(two)
    kept = convert(one.node, other.node, name="kept")
    two.talk()
    invented = invent(one.node, other.node, kept)
    two.talk()
    close(two, one, other)
    with pytest.raises(Refusal) as refused:
        one.service.dispute(entering(other, invented))
    assert refused.value.code == Code.LINE_UNKNOWN
    work(two, one, other, rounds=4)
    assert state(one, other) == "mismatch"
    assert faults(one, other) == [Fault.UNKNOWN]
    (row,) = found(one, other).differences
    assert (row.ours, row.conversion) == (None, invented)
    assert row.theirs is not None
    assert row.theirs.value > 0
    with pytest.raises(Refusal) as refused:
        one.service.dispute(entering(other, invented, enters=False))
    assert refused.value.code == Code.LINE_UNKNOWN
    entered = one.service.dispute(entering(other, kept, invented)).result()
    assert one.service.dispute(entering(other, kept, invented)).result() == entered
    assert state(one, other) == "reconciled"
    two.talk()
    work(two, one, other)
    assert agreed(one, other)
    record = other.node.reader.record(STATEMENTS, (one.node.ledger, 1))
    assert record is not None
    assert {line.id for line in record.signed.statement.bill(one.node.ledger).disputed} == {kept, invented}
    upheld, taken_back = AdjustmentReason.UPHELD, AdjustmentReason.TAKEN_BACK
    for window, reasons in ((2, {kept: upheld, invented: upheld}), (3, {invented: taken_back})):
        one.service.close(other.node.ledger, window).result()
        two.talk()
        adjustments = [Adjustment(conversion=each, reason=reason) for each, reason in reasons.items()]
        one.service.sign(other.node.ledger, window, Signing(adjustments=adjustments)).result()
        two.talk()
        other.service.sign(one.node.ledger, window, Signing(adjustments=adjustments)).result()
        two.talk()
    record = one.node.reader.record(STATEMENTS, (other.node.ledger, 3))
    assert record is not None
    assert record.signed.statement.bill(one.node.ledger).owed(3) == -row.theirs.value


def test_a_line_whose_fulfil_nobody_has_shown_does_not_stand(two: Alliance) -> None:
    one, other = settlers(two)
    kept = convert(one.node, other.node, name="kept")
    two.talk()
    invented = invent(one.node, other.node, kept)
    hush(other.node, invented)
    close(two, one, other)
    one.worker.step()
    two.talk()
    other.worker.step()
    hush(other.node, invented)
    two.talk()
    assert faults(one, other) == [Fault.UNSHOWN]
    with pytest.raises(Refusal) as refused:
        one.service.dispute(entering(other, invented))
    assert refused.value.code == Code.LINE_UNKNOWN


def test_an_order_that_waits_is_undecided_until_its_fulfil_comes(two: Alliance) -> None:
    one, other = settlers(two)
    lost = credit(one.node, other.node, "lost")
    close(two, one, other)
    one.worker.step()
    two.talk()
    other.worker.step()
    hush(other.node, lost)
    two.talk()
    assert faults(one, other) == [Fault.UNDECIDED]


def test_more_lines_than_a_body_holds_travel_in_pages(two: Alliance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(narrowing, "BODY_LINES_MAX", 2)
    monkeypatch.setattr("protocol.settlement.differences.BODY_LINES_MAX", 2)
    one, other = settlers(two)
    for number in range(4):
        convert(one.node, other.node, name=f"kept {number}")
    two.talk()
    for number in range(3):
        credit(one.node, other.node, f"lost {number}")
    close(two, one, other)
    work(two, one, other, rounds=6)
    assert [len(body.lines) for body in lines_of(one.node)] == [2, 2, 0]
    assert [len(body.lines) for body in lines_of(other.node)] == [2, 1]
    assert agreed(one, other)


def test_a_decider_that_denies_what_it_has_signed_is_told_of(two: Alliance) -> None:
    one, other = settlers(two)
    convert(one.node, other.node, name="kept")
    two.talk()
    # A FULFIL that the decider's ledger does not have: as if it had gone back to an older copy of itself.
    denied = convert(one.node, other.node, name="denied")
    order = one.node.reader.record(OUTGOING, denied)
    assert order is not None
    body = Fulfil(
        network=order.network,
        source=one.node.ledger,
        destination=other.node.ledger,
        id=denied,
        prepare=order.prepare,
        decided_at=order.held_at,
        window=1,
        dec_seq=2,
        destination_points=order.destination_points,
        value=order.value,
        expires_on=None,
        entry=entry_reference(),
    )
    cited = digest_of_body(body)
    one.node.do(commands.ConcludeFulfil(id=names.conclusion_id(denied), request=cited, fulfil=body, digest=cited))
    one.node.do(writes=[Answered((order.prepare,))])
    close(two, one, other)
    work(two, one, other, rounds=4)
    assert state(one, other) == "mismatch"
    assert faults(one, other) == [Fault.CONTRADICTED]
    assert faults(other, one) == [Fault.CONTRADICTED]
    (row,) = found(one, other).differences
    assert (row.theirs, row.conversion) == (None, denied)


def test_a_decider_that_credited_other_terms_than_were_asked_for_is_told_of(two: Alliance) -> None:
    one, other = settlers(two)
    conversion = convert(one.node, other.node, name="doubled")
    asked = ordered(one.node, conversion)
    doubled = {
        name: 2 * getattr(asked, name)
        for name in ("steps", "source_points", "destination_points", "fee_points", "value")
    }
    one.node.do(writes=[Answered((digest_of_body(asked),))])
    decide(other.node, msgspec.structs.replace(asked, **doubled))
    two.talk()
    close(two, one, other)
    work(two, one, other, rounds=4)
    assert state(one, other) == "mismatch"
    assert faults(one, other) == [Fault.CONTRADICTED]


def test_a_window_with_too_many_lines_is_left_to_people(two: Alliance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(narrowing, "LINES_NARROWED_MAX", 1)
    monkeypatch.setattr(lines_shown, "LINES_NARROWED_MAX", 1)
    one, other = settlers(two)
    for name in ("one", "two"):
        convert(one.node, other.node, name=name)
    two.talk()
    credit(one.node, other.node, "lost")
    close(two, one, other)
    work(two, one, other)
    assert lines_of(one.node) == []
    assert found(one, other).reason == Fault.LINES_TOO_MANY
    (row,) = exceptions(one)
    assert (row.reason, row.conversion) == (Fault.LINES_TOO_MANY, None)


def test_lines_that_do_not_sum_to_the_close_are_not_believed(two: Alliance) -> None:
    one, other = settlers(two)
    lost = credit(one.node, other.node, "lost")
    close(two, one, other)
    one.worker.step()
    two.talk()
    ((_, record),) = other.node.reader.lines(one.node.ledger, 1)
    other.worker.step()
    hush(other.node, lost)
    (shown,) = lines_of(other.node)
    wrong = msgspec.structs.replace(shown.lines[0], value=record.value - 1)
    said = msgspec.structs.replace(shown, lines=(wrong,))
    data = encode_body(said)
    row = other.node.reader.message_sent(body_digest(encode_body(shown)))
    assert row is not None
    other.node.do(writes=[Answered((row.digest,)), shown_instead(other, one, data)])
    two.talk(1.0)
    assert found(one, other).reason == Fault.LINES_UNFIT
    assert found(one, other).to_do


def shown_instead(sender: Settler, receiver: Settler, data: bytes) -> SentBody:
    return SentBody(
        partner=receiver.node.ledger,
        digest=body_digest(data),
        kind="lines",
        conversion=None,
        body=data,
        entry_seq=None,
    )


def test_a_node_that_starts_again_says_nothing_twice(two: Alliance) -> None:
    one, other = settlers(two)
    kept = convert(one.node, other.node, name="kept")
    two.talk()
    invent(one.node, other.node, kept)
    two.talk()
    close(two, one, other)
    work(two, one, other)
    before = [len(lines_of(each.node)) for each in (one, other)]
    for each in (one, other):
        each.node.restart()
    again = [settler(each.node) for each in (one, other)]
    work(two, *again)
    assert [len(lines_of(each.node)) for each in (one, other)] == before == [1, 1]
    assert faults(again[0], again[1]) == [Fault.UNKNOWN]


def test_a_stranger_to_the_window_is_no_partner(two: Alliance) -> None:
    one, other = settlers(two)
    assert one.service.differences(other.node.ledger, 9) == DifferenceList(
        partner=other.node.ledger, window=9, state="open", reason=None, to_do=None, differences=(), more=False
    )
    with pytest.raises(Refusal) as refused:
        one.service.differences(one.node.ledger, 1)
    assert refused.value.code == Code.PARTNER_UNKNOWN
