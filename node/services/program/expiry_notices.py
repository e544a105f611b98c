"""Warnings of expiry: some days before points expire their holder's programme is told, once for each last day."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from node.services.context import Context, WriteWork
from node.services.program.program import ProgramService
from node.store.rows_webhooks import ExpiringPoints, ExpiryNotice
from protocol.fields import days_later, format_time
from protocol.identifiers import Account
from protocol.ledger.expiry import clock_ends_on, idle_since
from protocol.ledger.state import HEAD, ONLY

DAYS_AHEAD: Final = (30, 7)
BATCH_NOTICES_MAX: Final = 256
_EPOCH: Final = datetime.fromtimestamp(0, UTC)


class ExpiryNotices:
    """Makes warnings, a batch a commit; what was made stays made, so whoever is stopped goes on where it was."""

    def __init__(self, context: Context, *, days: Sequence[int] = DAYS_AHEAD) -> None:
        self._context = context
        self._days = sorted(set(days))

    def today(self) -> str:
        """Return the programme's calendar day."""
        return ProgramService(self._context).today

    def warn(self, today: str) -> Iterator[int]:
        """Make the warnings that are due `today`, yielding the size of each batch after its commit.

        A warning `n` days ahead is for what expires within these days, but later than the next shorter warning tells.
        """
        for shorter, days in pairwise((-1, *self._days)):
            first, last = days_later(today, days=shorter + 1), days_later(today, days=days)
            yield from self._warn_dated(first, last, days)
            yield from self._warn_idle(first, last, days)

    def _warn_dated(self, first: str, last: str, days: int) -> Iterator[int]:
        after: ExpiringPoints | None = None
        while rows := self._context.reader.unwarned(
            first=first, last=last, days=days, after=after, limit=BATCH_NOTICES_MAX
        ):
            yield self._keep(rows, days)
            after = rows[-1]

    def _warn_idle(self, first: str, last: str, days: int) -> Iterator[int]:
        """Warn of lots that follow their account's clock: they have a last day as long as nothing happens there."""
        reader = self._context.reader
        for clock in reader.clocks():
            after: Account | None = None
            idle = idle_since(clock, days_later(last, days=1))
            while idle is not None:
                found = reader.lots_run_out(clock, idle, after, BATCH_NOTICES_MAX)
                due = [ExpiringPoints(row.account, clock_ends_on(clock, row.day), row.points) for row in found]
                warned = reader.warned([row.account for row in due], days=days)
                new = [
                    row for row in due
                    if first <= row.expires_on <= last and (row.account, row.expires_on) not in warned
                ]  # fmt: skip
                if new:
                    yield self._keep(new, days)
                if len(found) < BATCH_NOTICES_MAX:
                    break
                after = found[-1].account

    def _keep(self, rows: Sequence[ExpiringPoints], days: int) -> int:
        context = self._context
        head, wall = context.reader.record(HEAD, ONLY), context.clock.now()
        # A warning goes with its account: the last one that is left does not tell which numbers others have read past.
        number = max(context.reader.last_notice(), (wall - _EPOCH) // timedelta(microseconds=1))
        notices = [
            ExpiryNotice(
                number=number + place,
                account=row.account,
                expires_on=row.expires_on,
                days=days,
                amount=row.amount,
                after_seq=-1 if head is None else head.size - 1,
                made_at=format_time(wall),
            )
            for place, row in enumerate(rows, start=1)
        ]
        context.writer.submit(WriteWork(notices)).result()
        return len(notices)
