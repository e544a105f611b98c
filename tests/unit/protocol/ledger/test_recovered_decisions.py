"""Decisions of the gap, word by word: what stands again, at whose cost, and what is not believed."""

import msgspec
import pytest

from protocol.agreement import MemberLimits
from protocol.conversion import DestinationState
from protocol.errors import Code
from protocol.identifiers import Id, partner_of
from protocol.ledger import commands, names
from protocol.ledger.state import (
    COUNTERS,
    EXPOSURE,
    IN,
    INCOMING,
    MEMBER_USE,
    OUTGOING,
    PROMOTION_USE,
    PromotionUse,
)
from protocol.messages import Fulfil
from protocol.points import Step
from tests.support.documents import (
    AURORA,
    BLUEBIRD,
    COPPER,
    NETWORK,
    YESTERDAY,
    agreement,
    digest,
    digest_of_body,
    direction,
    hex_16,
    promotion,
    signed_agreement,
    uuid,
)
from tests.support.ledger import (
    MemoryLedger,
    Pair,
    convert,
    give_notice,
    issue,
    order,
    pair_of,
    receive,
    refused,
    rows_of,
)
from tests.support.recovering import (
    balance,
    check,
    credited,
    decided,
    entry_of,
    exposure,
    incoming,
    opened,
    refused_by,
    size_of,
    with_body,
    words_of,
)
from tests.support.returned import succeeded
from tests.support.succession import (
    Word,
    begin,
    end,
    ledger_of,
    recover,
    recovered,
    succeed,
)


def test_a_credit_stands_again_under_its_number() -> None:
    pair = pair_of()
    size = size_of(pair.destination)
    credited(pair)
    ledger = opened(pair.destination, size, pair.source)
    (word,) = words_of(pair.destination, size, pair.source)
    recover(ledger, pair.source, word)
    entry = entry_of(ledger)
    assert (entry.account, entry.shortfall) == (pair.receiver, 0)
    then = incoming(pair.destination, pair)
    assert incoming(ledger, pair) == msgspec.structs.replace(then, decided_seq=entry.seq)
    counter = ledger.state.get(COUNTERS, pair.source.name)
    assert counter == pair.destination.state.get(COUNTERS, pair.source.name)
    assert exposure(ledger, pair.source, IN) == exposure(pair.destination, pair.source, IN)
    assert ledger.account(pair.receiver).posted == 750
    (lot,) = ledger.state.lots(pair.receiver)
    assert (lot.seq, lot.origin, lot.earned_on) == (entry.seq, partner_of(pair.source.name), "2026-03-01")
    check(ledger)


def test_a_prepare_that_comes_again_meets_the_decision_that_stands_again() -> None:
    pair = pair_of()
    size = size_of(pair.destination)
    credited(pair)
    ledger = recovered(pair.destination, size, pair.source)
    before = size_of(ledger)
    prepare = next(word.prepare for word in words_of(pair.destination, size, pair.source))
    assert prepare is not None
    assert ledger.body(receive(ledger, prepare)) == words_of(pair.destination, size, pair.source)[0].body
    assert size_of(ledger) == before
    convert(pair.source, ledger, pair.sender, 400, name="next")
    counter = ledger.state.get(COUNTERS, pair.source.name)
    assert counter is not None
    assert counter.dec_seq == 2


def test_a_credit_to_an_account_that_is_not_known_any_more_is_the_programs() -> None:
    pair = pair_of()
    credited(pair)
    ledger = recovered(pair.destination, 4, pair.source)
    record = incoming(ledger, pair)
    assert (record.state, record.account) == (DestinationState.CREDITED, None)
    assert balance(ledger, "adjustment") == 750
    check(ledger)


@pytest.mark.parametrize("cancelled", [True, False])
@pytest.mark.parametrize("with_prepare", [True, False])
def test_a_refusal_stands_again_for_ever(cancelled: bool, with_prepare: bool) -> None:
    pair = pair_of()
    size = size_of(pair.destination)
    refused_by(pair, cancelled=cancelled)
    ledger = opened(pair.destination, size, pair.source)
    (word,) = words_of(pair.destination, size, pair.source)
    assert word.prepare is not None
    recover(ledger, pair.source, word if with_prepare else Word(body=word.body, digest=word.digest, ours=True))
    assert incoming(ledger, pair).state is DestinationState.REFUSED
    end(ledger, pair.source.name)
    assert ledger.body(receive(ledger, word.prepare)) == word.body
    check(ledger)


def test_conversion_decided_is_not_decided_again() -> None:
    pair = pair_of()
    size = size_of(pair.destination)
    credited(pair)
    ledger = opened(pair.destination, size, pair.source)
    (word,) = words_of(pair.destination, size, pair.source)
    recover(ledger, pair.source, word)
    again = msgspec.structs.replace(word.body, dec_seq=2)
    entry = msgspec.structs.replace(entry_of(ledger), id=uuid("x"), body=again, digest=digest_of_body(again))
    with refused(Code.CONVERSION_DECIDED, ledger):
        ledger.judge(entry)


def test_our_notice_counts_again() -> None:
    pair = pair_of()
    size = size_of(pair.source)
    notice = give_notice(pair.source, pair.signed)
    receive(pair.destination, pair.source.body(notice))
    ledger = recovered(pair.source, size, pair.destination)
    assert rows_of(ledger.state)["agreements"] == rows_of(pair.source.state)["agreements"]


def test_a_succession_of_ours_that_was_lost_again_is_only_noted() -> None:
    pair = pair_of()
    issue(pair.source, pair.sender, 1)
    lost = succeed(pair.source, size_of(pair.source) - 1)
    lost.execute(commands.WaiveRecovery(id=uuid("waive"), partner=pair.destination.name, reason="partner_gone"))
    size = size_of(lost)
    body = lost.body(begin(lost, pair.destination.name))
    ledger = opened(lost, size, pair.destination)
    before = rows_of(ledger.state)
    recover(ledger, pair.destination, Word(body=body, digest=digest_of_body(body), ours=True))  # type: ignore[arg-type]
    changed = {name for name, rows in rows_of(ledger.state).items() if before.get(name) != rows}
    assert changed == {"head", "ids"}


def test_what_a_promotion_and_a_member_used_is_counted_again() -> None:
    march = promotion(name="march", starts_at=YESTERDAY, step=Step(source=400, destination=260), budget_points=10_000)
    limits = MemberLimits(
        out_points_per_day=5_000, out_points_per_year=None, in_points_per_day=None, in_points_per_year=5_000
    )
    there = direction(member_limits=limits, promotions=(march,))
    pair = pair_of(signed=signed_agreement(agreement(there=there)))
    sizes = size_of(pair.source), size_of(pair.destination)
    credited(pair, name="one")
    pair.source.advance(days=2)
    pair.destination.advance(days=2)
    credited(pair, name="two", amount=800)
    for lost, size, partner in ((pair.source, sizes[0], pair.destination), (pair.destination, sizes[1], pair.source)):
        ledger = recovered(lost, size, partner)
        found, then = rows_of(ledger.state), rows_of(lost.state)
        for name in (MEMBER_USE.name, PROMOTION_USE.name, EXPOSURE.name):
            assert found[name] == then[name]
        (use,) = (record for _, record in ledger.state.rows(PROMOTION_USE))
        assert use == PromotionUse(points=5 * 260)
        check(ledger)


def refunded(pair: Pair) -> None:
    credited(pair, name="original")
    order(pair.destination, pair.source.name, pair.receiver, 750, name="back", refund_of="original")
    prepare = pair.destination.body(pair.destination.sealed[-1])
    receive(pair.destination, pair.source.body(receive(pair.source, prepare)))


def refunded_steps(ledger: MemoryLedger, table: str) -> dict[object, int]:
    """Return how many steps of each conversion of a table went back."""
    return {key: getattr(record, "refunded_steps", -1) for key, record in rows_of(ledger.state).get(table, {}).items()}


@pytest.mark.parametrize("brand", ["source", "destination"])
def test_a_refund_of_the_gap_takes_its_part_of_the_original(brand: str) -> None:
    pair = pair_of()
    lost, partner = (pair.source, pair.destination) if brand == "source" else (pair.destination, pair.source)
    size = size_of(lost)
    refunded(pair)
    ledger = recovered(lost, size, partner)
    for name in (OUTGOING.name, INCOMING.name):
        steps, then = (refunded_steps(one, name) for one in (ledger, lost))
        assert steps == then
        assert 3 in steps.values() or not any(steps.values())
    check(ledger)


def test_refund_unknown_where_the_original_did_not_come_back() -> None:
    pair = pair_of()
    sizes = size_of(pair.source), size_of(pair.destination)
    refunded(pair)
    for lost, size, partner in ((pair.source, sizes[0], pair.destination), (pair.destination, sizes[1], pair.source)):
        ledger = opened(lost, size, partner)
        last = words_of(lost, size, partner)[-1]
        word = with_body(last, dec_seq=1) if isinstance(last.body, Fulfil) else last
        with refused(Code.REFUND_UNKNOWN, ledger):
            recover(ledger, partner, word)


def test_recovery_mismatch_of_a_credit_that_is_not_what_was_promised() -> None:
    pair = pair_of()
    size = size_of(pair.destination)
    credited(pair)
    (word,) = words_of(pair.destination, size, pair.source)
    assert word.prepare is not None
    other = msgspec.structs.replace(word.prepare, steps=4)
    replaced_id = msgspec.structs.replace(word.prepare, id=uuid("x"))
    for wrong in (
        Word(body=word.body, digest=digest("x"), ours=True, prepare=word.prepare),
        Word(body=word.body, digest=word.digest, ours=True),
        Word(body=word.body, digest=word.digest, ours=True, prepare=other),
        Word(body=word.body, digest=word.digest, ours=True, prepare=replaced_id),
        with_body(word, dec_seq=2),
        with_body(word, window=2),
        with_body(word, destination_points=751),
        with_body(word, value=1),
        with_body(word, entry=msgspec.structs.replace(word.body.entry, seq=10_000)),
        with_body(word, entry=msgspec.structs.replace(word.body.entry, seq=9)),
    ):
        ledger = opened(pair.destination, size, pair.source)
        with refused(Code.RECOVERY_MISMATCH, ledger):
            recover(ledger, pair.source, wrong)


def test_amount_mismatch_of_a_credit_that_is_not_what_was_agreed() -> None:
    pair = pair_of()
    size = size_of(pair.destination)
    credited(pair)
    (word,) = words_of(pair.destination, size, pair.source)
    assert word.prepare is not None
    prepare = msgspec.structs.replace(word.prepare, destination_points=9_999)
    body = msgspec.structs.replace(word.body, prepare=digest_of_body(prepare), destination_points=9_999)
    ledger = opened(pair.destination, size, pair.source)
    with refused(Code.AMOUNT_MISMATCH, ledger):
        recover(ledger, pair.source, Word(body=body, digest=digest_of_body(body), ours=True, prepare=prepare))


def test_partner_mismatch_of_a_word_that_is_not_ours_to_this_partner() -> None:
    pair = pair_of()
    size = size_of(pair.source)
    decided(pair)
    (word,) = words_of(pair.source, size, pair.destination)
    for change in (
        {"network": hex_16("another")},
        {"destination": COPPER.ledger},
        {"source": COPPER.ledger},
        {"source": BLUEBIRD.ledger, "destination": AURORA.ledger},
    ):
        ledger = opened(pair.source, size, pair.destination)
        with refused(Code.PARTNER_MISMATCH, ledger):
            recover(ledger, pair.destination, with_body(word, **change))


def test_recovery_mismatch_where_nothing_is_waited_for() -> None:
    pair = pair_of()
    size = size_of(pair.source)
    decided(pair)
    (word,) = words_of(pair.source, size, pair.destination)
    ledger = opened(pair.source, size, pair.destination)
    end(ledger, pair.destination.name)
    with refused(Code.RECOVERY_MISMATCH, ledger):
        recover(ledger, pair.destination, word)


def test_recovery_mismatch_of_a_refusal_that_names_no_wish_or_a_needless_one() -> None:
    pair = pair_of()
    size = size_of(pair.destination)
    refused_by(pair, cancelled=True)
    (word,) = words_of(pair.destination, size, pair.source)
    for change in ({"reason": "expired"}, {"cancel": None}):
        ledger = opened(pair.destination, size, pair.source)
        with refused(Code.RECOVERY_MISMATCH, ledger):
            recover(ledger, pair.source, with_body(word, **change))


def test_recovery_mismatch_of_a_succession_that_is_still_to_come() -> None:
    pair = pair_of()
    issue(pair.source, pair.sender, 1)
    ledger = opened(pair.source, size_of(pair.source) - 1, pair.destination)
    body = msgspec.structs.replace(succeeded(), log="aurora.example/main.3")
    with refused(Code.RECOVERY_MISMATCH, ledger):
        recover(ledger, pair.destination, Word(body=body, digest=digest_of_body(body), ours=True))


def test_balance_overflow_of_a_credit_that_no_account_can_hold() -> None:
    pair = pair_of()
    size = size_of(pair.destination)
    credited(pair)
    (word,) = words_of(pair.destination, size, pair.source)
    ledger = succeed(pair.destination, size)
    ledger.execute(commands.WaiveRecovery(id=uuid("waive"), partner=pair.source.name, reason="partner_gone"))
    issue(ledger, pair.receiver, 2**53 - 1)
    begin(ledger, pair.source.name)
    with refused(Code.BALANCE_OVERFLOW, ledger):
        recover(ledger, pair.source, word)


def test_ids_are_those_of_the_entries_that_were_lost() -> None:
    pair = pair_of()
    size = size_of(pair.destination)
    credited(pair)
    (word,) = words_of(pair.destination, size, pair.source)
    assert names.recovered_id(word.body, word.digest) == Id(f"decided/{NETWORK}/{pair.source.name}/{uuid('lost')}")
    assert names.recovered_id(succeeded(), digest("s")) == Id(f"recovered/{digest('s')}")
    assert ledger_of(pair.destination).recovering == ()
