"""Expiry: walks the lots whose last day has passed and posts them to breakage, in bounded steps (specs/expiry.md §6).

A step reads a page of what is due and posts it in one commit, so that others' writes come in between. What is posted
is due no more: whoever begins anew after a crash goes on where it ended.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from node.engine.work import Desk
from node.services.context import Context
from node.store.read_lots import DueRow
from protocol.errors import Code, Refusal
from protocol.fields import parse_date
from protocol.identifiers import Account
from protocol.ledger import rules
from protocol.ledger.expiring import due_lots
from protocol.ledger.expiry import clock_ends_on, idle_since
from protocol.ledger.lot_commands import ExpireLots
from protocol.ledger.names import points_expired_id
from protocol.ledger.state import ACCOUNTS
from protocol.ledger.view import Need, Overlay, View, need, need_book
from protocol.limits import EXPIRED_LOTS_MAX
from protocol.point_entries import ExpiredLot, PointsExpired
from protocol.program import day_of

STEP_ACCOUNTS_MAX: Final = 32
STEP_LOTS_MAX: Final = 32
"""What one commit posts at most: others' writes wait for it, so it takes a few milliseconds."""

PREVIEW_ROWS_MAX: Final = 500
_OF_AN_ACCOUNT: Final = "account_"
_CHANGED: Final = frozenset({Code.LOT_NOT_DUE.value, Code.ID_INVALID.value})
_DATED: Final = "d"
_CLOCK: Final = "c"
_BEGINNING: Final = "d//"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryMonth:
    """What of the lots expires in one month, `2026-01`, by their last day."""

    month: str
    lots: int
    points: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryStep:
    """What one step posted, or a preview would; `refused` accounts were passed over. `next` is where to go on."""

    as_of: str
    entries: int
    lots: int
    points: int
    months: tuple[ExpiryMonth, ...]
    refused: int
    next: str | None


@dataclass(slots=True)
class _Totals:
    lots: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    entries: int = 0
    refused: int = 0

    def add(self, day: str, lots: int, points: int) -> None:
        self.lots[day[:7]] += lots
        self.points[day[:7]] += points

    def step(self, as_of: str, after: str | None) -> ExpiryStep:
        return ExpiryStep(
            as_of=as_of,
            entries=self.entries,
            lots=self.lots.total(),
            points=self.points.total(),
            months=tuple(
                ExpiryMonth(month=month, lots=lots, points=self.points[month])
                for month, lots in sorted(self.lots.items())
            ),
            refused=self.refused,
            next=after,
        )


@dataclass(frozen=True, slots=True)
class _Page:
    """Accounts that are due, each with the cursor behind it, and where to go on after all of them."""

    rows: Sequence[tuple[DueRow, str]]
    after: str | None


class ExpireWork:
    """Posts what is due of a few accounts in one commit, up to `lots_max` lots; `done` are finished with."""

    def __init__(self, accounts: Sequence[Account], *, as_of: str, lots_max: int) -> None:
        self._accounts = accounts
        self._as_of = as_of
        self._lots_max = lots_max
        self._plan: list[ExpireLots] = []
        self._planned = 0

    def needs(self, view: Overlay) -> Iterator[Need]:
        """Yield the accounts and their lots, then what the commands read that follow from them."""
        yield from rules.ALWAYS
        wanted = [each for account in self._accounts for each in (need(ACCOUNTS, account), need_book(account))]
        yield from wanted
        if not view.missing([*rules.ALWAYS, *wanted]):
            self._make_plan(view)
            for command in self._plan:
                yield from rules.needs(view, command)

    def run(self, desk: Desk) -> tuple[list[PointsExpired], int, int]:
        """Return the new entries, how many accounts are finished with, and how many were refused."""
        made: list[PointsExpired] = []
        refused: set[Account] = set()
        for command in self._plan:
            try:
                answer = desk.execute(command)
            except Refusal as refusal:
                if not refusal.code.startswith(_OF_AN_ACCOUNT) and refusal.code not in _CHANGED:
                    raise
                # The account is frozen, or its lots have changed in this very commit: another run sees to it.
                refused.add(command.account)
                continue
            if not answer.repeated and isinstance(answer.sealed.entry, PointsExpired):
                made.append(answer.sealed.entry)
        finished = self._planned
        if finished < len(self._accounts) and self._accounts[finished] in refused:
            finished += 1
        return made, finished, len(refused)

    def _make_plan(self, view: View) -> None:
        self._plan, self._planned = [], 0
        room = self._lots_max
        for account in self._accounts:
            due = due_lots(view, account, as_of=self._as_of)
            self._plan += self._commands(account, due[:room])
            room -= len(due)
            if room < 0:
                return
            self._planned += 1

    def _commands(self, account: Account, due: Sequence[ExpiredLot]) -> Iterator[ExpireLots]:
        for start in range(0, len(due), EXPIRED_LOTS_MAX):
            lots = due[start : start + EXPIRED_LOTS_MAX]
            entry_id = points_expired_id(account, seq=lots[0].seq, part=lots[0].part, as_of=self._as_of)
            numbers = tuple((lot.seq, lot.part) for lot in lots)
            yield ExpireLots(id=entry_id, occurred_on=self._as_of, account=account, lots=numbers)


class ExpiryService:
    """Tells what has expired, and posts it."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def today(self) -> str:
        """Return the program's day."""
        return day_of(self._context.terms, self._context.now)

    def run(self, as_of: str | None, after: str | None, *, lots_max: int | None = None) -> ExpiryStep:
        """Post a page of what has expired before `as_of`, or today, and say where to go on; raise `date_invalid`."""
        day = self._day(as_of)
        page = self._page(day, after, STEP_ACCOUNTS_MAX)
        totals, rest = _Totals(), page.after
        if page.rows:
            accounts = list(dict.fromkeys(row.account for row, _ in page.rows))
            work = ExpireWork(accounts, as_of=day, lots_max=min(lots_max or STEP_LOTS_MAX, STEP_LOTS_MAX))
            made, finished, totals.refused = self._context.writer.submit(work).result()
            totals.entries = len(made)
            for lot in (lot for entry in made for lot in entry.lots):
                totals.add(lot.expires_on, 1, lot.amount)
            if finished < len(accounts):
                rest = _before(page, accounts[finished], after)
        return totals.step(day, rest)

    def preview(self, as_of: str | None, after: str | None) -> ExpiryStep:
        """Return what a page of a run would post, without posting it; raise `date_invalid`."""
        day = self._day(as_of)
        page, totals = self._page(day, after, PREVIEW_ROWS_MAX), _Totals()
        for row, cursor in page.rows:
            kind, clock, _ = cursor.split("/", 2)
            last = row.day if kind == _DATED else clock_ends_on(clock, row.day)
            totals.add(last, row.lots, row.points)
        totals.entries = len({row.account for row, _ in page.rows})
        return totals.step(day, page.after)

    def _day(self, as_of: str | None) -> str:
        today = self.today()
        if as_of is None:
            return today
        try:
            parse_date(as_of)
        except ValueError as error:
            raise Refusal(Code.DATE_INVALID, str(error)) from error
        if as_of > today:
            raise Refusal(Code.DATE_INVALID, f"{as_of} has not come yet: today is {today}")
        return as_of

    def _page(self, as_of: str, after: str | None, limit: int) -> _Page:
        kind, key, name = (after or _BEGINNING).split("/", 2)
        account = Account(name)
        if kind == _DATED:
            dated = self._context.reader.lots_dated(as_of, (key, account) if key else None, limit)
            pairs = [(row, f"{_DATED}/{row.day}/{row.account}") for row in dated]
            return _Page(pairs, pairs[-1][1] if len(dated) == limit else self._next_clock(""))
        idle = idle_since(key, as_of)
        run_out = self._context.reader.lots_run_out(key, idle, account or None, limit) if idle else []
        pairs = [(row, f"{_CLOCK}/{key}/{row.account}") for row in run_out]
        return _Page(pairs, pairs[-1][1] if len(run_out) == limit else self._next_clock(key))

    def _next_clock(self, key: str) -> str | None:
        beyond = [clock for clock in self._context.reader.clocks() if clock > key]
        return f"{_CLOCK}/{beyond[0]}/" if beyond else None


def _before(page: _Page, account: Account, after: str | None) -> str:
    """Return the cursor before the first row of `account`."""
    place = next(place for place, (row, _) in enumerate(page.rows) if row.account == account)
    return page.rows[place - 1][1] if place else after or _BEGINNING
