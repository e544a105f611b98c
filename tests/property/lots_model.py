"""Points as a child would keep them: each a thing of its own, looked at every morning.

Written without a look at the ledger's rules: no lots, no clocks, no sums. What has had its last day is put aside on the
morning after; nothing that is put aside is ever spent again.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from protocol.errors import Code
from tests.property.ledger_model import SaysNo

NEVER: Final = date(9999, 12, 31)
BACK_DAYS: Final = 14
SIZE: Final = {"none": 0, "month": 1, "quarter": 3, "year": 12}


def months_after(day: date, months: int, round_to: str) -> date:
    """Walk month by month, then on to the end of month, quarter or year."""
    year, month = day.year, day.month
    for _ in range(months):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    found = _or_earlier(year, month, day.day)
    while SIZE[round_to] and (found + timedelta(days=1)).day != 1:
        found += timedelta(days=1)
    while SIZE[round_to] and found.month % SIZE[round_to]:
        found = _end_of_next_month(found)
    return found


def _or_earlier(year: int, month: int, number: int) -> date:
    try:
        return date(year, month, number)
    except ValueError:
        return _or_earlier(year, month, number - 1)


def _end_of_next_month(end: date) -> date:
    found = end + timedelta(days=1)
    while (found + timedelta(days=1)).month == found.month:
        found += timedelta(days=1)
    return found


@dataclass
class Point:
    """One point. With `rolling`, its last day is so many months after the last activity of its account."""

    account: str
    origin: str
    earned_on: date
    place: tuple[int, int]
    last: date | None = None
    rolling: tuple[int, str] | None = None
    usable_from: date = date.min
    over: bool = False


@dataclass
class Taken:
    """Points that a hold, a redemption or a conversion took, in that order."""

    account: str
    points: list[Point]


@dataclass
class Issue:
    """What was once earned at a go: how much of it may still be taken back."""

    account: str
    place: tuple[int, int]
    left: int


@dataclass
class LotsModel:
    """Two accounts of a program, day by day."""

    today: date
    rule: tuple[str, int, str] = ("never", 0, "none")
    pending_days: int = 0
    pockets: dict[str, list[Point]] = field(default_factory=lambda: {"ann": [], "bob": []})
    active: dict[str, date] = field(default_factory=dict)
    holds: dict[str, Taken] = field(default_factory=dict)
    issues: dict[str, Issue] = field(default_factory=dict)
    redemptions: dict[str, Taken] = field(default_factory=dict)
    births: int = 0
    lost: int = 0

    def last_of(self, point: Point) -> date:
        if point.rolling is not None:
            return months_after(self.active[point.account], *point.rolling)
        return point.last or NEVER

    def morning(self) -> None:
        """Put aside what had its last day yesterday."""
        self.today += timedelta(days=1)
        for pocket in self.pockets.values():
            for point in pocket:
                last = self.last_of(point)
                if last < self.today and not point.over:
                    point.over, point.last, point.rolling = True, last, None

    def act(self, account: str) -> None:
        """Note that something happened in an account that has a day of activity."""
        if account in self.active:
            self.active[account] = self.today

    def born(self) -> int:
        self.births += 1
        return self.births

    def give(self, account: str, amount: int, *, last: date | None, origin: str) -> tuple[int, int]:
        place = (self.born(), 0)
        new = [Point(account, origin, self.today, place, last) for _ in range(amount)]
        self.pockets[account] += new
        return place

    def issue(self, name: str, account: str, amount: int, named: date | None) -> None:
        self.act(account)
        kind, months, round_to = self.rule
        place = self.give(account, amount, last=named, origin="own")
        for point in self.pockets[account][-amount:]:
            point.usable_from = self.today + timedelta(days=self.pending_days)
            if named is None and kind == "fixed":
                point.last = months_after(self.today, months, round_to)
            if named is None and kind == "rolling":
                self.active.setdefault(account, self.today)
                point.rolling = (months, round_to)
        self.issues[name] = Issue(account, place, amount)

    def usable(self, account: str) -> list[Point]:
        fresh = [one for one in self.pockets[account] if not one.over and one.usable_from <= self.today]
        return sorted(fresh, key=lambda one: (self.last_of(one), one.earned_on, one.place))

    def take(self, account: str, amount: int) -> list[Point]:
        taken = self.usable(account)[:amount]
        if len(taken) < amount:
            raise SaysNo(Code.INSUFFICIENT_POINTS)
        self._remove(account, taken)
        return taken

    def _remove(self, account: str, gone: list[Point]) -> None:
        self.pockets[account] = [one for one in self.pockets[account] if not any(one is each for each in gone)]

    def redeem(self, name: str, account: str, amount: int) -> None:
        self.redemptions[name] = Taken(account, self.take(account, amount))
        self.act(account)

    def transfer(self, source: str, destination: str, amount: int) -> None:
        taken = self.take(source, amount)
        number, places = self.born(), list(dict.fromkeys(one.place for one in taken))
        for one in taken:
            last = self.last_of(one)
            one.last, one.rolling = (None if last == NEVER else last), None
            one.place, one.account = (number, places.index(one.place)), destination
        self.act(source)
        self.act(destination)
        self.pockets[destination] += taken

    def hold(self, name: str, account: str, amount: int) -> None:
        self.holds[name] = Taken(account, self.take(account, amount))

    def capture(self, name: str, amount: int | None, redemption: str, *, final: bool) -> None:
        held = self._open(name)
        amount = len(held.points) if amount is None else amount
        if amount > len(held.points):
            raise SaysNo(Code.HOLD_TOO_SMALL)
        self.redemptions[redemption] = Taken(held.account, held.points[:amount])
        held.points = held.points[amount:]
        self.act(held.account)
        if final:
            self.release(name)

    def release_open(self, name: str) -> None:
        self._open(name)
        self.release(name)

    def _open(self, name: str) -> Taken:
        if name not in self.holds:
            raise SaysNo(Code.HOLD_UNKNOWN)
        if not self.holds[name].points:
            raise SaysNo(Code.HOLD_CLOSED)
        return self.holds[name]

    def release(self, name: str) -> None:
        held = self.holds[name]
        self.back(held.account, held.points)
        held.points = []

    def back(self, account: str, points: list[Point]) -> None:
        """Put points back where they were; what had its last day meanwhile can be spent for two weeks more."""
        number = self.born()
        stale = {one.place for one in self.pockets[account] if one.over}
        places: list[tuple[int, int]] = []
        for one in points:
            past = self.last_of(one) < self.today
            if past or one.place in stale:
                if one.place not in places:
                    places.append(one.place)
                one.place = (number, places.index(one.place))
            if past:
                one.last, one.rolling = self.today + timedelta(days=BACK_DAYS), None
        self.pockets[account] += points

    def reverse(self, of: str, amount: int | None, *, partial: bool) -> int:
        if of in self.issues:
            return self._take_back(self.issues[of], amount, partial=partial)
        if of not in self.redemptions:
            raise SaysNo(Code.REVERSAL_UNKNOWN)
        taken = self.redemptions[of]
        amount = self._asked(amount, len(taken.points))
        kept = len(taken.points) - amount
        returned, taken.points = taken.points[kept:], taken.points[:kept]
        self.back(taken.account, returned)
        return amount

    def _asked(self, amount: int | None, left: int) -> int:
        asked = left if amount is None else amount
        if asked > left or not asked:
            raise SaysNo(Code.REVERSAL_EXCEEDED)
        return asked

    def _take_back(self, issue: Issue, amount: int | None, *, partial: bool) -> int:
        asked = self._asked(amount, issue.left)
        own = [one for one in self.pockets[issue.account] if one.place == issue.place]
        there = own + [one for one in self.usable(issue.account) if one.place != issue.place]
        moved = min(asked, len(there)) if partial else asked
        if not moved or moved > len(there):
            raise SaysNo(Code.INSUFFICIENT_POINTS)
        self._remove(issue.account, there[:moved])
        issue.left -= moved
        return moved

    def expire(self, account: str, as_of: date) -> int:
        gone = [one for one in self.pockets[account] if self.last_of(one) < as_of]
        if not gone:
            raise SaysNo(Code.LOT_NOT_DUE)
        self._remove(account, gone)
        self.lost += len(gone)
        for issue in self.issues.values():
            issue.left = max(0, issue.left - sum(one.place == issue.place for one in gone))
        return len(gone)
