"""Settlement that was lost and stands again, as two logs have it; and what is said of it in words."""

import pytest

from protocol.audit.explain import body_line
from protocol.audit.findings import Verdict
from protocol.audit.log import audit_log
from protocol.audit.matching import PairReport, match_pair
from protocol.ledger import commands
from protocol.messages import Body
from tests.support.audits import Alliance, Half, MemorySource, alliance, answer, hand_over
from tests.support.documents import prepare, uuid
from tests.support.ledger import MemoryLedger, give_notice
from tests.support.returned import returned, returned_agreement, succeeded
from tests.support.successions import all_files, copy_of, give_all_back, put_back
from tests.support.windows import close, compute, propose, sign, take


def say(sender: Half, receiver: Half, body: Body) -> None:
    """Let `receiver` keep and take in what `sender` says of settlement."""
    hand_over(sender, receiver, [body])
    take(receiver.ledger, body)


def settled(made: Alliance) -> None:
    """Close a window, agree on it, pay and confirm it, and end the agreement, all of it heard by both."""
    one, other = made.source, made.destination
    say(one, other, one.ledger.body(close(one.ledger, other.ledger, 1, early=True)))
    say(other, one, other.ledger.body(close(other.ledger, one.ledger, 1, early=True)))
    document = compute(one.ledger, other.ledger, 1)
    proposal = one.ledger.body(propose(one.ledger, other.ledger, document))
    hand_over(one, other, [proposal])
    acceptance = other.ledger.body(sign(other.ledger, proposal))
    hand_over(other, one, [acceptance])
    sign(one.ledger, acceptance)
    payer, payee = (one, other) if document.payer == one.name else (other, one)
    say(payer, payee, made_payment(payer.ledger, payee.ledger))
    say(payee, payer, confirmed_payment(payer.ledger, payee.ledger))
    answer(one, other, one.ledger.body(give_notice(one.ledger, made.pair.signed)))


def made_payment(payer: MemoryLedger, payee: MemoryLedger) -> Body:
    command = commands.MakePayment(id=uuid("pay"), partner=payee.name, window=1, reference="RF 1")
    return payer.body(payer.execute(command))


def confirmed_payment(payer: MemoryLedger, payee: MemoryLedger) -> Body:
    command = commands.ConfirmPayment(id=uuid("confirm"), partner=payer.name, window=1)
    return payee.body(payee.execute(command))


def matched(one: Half, other: Half) -> PairReport:
    first, second = (audit_log(MemorySource(all_files(half), label=half.name)) for half in (one, other))
    assert [audit.findings.listed for audit in (first, second)] == [(), ()]
    return match_pair(first, second)


@pytest.mark.parametrize("brand", ["source", "destination"])
def test_a_settlement_that_was_lost_is_matched_by_the_words_that_stand_again(brand: str) -> None:
    made = alliance()
    made.converted("one")
    made.back("two")
    lost, partner = made.halves if brand == "source" else made.halves[::-1]
    copy = copy_of(lost)
    settled(made)
    ledger = put_back(lost, copy)
    give_all_back(lost, copy, ledger, partner)
    pair = matched(ledger, partner)
    assert pair.findings == ()
    assert (pair.verdict, pair.statements, pair.payments) == (Verdict.HELD, 1, 1)


def test_what_brings_words_back_is_explained() -> None:
    assert body_line(succeeded()) == (
        "aurora.example/main.1 goes on as aurora.example/main.2, since aurora.example/main.1 has lost its end"
    )
    text = "bluebird.example/main.1 gives aurora.example/main.1 back what its store has lost"
    assert body_line(returned(prepare())) == body_line(returned_agreement()) == text
