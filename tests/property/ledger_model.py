"""A ledger as a child would keep it: every point is a thing of its own, in the pocket of an account or of a hold.

Written without a look at the ledger's rules: no lots, no sums, no postings. It is slow and small, and independent.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from protocol.errors import Code
from protocol.fields import days_later

NEVER: Final = "9999-12-31"
SOURCE_STEP: Final = 4
DESTINATION_STEP: Final = 3
FEE: Final = 1
CREDIT_DAYS: Final = 3
BACK_DAYS: Final = 14


class Point(NamedTuple):
    """One point; in the order in which points are spent."""

    last_day: str
    earned_on: str
    born: int
    rank: int
    origin: str


class SaysNo(Exception):
    """The model refuses, with the code that it expects."""

    def __init__(self, code: Code) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Pocket:
    """What an account has."""

    open: bool = True
    points: list[Point] = field(default_factory=list)
    undecided: int = 0


@dataclass
class Hold:
    """What a hold has taken out of an account."""

    account: str
    points: list[Point]
    expires_at: str | None
    conversion: bool


@dataclass
class Conversion:
    """A conversion as its source sees it."""

    account: str
    steps: int
    accept_by: str
    receiver: str
    state: str = "held"


@dataclass
class Model:
    """One brand."""

    name: str
    pockets: dict[str, Pocket] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    outgoing: dict[str, Conversion] = field(default_factory=dict)
    decided: dict[str, str] = field(default_factory=dict)
    births: int = 0
    gone_out: int = 0
    come_in: int = 0
    owed: int = 0
    claimed: int = 0

    def pocket(self, account: str) -> Pocket:
        if account not in self.pockets:
            raise SaysNo(Code.ACCOUNT_UNKNOWN)
        if not self.pockets[account].open:
            raise SaysNo(Code.ACCOUNT_CLOSED)
        return self.pockets[account]

    def held_of(self, account: str) -> list[Point]:
        return [point for hold in self.holds.values() if hold.account == account for point in hold.points]

    def open_account(self, account: str) -> None:
        if account in self.pockets:
            raise SaysNo(Code.ACCOUNT_EXISTS)
        self.pockets[account] = Pocket()

    def close_account(self, account: str) -> None:
        pocket = self.pocket(account)
        if pocket.undecided:
            raise SaysNo(Code.ACCOUNT_BUSY)
        if pocket.points or self.held_of(account):
            raise SaysNo(Code.ACCOUNT_NOT_EMPTY)
        pocket.open = False

    def give(self, account: str, amount: int, *, day: str, last_day: str | None, origin: str) -> None:
        pocket = self.pocket(account)
        self.births += 1
        pocket.points += [Point(last_day or NEVER, day, self.births, 0, origin)] * amount

    def take(self, account: str, amount: int, *, day: str) -> list[Point]:
        pocket = self.pocket(account)
        fresh = sorted(point for point in pocket.points if point.last_day >= day)
        if len(fresh) < amount:
            raise SaysNo(Code.INSUFFICIENT_POINTS)
        for point in fresh[:amount]:
            pocket.points.remove(point)
        return fresh[:amount]

    def transfer(self, source: str, destination: str, amount: int, *, day: str) -> None:
        if source == destination:
            raise SaysNo(Code.SAME_ACCOUNT)
        moved = self.take(source, amount, day=day)
        try:
            pocket = self.pocket(destination)
        except SaysNo:
            self.pockets[source].points += moved
            raise
        self.births += 1
        pocket.points += [point._replace(born=self.births, rank=rank) for rank, point in enumerate(moved)]

    def place(self, hold: str, account: str, amount: int, *, day: str, expires_at: str | None) -> None:
        self.holds[hold] = Hold(account, self.take(account, amount, day=day), expires_at, conversion=False)

    def own_hold(self, hold: str) -> Hold:
        if hold not in self.holds:
            raise SaysNo(Code.HOLD_UNKNOWN)
        if self.holds[hold].conversion:
            raise SaysNo(Code.HOLD_OF_CONVERSION)
        if not self.holds[hold].points:
            raise SaysNo(Code.HOLD_CLOSED)
        return self.holds[hold]

    def capture(self, hold: str, amount: int | None, *, final: bool, now: str) -> None:
        held = self.own_hold(hold)
        if held.expires_at is not None and held.expires_at <= now:
            raise SaysNo(Code.HOLD_EXPIRED)
        amount = len(held.points) if amount is None else amount
        if amount > len(held.points):
            raise SaysNo(Code.HOLD_TOO_SMALL)
        held.points = sorted(held.points)[amount:]
        if final:
            self.give_back(held, day=now[:10])

    def release(self, hold: str, *, expired: bool, now: str) -> None:
        held = self.own_hold(hold)
        if expired and (held.expires_at is None or held.expires_at > now):
            raise SaysNo(Code.HOLD_NOT_EXPIRED)
        self.give_back(held, day=now[:10])

    def give_back(self, held: Hold, *, day: str) -> None:
        """Give points back; those whose last day has passed meanwhile can be spent for two weeks more."""
        self.births += 1
        late = list(dict.fromkeys(point for point in sorted(held.points) if point.last_day < day))
        back = days_later(day, days=BACK_DAYS)
        self.pockets[held.account].points += [
            point._replace(last_day=back, born=self.births, rank=late.index(point)) if point in late else point
            for point in held.points
        ]
        held.points = []

    def order(self, conversion: str, account: str, amount: int, *, day: str, accept_by: str) -> None:
        steps = amount // SOURCE_STEP
        if not steps:
            raise SaysNo(Code.LESS_THAN_A_STEP)
        self.pocket(account)
        if account not in self.links:
            raise SaysNo(Code.LINK_UNKNOWN)
        points = self.take(account, steps * SOURCE_STEP + FEE, day=day)
        self.holds[conversion] = Hold(account, points, None, conversion=True)
        self.pockets[account].undecided += 1
        self.outgoing[conversion] = Conversion(account, steps, accept_by, self.links[account])

    def cancel(self, conversion: str) -> None:
        if conversion not in self.outgoing:
            raise SaysNo(Code.CONVERSION_UNKNOWN)
        if self.outgoing[conversion].state != "held":
            raise SaysNo(Code.CONVERSION_DECIDED)

    def decide(self, name: str, asked: Conversion, *, day: str, last_day: str, now: str) -> str:
        """Return what becomes of a partner's conversion: `credited`, or the reason for which it never is."""
        if name not in self.decided:
            self.decided[name] = self._first_decision(asked, day=day, last_day=last_day, now=now)
        return self.decided[name]

    def _first_decision(self, asked: Conversion, *, day: str, last_day: str, now: str) -> str:
        if asked.accept_by < now:
            return Code.EXPIRED
        try:
            amount = asked.steps * DESTINATION_STEP
            self.give(asked.receiver, amount, day=day, last_day=last_day, origin="partner")
        except SaysNo as no:
            return no.code
        self.come_in += asked.steps * DESTINATION_STEP
        self.claimed += asked.steps
        return "credited"

    def conclude(self, name: str, outcome: str, *, day: str) -> None:
        """Act on the destination's decision, once."""
        conversion, hold = self.outgoing[name], self.holds[name]
        if conversion.state != "held":
            return
        self.pockets[conversion.account].undecided -= 1
        if outcome == "credited":
            conversion.state = "captured"
            self.gone_out += conversion.steps * SOURCE_STEP
            self.owed += conversion.steps
            hold.points = []
        else:
            conversion.state = "released"
            self.give_back(hold, day=day)
