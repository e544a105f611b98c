"""The journal sums, account by account, to the trial balance of the same log, and keeps partners' points apart."""

from collections import Counter

import pytest

from protocol.audit import journal
from protocol.audit.days import DayBook
from protocol.audit.figures import trial_balance
from protocol.audit.journal import JournalLine, daily, journal_lines
from protocol.entries import transfer_postings, unseal
from protocol.identifiers import Account, Asset
from protocol.ledger import commands
from protocol.ledger.postings import ledger_record
from protocol.ledger.state import HOLDS, HoldRecord, Piece
from tests.support.departing import departed
from tests.support.documents import uuid
from tests.support.history import history, succession
from tests.support.ledger import MemoryLedger, convert, holder, pair_of

LEDGERS = {
    "source": lambda: history().source,
    "destination": lambda: history().destination,
    "successor": lambda: succession()[0],
    "departed": lambda: departed().source,
}


def lines_of(ledger: MemoryLedger) -> list[JournalLine]:
    return list(journal_lines(unseal(sealed.data) for sealed in ledger.sealed))


def totals(lines: list[JournalLine]) -> dict[tuple[str, str], int]:
    found: Counter[tuple[str, str]] = Counter()
    for line in lines:
        found[line.account, line.asset] += line.amount
    return {key: amount for key, amount in found.items() if amount}


def trial(ledger: MemoryLedger) -> dict[tuple[str, str], int]:
    days = DayBook()
    days.passed([sealed.entry for sealed in ledger.sealed], points=ledger_record(ledger.state).points)
    lines = trial_balance(days.until(None))
    return {(line.account, line.asset): int(line.amount) for line in lines if line.amount != "0"}


@pytest.mark.parametrize("name", LEDGERS)
def test_lines_sum_to_the_trial_balance(name: str) -> None:
    ledger = LEDGERS[name]()
    lines = lines_of(ledger)
    assert totals(lines) == trial(ledger)
    assert totals(list(daily(lines))) == trial(ledger)
    for seq in {line.seq for line in lines}:
        by_asset: Counter[str] = Counter()
        for one in lines:
            if one.seq == seq:
                by_asset[one.asset] += one.amount
        assert set(by_asset.values()) == {0}


def test_points_of_a_partner_stay_apart_from_our_own() -> None:
    pair = pair_of()
    ledger = pair.destination
    convert(pair.source, ledger, pair.sender, 400, name="in")
    ledger.execute(commands.IssuePoints(id=uuid("own"), account=pair.receiver, amount=100, expires_on="2026-12-31"))
    ledger.execute(commands.RedeemPoints(id=uuid("spent"), account=pair.receiver, amount=150))
    told = [
        (line.account, line.origin, line.amount)
        for line in lines_of(ledger)
        if line.kind == "points_redeemed" and line.asset == "BLU"
    ]
    assert sorted(told) == [
        ("member/*", "aurora.example/main", -50),
        ("member/*", "own", -100),
        ("redemption", "aurora.example/main", 50),
        ("redemption", "own", 100),
    ]


def test_a_hold_keeps_the_origin_of_what_it_captures() -> None:
    pair = pair_of()
    ledger = pair.destination
    convert(pair.source, ledger, pair.sender, 400, name="in")
    hold = uuid("hold")
    ledger.execute(commands.PlaceHold(id=hold, account=pair.receiver, amount=30))
    ledger.execute(commands.CaptureHold(id=uuid("capture"), hold=hold, amount=10, final=True))
    lines = [line for line in lines_of(ledger) if line.kind in {"hold_placed", "hold_captured"}]
    assert [(line.account, line.origin, line.amount) for line in lines] == [
        ("member/*", "aurora.example/main", -10),
        ("redemption", "aurora.example/main", 10),
    ]


def test_what_moves_between_members_is_no_line_and_between_kinds_is() -> None:
    pair = pair_of()
    ledger = pair.source
    other, staff = holder("other"), holder("staff", "employee")
    for account in (other, staff):
        ledger.execute(commands.OpenAccount(id=uuid(f"open {account}"), account=account))
        ledger.execute(
            commands.TransferPoints(id=uuid(f"to {account}"), source=pair.sender, destination=account, amount=5)
        )
    moved = [line for line in lines_of(ledger) if line.kind == "points_transferred"]
    assert [(line.account, line.origin, line.amount) for line in moved] == [
        ("employee/*", "own", 5),
        ("member/*", "own", -5),
    ]


def test_the_lines_of_a_day_are_netted_and_name_no_entry() -> None:
    lines = lines_of(history().source)
    found = list(daily(lines))
    assert len(found) < len(lines)
    assert {line.id for line in found} == {""}
    assert [line.day for line in found] == sorted(line.day for line in found)
    assert all(line.amount for line in found)


def test_what_stands_against_no_holder_is_our_own() -> None:
    points = Asset("BLU")
    postings = transfer_postings(points, 7, debit=Account("adjustment"), credit=Account("converted_out/x"))
    moved = {(line.account, line.origin): amount for line, amount in journal._moved(postings, points, {}).items()}
    assert moved == {("adjustment", "own"): -7, ("converted_out/x", "own"): 7}


def test_points_on_hold_are_holders_points() -> None:
    ledger = pair_of().source
    view = ledger.state
    mark = view.savepoint()
    view.put(HOLDS, uuid("hold"), examples_hold())
    assert dict(journal._held(view, mark)) == {("member/*", "own"): 30}


def examples_hold() -> HoldRecord:
    piece = Piece(seq=1, part=0, origin="own", earned_on="2026-01-01", expires_on=None, amount=30)
    return HoldRecord(
        account=holder("ann"), amount=30, remaining=30, expires_at=None, conversion=False, placed_seq=9, pieces=(piece,)
    )
