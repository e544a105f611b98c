"""Accounts are frozen, opened again and merged; no point is lost, and none is spent that should not be."""

import msgspec
import pytest

from protocol.entries import ConversionCaptured, ConversionCredited
from protocol.errors import Code
from protocol.identifiers import Account
from protocol.ledger import commands
from protocol.ledger.lifecycle import MERGES_MAX, survivor_of
from protocol.ledger.program_state import MERGES, MergeRecord
from protocol.ledger.state import ACCOUNTS, AccountStatus
from protocol.ledger.view import Overlay
from protocol.program import ExpiryRule, ProgramTerms
from protocol.program_entries import AccountMerged
from tests.support.documents import uuid
from tests.support.governing import freeze, govern, live_under_terms, merge, unfreeze
from tests.support.ledger import (
    MemoryLedger,
    Pair,
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
def pair() -> Pair:
    return pair_of()


@pytest.fixture
def ledger() -> MemoryLedger:
    return new_ledger()


def redeem(ledger: MemoryLedger, account: Account, amount: int, name: str = "redeem") -> None:
    ledger.execute(commands.RedeemPoints(id=uuid(name), account=account, amount=amount))


def test_account_frozen_when_its_holder_would_take_points(pair: Pair) -> None:
    ledger, account = pair.source, pair.sender
    friend = open_holder(ledger, "friend", points=50)
    freeze(ledger, account)
    assert ledger.account(account).status is AccountStatus.FROZEN
    with refused(Code.ACCOUNT_FROZEN, ledger):
        redeem(ledger, account, 1)
    with refused(Code.ACCOUNT_FROZEN, ledger):
        ledger.execute(commands.TransferPoints(id=uuid("t"), source=account, destination=friend, amount=1))
    with refused(Code.ACCOUNT_FROZEN, ledger):
        ledger.execute(commands.PlaceHold(id=uuid("h"), account=account, amount=1))
    with refused(Code.ACCOUNT_FROZEN, ledger):
        order(ledger, pair.destination.name, account, 400)
    with refused(Code.ACCOUNT_FROZEN, ledger):
        freeze(ledger, account, name="again")
    unfreeze(ledger, account)
    redeem(ledger, account, 1)
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_a_frozen_account_gets_what_comes(pair: Pair) -> None:
    ledger, account = pair.source, pair.sender
    friend = open_holder(ledger, "friend", points=50)
    before = ledger.account(account).posted
    freeze(ledger, account)
    issue(ledger, account, 5)
    ledger.execute(commands.TransferPoints(id=uuid("t"), source=friend, destination=account, amount=7))
    assert ledger.account(account).posted == before + 12


def test_what_has_begun_ends_though_the_account_is_frozen(pair: Pair) -> None:
    source, destination = pair.source, pair.destination
    source.execute(commands.PlaceHold(id=uuid("h"), account=pair.sender, amount=10))
    prepare = source.body(order(source, destination.name, pair.sender, 400))
    freeze(source, pair.sender)
    freeze(destination, pair.receiver)
    credited = receive(destination, prepare)
    assert isinstance(credited.entry, ConversionCredited)
    assert isinstance(receive(source, destination.body(credited)).entry, ConversionCaptured)
    source.execute(commands.CaptureHold(id=uuid("c"), hold=uuid("h"), amount=None, final=True))
    assert source.account(pair.sender).held == 0


def test_a_frozen_account_is_closed_once_it_is_empty(ledger: MemoryLedger) -> None:
    account = open_holder(ledger, "ann")
    freeze(ledger, account)
    ledger.execute(commands.CloseAccount(id=uuid("close"), account=account))
    assert ledger.account(account).status is AccountStatus.CLOSED
    with refused(Code.ACCOUNT_CLOSED, ledger):
        unfreeze(ledger, account)


def test_account_not_frozen_when_it_is_opened_again(ledger: MemoryLedger) -> None:
    account = open_holder(ledger, "ann")
    with refused(Code.ACCOUNT_NOT_FROZEN, ledger):
        unfreeze(ledger, account)
    with refused(Code.ACCOUNT_UNKNOWN, ledger):
        unfreeze(ledger, holder("nobody"))


def test_lots_move_to_the_survivor_as_they_are(ledger: MemoryLedger) -> None:
    ann = open_holder(ledger, "ann", points=100, expires_on="2026-03-05")
    issue(ledger, ann, 50)
    bob = open_holder(ledger, "bob", points=10)
    ledger.advance(days=30)
    before = [(lot.origin, lot.earned_on, lot.expires_on, lot.remaining) for lot in ledger.state.lots(ann)]
    merged = merge(ledger, ann, bob)
    assert isinstance(merged.entry, AccountMerged)
    assert [posting.amount for posting in merged.entry.postings] == [-150, 150]
    lots = [lot for lot in ledger.state.lots(bob) if lot.seq == merged.entry.seq]
    assert [(lot.origin, lot.earned_on, lot.expires_on, lot.remaining) for lot in lots] == before
    assert (ledger.account(ann).status, ledger.account(ann).posted) == (AccountStatus.MERGED, 0)
    assert ledger.account(bob).posted == 160
    assert ledger.state.lots(ann) == []
    with refused(Code.ACCOUNT_CLOSED, ledger):
        issue(ledger, ann, 1)
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_lots_that_follow_the_clock_of_the_account_keep_the_day_that_they_had(ledger: MemoryLedger) -> None:
    govern(ledger, ProgramTerms(expiry=ExpiryRule(kind="rolling", months=12)))
    ann, bob = open_holder(ledger, "ann", points=100), open_holder(ledger, "bob")
    merge(ledger, ann, bob)
    assert ledger.lots(bob) == [("2027-03-01", 100)]


def test_an_empty_account_is_merged(ledger: MemoryLedger) -> None:
    ann, bob = open_holder(ledger, "ann"), open_holder(ledger, "bob")
    merged = merge(ledger, ann, bob)
    assert isinstance(merged.entry, AccountMerged)
    assert merged.entry.postings == ()
    assert survivor_of(ledger.state, ann) == bob
    assert survivor_of(ledger.state, bob) == bob


def test_the_last_survivor_stands_for_all(ledger: MemoryLedger) -> None:
    accounts = [open_holder(ledger, name, points=1) for name in ("ann", "bob", "cid", "dot")]
    merge(ledger, accounts[0], accounts[1], name="first")
    merge(ledger, accounts[1], accounts[2], name="second")
    merge(ledger, accounts[2], accounts[3], name="third")
    assert [survivor_of(ledger.state, each) for each in accounts] == [accounts[3]] * 4
    assert ledger.account(accounts[3]).posted == 4
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_conversions_for_a_merged_account_are_credited_to_its_survivor(pair: Pair) -> None:
    source, destination = pair.source, pair.destination
    survivor = open_holder(destination, "survivor")
    middle = open_holder(destination, "middle")
    merge(destination, pair.receiver, middle, name="first")
    merge(destination, middle, survivor, name="second")
    credited = receive(destination, source.body(order(source, destination.name, pair.sender, 400)))
    assert isinstance(credited.entry, ConversionCredited)
    assert credited.entry.postings[1].account == survivor
    assert destination.account(survivor).posted == credited.entry.destination_points
    assert rows_of(replay(destination)) == rows_of(destination.state)


def test_account_busy_when_an_account_with_points_on_hold_would_be_merged(pair: Pair) -> None:
    ledger = pair.source
    survivor = open_holder(ledger, "survivor")
    ledger.execute(commands.PlaceHold(id=uuid("h"), account=pair.sender, amount=10))
    with refused(Code.ACCOUNT_BUSY, ledger):
        merge(ledger, pair.sender, survivor)
    ledger.execute(commands.ReleaseHold(id=uuid("r"), hold=uuid("h")))
    order(ledger, pair.destination.name, pair.sender, 400)
    with refused(Code.ACCOUNT_BUSY, ledger):
        merge(ledger, pair.sender, survivor)


def test_account_busy_when_an_account_would_stand_for_too_many(ledger: MemoryLedger) -> None:
    ann, bob = open_holder(ledger, "ann"), open_holder(ledger, "bob")
    many = tuple(holder(f"absorbed {number}") for number in range(MERGES_MAX))
    ledger.state.put(MERGES, bob, MergeRecord(absorbed=many))
    with refused(Code.ACCOUNT_BUSY, ledger):
        merge(ledger, ann, bob)


def test_same_account_when_it_would_be_merged_into_itself(ledger: MemoryLedger) -> None:
    ann = open_holder(ledger, "ann")
    with refused(Code.SAME_ACCOUNT, ledger):
        merge(ledger, ann, ann)


def test_kind_not_allowed_when_accounts_of_different_kinds_would_be_merged(ledger: MemoryLedger) -> None:
    ann, shop = open_holder(ledger, "ann"), holder("shop", "supplier")
    ledger.execute(commands.OpenAccount(id=uuid("open shop"), account=shop))
    with refused(Code.KIND_NOT_ALLOWED, ledger):
        merge(ledger, ann, shop)


def test_frozen_accounts_are_not_merged(ledger: MemoryLedger) -> None:
    ann, bob = open_holder(ledger, "ann"), open_holder(ledger, "bob")
    freeze(ledger, bob)
    for account, survivor in ((ann, bob), (bob, ann)):
        with refused(Code.ACCOUNT_FROZEN, ledger):
            merge(ledger, account, survivor)


def test_postings_invalid_when_a_merge_moves_other_points(ledger: MemoryLedger) -> None:
    ann, bob = open_holder(ledger, "ann", points=2), open_holder(ledger, "bob")
    merged = merge(new_copy(ledger), ann, bob).entry
    assert isinstance(merged, AccountMerged)
    with refused(Code.POSTINGS_INVALID, ledger):
        ledger.judge(msgspec.structs.replace(merged, postings=()))


def new_copy(ledger: MemoryLedger) -> MemoryLedger:
    copy = MemoryLedger(ledger.side)
    for sealed in ledger.sealed:
        copy.judge(sealed.entry)
    return copy


def test_histories_name_both_accounts(ledger: MemoryLedger) -> None:
    live_under_terms(ledger)
    assert ledger.state.get(ACCOUNTS, holder("governed three")) is not None
    assert rows_of(replay(ledger)) == rows_of(ledger.state)
    assert Overlay(complete=True).get(ACCOUNTS, holder("x")) is None
