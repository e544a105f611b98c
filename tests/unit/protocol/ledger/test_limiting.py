"""Limits of the program: reserved where an entry is judged, given back exactly, told with what is left."""

from contextlib import nullcontext
from typing import Literal

import pytest

from protocol.entries import ConversionRefused
from protocol.errors import Code
from protocol.identifiers import Account, Ledger
from protocol.ledger import commands
from protocol.ledger.limiting import LimitReached
from protocol.ledger.program_state import LIMIT_USE, RESERVATIONS, LimitUse
from protocol.program import Activity, KindPolicy, Limit, ProgramTerms, ZoneOffset
from tests.support.documents import BLUEBIRD, uuid
from tests.support.governing import govern, limited
from tests.support.ledger import (
    MemoryLedger,
    Pair,
    ask_cancel,
    convert,
    force,
    holder,
    issue,
    new_ledger,
    open_holder,
    order,
    pair_of,
    receive,
    refused,
    replay,
    rows_of,
)


@pytest.fixture
def ledger() -> MemoryLedger:
    ledger = new_ledger()
    open_holder(ledger, "ann", points=1_000)
    open_holder(ledger, "bob", points=1_000)
    return ledger


@pytest.fixture
def pair() -> Pair:
    return pair_of()


@pytest.fixture
def ann() -> Account:
    return holder("ann")


@pytest.fixture
def bob() -> Account:
    return holder("bob")


def redeem(ledger: MemoryLedger, account: Account, amount: int, name: str) -> None:
    ledger.execute(commands.RedeemPoints(id=uuid(name), account=account, amount=amount))


def transfer(ledger: MemoryLedger, account: Account, to: Account, amount: int, *, name: str) -> None:
    command = commands.TransferPoints(id=uuid(name), source=account, destination=to, amount=amount)
    ledger.execute(command)


def use_of(ledger: MemoryLedger, subject: str, activity: Activity = "redeem") -> LimitUse | None:
    return ledger.state.get(LIMIT_USE, (subject, activity))


def test_a_day_holds_what_it_holds_and_the_next_begins_anew(ledger: MemoryLedger, ann: Account, bob: Account) -> None:
    govern(ledger, limited(100))
    redeem(ledger, ann, 60, "first")
    with pytest.raises(LimitReached) as caught:
        redeem(ledger, ann, 41, "second")
    assert (caught.value.code, caught.value.left, caught.value.free_on) == ("limit_reached", 40, "2026-03-02")
    redeem(ledger, bob, 100, "of another")
    redeem(ledger, ann, 40, "third")
    ledger.advance(days=1)
    redeem(ledger, ann, 100, "tomorrow")
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_limit_reached_when_a_year_is_full(ledger: MemoryLedger, ann: Account) -> None:
    govern(ledger, limited(100, per="year"))
    redeem(ledger, ann, 100, "first")
    ledger.advance(days=300)
    with pytest.raises(LimitReached) as caught:
        redeem(ledger, ann, 1, "second")
    assert (caught.value.left, caught.value.free_on) == (0, "2027-01-01")
    ledger.advance(days=10)
    redeem(ledger, ann, 100, "next year")


def test_limit_reached_when_it_is_done_too_often(ledger: MemoryLedger, ann: Account) -> None:
    govern(ledger, limited(2, measure="count"))
    redeem(ledger, ann, 1, "first")
    redeem(ledger, ann, 1, "second")
    with refused(Code.LIMIT_REACHED, ledger):
        redeem(ledger, ann, 1, "third")


def test_limit_reached_when_one_transaction_is_too_large(ledger: MemoryLedger, ann: Account) -> None:
    govern(ledger, limited(100, per="transaction"))
    with pytest.raises(LimitReached) as caught:
        redeem(ledger, ann, 101, "large")
    assert (caught.value.left, caught.value.free_on) == (100, None)
    redeem(ledger, ann, 100, "first")
    redeem(ledger, ann, 100, "second")
    assert use_of(ledger, ann) is None, "nothing is counted for a limit of one transaction"


@pytest.mark.parametrize(("scope", "subject"), [("kind", "member"), ("program", "program")])
def test_some_limits_are_shared(
    ledger: MemoryLedger, ann: Account, bob: Account, *, scope: Literal["kind", "program"], subject: str
) -> None:
    govern(ledger, limited(100, scope=scope))
    redeem(ledger, ann, 60, "first")
    with refused(Code.LIMIT_REACHED, ledger):
        redeem(ledger, bob, 41, "second")
    redeem(ledger, bob, 40, "third")
    assert use_of(ledger, subject) == LimitUse(
        day="2026-03-01", day_points=100, day_count=2, year="2026", year_points=100, year_count=2
    )


def test_a_kind_has_limits_of_its_own(ledger: MemoryLedger, ann: Account) -> None:
    shop = holder("shop", "supplier")
    ledger.execute(commands.OpenAccount(id=uuid("open shop"), account=shop))
    transfer(ledger, ann, shop, 100, name="gift")
    daily = Limit(activity="redeem", scope="account", per="day", measure="points", most=10)
    govern(ledger, ProgramTerms(kinds=(KindPolicy(kind="supplier", limits=(daily,)),)))
    redeem(ledger, ann, 100, "of a member")
    with refused(Code.LIMIT_REACHED, ledger):
        redeem(ledger, shop, 11, "of a supplier")


@pytest.mark.parametrize("activity", ["earn", "transfer_out", "transfer_in"])
def test_every_activity_is_counted(ledger: MemoryLedger, ann: Account, bob: Account, *, activity: Activity) -> None:
    govern(ledger, limited(10, activity))
    if activity == "earn":
        issue(ledger, ann, 10)
        with refused(Code.LIMIT_REACHED, ledger):
            issue(ledger, ann, 1)
        return
    transfer(ledger, ann, bob, 10, name="first")
    with refused(Code.LIMIT_REACHED, ledger):
        transfer(ledger, ann, bob, 1, name="second")


@pytest.mark.parametrize(
    "policy",
    [
        KindPolicy(kind="member", may_earn=False),
        KindPolicy(kind="member", may_redeem=False),
        KindPolicy(kind="member", may_transfer=False),
    ],
)
def test_kind_not_allowed_when_the_policy_says_no(
    ledger: MemoryLedger, ann: Account, bob: Account, *, policy: KindPolicy
) -> None:
    govern(ledger, ProgramTerms(kinds=(policy,)))
    acts = (
        (policy.may_earn, lambda: issue(ledger, ann, 1)),
        (policy.may_redeem, lambda: redeem(ledger, ann, 1, "redeem")),
        (policy.may_transfer, lambda: transfer(ledger, ann, bob, 1, name="transfer")),
    )
    for may, act in acts:
        with nullcontext() if may else refused(Code.KIND_NOT_ALLOWED, ledger):
            act()


def test_what_a_hold_redeems_counts_on_the_day_on_which_it_was_placed(ledger: MemoryLedger, ann: Account) -> None:
    govern(ledger, limited(100))
    ledger.execute(commands.PlaceHold(id=uuid("h"), account=ann, amount=80))
    with refused(Code.LIMIT_REACHED, ledger):
        redeem(ledger, ann, 21, "more")
    ledger.execute(commands.CaptureHold(id=uuid("c"), hold=uuid("h"), amount=30, final=True))
    assert use_of(ledger, ann) == LimitUse(
        day="2026-03-01", day_points=30, day_count=1, year="2026", year_points=30, year_count=1
    )
    ledger.execute(commands.PlaceHold(id=uuid("h2"), account=ann, amount=70))
    ledger.execute(commands.ReleaseHold(id=uuid("r"), hold=uuid("h2")))
    assert use_of(ledger, ann) == LimitUse(
        day="2026-03-01", day_points=30, day_count=1, year="2026", year_points=30, year_count=1
    )
    redeem(ledger, ann, 70, "the rest")
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_a_day_that_is_over_gets_nothing_back(ledger: MemoryLedger, ann: Account) -> None:
    govern(ledger, limited(100))
    ledger.execute(commands.PlaceHold(id=uuid("h"), account=ann, amount=80))
    ledger.advance(days=1)
    redeem(ledger, ann, 10, "today")
    ledger.execute(commands.ReleaseHold(id=uuid("r"), hold=uuid("h")))
    assert use_of(ledger, ann) == LimitUse(
        day="2026-03-02", day_points=10, day_count=1, year="2026", year_points=10, year_count=1
    )


def test_a_hold_from_before_the_limits_gives_nothing_back(ledger: MemoryLedger, ann: Account) -> None:
    ledger.execute(commands.PlaceHold(id=uuid("h"), account=ann, amount=80))
    govern(ledger, limited(100))
    redeem(ledger, ann, 90, "first")
    ledger.execute(commands.ReleaseHold(id=uuid("r"), hold=uuid("h")))
    use = use_of(ledger, ann)
    assert use is not None
    assert use.day_points == 90


def test_what_was_reserved_is_given_back_though_the_limit_is_gone(ledger: MemoryLedger, ann: Account) -> None:
    govern(ledger, limited(100))
    ledger.execute(commands.PlaceHold(id=uuid("h"), account=ann, amount=80))
    govern(ledger, limited(5, "earn"), name="others")
    ledger.execute(commands.ReleaseHold(id=uuid("r"), hold=uuid("h")))
    use = use_of(ledger, ann)
    assert use is not None
    assert use.day_points == 0


def test_limits_out_are_given_back_when_the_partner_refuses(pair: Pair) -> None:
    source, destination = pair.source, pair.destination
    govern(source, limited(800, "convert_out"))
    order(source, destination.name, pair.sender, 800, name="first")
    with refused(Code.LIMIT_REACHED, source):
        order(source, destination.name, pair.sender, 400, name="second")
    wish = ask_cancel(source, name="first")
    receive(source, destination.body(receive(destination, source.body(wish))))
    use = use_of(source, pair.sender, "convert_out")
    assert use is not None
    assert (use.day_points, use.year_count) == (0, 0)
    convert(source, destination, pair.sender, 800, name="third")
    use = use_of(source, pair.sender, "convert_out")
    assert use is not None
    assert use.day_points == 800, "what was credited stays used"
    assert rows_of(replay(source)) == rows_of(source.state)


def test_limits_out_are_given_back_by_force(pair: Pair) -> None:
    source, destination = pair.source, pair.destination
    govern(source, limited(400, "convert_out", scope="partner"))
    order(source, destination.name, pair.sender, 400, name="first")
    force(source, name="first")
    use = use_of(source, BLUEBIRD.ledger, "convert_out")
    assert use is not None
    assert use.day_count == 0
    order(source, destination.name, pair.sender, 400, name="second")


def test_a_limit_of_another_partner_does_not_count(pair: Pair) -> None:
    other = Limit(
        activity="convert_out",
        scope="partner",
        per="day",
        measure="count",
        most=0,
        partner=Ledger("copper.example/main.1"),
    )
    govern(pair.source, ProgramTerms(limits=(other,)))
    order(pair.source, pair.destination.name, pair.sender, 400)


def test_limits_in_make_the_destination_refuse(pair: Pair) -> None:
    source, destination = pair.source, pair.destination
    govern(destination, limited(250, "convert_in"))
    convert(source, destination, pair.sender, 400, name="first")
    decided = receive(destination, source.body(order(source, destination.name, pair.sender, 400, name="second")))
    assert isinstance(decided.entry, ConversionRefused)
    assert decided.entry.reason == "limit_reached"
    released = receive(source, destination.body(decided))
    assert released.entry.seq
    assert rows_of(replay(destination)) == rows_of(destination.state)


def test_kind_not_allowed_when_members_may_not_convert(pair: Pair) -> None:
    source, destination = pair.source, pair.destination
    prepare = source.body(order(source, destination.name, pair.sender, 400, name="before"))
    for ledger in (source, destination):
        govern(ledger, ProgramTerms(kinds=(KindPolicy(kind="member", may_convert=False),)))
    decided = receive(destination, prepare)
    assert isinstance(decided.entry, ConversionRefused)
    assert decided.entry.reason == "kind_not_allowed"
    with refused(Code.KIND_NOT_ALLOWED, source):
        order(source, destination.name, pair.sender, 400)


def test_what_comes_back_is_no_use_of_a_limit(pair: Pair) -> None:
    source, destination = pair.source, pair.destination
    convert(source, destination, pair.sender, 400, name="first")
    for ledger, activity in ((source, "convert_in"), (destination, "convert_out")):
        govern(ledger, limited(0, "convert_in" if activity == "convert_in" else "convert_out"))
    back = order(destination, source.name, pair.receiver, 250, name="back", refund_of="first")
    receive(destination, source.body(receive(source, destination.body(back))))
    assert destination.state.get(RESERVATIONS, uuid("back")) is None


def test_a_time_zone_that_moves_back_ends_no_day(ledger: MemoryLedger, ann: Account) -> None:
    limit = limited(100).limits
    ledger.wall = "2026-03-01T23:00:00.000000Z"
    east = ProgramTerms(
        time_zone="Asia/Tokyo",
        offsets=(ZoneOffset(starts_at="2026-01-01T00:00:00.000000Z", seconds=9 * 3_600),),
        limits=limit,
    )
    govern(ledger, east)
    redeem(ledger, ann, 100, "tomorrow there")
    govern(ledger, ProgramTerms(limits=limit), name="home")
    with refused(Code.LIMIT_REACHED, ledger):
        redeem(ledger, ann, 1, "today here")
