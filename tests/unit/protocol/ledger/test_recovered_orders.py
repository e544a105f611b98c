"""Orders of the gap, word by word: what stands again, at whose cost, and what is not believed."""

import msgspec

from protocol.agreement import MemberLimits
from protocol.conversion import SourceState
from protocol.errors import Code
from protocol.fields import later
from protocol.identifiers import partner_of
from protocol.ledger import commands, rules
from protocol.ledger.state import (
    IDS,
    MEMBER_USE,
    OUT,
    OUTGOING,
    IdRecord,
    MemberUse,
)
from protocol.messages import Cancel, Fulfil, Prepare
from tests.support.documents import (
    agreement,
    digest,
    digest_of_body,
    direction,
    signed_agreement,
    uuid,
)
from tests.support.history import FEE
from tests.support.ledger import (
    ask_cancel,
    force,
    issue,
    order,
    pair_of,
    receive,
    refused,
)
from tests.support.recovering import (
    ADJUSTMENT,
    balance,
    check,
    decided,
    entry_of,
    exposure,
    opened,
    outgoing,
    size_of,
    unlinked,
    with_body,
    words_of,
)
from tests.support.succession import (
    Word,
    begin,
    end,
    give_back,
    recover,
    recovered,
    succeed,
    take_back,
)


def test_an_order_waits_for_its_decision_again() -> None:
    pair = pair_of(signed=signed_agreement(agreement(there=direction(fee=FEE))))
    size = size_of(pair.source)
    decided(pair)
    ledger = opened(pair.source, size, pair.destination)
    (word,) = words_of(pair.source, size, pair.destination)
    recover(ledger, pair.destination, word, share=False)
    entry = entry_of(ledger)
    assert (entry.account, entry.shortfall, entry.postings) == (pair.sender, 0, ())
    assert (entry.id, entry.request, entry.digest) == (uuid("lost"), None, word.digest)
    then = pair.source.state.get(OUTGOING, uuid("lost"))
    assert then is not None
    assert outgoing(ledger) == msgspec.structs.replace(then, held_seq=entry.seq)
    assert ledger.hold(uuid("lost")).remaining == 1_200 + 5 + 3
    assert exposure(ledger, pair.destination, OUT) == exposure(pair.source, pair.destination, OUT)
    assert ledger.body(ledger.sealed[-1]) == word.body
    theirs = [each for each in give_back(pair.source, size, pair.destination) if not each.ours]
    take_back(ledger, pair.destination, theirs)
    assert outgoing(ledger).state is SourceState.CAPTURED
    assert (ledger.account(pair.sender).posted, ledger.account(pair.sender).conversions) == (10_000 - 1_208, 0)
    check(ledger)


def test_insufficient_points_waits_until_somebody_says_that_it_is_the_programs_to_bear() -> None:
    pair = pair_of(points=500)
    size = size_of(pair.source)
    issue(pair.source, pair.sender, 1_000)
    decided(pair)
    ledger = opened(pair.source, size, pair.destination)
    (word,) = words_of(pair.source, size, pair.destination)
    with refused(Code.INSUFFICIENT_POINTS, ledger):
        recover(ledger, pair.destination, word, share=False)
    recover(ledger, pair.destination, word, share=True)
    entry = entry_of(ledger)
    assert entry.shortfall == 700
    assert [tuple(posting) for posting in map(msgspec.structs.astuple, entry.postings)] == [
        ("adjustment", "AUR", -700),
        (pair.sender, "AUR", 700),
    ]
    assert (ledger.account(pair.sender).posted, ledger.account(pair.sender).available) == (1_200, 0)
    take_back(ledger, pair.destination, give_back(pair.source, size, pair.destination)[1:])
    assert (balance(ledger, "adjustment"), ledger.account(pair.sender).posted) == (-700, 0)
    check(ledger)


def test_points_that_were_to_expire_since_are_held_as_they_were_then() -> None:
    pair = pair_of(points=0)
    issue(pair.source, pair.sender, 400, expires_on="2026-03-01")
    issue(pair.source, pair.sender, 400, expires_on="2026-02-28", on="2026-02-28")
    size = size_of(pair.source)
    decided(pair, amount=400)
    ledger = succeed(pair.source, size)
    ledger.advance(days=30)
    begin(ledger, pair.destination.name)
    recover(ledger, pair.destination, words_of(pair.source, size, pair.destination)[0])
    assert entry_of(ledger).shortfall == 0
    assert ledger.lots(pair.sender) == [("2026-02-28", 400), ("2026-03-01", 0)][:1]
    check(ledger)


def test_what_an_unknown_account_had_ordered_is_the_programs_to_give() -> None:
    pair = pair_of(signed=signed_agreement(agreement(there=direction(fee=FEE))))
    decided(pair)
    ledger, words = unlinked(pair)
    recover(ledger, pair.destination, words[0])
    assert (entry_of(ledger).account, entry_of(ledger).postings) == (None, ())
    assert outgoing(ledger).account == ADJUSTMENT
    with refused(Code.RECOVERING, ledger):
        issue(ledger, pair.sender, 1)
    take_back(ledger, pair.destination, words[1:])
    end(ledger, pair.destination.name)
    assert outgoing(ledger).state is SourceState.CAPTURED
    assert (balance(ledger, "adjustment"), balance(ledger, "fees")) == (-1_208, 8)
    assert balance(ledger, f"payable/{partner_of(pair.destination.name)}", money=True) == 7_500_000
    check(ledger)


def test_what_an_unknown_account_had_ordered_and_was_refused_moves_nothing() -> None:
    pair = pair_of()
    order(pair.source, pair.destination.name, pair.sender, 400, name="lost")
    receive(pair.destination, pair.source.body(ask_cancel(pair.source, name="lost")))
    ledger, words = unlinked(pair)
    take_back(ledger, pair.destination, words)
    assert (outgoing(ledger).state, outgoing(ledger).cancel_requested) == (SourceState.RELEASED, True)
    assert balance(ledger, "adjustment") == 0
    check(ledger)


def test_what_an_unknown_account_had_ordered_can_be_given_up_by_force() -> None:
    pair = pair_of()
    decided(pair)
    ledger, words = unlinked(pair)
    recover(ledger, pair.destination, words[0])
    end(ledger, pair.destination.name)
    force(ledger, name="lost")
    assert outgoing(ledger).state is SourceState.FORCED
    take_back(ledger, pair.destination, words[1:])
    assert outgoing(ledger).state is SourceState.FORCED_OWED
    check(ledger)


def test_an_account_that_was_closed_since_takes_no_part() -> None:
    pair = pair_of(points=400)
    size = size_of(pair.source)
    decided(pair, amount=400)
    ledger = succeed(pair.source, size)
    waived = commands.WaiveRecovery(id=uuid("waive"), partner=pair.destination.name, reason="partner_gone")
    ledger.execute(waived)
    ledger.execute(commands.RedeemPoints(id=uuid("redeem"), account=pair.sender, amount=400))
    ledger.execute(commands.CloseAccount(id=uuid("close"), account=pair.sender))
    begin(ledger, pair.destination.name)
    take_back(ledger, pair.destination, give_back(pair.source, size, pair.destination))
    assert outgoing(ledger).account == ADJUSTMENT
    check(ledger)


def test_id_reused_where_a_client_repeats_an_order_of_the_gap() -> None:
    pair = pair_of()
    size = size_of(pair.source)
    decided(pair, amount=400)
    ledger = recovered(pair.source, size, pair.destination)
    again = commands.OrderConversion(
        id=uuid("lost"), request=digest("what the client asks"), account=pair.sender,
        destination=pair.destination.name, amount=400, accept_by=later(ledger.wall, seconds=600),
    )  # fmt: skip
    with refused(Code.ID_REUSED, ledger):
        ledger.execute(again)
    assert ledger.state.get(IDS, uuid("lost")) == IdRecord(seq=outgoing(ledger).held_seq, request=None)


def test_conversion_exists_that_is_given_back_twice() -> None:
    pair = pair_of()
    size = size_of(pair.source)
    decided(pair)
    ledger = opened(pair.source, size, pair.destination)
    (word,) = words_of(pair.source, size, pair.destination)
    recover(ledger, pair.destination, word)
    seq = size_of(ledger)
    recover(ledger, pair.destination, word)
    assert size_of(ledger) == seq
    with refused(Code.CONVERSION_EXISTS, ledger):
        ledger.judge(msgspec.structs.replace(entry_of(ledger), id=uuid("again"), shortfall=0))


def test_a_wish_stands_again_also_after_the_decision_that_it_crossed() -> None:
    pair = pair_of()
    size = size_of(pair.source)
    held = order(pair.source, pair.destination.name, pair.sender, 400, name="lost")
    wish = ask_cancel(pair.source, name="lost")
    decision = pair.destination.body(receive(pair.destination, pair.source.body(held)))
    assert isinstance(decision, Fulfil)
    ledger = opened(pair.source, size, pair.destination)
    order_word, wish_word = (
        Word(body=body, digest=digest_of_body(body), ours=True)
        for body in (pair.source.body(held), pair.source.body(wish))
        if isinstance(body, Prepare | Cancel)
    )
    recover(ledger, pair.destination, order_word)
    receive(ledger, decision)
    recover(ledger, pair.destination, wish_word)
    assert (outgoing(ledger).state, outgoing(ledger).cancel_requested) == (SourceState.CAPTURED, True)
    assert ledger.body(ledger.sealed[-1]) == wish_word.body
    check(ledger)


def test_a_wish_about_an_order_that_never_arrived_moves_nothing() -> None:
    pair = pair_of()
    size = size_of(pair.source)
    order(pair.source, pair.destination.name, pair.sender, 400, name="lost")
    wish = pair.source.body(ask_cancel(pair.source, name="lost"))
    assert isinstance(wish, Cancel)
    ledger = opened(pair.source, size, pair.destination)
    recover(ledger, pair.destination, Word(body=wish, digest=digest_of_body(wish), ours=True))
    assert ledger.state.get(OUTGOING, uuid("lost")) is None


def test_use_that_comes_back_late_counts_for_its_own_day() -> None:
    limits = MemberLimits(
        out_points_per_day=5_000, out_points_per_year=9_000, in_points_per_day=None, in_points_per_year=None
    )
    pair = pair_of(signed=signed_agreement(agreement(there=direction(member_limits=limits))))
    size = size_of(pair.source)
    decided(pair, amount=400)
    ledger = succeed(pair.source, size)
    ledger.execute(commands.WaiveRecovery(id=uuid("waive"), partner=pair.destination.name, reason="partner_gone"))
    ledger.advance(days=3)
    order(ledger, pair.destination.name, pair.sender, 800, name="new")
    begin(ledger, pair.destination.name)
    recover(ledger, pair.destination, words_of(pair.source, size, pair.destination)[0])
    use = ledger.state.get(MEMBER_USE, (pair.sender, pair.destination.name, OUT))
    assert use == MemberUse(day="2026-03-04", day_points=800, year="2026", year_points=1_200)


def test_fee_mismatch_and_agreement_unknown_of_an_order() -> None:
    pair = pair_of()
    size = size_of(pair.source)
    decided(pair)
    (word,) = words_of(pair.source, size, pair.destination)
    for change, code in (
        ({"fee_points": 1}, Code.FEE_MISMATCH),
        ({"agreement": digest("x")}, Code.AGREEMENT_UNKNOWN),
        ({"promotion": "none"}, Code.PROMOTION_UNKNOWN),
        ({"value": 1}, Code.AMOUNT_MISMATCH),
    ):
        ledger = opened(pair.source, size, pair.destination)
        with refused(code, ledger):
            recover(ledger, pair.destination, with_body(word, **change))


def test_recovery_mismatch_of_an_entry_that_moves_something_else() -> None:
    pair = pair_of(points=500)
    size = size_of(pair.source)
    issue(pair.source, pair.sender, 1_000)
    decided(pair)
    (word,) = words_of(pair.source, size, pair.destination)
    recover(other := opened(pair.source, size, pair.destination), pair.destination, word)
    good = entry_of(other)
    ledger = opened(pair.source, size, pair.destination)
    assert isinstance(word.body, Prepare)
    for change in (
        {"account": None, "shortfall": 0, "postings": ()},
        {"shortfall": 0, "postings": ()},
        {"shortfall": 600},
        {"postings": good.postings[::-1]},
        {"request": digest("x")},
        {"prepare": word.body},
    ):
        with refused(Code.RECOVERY_MISMATCH, ledger):
            ledger.judge(msgspec.structs.replace(good, **change))
    ledger.judge(good)


def test_recovery_mismatch_of_a_wish_about_another_conversion() -> None:
    pair = pair_of()
    size = size_of(pair.source)
    held = order(pair.source, pair.destination.name, pair.sender, 400, name="lost")
    wish = pair.source.body(ask_cancel(pair.source, name="lost"))
    prepare = pair.source.body(held)
    assert isinstance(prepare, Prepare)
    assert isinstance(wish, Cancel)
    ledger = opened(pair.source, size, pair.destination)
    recover(ledger, pair.destination, Word(body=prepare, digest=digest_of_body(prepare), ours=True))
    wrong = msgspec.structs.replace(wish, prepare=digest("x"))
    with refused(Code.RECOVERY_MISMATCH, ledger):
        recover(ledger, pair.destination, Word(body=wrong, digest=digest_of_body(wrong), ours=True))


def test_holders_see_what_stands_again_in_their_history() -> None:
    pair = pair_of()
    size = size_of(pair.source)
    order(pair.source, pair.destination.name, pair.sender, 400, name="lost")
    receive(pair.destination, pair.source.body(ask_cancel(pair.source, name="lost")))
    ledger = opened(pair.source, size, pair.destination)
    take_back(ledger, pair.destination, give_back(pair.source, size, pair.destination))
    found = [rules.holders_of(ledger.state, sealed.entry) for sealed in ledger.sealed[-3:]]
    assert found == [(pair.sender,)] * 3
    unknown, words = unlinked(pair)
    take_back(unknown, pair.destination, words)
    assert [rules.holders_of(unknown.state, sealed.entry) for sealed in unknown.sealed[-3:]] == [()] * 3
