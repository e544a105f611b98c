"""Lots against a naive model that looks at every point every morning: over random years, to the unit."""

from collections.abc import Callable, Collection
from datetime import date, timedelta
from random import Random
from typing import Final

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.entries import ConversionCaptured, Sealed
from protocol.errors import Refusal
from protocol.identifiers import Account
from protocol.ledger import commands
from protocol.ledger.expiring import BREAKAGE, due_lots
from protocol.ledger.lot_commands import ExpireLots, ReversePoints
from protocol.ledger.lots import dated_lots
from protocol.ledger.names import points_expired_id
from protocol.ledger.program_commands import SetProgram
from protocol.ledger.state import BALANCES, NEVER
from protocol.messages import Body
from protocol.program import ExpiryRule, ProgramTerms
from tests.property.ledger_model import CREDIT_DAYS, DESTINATION_STEP, FEE, SOURCE_STEP, SaysNo
from tests.property.lots_model import LotsModel
from tests.property.test_ledger_model import outcome_of, terms
from tests.support.documents import AURORA, BLUEBIRD, uuid
from tests.support.ledger import (
    MemoryLedger,
    ally,
    ask_cancel,
    holder,
    issue,
    link,
    new_ledger,
    open_holder,
    order,
    receive,
    replay,
    rows_of,
)

START: Final = date(2026, 3, 1)
OFTEN: Final = 0.9
HALF: Final = 0.5
EXAMPLES: Final = 25

STEPS: Final = 120
NAMES: Final = ("ann", "ann", "bob")
DAYS: Final = (1, 1, 2, 13, 14, 15, 27, 28, 29, 30, 31, 32, 59, 62, 90, 100, 181, 365, 366, 400)
WEIGHTS: Final = {
    "set_rule": 3,
    "issue": 12,
    "redeem": 12,
    "transfer": 4,
    "hold": 8,
    "capture": 4,
    "release": 7,
    "reverse": 14,
    "expire": 5,
    "convert_out": 4,
    "conclude": 4,
    "convert_in": 2,
    "pass_days": 21,
}


class Lots:
    """Drives a ledger, a partner's beside it, and the model with the same acts; a year passes in a few of them."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.ledger, self.partner = new_ledger(AURORA), new_ledger(BLUEBIRD)
        ally(self.ledger, self.partner, signed=terms())
        for name in ("ann", "bob"):
            open_holder(self.ledger, name)
            open_holder(self.partner, name, points=10_000)
            link(self.ledger, self.partner, sender=holder(name), receiver=holder(name))
            link(self.partner, self.ledger, sender=holder(name), receiver=holder(name))
        self.model = LotsModel(START)
        self.waiting: list[tuple[str, Body]] = []
        self.names: list[str] = []
        self.count = 0

    def run(self) -> None:
        """Do one thing after the other, and look at everything after each."""
        self.set_rule()
        for kind in self.random.choices(list(WEIGHTS), list(WEIGHTS.values()), k=STEPS):
            getattr(self, kind)()
            self.points_are_where_the_model_has_them()

    def holder(self) -> str:
        return self.random.choice(NAMES)

    def amount(self) -> int:
        return self.random.randint(1, 20)

    def some(self) -> int | None:
        return self.random.choice((None, self.amount()))

    def new_name(self) -> str:
        self.count += 1
        return f"thing {self.count}"

    def old_name(self, among: Collection[str]) -> str:
        """Return the name of one of the latest of `among`, now and then of anything, or of nothing."""
        known = [name for name in self.names if name in among][-5:]
        return self.random.choice(known if known and self.random.random() < OFTEN else ["nothing", *self.names])

    def act(self, command: commands.AnyCommand, expected: Callable[[], object]) -> Sealed | None:
        """Let ledger and model do the same: both agree on the refusal, or both go on."""
        code: str | None = None
        try:
            expected()
        except SaysNo as no:
            code = no.code
        outcome = outcome_of(self.ledger, command)
        assert isinstance(outcome, Sealed) if code is None else outcome == code
        return outcome if isinstance(outcome, Sealed) else None

    def set_rule(self) -> None:
        kind = self.random.choice(("never", "fixed", "rolling", "rolling"))
        months = 0 if kind == "never" else self.random.choice((1, 1, 2, 3, 12, 13))
        round_to = "none" if kind == "never" else self.random.choice(("none", "none", "month", "quarter", "year"))
        pending = self.random.choice((0, 0, 1, 20))
        if ((kind, months, round_to), pending) == (self.model.rule, self.model.pending_days):
            return
        expiry = msgspec.convert({"kind": kind, "months": months, "round_to": round_to}, ExpiryRule)
        command = SetProgram(
            id=uuid(self.new_name()), terms=ProgramTerms(expiry=expiry, pending_days=pending), reason="rule"
        )
        self.ledger.execute(command)
        self.model.rule, self.model.pending_days = (kind, months, round_to), pending

    def issue(self) -> None:
        name, amount, thing = self.holder(), self.amount(), self.new_name()
        days = self.random.choice((None, None, None, 20, 25, 60))
        last = None if days is None else self.model.today + timedelta(days=days)
        command = commands.IssuePoints(
            id=uuid(thing), account=holder(name), amount=amount, expires_on=last.isoformat() if last else None
        )
        if self.act(command, lambda: self.model.issue(thing, name, amount, last)):
            self.names.append(thing)

    def redeem(self) -> None:
        name, amount, thing = self.holder(), self.amount(), self.new_name()
        command = commands.RedeemPoints(id=uuid(thing), account=holder(name), amount=amount)
        if self.act(command, lambda: self.model.redeem(thing, name, amount)):
            self.names.append(thing)

    def transfer(self) -> None:
        name, amount = self.holder(), self.amount()
        other = "bob" if name == "ann" else "ann"
        command = commands.TransferPoints(
            id=uuid(self.new_name()), source=holder(name), destination=holder(other), amount=amount
        )
        self.act(command, lambda: self.model.transfer(name, other, amount))

    def hold(self) -> None:
        name, amount, thing = self.holder(), self.amount(), self.new_name()
        command = commands.PlaceHold(id=uuid(thing), account=holder(name), amount=amount)
        if self.act(command, lambda: self.model.hold(thing, name, amount)):
            self.names.append(thing)

    def capture(self) -> None:
        hold, amount, thing = self.old_name(self.model.holds), self.some(), self.new_name()
        final = self.random.random() < HALF
        command = commands.CaptureHold(id=uuid(thing), hold=uuid(hold), amount=amount, final=final)
        if self.act(command, lambda: self.model.capture(hold, amount, thing, final=final)):
            self.names.append(thing)

    def release(self) -> None:
        hold = self.old_name(self.model.holds)
        command = commands.ReleaseHold(id=uuid(self.new_name()), hold=uuid(hold))
        self.act(command, lambda: self.model.release_open(hold))

    def reverse(self) -> None:
        of, amount = self.old_name([*self.model.issues, *self.model.redemptions]), self.some()
        partial = self.random.random() < HALF
        command = ReversePoints(id=uuid(self.new_name()), reverses=uuid(of), amount=amount, partial=partial)
        self.act(command, lambda: self.model.reverse(of, amount, partial=partial))

    def expire(self) -> None:
        name, as_of = self.holder(), self.model.today - timedelta(days=self.random.choice((0, 0, 0, 1, 30)))
        due = due_lots(self.ledger.state, holder(name), as_of=as_of.isoformat())
        lots = tuple((lot.seq, lot.part) for lot in due) or ((0, 0),)
        entry_id = points_expired_id(holder(name), seq=lots[0][0], part=lots[0][1], as_of=as_of.isoformat())
        command = ExpireLots(id=entry_id, occurred_on=as_of.isoformat(), account=holder(name), lots=lots)
        self.act(command, lambda: self.model.expire(name, as_of))

    def convert_out(self) -> None:
        """Order a conversion that the partner decides at once; its word may arrive much later."""
        name, steps, thing = self.holder(), self.random.randint(1, 4), self.new_name()
        points = steps * SOURCE_STEP + FEE
        try:
            sealed = order(self.ledger, self.partner.name, holder(name), steps * SOURCE_STEP, name=thing)
        except Refusal:
            assert len(self.model.usable(name)) < points
            return
        self.model.hold(thing, name, points)
        self.model.act(name)
        asked = self.ledger.body(sealed)
        if self.random.random() < HALF:
            asked = self.ledger.body(ask_cancel(self.ledger, name=thing))
        self.waiting.append((thing, self.partner.body(receive(self.partner, asked))))

    def conclude(self) -> None:
        """Let the partner's word arrive."""
        if not self.waiting:
            return
        thing, word = self.waiting.pop(self.random.randrange(len(self.waiting)))
        if isinstance(receive(self.ledger, word).entry, ConversionCaptured):
            self.model.holds[thing].points = []
        else:
            self.model.release(thing)

    def convert_in(self) -> None:
        name, steps, thing = self.holder(), self.random.randint(1, 3), self.new_name()
        issue(self.partner, holder(name), 100)
        sealed = order(self.partner, self.ledger.name, holder(name), steps * SOURCE_STEP, name=thing)
        receive(self.ledger, self.partner.body(sealed))
        self.model.act(name)
        last = self.model.today + timedelta(days=CREDIT_DAYS)
        self.model.give(name, steps * DESTINATION_STEP, last=last, origin="bluebird.example/main")

    def pass_days(self) -> None:
        days = self.random.choice(DAYS)
        for ledger in (self.ledger, self.partner):
            ledger.advance(days=days)
        for _ in range(days):
            self.model.morning()

    def points_are_where_the_model_has_them(self) -> None:
        for name, pocket in self.model.pockets.items():
            account = holder(name)
            record = self.ledger.account(account)
            held = sum(len(each.points) for each in self.model.holds.values() if each.account == name)
            assert (record.posted, record.held) == (len(pocket) + held, held)
            assert sorted(units(self.ledger, account)) == sorted(
                (self.model.last_of(one), one.earned_on, one.origin, max(one.usable_from, one.earned_on))
                for one in pocket
            )
            active = self.model.active.get(name)
            assert record.active_on == (active.isoformat() if active else None)
        row = self.ledger.state.get(BALANCES, (BREAKAGE, AURORA.points))
        assert (row.amount if row else 0) == self.model.lost


def units(ledger: MemoryLedger, account: Account) -> list[tuple[date, date, str, date]]:
    """Return every point of an account that is not held as the model names it."""
    return [
        (
            date.fromisoformat(last or NEVER),
            date.fromisoformat(lot.earned_on),
            lot.origin,
            date.fromisoformat(lot.spendable_on or lot.earned_on),
        )
        for last, lot in dated_lots(ledger.state, account)
        for _ in range(lot.remaining)
    ]


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(0, 2**32))
def test_lots_are_where_a_naive_count_has_them_and_an_auditor_finds_them_there(seed: int) -> None:
    lots = Lots(Random(seed))
    lots.run()
    assert rows_of(replay(lots.ledger)) == rows_of(lots.ledger.state)
