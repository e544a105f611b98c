"""Over random days of redemptions, holds and transfers: a limit refuses exactly what a naive recount says it must.

The recount keeps every use that still counts as a line of its own, with the day on which it was reserved, and sums them
up anew for each question; nothing is carried along.
"""

from dataclasses import dataclass, replace
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import Code, Refusal
from protocol.identifiers import Account, Id
from protocol.ledger import commands
from protocol.ledger import program_commands as governed
from protocol.ledger.program_state import LIMIT_USE
from protocol.program import Activity, KindPolicy, Limit, ProgramTerms
from tests.support.documents import uuid
from tests.support.governing import govern
from tests.support.ledger import MemoryLedger, holder, new_ledger, open_holder, replay, rows_of

NAMES: Final = ("ann", "bob")
ACTIVITIES: Final[tuple[Activity, ...]] = ("redeem", "transfer_out", "transfer_in")

LIMITS: Final = st.lists(
    st.builds(
        Limit,
        activity=st.sampled_from(ACTIVITIES),
        scope=st.sampled_from(["account", "kind", "program"]),
        per=st.sampled_from(["transaction", "day", "year"]),
        measure=st.just("points"),
        most=st.integers(5, 60),
    )
    | st.builds(
        Limit,
        activity=st.sampled_from(ACTIVITIES),
        scope=st.sampled_from(["account", "kind", "program"]),
        per=st.sampled_from(["day", "year"]),
        measure=st.just("count"),
        most=st.integers(1, 4),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda each: (each.activity, each.scope, each.per, each.measure),
)
OPERATIONS: Final = st.lists(
    st.tuples(
        st.sampled_from(
            ["redeem", "hold", "hold", "capture", "release", "give", "offer", "offer", "accept", "decline", "time"]
        ),
        st.integers(0, 1),
        st.integers(1, 30),
    ),
    min_size=5,
    max_size=40,
)


@dataclass(frozen=True)
class Use:
    """A line of the recount."""

    activity: Activity
    account: Account
    day: str
    points: int
    count: int = 1


class Recount:
    """What has been used, line by line."""

    def __init__(self, limits: tuple[Limit, ...], of_members: tuple[Limit, ...]) -> None:
        self.limits = (*limits, *of_members)
        self.lines: dict[str, Use] = {}

    def allows(self, *uses: Use) -> bool:
        """Return whether all limits hold with `uses` as well."""
        kept = dict(self.lines)
        for number, use in enumerate(uses):
            kept[f"asked {number}"] = use
        return all(self._holds(limit, use, kept) for use in uses for limit in self.limits)

    def _holds(self, limit: Limit, use: Use, lines: dict[str, Use]) -> bool:
        if limit.activity != use.activity:
            return True
        if limit.per == "transaction":
            return use.points <= limit.most
        return self.used(limit, use, lines) <= limit.most

    def used(self, limit: Limit, use: Use, lines: dict[str, Use]) -> int:
        """Return what `limit` counts on the day or in the year of `use`."""
        size = len("2026-03-01") if limit.per == "day" else len("2026")
        same = [
            each
            for each in lines.values()
            if each.activity == limit.activity
            and each.day[:size] == use.day[:size]
            and (limit.scope != "account" or each.account == use.account)
        ]
        return sum(each.points if limit.measure == "points" else each.count for each in same)


class Machine:
    """A ledger beside its recount."""

    def __init__(self, terms: ProgramTerms) -> None:
        self.ledger: MemoryLedger = new_ledger(needs=True)
        for name in NAMES:
            open_holder(self.ledger, name, points=100_000)
        if terms != ProgramTerms():
            govern(self.ledger, terms)
        of_members = terms.kinds[0].limits if terms.kinds else ()
        self.recount = Recount(terms.limits, of_members)
        self.holds: dict[str, tuple[Account, int]] = {}
        self.offers: dict[str, tuple[Account, Account, int]] = {}
        self.number = 0

    @property
    def today(self) -> str:
        return self.ledger.wall[:10]

    def fresh(self) -> tuple[str, Id]:
        self.number += 1
        return f"{self.number}", uuid(f"step {self.number}")

    def done(self, command: commands.AnyCommand, *uses: Use) -> bool:
        """Execute `command`, and hold that it is refused exactly where the recount says so."""
        refusal = self.refusal_of(command)
        assert refusal == (None if self.recount.allows(*uses) else Code.LIMIT_REACHED)
        return refusal is None

    def refusal_of(self, command: commands.AnyCommand) -> str | None:
        """Execute `command`, and return the code of its refusal, if it is refused."""
        try:
            self.ledger.execute(command)
        except Refusal as refusal:
            return refusal.code
        return None

    def step(self, what: str, who: int, points: int) -> None:
        account, other = holder(NAMES[who]), holder(NAMES[1 - who])
        name, key = self.fresh()
        match what:
            case "redeem":
                use = Use("redeem", account, self.today, points)
                if self.done(commands.RedeemPoints(id=key, account=account, amount=points), use):
                    self.recount.lines[name] = use
            case "hold":
                use = Use("redeem", account, self.today, points)
                if self.done(commands.PlaceHold(id=key, account=account, amount=points), use):
                    self.recount.lines[name], self.holds[name] = use, (account, points)
            case "give":
                uses = Use("transfer_out", account, self.today, points), Use("transfer_in", other, self.today, points)
                given = commands.TransferPoints(id=key, source=account, destination=other, amount=points)
                if self.done(given, *uses):
                    self.recount.lines[f"{name} out"], self.recount.lines[f"{name} in"] = uses
            case "offer":
                use = Use("transfer_out", account, self.today, points)
                offered = governed.OfferTransfer(id=key, account=account, recipient=other, amount=points)
                if self.done(offered, use):
                    self.recount.lines[name], self.offers[name] = use, (account, other, points)
            case "time":
                self.ledger.advance(days=1 if points < 25 else 300)
            case _:
                self._end(what, key, points)

    def _end(self, what: str, key: Id, points: int) -> None:
        """End a hold or a transfer that is open, if there is one."""
        if what in {"capture", "release"} and self.holds:
            name, (_, held) = self.holds.popitem()
            taken = min(points, held - 1) if what == "capture" and held > 1 else 0
            hold = uuid(f"step {name}")
            if taken:
                self.ledger.execute(commands.CaptureHold(id=key, hold=hold, amount=taken, final=True))
                self.recount.lines[name] = replace(self.recount.lines[name], points=taken)
            else:
                self.ledger.execute(commands.ReleaseHold(id=key, hold=hold))
                del self.recount.lines[name]
        elif what == "decline" and self.offers:
            name, _ = self.offers.popitem()
            self.ledger.execute(governed.DeclineTransfer(id=key, transfer=uuid(f"step {name}"), by="recipient"))
            del self.recount.lines[name]
        elif what == "accept" and self.offers:
            name, (_, recipient, amount) = next(iter(self.offers.items()))
            self._accept(key, name, recipient, amount)

    def _accept(self, key: Id, name: str, recipient: Account, amount: int) -> None:
        use = Use("transfer_in", recipient, self.today, amount)
        refusal = self.refusal_of(governed.AcceptTransfer(id=key, transfer=uuid(f"step {name}")))
        if refusal == Code.TRANSFER_LAPSED:
            return
        assert refusal == (None if self.recount.allows(use) else Code.LIMIT_REACHED)
        if refusal is not None:
            return
        self.recount.lines[f"{name} in"] = use
        del self.offers[name]

    def check(self) -> None:
        """Hold that what is counted of the present day and year is what the recount finds."""
        for limit in self.recount.limits:
            if limit.per == "transaction":
                continue
            for account in map(holder, NAMES):
                subject = {"account": account, "kind": "member", "program": "program"}[limit.scope]
                use = self.ledger.state.get(LIMIT_USE, (subject, limit.activity))
                period = self.today if limit.per == "day" else self.today[:4]
                counted = (
                    0 if use is None else use.used(limit) * ((use.day if limit.per == "day" else use.year) == period)
                )
                asked = Use(limit.activity, account, self.today, 0, 0)
                assert counted == self.recount.used(limit, asked, self.recount.lines) <= limit.most


@given(limits=LIMITS, of_members=LIMITS, operations=OPERATIONS)
@settings(max_examples=150, deadline=None)
def test_a_limit_refuses_what_a_recount_says_it_must(
    limits: list[Limit], of_members: list[Limit], operations: list[tuple[str, int, int]]
) -> None:
    own = tuple(limit for limit in of_members if limit.scope == "account")
    kinds = (KindPolicy(kind="member", limits=own),) if own else ()
    machine = Machine(ProgramTerms(limits=tuple(limits), kinds=kinds))
    for operation in operations:
        machine.step(*operation)
        machine.check()
    assert rows_of(replay(machine.ledger)) == rows_of(machine.ledger.state)
