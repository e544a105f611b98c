"""Two ledgers of partners against an independent model: same refusals, same points, same money, after every step."""

from collections.abc import Callable
from typing import Final

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from protocol.agreement import ConvertedExpiry, Fee, SignedAgreement
from protocol.conversion import SourceState
from protocol.entries import Sealed
from protocol.errors import Code, Refusal
from protocol.fields import days_later, later
from protocol.identifiers import Account
from protocol.ledger import commands, names
from protocol.ledger.state import ACCOUNTS, BALANCES, OUTGOING, AccountStatus
from protocol.messages import Body, Cancel, Fulfil, Prepare, Reject
from protocol.points import Step
from tests.property.invariants import check_invariants
from tests.property.ledger_model import CREDIT_DAYS, DESTINATION_STEP, FEE, NEVER, SOURCE_STEP, Model, SaysNo
from tests.support.documents import AURORA, BLUEBIRD, USD, agreement, digest, direction, signed_agreement, uuid
from tests.support.ledger import (
    MemoryLedger,
    ally,
    holder,
    link,
    new_ledger,
    receive,
    replay,
    rows_of,
)

PRICE: Final = 10
STEP: Final = Step(source=SOURCE_STEP, destination=DESTINATION_STEP)
ACCEPT_SECONDS: Final = 600
TICK_SECONDS: Final = 400
"""Time never stands exactly on a deadline: entries of one moment lie microseconds apart."""

sides = st.integers(0, 1)
accounts = st.sampled_from(["ann", "ann", "ann", "bob", "bob", "cid"])
amounts = st.integers(1, 30)
numbers = st.integers(0, 30)


def terms() -> SignedAgreement:
    fee, expiry = Fee(points_per_conversion=FEE, points_per_step=0), ConvertedExpiry(days=CREDIT_DAYS)
    there = direction(AURORA, BLUEBIRD, step=STEP, price=PRICE, fee=fee, expiry=expiry)
    back = direction(BLUEBIRD, AURORA, step=STEP, price=PRICE, fee=fee, expiry=expiry)
    return signed_agreement(agreement(there=there, back=back))


class Partners(RuleBasedStateMachine):
    """Drives two ledgers and their two models with the same commands; messages arrive in any order, repeatedly."""

    def __init__(self) -> None:
        super().__init__()
        self.ledgers = (new_ledger(AURORA), new_ledger(BLUEBIRD))
        ally(*self.ledgers, signed=terms())
        self.models = (Model("AURORA"), Model("BLUEBIRD"))
        self.done: list[tuple[MemoryLedger, commands.AnyCommand, Sealed]] = []
        self.sent: list[Body] = []
        self.count = 0

    def new_name(self) -> str:
        self.count += 1
        return f"thing {self.count}"

    def old_name(self, side: int, number: int) -> str:
        """Return the name of a hold, a conversion's too, or of nothing at all."""
        found = ["nothing", *self.models[side].holds]
        return found[-1 - number % len(found)]

    @initialize()
    def begin_with_linked_members(self) -> None:
        for side in (0, 1):
            for name in ("ann", "bob"):
                self.open_account(side, name)
                for amount, days in ((10, 1), (30, None), (10, 4)):
                    self.issue(side, name, amount, days)
        for side in (0, 1):
            self.link_accounts(side, "ann", "bob")
            self.place_hold(side, "ann", 15, limited=True)
            self.order(side, "ann", 9)

    def now(self) -> str:
        return self.ledgers[0].wall

    def today(self) -> str:
        return self.now()[:10]

    def act(self, side: int, command: commands.AnyCommand, expected: Callable[[], None]) -> Sealed | None:
        """Execute `command` and let the model do the same: both agree on the refusal, or both go on."""
        ledger = self.ledgers[side]
        code: str | None = None
        try:
            expected()
        except SaysNo as no:
            code = no.code
        before = rows_of(ledger.state)
        outcome = outcome_of(ledger, command)
        if not isinstance(outcome, Sealed):
            assert outcome == code
            assert rows_of(ledger.state) == before
            return None
        assert code is None
        self.done.append((ledger, command, outcome))
        return outcome

    @rule(side=sides, name=accounts)
    def open_account(self, side: int, name: str) -> None:
        command = commands.OpenAccount(id=uuid(self.new_name()), request=digest(name), account=holder(name))
        self.act(side, command, lambda: self.models[side].open_account(name))

    @rule(side=sides, name=st.sampled_from(["bob", "cid"]))
    def close_account(self, side: int, name: str) -> None:
        command = commands.CloseAccount(id=uuid(self.new_name()), account=holder(name))
        self.act(side, command, lambda: self.models[side].close_account(name))

    @rule(side=sides, name=accounts, amount=amounts, days=st.none() | st.integers(0, 4))
    def issue(self, side: int, name: str, amount: int, days: int | None) -> None:
        last_day = None if days is None else days_later(self.today(), days=days)
        command = commands.IssuePoints(
            id=uuid(self.new_name()), account=holder(name), amount=amount, expires_on=last_day
        )
        day = self.today()
        self.act(side, command, lambda: self.models[side].give(name, amount, day=day, last_day=last_day, origin="own"))

    @rule(side=sides, name=accounts, amount=amounts)
    def redeem(self, side: int, name: str, amount: int) -> None:
        command = commands.RedeemPoints(id=uuid(self.new_name()), account=holder(name), amount=amount)
        self.act(side, command, lambda: self.take_away(side, name, amount))

    def take_away(self, side: int, name: str, amount: int) -> None:
        self.models[side].take(name, amount, day=self.today())

    @rule(side=sides, source=accounts, destination=accounts, amount=amounts)
    def transfer(self, side: int, source: str, destination: str, amount: int) -> None:
        command = commands.TransferPoints(
            id=uuid(self.new_name()), source=holder(source), destination=holder(destination), amount=amount
        )
        day = self.today()
        self.act(side, command, lambda: self.models[side].transfer(source, destination, amount, day=day))

    @rule(side=sides, name=accounts, amount=amounts, limited=st.booleans())
    def place_hold(self, side: int, name: str, amount: int, limited: bool) -> None:
        hold, expires_at = self.new_name(), later(self.now(), seconds=ACCEPT_SECONDS) if limited else None
        command = commands.PlaceHold(id=uuid(hold), account=holder(name), amount=amount, expires_at=expires_at)
        day = self.today()
        self.act(side, command, lambda: self.models[side].place(hold, name, amount, day=day, expires_at=expires_at))

    @rule(side=sides, number=numbers, amount=st.none() | amounts, final=st.booleans())
    def capture_hold(self, side: int, number: int, amount: int | None, final: bool) -> None:
        hold = self.old_name(side, number)
        command = commands.CaptureHold(id=uuid(self.new_name()), hold=uuid(hold), amount=amount, final=final)
        self.act(side, command, lambda: self.models[side].capture(hold, amount, final=final, now=self.now()))

    @rule(side=sides, number=numbers)
    def release_hold(self, side: int, number: int) -> None:
        hold = self.old_name(side, number)
        command = commands.ReleaseHold(id=uuid(self.new_name()), hold=uuid(hold))
        self.act(side, command, lambda: self.models[side].release(hold, expired=False, now=self.now()))

    @rule(side=sides, number=numbers)
    def expire_hold(self, side: int, number: int) -> None:
        hold = self.old_name(side, number)
        identifier = names.expired_id(uuid(hold))
        if any(command.id == identifier for _, command, _ in self.done):
            return
        command = commands.ReleaseHold(id=identifier, hold=uuid(hold), expired=True)
        self.act(side, command, lambda: self.models[side].release(hold, expired=True, now=self.now()))

    @rule(side=sides, sender=accounts, receiver=accounts)
    def link_accounts(self, side: int, sender: str, receiver: str) -> None:
        ours, theirs = self.models[side], self.models[1 - side]
        if sender in ours.links or not _is_open(ours, sender) or not _is_open(theirs, receiver):
            return
        link(self.ledgers[side], self.ledgers[1 - side], sender=holder(sender), receiver=holder(receiver))
        ours.links[sender] = receiver

    @rule(side=sides, name=accounts, amount=amounts)
    def order(self, side: int, name: str, amount: int) -> None:
        conversion, accept_by = self.new_name(), later(self.now(), seconds=ACCEPT_SECONDS)
        partner = self.ledgers[1 - side].name
        command = commands.OrderConversion(
            id=uuid(conversion), account=holder(name), destination=partner, amount=amount, accept_by=accept_by
        )
        day = self.today()
        model = self.models[side]
        sealed = self.act(side, command, lambda: model.order(conversion, name, amount, day=day, accept_by=accept_by))
        if sealed is not None:
            self.sent.append(self.ledgers[side].body(sealed))

    @rule(side=sides, number=numbers)
    def cancel(self, side: int, number: int) -> None:
        conversion = self.old_name(side, number)
        identifier = names.cancel_id(uuid(conversion))
        if any(command.id == identifier for _, command, _ in self.done):
            return
        command = commands.CancelConversion(id=identifier, conversion=uuid(conversion))
        sealed = self.act(side, command, lambda: self.models[side].cancel(conversion))
        if sealed is not None:
            self.sent.append(self.ledgers[side].body(sealed))

    @precondition(lambda self: self.sent)
    @rule(number=numbers)
    def deliver(self, number: int) -> None:
        """Let a message arrive, perhaps for the second time and after younger ones."""
        self.arrive(self.sent[number % len(self.sent)])

    def arrive(self, body: Body) -> None:
        assert isinstance(body, Prepare | Cancel | Fulfil | Reject)
        asks = isinstance(body, Prepare | Cancel)
        receiver = body.destination if asks else body.source
        side = 0 if receiver == self.ledgers[0].name else 1
        sealed = receive(self.ledgers[side], body)
        source = 1 - side if asks else side
        name = next(one for one in self.models[source].outgoing if uuid(one) == body.id)
        if not asks:
            outcome = "credited" if isinstance(body, Fulfil) else "refused"
            self.models[side].conclude(name, outcome, day=self.today())
            return
        answer = self.ledgers[side].body(sealed)
        if self.decide(side, name, body) == "credited":
            assert isinstance(answer, Fulfil)
        else:
            assert isinstance(answer, Reject)
            assert answer.reason == self.models[side].decided[name]
        if answer not in self.sent:
            self.sent.append(answer)

    def decide(self, side: int, name: str, body: Body) -> str:
        model, asked = self.models[side], self.models[1 - side].outgoing[name]
        if isinstance(body, Cancel):
            return model.decided.setdefault(name, Code.CANCELLED)
        last_day = days_later(self.today(), days=CREDIT_DAYS)
        return model.decide(name, asked, day=self.today(), last_day=last_day, now=self.now())

    @rule(days=st.sampled_from([0, 0, 1, 3]))
    def let_time_pass(self, days: int) -> None:
        for ledger in self.ledgers:
            ledger.advance(seconds=0 if days else TICK_SECONDS, days=days)

    @precondition(lambda self: self.done)
    @rule(number=numbers)
    def repeat(self, number: int) -> None:
        """The same command gets the same entry, and another one under its id is refused."""
        ledger, command, sealed = self.done[-1 - number % len(self.done)]
        before = rows_of(ledger.state)
        assert ledger.execute(command) is sealed
        assert outcome_of(ledger, msgspec.structs.replace(command, request=digest("another"))) == Code.ID_REUSED
        assert rows_of(ledger.state) == before

    @invariant()
    def points_are_where_the_model_has_them(self) -> None:
        for ledger, model in zip(self.ledgers, self.models, strict=True):
            known = dict(ledger.state.rows(ACCOUNTS))
            assert known.keys() == {holder(name) for name in model.pockets}
            for name, pocket in model.pockets.items():
                record = known[holder(name)]
                assert (record.status is AccountStatus.OPEN) == pocket.open
                assert record.conversions == pocket.undecided
                assert record.held == len(model.held_of(name))
                assert record.posted == record.held + len(pocket.points)
                expected = [(one.last_day, one.earned_on, one.origin) for one in sorted(pocket.points)]
                assert units(ledger, holder(name)) == expected

    @invariant()
    def money_is_what_the_model_counted(self) -> None:
        for side, (ledger, model) in enumerate(zip(self.ledgers, self.models, strict=True)):
            check_invariants(ledger.state, ledger.sealed)
            partner = ("bluebird.example/main", "aurora.example/main")[side]
            assert balance(ledger, f"payable/{partner}", USD) == model.owed * PRICE
            assert balance(ledger, f"receivable/{partner}", USD) == -model.claimed * PRICE
            assert balance(ledger, f"converted_out/{partner}", ledger.side.points) == model.gone_out
            assert balance(ledger, f"converted_in/{partner}", ledger.side.points) == -model.come_in

    def teardown(self) -> None:
        """Let every message arrive: nothing stays undecided, and the two halves match."""
        for body in self.sent:  # Answers are appended meanwhile, and arrive too.
            self.arrive(body)
        self.points_are_where_the_model_has_them()
        self.money_is_what_the_model_counted()
        for ledger in self.ledgers:
            assert all(row.state is not SourceState.HELD for _, row in ledger.state.rows(OUTGOING))
            assert rows_of(replay(ledger)) == rows_of(ledger.state)
        for ours, theirs in (self.models, self.models[::-1]):
            assert ours.owed == theirs.claimed


def outcome_of(ledger: MemoryLedger, command: commands.AnyCommand) -> Sealed | str:
    try:
        return ledger.execute(command)
    except Refusal as refusal:
        return refusal.code


def _is_open(model: Model, name: str) -> bool:
    return name in model.pockets and model.pockets[name].open


def units(ledger: MemoryLedger, account: Account) -> list[tuple[str, str, str]]:
    """Return every available point of an account as the model names it."""
    return [
        (lot.expires_on or NEVER, lot.earned_on, "own" if lot.origin == "own" else "partner")
        for lot in ledger.state.lots(account)
        for _ in range(lot.remaining)
    ]


def balance(ledger: MemoryLedger, account: str, asset: str) -> int:
    found = {(str(name), str(code)): row.amount for (name, code), row in ledger.state.rows(BALANCES)}
    return found.get((account, asset), 0)


TestPartners = Partners.TestCase
TestPartners.settings = settings(max_examples=50, stateful_step_count=50, deadline=None)
