"""Settlement of the gap, word by word: words that crossed, and what is not believed."""

import msgspec
import pytest

from protocol.entries import body_of, seal
from protocol.errors import Code, Refusal
from protocol.ledger import commands, rules
from protocol.ledger.state import IN, OUT
from protocol.messages import Close, StatementSigned
from protocol.recovery_entries import Recovered
from protocol.settlement.states import WindowState
from protocol.statement import DisputeReason, SignedStatement
from tests.support.documents import NOW, digest, digest_of_body, uuid
from tests.support.ledger import MemoryLedger, Pair, convert, pair_of, refused
from tests.support.recovering import check, entry_of, opened, size_of, with_body
from tests.support.settled import both_ways, doubt, rejected_and_credited
from tests.support.succession import Word, end, recover, recovered
from tests.support.windows import (
    agree,
    close,
    close_both,
    compute,
    dispute,
    disputed,
    line_record,
    money,
    pay,
    propose,
    send_back,
    sign,
    state,
    take,
    window,
)


def word_of(ledger: MemoryLedger, seq: int = -1) -> Word:
    """Return the word that an entry made."""
    body = body_of(ledger.sealed[seq], ledger=ledger.name)
    assert body is not None
    return Word(body=body, digest=digest_of_body(body), ours=True)


def closed_pair() -> Pair:
    """Return a pair with a window that both have closed, with a line in each direction."""
    pair = pair_of()
    both_ways(pair, "one")
    close_both(pair.source, pair.destination, 1)
    return pair


def test_a_window_that_we_had_closed_is_closed_again_with_the_same_totals() -> None:
    pair = pair_of()
    both_ways(pair, "one", out=800)
    size = size_of(pair.source)
    take(pair.destination, pair.source.body(close(pair.source, pair.destination, 1, early=True)))
    ledger = recovered(pair.source, size, pair.destination)
    assert window(ledger, pair.destination, 1).closed == window(pair.source, pair.destination, 1).closed
    convert(pair.destination, ledger, pair.receiver, 250, name="next")
    assert line_record(ledger, pair.destination, IN, 2).window == 2
    check(ledger)


def closed_by_a_clock_ahead() -> tuple[Pair, int]:
    """Return a pair whose source has closed a window by a clock that ran ahead, and its size before that."""
    pair = pair_of()
    both_ways(pair, "one")
    size = size_of(pair.source)
    pair.source.advance(seconds=60)
    take(pair.destination, pair.source.body(close(pair.source, pair.destination, 1, early=True)))
    pair.source.wall = NOW
    return pair, size


def test_what_follows_a_word_of_a_clock_that_was_ahead_is_later_than_it() -> None:
    pair, size = closed_by_a_clock_ahead()
    ledger = opened(pair.source, size, pair.destination)
    recover(ledger, pair.destination, word_of(pair.source))
    first = window(ledger, pair.destination, 1).closed
    assert first is not None
    assert ledger.wall < first.closed_at < entry_of(ledger).time
    end(ledger, pair.destination.name)
    take(pair.destination, ledger.body(close(ledger, pair.destination, 2, early=True)))
    assert window(pair.destination, ledger, 2).received is not None
    check(ledger)


def test_recovery_mismatch_of_an_entry_that_is_not_later_than_its_word() -> None:
    pair, size = closed_by_a_clock_ahead()
    ledger = opened(pair.source, size, pair.destination)
    sealed = recover(ledger, pair.destination, word_of(pair.source))
    body = entry_of(ledger).body
    assert isinstance(body, Close)
    other = opened(pair.source, size, pair.destination)
    with pytest.raises(Refusal, match="not later than the word") as caught:
        rules.apply(other.state, seal(msgspec.structs.replace(sealed.entry, time=body.closed_at)))
    assert caught.value.code == Code.RECOVERY_MISMATCH


def test_recovery_mismatch_of_a_close_that_is_not_of_what_was_credited() -> None:
    pair = pair_of()
    both_ways(pair, "one")
    size = size_of(pair.source)
    close(pair.source, pair.destination, 1, early=True)
    word = word_of(pair.source)
    assert isinstance(word.body, Close)
    totals = msgspec.structs.replace(word.body.totals, value="1")
    for wrong in (with_body(word, window=2), with_body(word, totals=totals)):
        ledger = opened(pair.source, size, pair.destination)
        with refused(Code.RECOVERY_MISMATCH, ledger):
            recover(ledger, pair.destination, wrong)
    ledger = opened(pair.source, size, pair.destination)
    with refused(Code.AGREEMENT_UNKNOWN, ledger):
        recover(ledger, pair.destination, with_body(word, agreement=digest("x")))


@pytest.mark.parametrize("brand", ["source", "destination"])
def test_of_two_disputes_that_crossed_the_first_partys_reason_stands(brand: str) -> None:
    pair = closed_pair()
    one, other = pair.source, pair.destination
    lost, partner = (one, other) if brand == "source" else (other, one)
    size = size_of(lost)
    first = disputed(one, other, OUT, 1)
    second = msgspec.structs.replace(first, reason=DisputeReason.TERMS)
    mine, yours = (first, second) if lost is one else (second, first)
    said = dispute(lost, partner, mine, source=one.name)
    heard = partner.body(dispute(partner, lost, yours, source=one.name))
    take(lost, heard)
    take(partner, lost.body(said))
    ledger = opened(lost, size, partner)
    take(ledger, heard)
    recover(ledger, partner, word_of(lost, size))
    way = OUT if lost is one else IN
    assert line_record(ledger, partner, way, 1).dispute is first.reason
    assert window(ledger, partner, 1) == window(lost, partner, 1)
    check(ledger)


def test_lines_that_only_the_partner_has_are_entered_again() -> None:
    pair = pair_of()
    one, other = pair.source, pair.destination
    claimed = rejected_and_credited(pair)
    close_both(other, one, 1)
    size = size_of(one)
    take(other, one.body(dispute(one, other, doubt(claimed), source=one.name, entered=(claimed,))))
    ledger = recovered(one, size, other)
    entry = ledger.sealed[-2].entry
    assert isinstance(entry, Recovered)
    assert entry.entered == (claimed,)
    assert [posting.amount for posting in entry.postings] == [-claimed.value, claimed.value]
    assert state(ledger, other, 1) is state(one, other, 1) is WindowState.RECONCILED
    check(ledger)


def test_recovery_mismatch_of_lines_that_are_entered_without_a_dispute() -> None:
    pair = pair_of()
    one, other = pair.source, pair.destination
    claimed = rejected_and_credited(pair)
    size = size_of(one)
    word = word_of(one, close(one, other, 1, early=True).entry.seq)
    ledger = opened(one, size, other)
    with refused(Code.RECOVERY_MISMATCH, ledger):
        recover(ledger, other, Word(body=word.body, digest=word.digest, ours=True, entered=(claimed,)))


def proposed(pair: Pair) -> tuple[int, Word]:
    """Let the first party propose the statement of window 1, and return its log's size before and the word."""
    one, other = pair.source, pair.destination
    size = size_of(one)
    propose(one, other, compute(one, other, 1))
    return size, word_of(one)


def test_our_proposal_binds_us_again() -> None:
    pair = closed_pair()
    size, word = proposed(pair)
    ledger = opened(pair.source, size, pair.destination)
    recover(ledger, pair.destination, word)
    assert window(ledger, pair.destination, 1).proposed == window(pair.source, pair.destination, 1).proposed
    assert isinstance(word.body, StatementSigned)
    accepted = pair.destination.body(sign(pair.destination, word.body))
    sign(ledger, accepted)
    assert state(ledger, pair.destination, 1) is WindowState.AGREED
    check(ledger)


def test_our_proposal_is_void_where_a_dispute_has_crossed_it() -> None:
    pair = closed_pair()
    one, other = pair.source, pair.destination
    size, word = proposed(pair)
    heard = other.body(dispute(other, one, disputed(other, one, IN, 1), source=one.name))
    ledger = opened(one, size, other)
    take(ledger, heard)
    recover(ledger, other, word)
    assert window(ledger, other, 1).proposed is None
    end(ledger, other.name)
    take(one, heard)
    assert compute(ledger, other, 1).net == compute(one, other, 1).net


def test_recovery_mismatch_of_a_signature_that_is_not_ours_to_give_first_or_last() -> None:
    pair = closed_pair()
    one, other = pair.source, pair.destination
    size, word = proposed(pair)
    assert isinstance(word.body, StatementSigned)
    accepted = other.body(sign(other, word.body))
    assert isinstance(accepted, StatementSigned)
    ledger = opened(one, size, other)
    with refused(Code.RECOVERY_MISMATCH, ledger):
        recover(ledger, other, with_body(word, signed=accepted.signed))
    second = opened(other, size_of(other) - 1, one)
    alone = SignedStatement(statement=accepted.signed.statement, signatures=accepted.signed.signatures[1:])
    with refused(Code.RECOVERY_MISMATCH, second):
        recover(second, one, with_body(word_of(other), signed=alone))


def test_statement_invalid_of_an_agreement_that_nobody_signed() -> None:
    pair = closed_pair()
    one, other = pair.source, pair.destination
    agree(one, other, 1)
    lost = word_of(other)
    assert isinstance(lost.body, StatementSigned)
    left, right = lost.body.signed.signatures
    forged = SignedStatement(
        statement=lost.body.signed.statement,
        signatures=(left, msgspec.structs.replace(right, signature=left.signature)),
    )
    ledger = opened(other, size_of(other) - 1, one)
    with refused(Code.STATEMENT_INVALID, ledger):
        recover(ledger, one, with_body(lost, signed=forged))
    recover(ledger, one, lost)
    assert state(ledger, one, 1) is WindowState.AGREED
    assert window(ledger, one, 1) == window(other, one, 1)


def test_a_second_payment_tells_that_the_first_one_came_back() -> None:
    pair = closed_pair()
    one, other = pair.source, pair.destination
    name = agree(one, other, 1).payer
    payer, payee = (one, other) if name == one.name else (other, one)
    take(payee, payer.body(pay(payer, payee, 1)))
    size = size_of(payer)
    send_back(payer, payee, 1)
    again = pay(payer, payee, 1, name="again")
    ledger = opened(payer, size, payee)
    recover(ledger, payee, word_of(payer, again.entry.seq))
    entry = ledger.sealed[-1].entry
    assert isinstance(entry, Recovered)
    assert entry.postings == ()
    assert window(ledger, payee, 1) == window(payer, payee, 1)
    check(ledger)


def crossed() -> tuple[MemoryLedger, MemoryLedger, dict[str, Word], int, int]:
    """Return payer and payee, where the payee confirms what the payer has taken back and paid again.

    With their words by name, and how many entries each had before the first payment.
    """
    pair = closed_pair()
    one, other = pair.source, pair.destination
    name = agree(one, other, 1).payer
    payer, payee = (one, other) if name == one.name else (other, one)
    sizes = size_of(payer), size_of(payee)
    words = {"first": word_of(payer, pay(payer, payee, 1).entry.seq)}
    send_back(payer, payee, 1)
    command = commands.ConfirmPayment(id=uuid("confirm"), partner=payer.name, window=1)
    words["receipt"] = word_of(payee, payee.execute(command).entry.seq)
    command_again = commands.MakePayment(id=uuid("again"), partner=payee.name, window=1, reference="RF18")
    words["again"] = word_of(payer, payer.execute(command_again).entry.seq)
    take(payer, words["receipt"].body)
    return payer, payee, words, *sizes


def test_a_payment_that_the_payee_had_confirmed_before_it_heard_of_it_moves_nothing() -> None:
    payer, payee, words, size, _ = crossed()
    ledger = opened(payer, size, payee)
    recover(ledger, payee, words["first"])
    take(ledger, words["receipt"].body)
    for field in ({"minor_units": "1"}, {"statement": digest("x")}):
        with refused(Code.PAYMENT_MISMATCH, ledger):
            recover(ledger, payee, with_body(words["again"], **field))
    recover(ledger, payee, words["again"])
    assert entry_of(ledger).postings == ()
    assert window(ledger, payee, 1).payment == window(payer, payee, 1).payment
    for account in ("due", "paid"):
        assert money(ledger, account, payee) == money(payer, account, payee)
    check(ledger)


def test_our_receipt_stands_again_where_the_next_payment_is_said_first() -> None:
    payer, payee, words, _, size = crossed()
    ledger = opened(payee, size, payer)
    take(ledger, words["first"].body)
    take(ledger, words["again"].body)
    recover(ledger, payer, words["receipt"])
    assert state(ledger, payer, 1) is WindowState.CONFIRMED
    assert window(ledger, payer, 1).payment == window(payee, payer, 1).payment
    assert money(ledger, "paid", payer) == money(payee, "paid", payer)
    check(ledger)
