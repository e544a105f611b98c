"""What a successor gets back is counted by limits again, and moves accounts that are frozen or merged, too."""

import pytest

from protocol.ledger.program_state import LIMIT_USE, RESERVATIONS, LimitUse
from protocol.ledger.state import AccountStatus
from protocol.program import ExpiryRule, Limit, ProgramTerms, ZoneOffset
from tests.support.governing import freeze, govern, limited, merge, unfreeze
from tests.support.ledger import Pair, issue, open_holder, order, pair_of, receive, rows_of
from tests.support.recovering import check, credited, decided, opened, size_of, words_of
from tests.support.succession import recover, recovered

OUT = limited(10_000, "convert_out").limits[0]
IN = limited(10_000, "convert_in", scope="partner").limits[0]
ELSE = Limit(activity="redeem", scope="account", per="day", measure="count", most=1)
TERMS = ProgramTerms(limits=(OUT, IN, ELSE))


@pytest.fixture
def pair() -> Pair:
    pair = pair_of()
    for ledger in (pair.source, pair.destination):
        govern(ledger, TERMS)
    return pair


def test_what_limits_had_counted_is_counted_again(pair: Pair) -> None:
    sizes = size_of(pair.source), size_of(pair.destination)
    credited(pair, name="one")
    for ledger in (pair.source, pair.destination):
        ledger.advance(days=1)
    credited(pair, name="two", amount=800)
    for lost, size, partner in ((pair.source, sizes[0], pair.destination), (pair.destination, sizes[1], pair.source)):
        ledger = recovered(lost, size, partner)
        found, then = rows_of(ledger.state), rows_of(lost.state)
        assert found[LIMIT_USE.name] == then[LIMIT_USE.name]
        assert found.get(RESERVATIONS.name) == then.get(RESERVATIONS.name)
        check(ledger)


def test_a_late_use_counts_for_the_year_alone(pair: Pair) -> None:
    size = size_of(pair.source)
    decided(pair, amount=400)
    lost = pair.source
    ledger = opened(lost, size, pair.destination)
    (word,) = words_of(lost, size, pair.destination)
    ledger.state.put(
        LIMIT_USE,
        (pair.sender, "convert_out"),
        LimitUse(day="2026-03-05", day_points=100, day_count=1, year="2026", year_points=100, year_count=1),
    )
    recover(ledger, pair.destination, word)
    assert ledger.state.get(LIMIT_USE, (pair.sender, "convert_out")) == LimitUse(
        day="2026-03-05", day_points=100, day_count=1, year="2026", year_points=500, year_count=2
    )


def test_an_order_of_an_account_whose_thaw_was_lost_waits_again() -> None:
    pair = pair_of()
    freeze(pair.source, pair.sender)
    size = size_of(pair.source)
    unfreeze(pair.source, pair.sender)
    decided(pair, amount=400)
    (word,) = words_of(pair.source, size, pair.destination)
    ledger = opened(pair.source, size, pair.destination)
    recover(ledger, pair.destination, word)
    account = ledger.account(pair.sender)
    assert (account.status, account.conversions) == (AccountStatus.FROZEN, 1)


def test_a_credit_for_a_merged_account_is_its_survivors() -> None:
    pair = pair_of()
    survivor = open_holder(pair.destination, "survivor")
    merge(pair.destination, pair.receiver, survivor)
    size = size_of(pair.destination)
    order(pair.source, pair.destination.name, pair.sender, 400, name="lost")
    prepare = pair.source.body(pair.source.sealed[-1])
    receive(pair.destination, prepare)
    ledger = recovered(pair.destination, size, pair.source)
    assert ledger.account(survivor).posted == 250
    assert ledger.account(pair.receiver).posted == 0


ROLLING = ProgramTerms(
    time_zone="Pacific/Auckland",
    offsets=(ZoneOffset(starts_at="2026-01-01T00:00:00.000000Z", seconds=46_800),),
    expiry=ExpiryRule(kind="rolling", months=1),
)
"""Points that last a month from the last activity on, where the day begins thirteen hours before that of UTC."""


def test_a_conversion_of_the_gap_was_an_activity_of_both_accounts() -> None:
    pair = pair_of()
    for ledger, account in ((pair.source, pair.sender), (pair.destination, pair.receiver)):
        govern(ledger, ROLLING)
        issue(ledger, account, 30)
        assert ledger.account(account).active_on == "2026-03-02"
    sizes = size_of(pair.source), size_of(pair.destination)
    for ledger in (pair.source, pair.destination):
        ledger.advance(days=20)
    credited(pair)
    orderer = recovered(pair.source, sizes[0], pair.destination)
    decider = recovered(pair.destination, sizes[1], pair.source)
    for ledger, account in ((orderer, pair.sender), (decider, pair.receiver)):
        assert ledger.account(account).active_on == "2026-03-22"
        check(ledger)


def test_what_had_run_out_before_a_credit_of_the_gap_keeps_its_day() -> None:
    pair = pair_of()
    govern(pair.destination, ROLLING)
    issue(pair.destination, pair.receiver, 30)
    size = size_of(pair.destination)
    for ledger in (pair.source, pair.destination):
        ledger.advance(days=40)
    credited(pair)
    ledger = recovered(pair.destination, size, pair.source)
    assert ledger.lots(pair.receiver) == pair.destination.lots(pair.receiver) == [("2026-04-02", 30), (None, 750)]
