from collections.abc import Callable

import msgspec
import pytest

from protocol.errors import Code
from protocol.identifiers import Digest
from protocol.ledger import commands, names
from protocol.ledger.state import IN, OUT
from protocol.messages import StatementSigned
from protocol.statement import (
    AdjustmentReason,
    SignedStatement,
    Statement,
    statement_digest,
)
from protocol.window_entries import StatementAgreed, StatementProposed
from tests.support.documents import (
    AURORA,
    agreement,
    digest,
    digest_of_body,
    signed_agreement,
    uuid,
)
from tests.support.ledger import MemoryLedger, Pair, enter, pair_of, refused
from tests.support.settled import both_ways, rejected_and_credited
from tests.support.windows import (
    adjusted,
    agree,
    agree_command,
    agreed,
    close,
    close_both,
    compute,
    dispute,
    disputed,
    propose,
    settle,
    sign,
    signature,
    take,
    window,
)


def ready(*, points: int = 10_000) -> Pair:
    """Return a pair whose first window is reconciled."""
    pair = pair_of(points=points)
    both_ways(pair, "a", out=800)
    close_both(pair.source, pair.destination, 1)
    return pair


def proposal(pair: Pair) -> StatementSigned:
    """Return the first party's proposal of window 1."""
    body = pair.source.body(propose(pair.source, pair.destination, compute(pair.source, pair.destination, 1)))
    assert isinstance(body, StatementSigned)
    return body


def forged(pair: Pair, change: Callable[[Statement], Statement]) -> StatementSigned:
    """Return a proposal of another document, well signed by the first party."""
    body = proposal(pair)
    document = change(body.signed.statement)
    signed = SignedStatement(statement=document, signatures=(signature(pair.source, document),))
    return msgspec.structs.replace(body, signed=signed, window=document.window)


def more_billed(document: Statement) -> Statement:
    """Return a consistent statement in which the second party owes a millionth more."""
    first, second = document.directions
    totals = msgspec.structs.replace(second.totals, value=str(int(second.totals.value) + 1))
    net = int(document.net) - 1
    return msgspec.structs.replace(
        document,
        directions=(first, msgspec.structs.replace(second, totals=totals)),
        net=str(net),
        payer=AURORA.ledger,
        minor_units=str(net // document.minor_unit),
        carry=str(net % document.minor_unit),
    )


def test_both_sides_compute_the_same_statement() -> None:
    pair = ready()
    ours = compute(pair.source, pair.destination, 1)
    assert compute(pair.destination, pair.source, 1) == ours
    assert ours.agreements == (names_of(pair),)


def names_of(pair: Pair) -> Digest:
    record = window(pair.source, pair.destination, 1)
    assert record.closed is not None
    return record.closed.agreement


def test_a_statement_names_every_agreement_that_its_lines_cite_and_the_one_used() -> None:
    pair = pair_of()
    one, other = pair.source, pair.destination
    both_ways(pair, "old")
    first = names_of_current(one, other)
    second = signed_agreement(msgspec.structs.replace(agreement(), number=2, supersedes=first))
    for ledger in (one, other):
        enter(ledger, second)
    close_both(one, other, 1)
    document = agree(one, other, 1)
    assert len(document.agreements) == 2
    assert first in document.agreements


def names_of_current(ledger: MemoryLedger, partner: MemoryLedger) -> Digest:
    entry = next(one.entry.id for one in ledger.sealed if one.entry.id.startswith("agreement/"))
    return Digest(entry.partition("/")[2])


def test_the_agreement_used_is_the_later_one_even_if_one_side_had_not_entered_it_when_it_closed() -> None:
    pair = pair_of()
    one, other = pair.source, pair.destination
    first = names_of_current(one, other)
    second = signed_agreement(msgspec.structs.replace(agreement(), number=2, supersedes=first))
    received = other.body(close(other, one, 1, early=True))
    enter(one, second)
    take(one, received)
    take(other, one.body(close(one, other, 1, early=True)))
    with refused(Code.AGREEMENT_UNKNOWN, other):
        compute(other, one, 1)
    enter(other, second)
    document = agree(one, other, 1)
    record = window(one, other, 1)
    assert record.closed is not None
    assert document.agreements == (record.closed.agreement,)


@pytest.mark.parametrize("closes", [(), ("one",), ("other",)])
def test_window_open_and_window_not_reconciled_before_both_closes(closes: tuple[str, ...]) -> None:
    pair = pair_of()
    one, other = pair.source, pair.destination
    if "one" in closes:
        close(one, other, 1, early=True)
    if "other" in closes:
        take(one, other.body(close(other, one, 1, early=True)))
    with refused(Code.WINDOW_NOT_RECONCILED if closes else Code.WINDOW_OPEN, one):
        compute(one, other, 1)


def test_window_mismatch_while_totals_differ() -> None:
    pair = pair_of()
    rejected_and_credited(pair)
    close_both(pair.source, pair.destination, 1)
    with refused(Code.WINDOW_MISMATCH, pair.source):
        compute(pair.source, pair.destination, 1)


def test_window_not_agreed_where_an_earlier_statement_is_missing() -> None:
    pair = ready()
    one, other = pair.source, pair.destination
    close_both(one, other, 2)
    with refused(Code.WINDOW_NOT_AGREED, one):
        compute(one, other, 2)
    agree(one, other, 1)
    agree(one, other, 2)


def test_statement_mismatch_where_the_document_is_not_what_this_ledger_computes() -> None:
    pair = ready()
    body = forged(pair, more_billed)
    with refused(Code.STATEMENT_MISMATCH, pair.destination):
        sign(pair.destination, body)
    with refused(Code.STATEMENT_MISMATCH, pair.source):
        propose(pair.source, pair.destination, body.signed.statement)


def test_statement_mismatch_where_it_is_of_another_window() -> None:
    pair = ready()
    entry = pair.source.stamped(msgspec.structs.replace(_proposed(pair), window=2)).entry
    with refused(Code.STATEMENT_MISMATCH, pair.source):
        pair.source.judge(entry)


def _proposed(pair: Pair) -> StatementProposed:
    propose(pair.source, pair.destination, compute(pair.source, pair.destination, 1))
    entry = pair.source.sealed[-1].entry
    assert isinstance(entry, StatementProposed)
    return msgspec.structs.replace(entry, id=uuid("again"))


def _shorter(index: int, size: int) -> Callable[[Statement], Statement]:
    def change(document: Statement) -> Statement:
        found = list(document.checkpoints)
        found[index] = msgspec.structs.replace(found[index], size=size)
        return msgspec.structs.replace(document, checkpoints=(found[0], found[1]))

    return change


@pytest.mark.parametrize(
    "change",
    [
        _shorter(0, 1),
        _shorter(1, 1),
        _shorter(1, 10_000),
    ],
)
def test_statement_mismatch_where_a_checkpoint_lacks_the_close_or_lies_ahead(
    change: Callable[[Statement], Statement],
) -> None:
    pair = ready()
    with refused(Code.STATEMENT_MISMATCH, pair.destination):
        sign(pair.destination, forged(pair, change))


def test_statement_invalid_where_a_checkpoint_is_of_another_log() -> None:
    pair = ready()

    def change(document: Statement) -> Statement:
        return msgspec.structs.replace(document, checkpoints=document.checkpoints[::-1])

    entry = msgspec.structs.replace(
        _proposed(pair),
        signed=msgspec.structs.replace(
            _proposed(pair).signed, statement=change(compute(pair.source, pair.destination, 1))
        ),
    )
    with refused(Code.STATEMENT_INVALID, pair.source):
        pair.source.judge(entry)


def test_statement_invalid_where_a_signature_is_missing_or_anothers() -> None:
    pair = ready()
    body = proposal(pair)
    command = agree_command(pair.destination, body)
    with refused(Code.STATEMENT_INVALID, pair.destination):
        pair.destination.execute(msgspec.structs.replace(command, signature=None))
    wrong = msgspec.structs.replace(signature(pair.source, body.signed.statement), ledger=pair.destination.name)
    with refused(Code.STATEMENT_INVALID, pair.destination):
        pair.destination.execute(msgspec.structs.replace(command, signature=wrong))


def test_statement_invalid_where_the_second_party_proposes_or_both_have_signed() -> None:
    pair = ready()
    one, other = pair.source, pair.destination
    document = compute(other, one, 1)
    for ledger, partner, signers in ((other, one, (other,)), (one, other, (one, other))):
        signed = SignedStatement(
            statement=document, signatures=tuple(signature(signer, document) for signer in signers)
        )
        command = commands.ProposeStatement(
            id=names.proposal_id(statement_digest(document)), partner=partner.name, signed=signed
        )
        with refused(Code.STATEMENT_INVALID, ledger):
            ledger.execute(command)


def test_statement_invalid_where_adjustments_do_not_follow_the_statement_before() -> None:
    pair = ready()
    one, other = pair.source, pair.destination
    line = disputed(one, other, OUT, 1)
    agree(one, other, 1)
    close_both(one, other, 2)
    with refused(Code.STATEMENT_INVALID, one):
        compute(one, other, 2, {one.name: [adjusted(line, AdjustmentReason.UPHELD, line.value)]})


def test_a_proposal_may_be_made_again_and_the_one_that_is_signed_stands() -> None:
    pair = ready()
    one, other = pair.source, pair.destination
    first = proposal(pair)
    second = proposal(pair)
    assert first != second
    assert window(one, other, 1).proposed == statement_digest(second.signed.statement)
    sign(one, other.body(sign(other, first)))
    assert agreed(one, other, 1).signed == agreed(other, one, 1).signed
    with refused(Code.ID_REUSED, other):
        sign(other, second)


def test_window_agreed_and_window_confirmed_where_it_is_signed_already() -> None:
    pair = ready()
    one, other = pair.source, pair.destination
    agree(one, other, 1)
    with refused(Code.WINDOW_AGREED, one):
        compute(one, other, 1)
    settle(pair, 1)
    with refused(Code.WINDOW_CONFIRMED, one):
        compute(one, other, 1)


def test_decision_mismatch_where_an_entry_does_not_cite_its_statement() -> None:
    pair = ready()
    sign(pair.destination, proposal(pair))
    entry = pair.destination.sealed[-1].entry
    assert isinstance(entry, StatementAgreed)
    for fields in ({"answered": digest("x")}, {"request": digest("x")}, {"window": 2}):
        fresh = ready()
        proposal(fresh)
        with refused(Code.DECISION_MISMATCH, fresh.destination):
            fresh.destination.judge(msgspec.structs.replace(entry, **fields))


def test_postings_invalid_where_a_statement_posts_something_else() -> None:
    pair = ready()
    sign(pair.destination, proposal(pair))
    entry = pair.destination.sealed[-1].entry
    assert isinstance(entry, StatementAgreed)
    fresh = ready()
    proposal(fresh)
    with refused(Code.POSTINGS_INVALID, fresh.destination):
        fresh.destination.judge(msgspec.structs.replace(entry, postings=entry.postings[::-1]))


def test_line_unknown_where_an_adjusted_line_is_not_there() -> None:
    pair = ready()
    one, other = pair.source, pair.destination
    line = disputed(one, other, OUT, 1)
    agree(one, other, 1)
    close_both(one, other, 2)
    for fields in ({"id": uuid("another")}, {"window": 1, "dec_seq": 1, "id": uuid("x")}):
        wrong = msgspec.structs.replace(adjusted(line, AdjustmentReason.TAKEN_BACK, -1), **fields)
        with refused(Code.LINE_UNKNOWN, one):
            propose(one, other, compute(one, other, 2, {one.name: [wrong]}))


def test_statement_mismatch_where_more_is_taken_back_than_was_billed() -> None:
    pair = ready()
    one, other = pair.source, pair.destination
    line = disputed(other, one, IN, 1)
    agree(one, other, 1)
    close_both(one, other, 2)
    wrong = adjusted(line, AdjustmentReason.TAKEN_BACK, -line.value - 1)
    with refused(Code.STATEMENT_MISMATCH, one):
        propose(one, other, compute(one, other, 2, {one.name: [wrong]}))


def test_a_line_that_was_waived_cannot_be_taken_back() -> None:
    pair = pair_of()
    one, other = pair.source, pair.destination
    both_ways(pair, "a", out=800)
    close_both(one, other, 1)
    line = disputed(one, other, OUT, 1)
    take(other, one.body(dispute(one, other, line, source=one.name)))
    agree(one, other, 1)
    close_both(one, other, 2)
    agree(one, other, 2, {one.name: [adjusted(line, AdjustmentReason.WAIVED, 0)]})
    close_both(one, other, 3)
    with refused(Code.STATEMENT_MISMATCH, one):
        wrong = adjusted(line, AdjustmentReason.TAKEN_BACK, -1)
        propose(one, other, compute(one, other, 3, {one.name: [wrong]}))


def test_balance_overflow_where_a_statements_sum_cannot_be_posted() -> None:
    pair = ready()

    def change(document: Statement) -> Statement:
        first, second = document.directions
        value = 10**31
        totals = msgspec.structs.replace(first.totals, value=str(value))
        net = value - int(second.totals.value)
        return msgspec.structs.replace(
            document,
            directions=(msgspec.structs.replace(first, totals=totals), second),
            net=str(net),
            payer=AURORA.ledger,
            minor_units=str(net // document.minor_unit),
            carry=str(net % document.minor_unit),
        )

    with refused(Code.BALANCE_OVERFLOW, pair.destination):
        sign(pair.destination, forged(pair, change))


def test_statement_invalid_where_a_received_statement_is_of_strangers() -> None:
    pair = ready()
    one, other = pair.source, pair.destination
    agree(one, other, 1)
    close_both(one, other, 2)
    document = compute(one, other, 2)
    bills = tuple(msgspec.structs.replace(bill, source=f"x{bill.source}") for bill in document.directions)
    wrong = msgspec.structs.replace(document, directions=(bills[0], bills[1]))
    body = StatementSigned(
        network=document.network,
        sender=one.name,
        receiver=other.name,
        window=2,
        signed=SignedStatement(statement=wrong, signatures=(signature(one, document),)),
        entry=one.sealed[-1].reference,
    )
    command = commands.AgreeStatement(
        id=names.statement_id(one.name, 2), request=digest_of_body(body), statement=body, digest=digest_of_body(body)
    )
    with refused(Code.STATEMENT_INVALID, other):
        other.execute(command)
