from collections.abc import Callable

import msgspec
import pytest

from protocol.audit.conversions import Decided
from protocol.audit.findings import FindingCode, Verdict
from protocol.audit.log import LogAudit, audit_log
from protocol.audit.matching import MoneyMatch, PairReport, are_partners, match_pair
from protocol.keys import Role
from protocol.messages import Body, Fulfil
from tests.support.audits import (
    Alliance,
    Half,
    MemorySource,
    alliance,
    answer,
    busy_alliance,
    hand_over,
    signed_checkpoint,
)
from tests.support.documents import AURORA, BLUEBIRD, COPPER, USD, Side, agreement, query, signed_agreement
from tests.support.ledger import add_partner, ask_cancel, enter, new_ledger, open_holder


def audited(half: Half, *, size: int | None = None) -> LogAudit:
    return audit_log(MemorySource(half.files(size=size), label=half.name))


def matched(source: Half, destination: Half) -> PairReport:
    return match_pair(audited(source), audited(destination))


def codes(report: PairReport) -> set[str]:
    return {finding.code for finding in report.findings}


def fill(half: Half, count: int = 20) -> None:
    """Let a ledger grow by entries that concern nobody else."""
    for number in range(count):
        open_holder(half.ledger, f"filler {number}")


def test_two_halves_that_match() -> None:
    made = busy_alliance()
    report = matched(made.source, made.destination)
    assert (report.verdict, report.findings, report.finding_count) == (Verdict.HELD, (), 0)
    assert (report.first, report.second, report.agreements) == (AURORA.ledger, BLUEBIRD.ledger, 1)
    there, back = report.directions
    assert (there.source, there.destination) == (AURORA.ledger, BLUEBIRD.ledger)
    assert (there.completed, there.returned, there.pending) == (2, 2, 2)
    assert there.money == (MoneyMatch(currency=USD, payable="20000000", receivable="20000000"),)
    assert (back.completed, back.returned, back.pending) == (1, 0, 0)
    assert matched(made.destination, made.source).directions == (back, there)


def test_a_credit_that_the_source_has_not_heard_of_is_pending() -> None:
    made = alliance()
    made.decided("one")
    report = matched(made.source, made.destination)
    assert (report.verdict, report.directions[0].pending, report.directions[0].money) == (Verdict.HELD, 1, ())


def test_a_capture_without_a_credit_is_broken() -> None:
    made, other = alliance(), alliance()
    made.converted("one")
    fill(other.destination)
    report = matched(made.source, other.destination)
    assert report.verdict is Verdict.BROKEN
    assert codes(report) == {FindingCode.DECISION_MISSING, FindingCode.PROMISE_BROKEN}
    place = f"{AURORA.ledger} entry {len(made.source.ledger.sealed) - 1}"
    (missing,) = [one for one in report.findings if one.code == FindingCode.DECISION_MISSING]
    assert missing.place == place
    assert "not credited" in missing.detail


def test_a_release_without_a_refusal_is_broken() -> None:
    made, other = alliance(), alliance()
    made.cancelled("one")
    fill(other.destination)
    report = matched(made.source, other.destination)
    (missing,) = [one for one in report.findings if one.code == FindingCode.DECISION_MISSING]
    assert "not refused" in missing.detail


def test_a_decision_beyond_the_end_of_the_given_log_could_not_be_checked() -> None:
    made = alliance()
    size = len(made.destination.ledger.sealed)
    made.converted("one")
    made.destination.received = made.destination.received[:1]
    report = match_pair(audited(made.source), audited(made.destination, size=size))
    assert (report.verdict, codes(report)) == (Verdict.INCOMPLETE, {FindingCode.BEHIND})


def test_an_order_beyond_the_end_of_the_given_log_could_not_be_checked() -> None:
    made = alliance()
    size = len(made.source.ledger.sealed)
    received = list(made.source.received)
    made.converted("one")
    made.cancelled("two")
    made.source.received = received
    report = match_pair(audited(made.source, size=size), audited(made.destination))
    assert (report.verdict, codes(report), report.finding_count) == (Verdict.INCOMPLETE, {FindingCode.BEHIND}, 2)


@pytest.mark.parametrize("fate", ["converted", "cancelled"])
def test_a_decision_about_an_order_that_the_source_does_not_have_is_broken(fate: str) -> None:
    made, other = alliance(), alliance()
    getattr(made, fate)("one")
    fill(other.source)
    report = matched(other.source, made.destination)
    assert codes(report) == {FindingCode.ORDER_MISSING, FindingCode.PROMISE_BROKEN}


def test_a_refusal_whose_messages_are_missing_could_not_be_matched() -> None:
    made, other = alliance(), alliance()
    made.cancelled("one")
    made.destination.received = made.destination.received[:1]
    fill(other.source)
    assert codes(matched(other.source, made.destination)) == {FindingCode.BEHIND}
    source = MemorySource(made.destination.files(), unreachable=frozenset({"ledger.json"}))
    unread = audit_log(source)
    assert unread.messages is None
    assert codes(match_pair(audited(other.source), unread)) == {FindingCode.BEHIND}


def test_a_conversion_that_was_credited_and_returned_is_broken() -> None:
    made, other = alliance(), alliance()
    prepare = made.ordered("one")
    assert other.ordered("one") == prepare
    answer(made.source, made.destination, prepare)
    wish = cancel_at(other)
    refusal = other.destination.ledger.body(answer(other.source, other.destination, wish))
    answer(other.destination, other.source, refusal)
    report = matched(other.source, made.destination)
    assert FindingCode.DECISIONS_CONTRADICT in codes(report)
    (finding,) = [one for one in report.findings if one.code == FindingCode.DECISIONS_CONTRADICT]
    assert finding.detail == f"it was returned as refused here and captured as credited at {BLUEBIRD.ledger}"
    captured = alliance()
    captured.converted("one")
    report = matched(captured.source, other.destination)
    assert FindingCode.DECISIONS_CONTRADICT in codes(report)


def cancel_at(made: Alliance) -> Body:
    return made.source.ledger.body(ask_cancel(made.source.ledger, name="one"))


def test_different_terms_of_one_conversion_are_broken() -> None:
    made, other = alliance(), alliance()
    made.converted("one", amount=1_200)
    other.converted("one", amount=2_400)
    report = matched(made.source, other.destination)
    assert codes(report) == {FindingCode.TERMS_DIFFER, FindingCode.PROMISE_BROKEN}
    assert report.directions[0].completed == 0


def test_a_promised_entry_must_stand_in_its_place() -> None:
    made, other = alliance(), alliance()
    prepare = made.ordered("one")
    open_holder(made.destination.ledger, "somebody")
    body = made.destination.ledger.body(answer(made.source, made.destination, prepare))
    answer(made.destination, made.source, body)
    other.converted("one")
    fill(other.destination)
    report = matched(made.source, other.destination)
    assert codes(report) == {FindingCode.PROMISE_BROKEN}
    assert report.directions[0].completed == 0


def test_a_fulfil_that_says_more_than_the_credit_is_broken() -> None:
    made = alliance()
    honest = made.decided("one")
    assert isinstance(honest, Fulfil)
    lie = msgspec.structs.replace(honest, decided_at="2026-03-01T12:00:09.000000Z")
    answer(made.destination, made.source, lie)
    report = matched(made.source, made.destination)
    assert codes(report) == {FindingCode.TERMS_DIFFER}


def test_a_log_shown_to_a_partner_must_be_the_log_shown_to_the_auditor() -> None:
    made = alliance()
    entries = [sealed.data for sealed in made.destination.ledger.sealed]
    ask = msgspec.structs.replace(query(), source=BLUEBIRD.ledger, destination=AURORA.ledger)
    hand_over(made.destination, made.source, [ask], checkpoint=signed_checkpoint(BLUEBIRD, entries))
    assert matched(made.source, made.destination).verdict is Verdict.HELD
    other = signed_checkpoint(BLUEBIRD, entries[:-2])
    hand_over(made.destination, made.source, [ask], checkpoint=other)
    assert matched(made.source, made.destination).verdict is Verdict.HELD
    forged = signed_checkpoint(BLUEBIRD, [*entries[:-3], b"{}"])
    hand_over(made.destination, made.source, [ask], checkpoint=forged)
    # The checkpoint of this size is another one than before, so the source's own messages show it too.
    messages = audited(made.source).messages
    assert messages is not None
    assert messages.accusations.verdict is Verdict.BROKEN
    made.source.received.pop(-2)
    made.source.received.pop(-2)
    report = matched(made.source, made.destination)
    assert codes(report) == {FindingCode.FORKED}


def test_a_checkpoint_beyond_the_given_log_could_not_be_checked() -> None:
    made = alliance()
    entries = [sealed.data for sealed in made.destination.ledger.sealed]
    ask = msgspec.structs.replace(query(), source=BLUEBIRD.ledger, destination=AURORA.ledger)
    hand_over(made.destination, made.source, [ask], checkpoint=signed_checkpoint(BLUEBIRD, entries))
    report = match_pair(audited(made.source), audited(made.destination, size=len(entries) - 1))
    assert codes(report) == {FindingCode.BEHIND}
    third = audit_log(MemorySource(Half(new_ledger(COPPER)).files()))
    assert match_pair(audited(made.source), third).findings == ()


def test_agreements_must_be_the_same_as_far_as_both_have_them() -> None:
    halves = [Half(new_ledger(side, needs=False)) for side in (AURORA, BLUEBIRD)]
    for half, partner in zip(halves, (BLUEBIRD, AURORA), strict=True):
        add_partner(half.ledger, partner)
    first, second = signed_agreement(), signed_agreement(agreement(quote_life_seconds=1_000))
    enter(halves[0].ledger, first)
    report = matched(halves[0], halves[1])
    assert (report.verdict, report.agreements) == (Verdict.HELD, 0)
    enter(halves[1].ledger, second)
    report = matched(halves[0], halves[1])
    assert (codes(report), report.agreements) == ({FindingCode.AGREEMENTS_DIFFER}, 0)


def test_partners_must_know_each_other_by_the_keys_of_genesis() -> None:
    halves = [Half(new_ledger(side, needs=False)) for side in (AURORA, BLUEBIRD)]
    assert not are_partners(audited(halves[0]), audited(halves[1]))
    swapped = dict(BLUEBIRD.signing_keys)
    swapped[Role.LOG], swapped[Role.WITNESS] = swapped[Role.WITNESS], swapped[Role.LOG]
    add_partner(halves[0].ledger, Side(ledger=BLUEBIRD.ledger, points=BLUEBIRD.points, signing_keys=swapped))
    assert are_partners(audited(halves[0]), audited(halves[1]))
    assert are_partners(audited(halves[1]), audited(halves[0]))
    report = matched(halves[0], halves[1])
    assert codes(report) == {FindingCode.KEYS_DIFFER}
    assert report.findings[0].place == f"{AURORA.ledger} entry 1"


def test_a_log_that_could_not_be_replayed_is_not_matched() -> None:
    made = busy_alliance()
    files = made.destination.files()
    del files["tile/entries/000.p/13"]
    report = match_pair(audited(made.source), audit_log(MemorySource(files)))
    assert codes(report) == {FindingCode.NOT_MATCHED}
    assert (report.verdict, report.second) == (Verdict.INCOMPLETE, "memory")
    assert not are_partners(audit_log(MemorySource({})), audit_log(MemorySource({})))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda one: msgspec.structs.replace(one, terms=one.terms._replace(value=1)), FindingCode.TERMS_DIFFER),
        (lambda one: msgspec.structs.replace(one, due=1), FindingCode.MONEY_DIFFERS),
        (lambda one: msgspec.structs.replace(one, dec_seq=2), FindingCode.DECISIONS_GAPPED),
    ],
)
def test_what_the_rules_of_each_ledger_forbid_is_found_again_by_matching(
    change: Callable[[Decided], Decided], code: str
) -> None:
    made = alliance()
    made.converted("one")
    source, destination = audited(made.source), audited(made.destination)
    decided = destination.book.decided[AURORA.ledger]
    decided.update({name: change(one) for name, one in decided.items()})
    assert codes(match_pair(source, destination)) == {code}
