"""What a log posted day by day, so that its figures can be stated for any past day and tied to the tree of that day.

A day is one of the ledger's own recording, in UTC: what was recorded up to its end is a prefix of the log, and so has a
size and a root. The business day on which something happened may be another one: that is what a cut-off test is about.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from protocol.audit.figures import HOLDER_LINES, Tally
from protocol.entries import AnyEntry, Postings
from protocol.identifiers import Asset

_DATE_CHARACTERS: Final = 10


@dataclass(slots=True, kw_only=True)
class Day:
    """One day's postings by line of the trial balance and asset; `end_seq` is that of the next day's first entry."""

    end_seq: int = 0
    entries: int = 0
    moves: dict[tuple[str, Asset], int] = field(default_factory=dict)


class LateGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Entries of one kind that name one business day and were recorded on another one; `points` is what they moved."""

    occurred_on: str
    recorded_on: str
    kind: str
    count: int
    first_seq: int
    last_seq: int
    points: str


@dataclass(slots=True, kw_only=True)
class Late:
    """What a `LateGroup` states, as it is counted."""

    count: int = 0
    first_seq: int = 0
    last_seq: int = 0
    points: int = 0


class DaySums(msgspec.Struct, frozen=True, kw_only=True):
    """What consecutive entries post, as a process tells another: `Day` and `Late` by what they are of, in order."""

    days: list[tuple[str, int, int, list[tuple[tuple[str, Asset], int]]]]
    late: list[tuple[tuple[str, str, str], Late]]


def day_of(time: str) -> str:
    """Return the day, in UTC, of an RFC 3339 time."""
    return time[:_DATE_CHARACTERS]


class DayBook:
    """Sums the postings of a log by the day on which they were recorded, and counts what was dated otherwise."""

    __slots__ = ("days", "late")

    def __init__(self) -> None:
        """Start with no day."""
        self.days: dict[str, Day] = {}
        self.late: dict[tuple[str, str, str], Late] = {}

    def passed(self, entries: Sequence[AnyEntry], *, points: Asset) -> None:
        """Add what accepted entries post, in their order; `points` are the ledger's own."""
        recorded_on, day = "", Day()
        moves = day.moves
        for entry in entries:
            if entry.time[:_DATE_CHARACTERS] != recorded_on:
                recorded_on = day_of(entry.time)
                day = self.days.setdefault(recorded_on, Day())
                moves = day.moves
            day.end_seq, day.entries = entry.seq + 1, day.entries + 1
            for posting in getattr(entry, "postings", ()):
                account = posting.account
                line = HOLDER_LINES.get(account.partition("/")[0], account), posting.asset
                moves[line] = moves.get(line, 0) + posting.amount
            if entry.occurred_on != recorded_on:
                self._note_late(entry, recorded_on, points)

    def _note_late(self, entry: AnyEntry, recorded_on: str, points: Asset) -> None:
        kind = str(entry.__struct_config__.tag)
        late = self.late.setdefault((entry.occurred_on, recorded_on, kind), Late(first_seq=entry.seq))
        postings: Postings = getattr(entry, "postings", ())
        moved = sum(max(posting.amount, 0) for posting in postings if posting.asset == points)
        late.count, late.last_seq, late.points = late.count + 1, entry.seq, late.points + moved

    def sums(self) -> DaySums:
        """Return all that this book knows, to `add` it to another."""
        return DaySums(
            days=[(day, each.end_seq, each.entries, list(each.moves.items())) for day, each in self.days.items()],
            late=list(self.late.items()),
        )

    def add(self, sums: DaySums) -> None:
        """Add what was summed of the entries that come next."""
        for day, end_seq, entries, moves in sums.days:
            found = self.days.setdefault(day, Day())
            found.end_seq, found.entries = end_seq, found.entries + entries
            for line, amount in moves:
                found.moves[line] = found.moves.get(line, 0) + amount
        for place, late in sums.late:
            known = self.late.setdefault(place, Late(first_seq=late.first_seq))
            known.count, known.last_seq = known.count + late.count, late.last_seq
            known.points += late.points

    def until(self, day: str | None) -> Tally:
        """Return the sums of all postings recorded up to the end of `day`, or of all."""
        return self._sum(found for each, found in self.days.items() if day is None or each <= day)

    def before(self, day: str | None) -> Tally | None:
        """Return the sums of all postings recorded before `day`, or None where no day is given."""
        return None if day is None else self._sum(found for each, found in self.days.items() if each < day)

    @staticmethod
    def _sum(days: Iterable[Day]) -> Tally:
        tally = Tally()
        for found in days:
            for line, amount in found.moves.items():
                tally.totals[line] += amount
        return tally

    def end_seq(self, day: str | None) -> int:
        """Return how far the log went at the end of `day`, or goes: the `seq` of the entry after that."""
        return max((found.end_seq for each, found in self.days.items() if day is None or each <= day), default=0)

    def outstanding(self, day: str | None) -> Iterator[tuple[str, int]]:
        """Yield the points in the hands of holders at the end of each day on which something was recorded."""
        total = 0
        for each, found in sorted(self.days.items()):
            if day is None or each <= day:
                total += sum(amount for (line, _), amount in found.moves.items() if line.endswith("/*"))
                yield each, total

    def misdated(self, day: str | None) -> Iterator[LateGroup]:
        """Yield what happened on one side of the end of `day` and was recorded on the other; or all, without a day."""
        for (occurred_on, recorded_on, kind), late in sorted(self.late.items()):
            if day is None or min(occurred_on, recorded_on) <= day < max(occurred_on, recorded_on):
                yield LateGroup(
                    occurred_on=occurred_on,
                    recorded_on=recorded_on,
                    kind=kind,
                    count=late.count,
                    first_seq=late.first_seq,
                    last_seq=late.last_seq,
                    points=str(late.points),
                )
