"""Rules by which points expire: the program's rule, pending points, the clock of an account, and what is posted."""

import msgspec
import pytest

from protocol.entries import Entry, PointsIssued, Posting, transfer_postings
from protocol.errors import Code
from protocol.identifiers import Account
from protocol.ledger import commands
from protocol.ledger.expiring import BREAKAGE, due_lots
from protocol.ledger.lot_commands import ExpireLots
from protocol.ledger.names import points_expired_id
from protocol.ledger.program_commands import SetProgram
from protocol.ledger.state import BALANCES, REVERSIBLE
from protocol.limits import RETURNED_POINTS_DAYS
from protocol.point_entries import ExpiredLot, PointsExpired
from protocol.program import ExpiryRule, ProgramTerms, ZoneOffset
from tests.support.documents import AURORA, uuid
from tests.support.ledger import MemoryLedger, holder, issue, new_ledger, open_holder, refused, replay, rows_of

ANN = holder("ann")
BOB = holder("bob")
ROLLING = ExpiryRule(kind="rolling", months=12)


def ledger_with(rule: ExpiryRule | None = None, *, pending_days: int = 0) -> MemoryLedger:
    """Return a ledger with these terms, and two accounts; it is 1 March 2026."""
    ledger = new_ledger()
    if rule or pending_days:
        set_rule(ledger, rule or ExpiryRule(), pending_days=pending_days)
    for name in ("ann", "bob"):
        open_holder(ledger, name)
    return ledger


def set_rule(ledger: MemoryLedger, rule: ExpiryRule, *, pending_days: int = 0) -> None:
    terms = ProgramTerms(expiry=rule, pending_days=pending_days)
    ledger.execute(SetProgram(id=uuid(f"program {len(ledger.sealed)}"), terms=terms, reason="new_year"))


def redeem(ledger: MemoryLedger, amount: int, *, on: str | None = None, account: Account = ANN) -> None:
    ledger.execute(
        commands.RedeemPoints(id=uuid(f"redeem {len(ledger.sealed)}"), account=account, amount=amount, occurred_on=on)
    )


def transfer(ledger: MemoryLedger, amount: int) -> None:
    ledger.execute(
        commands.TransferPoints(id=uuid(f"transfer {len(ledger.sealed)}"), source=ANN, destination=BOB, amount=amount)
    )


def expire(ledger: MemoryLedger, as_of: str, *, account: Account = ANN) -> Entry:
    due = due_lots(ledger.state, account, as_of=as_of)
    numbers = tuple((lot.seq, lot.part) for lot in due) or ((0, 0),)
    entry_id = points_expired_id(account, seq=numbers[0][0], part=numbers[0][1], as_of=as_of)
    return ledger.execute(ExpireLots(id=entry_id, account=account, occurred_on=as_of, lots=numbers)).entry


def breakage(ledger: MemoryLedger) -> int:
    record = ledger.state.get(BALANCES, (BREAKAGE, AURORA.points))
    return record.amount if record else 0


def active_on(ledger: MemoryLedger, account: Account = ANN) -> str | None:
    return ledger.account(account).active_on


def issued(ledger: MemoryLedger, amount: int, *, on: str | None = None, expires_on: str | None = None) -> PointsIssued:
    entry = issue(ledger, ANN, amount, on=on, expires_on=expires_on).entry
    assert isinstance(entry, PointsIssued)
    return entry


def test_points_follow_the_rule_of_the_day_on_which_they_are_earned() -> None:
    ledger = ledger_with()
    assert (issued(ledger, 1).expiry, issued(ledger, 1).expires_on) == ("never", None)
    set_rule(ledger, ExpiryRule(kind="fixed", months=12, round_to="quarter"))
    first = issued(ledger, 2, on="2026-02-28")
    assert (first.expiry, first.expires_on) == ("fixed", "2027-03-31")
    named = issued(ledger, 3, expires_on="2026-04-01")
    assert (named.expiry, named.expires_on) == ("named", "2026-04-01")
    set_rule(ledger, ROLLING)
    rolling = issued(ledger, 4)
    assert (rolling.expiry, rolling.expires_on, active_on(ledger)) == ("rolling", None, "2026-03-01")
    assert ledger.lots(ANN) == [("2026-04-01", 3), ("2027-03-31", 2), (None, 1), (None, 1), (None, 4)]


def test_expiry_mismatch_where_an_entry_has_other_days_than_the_rule_gives() -> None:
    ledger = ledger_with(ExpiryRule(kind="fixed", months=12), pending_days=3)
    entry = issued(ledger, 5)
    again = msgspec.structs.replace(entry, id=uuid("again"))
    for change in (
        {"expires_on": "2027-03-02"},
        {"expires_on": None},
        {"expiry": "rolling"},
        {"expiry": "never", "expires_on": None},
        {"expiry": "named", "expires_on": None},
        {"spendable_on": None},
        {"spendable_on": "2026-03-05"},
    ):
        with refused(Code.EXPIRY_MISMATCH, ledger):
            ledger.judge(msgspec.structs.replace(again, **change))
    ledger.judge(msgspec.structs.replace(again, expiry="named", expires_on="2027-03-02"))


def test_date_invalid_when_points_would_expire_before_they_can_be_spent() -> None:
    ledger = ledger_with(pending_days=10)
    with refused(Code.DATE_INVALID, ledger):
        issued(ledger, 1, expires_on="2026-03-10")
    assert issued(ledger, 1, expires_on="2026-03-11").spendable_on == "2026-03-11"


def test_pending_points_are_posted_and_passed_over_until_their_day() -> None:
    ledger = ledger_with(pending_days=2)
    issued(ledger, 10, expires_on="2026-03-03")
    issued(ledger, 5, on="2026-02-27")
    assert ledger.account(ANN).posted == 15
    with refused(Code.INSUFFICIENT_POINTS, ledger):
        redeem(ledger, 6)
    redeem(ledger, 5)
    ledger.advance(days=2)
    redeem(ledger, 10)


def test_the_earliest_last_day_is_spent_first_also_where_it_follows_a_clock() -> None:
    ledger = ledger_with(ROLLING)
    issued(ledger, 10)
    issued(ledger, 10, expires_on="2027-02-28")
    issued(ledger, 10, expires_on="2027-03-02")
    redeem(ledger, 15)
    assert ledger.lots(ANN) == [("2027-03-02", 10), (None, 5)]


def test_activity_restarts_the_clock_and_nothing_else_does() -> None:
    ledger = ledger_with(ROLLING)
    issued(ledger, 100)
    ledger.advance(days=1)
    issued(ledger, 1)
    assert active_on(ledger) == "2026-03-02"
    ledger.advance(days=1)
    redeem(ledger, 1)
    assert active_on(ledger) == "2026-03-03"
    ledger.advance(days=1)
    ledger.execute(commands.PlaceHold(id=uuid("hold"), account=ANN, amount=10))
    assert active_on(ledger) == "2026-03-03"
    ledger.execute(commands.CaptureHold(id=uuid("capture"), hold=uuid("hold"), amount=4, final=True))
    assert active_on(ledger) == "2026-03-04"
    redeem(ledger, 1, on="2026-03-01")
    assert active_on(ledger) == "2026-03-04"


def test_what_has_run_out_before_an_activity_stays_lost_however_late_it_is_posted() -> None:
    ledger = ledger_with(ROLLING)
    issued(ledger, 10)
    ledger.advance(days=366)
    with refused(Code.INSUFFICIENT_POINTS, ledger):
        redeem(ledger, 1)
    issued(ledger, 5)
    assert ledger.lots(ANN) == [("2027-03-01", 10), (None, 5)]
    entry = expire(ledger, "2027-03-02")
    assert isinstance(entry, PointsExpired)
    assert [(lot.expires_on, lot.amount) for lot in entry.lots] == [("2027-03-01", 10)]
    assert (ledger.lots(ANN), breakage(ledger), ledger.account(ANN).posted) == ([(None, 5)], 10, 5)


def test_points_that_are_transferred_keep_the_last_day_they_had() -> None:
    ledger = ledger_with(ROLLING)
    issued(ledger, 10)
    ledger.advance(days=2)
    transfer(ledger, 4)
    assert ledger.lots(BOB) == [("2027-03-01", 4)]
    assert (active_on(ledger), active_on(ledger, BOB)) == ("2026-03-03", None)


def test_a_clock_that_ran_out_while_points_were_held_has_them_come_back_for_a_while() -> None:
    ledger = ledger_with(ROLLING)
    issued(ledger, 10)
    ledger.execute(commands.PlaceHold(id=uuid("hold"), account=ANN, amount=6))
    ledger.advance(days=366)
    ledger.execute(commands.ReleaseHold(id=uuid("release"), hold=uuid("hold")))
    assert RETURNED_POINTS_DAYS == 14
    assert ledger.lots(ANN) == [("2027-03-16", 6), (None, 4)]
    redeem(ledger, 6)


def test_pieces_do_not_join_a_lot_that_is_no_longer_what_it_was() -> None:
    ledger = ledger_with(ROLLING)
    issued(ledger, 10)
    ledger.execute(commands.PlaceHold(id=uuid("hold"), account=ANN, amount=6))
    ledger.advance(days=366)
    issued(ledger, 1)
    ledger.execute(commands.ReleaseHold(id=uuid("release"), hold=uuid("hold")))
    assert ledger.lots(ANN) == [("2027-03-01", 4), (None, 6), (None, 1)]


def test_expired_points_go_to_breakage_and_a_reversal_of_their_issue_takes_no_others() -> None:
    ledger = ledger_with()
    seq = issued(ledger, 10, expires_on="2026-03-01").seq
    issued(ledger, 10, expires_on="2026-03-02")
    redeem(ledger, 3)
    ledger.advance(days=1)
    entry = expire(ledger, "2026-03-02")
    assert isinstance(entry, PointsExpired)
    assert entry.postings == transfer_postings(AURORA.points, 7, debit=ANN, credit=BREAKAGE)
    record = ledger.state.get(REVERSIBLE, seq)
    assert record is not None
    assert (record.amount, record.remaining) == (10, 3)
    assert (breakage(ledger), ledger.account(ANN).posted) == (7, 10)
    assert rows_of(replay(ledger)) == rows_of(ledger.state)


def test_lot_not_due_before_the_day_after_its_last_or_when_it_is_gone() -> None:
    ledger = ledger_with()
    seq = issued(ledger, 10, expires_on="2026-03-01").seq
    issued(ledger, 10)
    other = (seq, 0)
    with refused(Code.LOT_NOT_DUE, ledger):
        expire(ledger, "2026-03-01")
    ledger.advance(days=1)
    draft = expire(ledger, "2026-03-02")
    assert isinstance(draft, PointsExpired)
    for lots in (draft.lots, (ExpiredLot(seq + 1, 0, "2026-03-01", 10),), (ExpiredLot(*other, "2026-02-28", 10),)):
        named = points_expired_id(ANN, seq=lots[0].seq, part=0, as_of="2026-03-02")
        with refused(Code.LOT_NOT_DUE, ledger):
            ledger.judge(msgspec.structs.replace(draft, id=f"{named}0", lots=lots))


def test_lots_expire_whole_once_and_in_order() -> None:
    ledger = ledger_with()
    first = issued(ledger, 10, expires_on="2026-03-01").seq
    second = issued(ledger, 10, expires_on="2026-03-02").seq
    ledger.advance(days=1)
    one = ExpiredLot(first, 0, "2026-03-01", 10)
    draft = PointsExpired(
        id=points_expired_id(ANN, seq=first, part=0, as_of="2026-03-02"),
        request=None,
        occurred_on="2026-03-02",
        account=ANN,
        lots=(one,),
        postings=transfer_postings(AURORA.points, 10, debit=ANN, credit=BREAKAGE),
    )
    due_later = ExpiredLot(second, 0, "2026-03-02", 10)
    for lots in ((ExpiredLot(first, 0, "2026-03-01", 9),), (one, one), (one, due_later)):
        with refused(Code.LOT_NOT_DUE, ledger):
            ledger.judge(msgspec.structs.replace(draft, lots=lots))
    with refused(Code.POSTINGS_INVALID, ledger):
        wrong = (Posting(ANN, AURORA.points, -9), Posting(BREAKAGE, AURORA.points, 9))
        ledger.judge(msgspec.structs.replace(draft, postings=wrong))
    with refused(Code.ID_INVALID, ledger):
        ledger.judge(msgspec.structs.replace(draft, id=uuid("expire")))
    ledger.judge(draft)


def test_nothing_expires_before_the_day_of_the_program_has_come() -> None:
    ledger = ledger_with()
    issued(ledger, 10, expires_on="2026-03-01")
    with refused(Code.DATE_INVALID, ledger):
        expire(ledger, "2026-03-02")
    east = ProgramTerms(
        time_zone="Asia/Shanghai", offsets=(ZoneOffset(starts_at="2020-01-01T00:00:00.000000Z", seconds=28_800),)
    )
    ledger.execute(SetProgram(id=uuid("east"), terms=east, reason="moved"))
    with refused(Code.DATE_INVALID, ledger):
        expire(ledger, "2026-03-02")
    ledger.advance(seconds=4 * 3_600)
    assert expire(ledger, "2026-03-02").occurred_on == "2026-03-02"


@pytest.mark.parametrize("part", [0, 1])
def test_lots_that_came_by_transfer_expire_too(part: int) -> None:
    ledger = ledger_with()
    issued(ledger, 10, expires_on="2026-03-01")
    if part:
        issued(ledger, 10, expires_on="2026-03-02")
    transfer(ledger, 10 + part)
    ledger.advance(days=2)
    expire(ledger, "2026-03-03", account=BOB)
    assert (ledger.lots(BOB), breakage(ledger)) == ([], 10 + part)
