"""The accounting journal of a log: what each entry debits and credits, with partner-funded points apart from our own.

Postings say how many points move, lots say whose they are. A line of points therefore has an origin: `own`, or the
partner who paid for the points when they came in. What only moves between holders is no line.
Lines sum, account by account, to the trial balance that an audit computes from the postings alone (specs/journal.md).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from protocol.audit.days import day_of
from protocol.audit.figures import line_of
from protocol.entries import AnyEntry, Posting, Sealed
from protocol.identifiers import Asset
from protocol.ledger import rules
from protocol.ledger.postings import is_holder, ledger_record
from protocol.ledger.state import HOLDS, LOTS
from protocol.ledger.transactions import OWN
from protocol.ledger.view import Overlay


class JournalLine(msgspec.Struct, frozen=True, kw_only=True):
    """One account of one entry, or of one day: `amount` is a credit above zero, a debit below.

    Points are whole, money is in millionths. `origin` is empty for money. Of a day, `seq` is that of its last entry and
    `id` is empty.
    """

    day: str
    occurred_on: str
    seq: int
    id: str
    kind: str
    account: str
    origin: str
    asset: Asset
    amount: int


class _Line(NamedTuple):
    account: str
    origin: str
    asset: Asset


def journal_lines(entries: Iterable[Sealed]) -> Iterator[JournalLine]:
    """Yield the lines of a whole log from its genesis on, entry by entry; raise what the rules refuse."""
    view = Overlay(complete=True)
    for sealed in entries:
        mark = view.savepoint()
        rules.apply(view, sealed)
        postings = getattr(sealed.entry, "postings", ())
        if postings:
            yield from _lines(sealed.entry, postings, view, mark)
        view.take_changes()


def _lines(entry: AnyEntry, postings: Sequence[Posting], view: Overlay, mark: int) -> Iterator[JournalLine]:
    points = ledger_record(view).points
    for line, amount in _moved(postings, points, _held(view, mark)).items():
        if amount:
            yield JournalLine(
                day=day_of(entry.time),
                occurred_on=entry.occurred_on,
                seq=entry.seq,
                id=entry.id,
                kind=str(entry.__struct_config__.tag),
                account=line.account,
                origin=line.origin,
                asset=line.asset,
                amount=amount,
            )


def _held(view: Overlay, mark: int) -> dict[tuple[str, str], int]:
    """Return by how much points in lots and on hold have changed since `mark`, by kind of holder and by origin."""
    changed: defaultdict[tuple[str, str], int] = defaultdict(int)
    for (account, _, _), before, after in view.changed_since(mark, LOTS):
        for sign, lot in ((-1, before), (1, after)):
            if lot is not None:
                changed[line_of(account), lot.origin] += sign * lot.remaining
    for _, before_hold, after_hold in view.changed_since(mark, HOLDS):
        for sign, hold in ((-1, before_hold), (1, after_hold)):
            if hold is not None:
                for piece in hold.pieces:
                    changed[line_of(hold.account), piece.origin] += sign * piece.amount
    return changed


def _moved(postings: Sequence[Posting], points: Asset, held: dict[tuple[str, str], int]) -> dict[_Line, int]:
    """Return what an entry moves: what holders have, by kind and origin, and the rest as it stands against that."""
    moved: defaultdict[_Line, int] = defaultdict(int)
    against: defaultdict[str, int] = defaultdict(int)
    for kind in sorted({line_of(each.account) for each in postings if is_holder(each.account)}):
        posted = sum(each.amount for each in postings if line_of(each.account) == kind)
        shares = {origin: amount for (line, origin), amount in held.items() if line == kind}
        # What no lot or hold explains is the program's own.
        shares[OWN] = shares.get(OWN, 0) + posted - sum(shares.values())
        for origin, amount in shares.items():
            moved[_Line(kind, origin, points)] += amount
            against[origin] -= amount
    for posting in postings:
        if posting.asset != points:
            moved[_Line(posting.account, "", posting.asset)] += posting.amount
        elif not is_holder(posting.account):
            for origin, amount in _share(posting.amount, against):
                moved[_Line(posting.account, origin, points)] += amount
    return moved


def _share(amount: int, against: dict[str, int]) -> Iterator[tuple[str, int]]:
    """Yield whose points a structural posting is about, our own first, and take them out of `against`."""
    left = amount
    for origin in sorted(against, key=lambda each: (each != OWN, each)):
        part = min(left, against[origin]) if left > 0 else max(left, against[origin])
        if part * left > 0:
            against[origin] -= part
            left -= part
            yield origin, part
    if left:
        yield OWN, left


def daily(lines: Iterable[JournalLine]) -> Iterator[JournalLine]:
    """Yield one line for each day, kind, account, origin and asset of `lines`, which come in the order of the log."""
    day: dict[tuple[str, ...], JournalLine] = {}
    last = ""
    for line in lines:
        if line.day != last:
            yield from _net(day)
            day, last = {}, line.day
        key = (line.occurred_on, line.kind, line.account, line.origin, line.asset)
        before = day.get(key)
        amount = line.amount + (before.amount if before else 0)
        day[key] = msgspec.structs.replace(line, id="", amount=amount)
    yield from _net(day)


def _net(day: dict[tuple[str, ...], JournalLine]) -> Iterator[JournalLine]:
    yield from (line for _, line in sorted(day.items()) if line.amount)
