"""The accounting journal as CSV: of a span of days, by entry or by day, out of the log itself (specs/journal.md)."""

import csv
from collections.abc import Iterable, Iterator
from io import StringIO
from typing import Final, Literal, TypeAlias

from node.services.at_once import AtOnce
from node.services.context import Context
from protocol.audit.journal import JournalLine, daily, journal_lines
from protocol.entries import Sealed, unseal
from protocol.errors import Code, Refusal

Per: TypeAlias = Literal["entry", "day"]
COLUMNS: Final = (
    "day", "occurred_on", "entry", "id", "kind", "account", "origin", "asset", "debit", "credit",
)  # fmt: skip
JOURNALS_MAX: Final = 4
READER_JOURNALS_MAX: Final = 2
"""Journals at once, of all readers and of one: each keeps a whole ledger in memory, and most of a thread's time."""

_ENTRIES_AT_ONCE: Final = 1_000


class JournalService:
    """Writes what accountants book."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.at_once = AtOnce(each=READER_JOURNALS_MAX, most=JOURNALS_MAX)

    def csv(self, *, first_day: str, last_day: str, per: Per) -> Iterator[bytes]:
        """Return the journal of the days, which are days of recording in UTC, as CSV (RFC 4180), line by line.

        Whose points move is known from the lots alone, so the log is replayed up to the last day. Raises `Refusal`
        where the days end before they begin.
        """
        if last_day < first_day:
            raise Refusal(Code.DATE_INVALID, f"the last day, {last_day}, lies before the first, {first_day}")
        return self._lines(first_day, last_day, per)

    def _lines(self, first_day: str, last_day: str, per: Per) -> Iterator[bytes]:
        lines = (line for line in journal_lines(self._entries(last_day)) if line.day >= first_day)
        yield _row(COLUMNS)
        for line in daily(lines) if per == "day" else lines:
            yield _row(_cells(line))

    def _entries(self, last_day: str) -> Iterator[Sealed]:
        seq = 0
        while found := self._context.reader.entries_from(seq, _ENTRIES_AT_ONCE):
            for data in found:
                sealed = unseal(data)
                if sealed.entry.time[: len(last_day)] > last_day:
                    return
                yield sealed
                seq = sealed.entry.seq + 1


def _cells(line: JournalLine) -> Iterable[str | int]:
    debit, credit = (-line.amount, "") if line.amount < 0 else ("", line.amount)
    return (
        line.day,
        line.occurred_on,
        line.seq,
        line.id,
        line.kind,
        line.account,
        line.origin,
        line.asset,
        debit,
        credit,
    )


def _row(cells: Iterable[str | int]) -> bytes:
    text = StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()
