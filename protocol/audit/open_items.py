"""What is not settled on a day, item by item with its age, and how that adds up to what the accounts say is owed.

An item's value is in millionths: above zero the partner owes it, below zero the ledger whose log this is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum, unique
from itertools import chain

import msgspec

from protocol.audit.days import day_of
from protocol.audit.figures import Tally, money_lines
from protocol.audit.outcome import LogAudit
from protocol.audit.settlements import WindowBook
from protocol.fields import parse_date
from protocol.identifiers import Asset, Ledger, Partner, partner_of
from protocol.ledger.state import STATEMENTS
from protocol.statement import Statement


@unique
class ItemKind(StrEnum):
    """Where an item stands."""

    PENDING = "pending"
    """A conversion that the destination has not decided, or whose decision has not been heard of: nothing is owed."""
    UNBILLED = "unbilled"
    """Conversions of a window without a statement that both signed."""
    DISPUTED = "disputed"
    """A line that the last statement leaves out."""
    UNPAID = "unpaid"
    """A statement whose money has not been confirmed."""
    ON_ITS_WAY = "on_its_way"
    """The same at the payer, which has sent the money: its accounts no longer hold it as due."""
    CARRIED = "carried"
    """What the last statement carries into the next one."""


class OpenItem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that waits, since when, and what it is worth; `points` are those of a pending conversion."""

    kind: ItemKind
    partner: Ledger
    about: str
    since: str
    age_days: int
    value: str
    currency: Asset
    points: int | None = None
    due_at: str | None = None


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """What a partner owes in one currency by the accounts; `difference` is what the open items leave unexplained."""

    partner: Partner
    currency: Asset
    payable: str
    receivable: str
    due: str
    net: str
    items: str
    difference: str


@dataclass(slots=True)
class _Window:
    since: str
    currency: Asset
    value: int = 0
    count: int = 0


def open_items(audit: LogAudit, day: str) -> tuple[OpenItem, ...]:
    """Return everything that is not settled at the end of `day`, the oldest first."""
    books = audit.books
    partners = {*books.conversions.sent, *books.conversions.decided, *books.settlements.windows}
    found = [item for partner in sorted(partners) for item in _Open(audit, partner, day).items()]
    return tuple(sorted(found, key=lambda item: (-item.age_days, item.partner, item.since, item.about)))


def positions(tally: Tally, items: tuple[OpenItem, ...]) -> tuple[Position, ...]:
    """Return what each partner owes by the sums in `tally`, beside the open `items` of the same moment."""
    owed: dict[tuple[Partner, Asset], dict[str, int]] = {}
    for line in money_lines(tally):
        owed.setdefault((line.partner, line.currency), {})[line.account] = int(line.amount)
    listed: dict[tuple[Partner, Asset], int] = {}
    for item in items:
        if item.kind not in (ItemKind.PENDING, ItemKind.ON_ITS_WAY):
            key = partner_of(item.partner), item.currency
            listed[key] = listed.get(key, 0) + int(item.value)
    return tuple(
        _position(partner, currency, owed.get((partner, currency), {}), listed.get((partner, currency), 0))
        for partner, currency in sorted(owed.keys() | listed.keys())
    )


def _position(partner: Partner, currency: Asset, owed: dict[str, int], items: int) -> Position:
    payable, receivable, due = (owed.get(account, 0) for account in ("payable", "receivable", "due"))
    net = -(payable + receivable + due)
    return Position(
        partner=partner,
        currency=currency,
        payable=str(payable),
        receivable=str(receivable),
        due=str(due),
        net=str(net),
        items=str(items),
        difference=str(net - items),
    )


class _Open:
    """What one log has open with one partner at the end of a day."""

    def __init__(self, audit: LogAudit, partner: Ledger, day: str) -> None:
        self._audit = audit
        self._partner = partner
        self._day = day
        self._books: Mapping[int, WindowBook] = audit.books.settlements.windows.get(partner, {})

    def items(self) -> Iterator[OpenItem]:
        yield from self._pending()
        yield from self._unbilled()
        yield from self._stated()

    def _is_past(self, time: str | None) -> bool:
        return time is not None and day_of(time) <= self._day

    def _agreed(self, window: int) -> bool:
        book = self._books.get(window)
        return book is not None and book.agreed is not None and self._is_past(book.agreed.time)

    def _item(
        self,
        kind: ItemKind,
        about: str,
        *,
        since: str,
        value: int,
        currency: Asset,
        points: int | None = None,
        due_at: str | None = None,
    ) -> OpenItem:
        age = parse_date(self._day) - parse_date(day_of(since))
        return OpenItem(
            kind=kind,
            partner=self._partner,
            about=about,
            since=since,
            age_days=age.days,
            value=str(value),
            currency=currency,
            points=points,
            due_at=due_at,
        )

    def _pending(self) -> Iterator[OpenItem]:
        for name, sent in self._audit.book.sent.get(self._partner, {}).items():
            if self._is_past(sent.time) and not (sent.decision and self._is_past(sent.decision.time)):
                terms = sent.terms
                yield self._item(
                    ItemKind.PENDING,
                    f"conversion {name.id}",
                    since=sent.time,
                    value=-terms.value,
                    currency=terms.currency,
                    points=terms.source_points + terms.fee_points,
                )

    def _lines(self) -> Iterator[tuple[int, str, Asset, int]]:
        """Yield window, time, currency and value of each completed conversion."""
        for sent in self._audit.book.sent.get(self._partner, {}).values():
            decision = sent.decision
            if decision is not None and decision.window is not None and self._is_past(decision.time):
                yield decision.window, decision.time, sent.terms.currency, -decision.owed
        for decided in self._audit.book.decided.get(self._partner, {}).values():
            if decided.window is not None and decided.terms is not None and self._is_past(decided.time):
                yield decided.window, decided.time, decided.terms.currency, decided.due

    def _entered(self) -> Iterator[tuple[int, str, Asset, int]]:
        """Yield the same of each line that was entered in dispute, for a conversion that was never captured."""
        for number, book in self._books.items():
            for line in book.entered:
                if self._is_past(line.time):
                    yield number, line.time, line.currency, -line.value

    def _unbilled(self) -> Iterator[OpenItem]:
        windows: dict[int, _Window] = {}
        for number, time, currency, value in chain(self._lines(), self._entered()):
            if not self._agreed(number):
                window = windows.setdefault(number, _Window(time, currency))
                window.since = min(window.since, time)
                window.value, window.count = window.value + value, window.count + 1
        for number, window in sorted(windows.items()):
            about = f"window {number}: {window.count} conversions, both ways"
            yield self._item(ItemKind.UNBILLED, about, since=window.since, value=window.value, currency=window.currency)

    def _stated(self) -> Iterator[OpenItem]:
        disputed: dict[str, str] = {}
        last: tuple[str, Statement] | None = None
        for number, book in sorted(self._books.items()):
            record = self._audit.replay.view.get(STATEMENTS, (self._partner, number))
            if record is None or book.agreed is None or not self._is_past(book.agreed.time):
                continue
            statement = record.signed.statement
            last = book.agreed.time, statement
            yield from self._unpaid(book, book.agreed.time, statement)
            for bill in statement.directions:
                for line in bill.disputed:
                    disputed.setdefault(line.id, book.agreed.time)
        if last is not None:
            yield from self._left(*last, disputed)

    def _unpaid(self, book: WindowBook, since: str, statement: Statement) -> Iterator[OpenItem]:
        if statement.payer is None or (book.confirmed is not None and self._is_past(book.confirmed.time)):
            return
        pays = statement.payer == self._audit.ledger
        ways = [on_its_way for time, on_its_way in book.ways if self._is_past(time)]
        kind = ItemKind.ON_ITS_WAY if ways and ways[-1] else ItemKind.UNPAID
        value = -statement.amount if pays else statement.amount
        about = f"statement of window {statement.window}"
        due_at = statement.due_at
        yield self._item(kind, about, since=since, value=value, currency=statement.currency, due_at=due_at)

    def _left(self, agreed_at: str, statement: Statement, disputed: dict[str, str]) -> Iterator[OpenItem]:
        """Yield what the last statement leaves open: lines in dispute, and the carry."""
        currency, own = statement.currency, self._audit.ledger
        for bill in statement.directions:
            for line in bill.disputed:
                value = -line.value if bill.source == own else line.value
                about = f"conversion {line.id} of window {line.window} ({line.reason.value})"
                yield self._item(ItemKind.DISPUTED, about, since=disputed[line.id], value=value, currency=currency)
        carry = int(statement.carry)
        if carry:
            value = -carry if statement.parties[0] == own else carry
            about = f"carry of window {statement.window}"
            yield self._item(ItemKind.CARRIED, about, since=agreed_at, value=value, currency=currency)
