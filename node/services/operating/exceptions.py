"""What an operator should look at: conversions and partners that do not go as they should, and what to do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from node.services.channel.misconduct import TO_DO as ACCUSED_TO_DO
from node.services.context import Context
from node.services.conversions.exposures import all_exposures
from node.services.operating.exception_views import TO_DO_OF, ExceptionKind, ExceptionList, ExceptionView, view_of
from node.services.partners.succession import LedgerStanding
from node.services.settlement.narrowing import TO_DO, Narrowing
from protocol.audit.evidence import Subject
from protocol.conversion import SourceState
from protocol.errors import Code
from protocol.fields import parse_time
from protocol.identifiers import Asset, Id, Ledger, generation_of
from protocol.ledger.program_state import ReviewState
from protocol.ledger.state import (
    LEDGER,
    ONLY,
    OUTGOING,
    SETTLEMENTS,
    STATEMENTS,
    WINDOWS,
    OutgoingRecord,
    WindowRecord,
)
from protocol.messages import Succeeded, decode_body
from protocol.settlement.states import WindowState
from protocol.statement import DisputedLine

__all__ = ["ExceptionList", "ExceptionView"]

ROWS_MAX: Final = 500
_OVER_LIMIT: Final = frozenset({Code.CAP_REACHED, Code.MEMBER_LIMIT, Code.PROMOTION_OVER})
_REFUSED_SECONDS: Final = 7 * 86_400
"""For how long a refusal is worth an operator's look."""

_NEAR: Final = Fraction(4, 5)
"""How much of a cap is taken when an operator is told, before conversions are refused."""

_ACCUSED_SECONDS: Final = 30 * 86_400
"""For how long evidence against a partner stays here; it is kept for ever (`AccusationsService`)."""

_FAILING_SECONDS: Final = 3_600
"""For how long an endpoint takes nothing, or one event waits for it, before an operator is told."""

_NARROWED: Final = frozenset({WindowState.RECONCILED, WindowState.MISMATCH})
"""The decider of a line finds nothing wrong with its own window: the partner's lines tell it."""

_AGREED: Final = frozenset({WindowState.AGREED, WindowState.PAID, WindowState.CONFIRMED})


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the exchange with a partner goes: since when nothing was heard, and why the last attempt failed."""

    last_contact: str | None
    last_failure: str | None


class ExceptionsService:
    """Looks through what is pending, refused, forced and undelivered."""

    def __init__(
        self,
        context: Context,
        *,
        delivery_of: Callable[[Ledger], Delivery],
        standing_of: Callable[[], LedgerStanding] | None = None,
        unproved_of: Callable[[Ledger], str | None] = lambda _: None,
        is_unwatched: Callable[[], bool] = lambda: False,
    ) -> None:
        self._context = context
        self._is_unwatched = is_unwatched
        self._unproved_of = unproved_of
        self._standing_of = standing_of
        self._narrowing = Narrowing(context)
        self._delivery_of = delivery_of

    def all(self, *, older_than_seconds: int) -> ExceptionList:
        """Return what to look at; a conversion is stuck when it is pending for longer than the given seconds."""
        held = self._outgoing(SourceState.HELD)
        released = self._outgoing(SourceState.RELEASED)
        forced = self._outgoing(SourceState.FORCED)
        found = [
            *self._standing(),
            *self._successions(),
            *(view for view in map(self._stuck, held) if (view.age_seconds or 0) >= older_than_seconds),
            *(self._view("over_limit", *each) for each in released if self._is_over(each[1])),
            *self._near_caps(),
            *(self._view("forced", *each) for each in forced),
            *self._windows(),
            *self._accused(),
            *self._unproved(),
            *self._partners(),
            *self._appeals(),
            *self._reviews(),
            *self._webhooks(),
            *self._imports(),
        ]
        return ExceptionList(
            exceptions=tuple(found), more=any(len(rows) >= ROWS_MAX for rows in (held, released, forced))
        )

    def _standing(self) -> Iterator[ExceptionView]:
        """Yield why the ledger may not be written now, if it may not."""
        standing = None if self._standing_of is None else self._standing_of()
        if standing is None:
            return
        if standing.condition == "behind":
            yield view_of("store_behind", standing.ledger, standing.reason)
        for partner in standing.waiting:
            yield view_of("start_unanswered", partner, None)
        for witness in standing.waiting_witnesses:
            yield view_of("witness_silent", witness, None)
        if self._is_unwatched():
            yield view_of("unwatched", standing.ledger, None)
        for each in standing.partners:
            if each.recovering:
                waits = Code.INSUFFICIENT_POINTS.value if each.waits else None
                yield view_of("recovering", each.partner, each.stuck or waits)
            elif each.stuck:
                yield view_of("contradicted", each.partner, each.stuck)

    def _successions(self) -> Iterator[ExceptionView]:
        """Yield the partners who say that their ledger goes on as a log which cannot be."""
        reader = self._context.reader
        for partner, record in reader.partners():
            said = reader.latest_received(partner, "succeeded")
            body = None if said is None else decode_body(said.body)
            if isinstance(body, Succeeded) and generation_of(body.log) > generation_of(record.log):
                yield view_of("succession_refused", partner, Code.SUCCESSION_INVALID.value)

    def _outgoing(self, state: SourceState) -> list[tuple[Id, OutgoingRecord]]:
        return self._context.reader.outgoing_page(state=state, limit=ROWS_MAX)[::-1]

    def _stuck(self, each: tuple[Id, OutgoingRecord]) -> ExceptionView:
        return self._view("stuck", *each)

    def _is_over(self, record: OutgoingRecord) -> bool:
        return record.reason in _OVER_LIMIT and self._age(record.held_at) <= _REFUSED_SECONDS

    def _near_caps(self) -> Iterator[ExceptionView]:
        """Yield the partners with whom the most that may be open, one way, is nearly open; `value` is what is."""
        for partner, each in all_exposures(self._context):
            if each.cap is not None and int(each.open) >= _NEAR * each.cap:
                about = view_of("near_cap", partner, each.direction)
                yield replace(about, value=int(each.open), currency=Asset(each.currency))

    def _view(self, kind: ExceptionKind, conversion: Id, record: OutgoingRecord) -> ExceptionView:
        return ExceptionView(
            kind=kind,
            partner=record.destination,
            conversion=conversion,
            window=None,
            reason=record.reason,
            since=record.held_at,
            age_seconds=self._age(record.held_at),
            points=record.source_points + record.fee_points,
            value=record.value,
            currency=record.currency,
            to_do=TO_DO_OF[kind],
        )

    def _windows(self) -> Iterator[ExceptionView]:
        reader = self._context.reader
        for partner, window, record in reader.unsettled_windows(ROWS_MAX):
            current = reader.current_agreement(partner)
            currency = current[1].signed.agreement.currency if current else None
            view = self._window(partner, window, record=record, currency=currency)
            if record.state in _NARROWED:
                yield from self._mismatched(view, partner, window, record)
            if record.state not in _AGREED:
                yield from (_disputed(view, line) for line in (*record.disputed_out, *record.disputed_in))
        for partner, _ in reader.partners():
            yield from self._still_disputed(partner)

    def _still_disputed(self, partner: Ledger) -> Iterator[ExceptionView]:
        """Yield the lines of agreed windows that the latest statement lists as in dispute: each until one ends it."""
        reader = self._context.reader
        settled = reader.record(SETTLEMENTS, partner)
        latest = None if settled is None else reader.record(STATEMENTS, (partner, settled.agreed))
        if latest is None:
            return
        statement = latest.signed.statement
        for line in (line for bill in statement.directions for line in bill.disputed):
            record = reader.record(WINDOWS, (partner, line.window)) or WindowRecord()
            yield _disputed(self._window(partner, line.window, record=record, currency=statement.currency), line)

    def _mismatched(
        self, view: ExceptionView, partner: Ledger, window: int, record: WindowRecord
    ) -> Iterator[ExceptionView]:
        """Yield the window if its sides differ, as our own lines show it, and the lines that either has otherwise."""
        doubts = self._narrowing.doubts(partner, window)
        if record.state is WindowState.MISMATCH:
            fault = doubts.fault
            yield view if fault is None else replace(view, reason=fault.value, to_do=TO_DO[fault])
        for doubt in doubts.lines[:ROWS_MAX]:
            line, fault = doubt.line, doubt.fault
            about = replace(view, conversion=line.id, reason=fault.value, to_do=TO_DO[fault])
            yield replace(about, points=line.source_points, value=line.value, currency=line.currency)

    def _window(self, partner: Ledger, window: int, *, record: WindowRecord, currency: Asset | None) -> ExceptionView:
        since = record.closed.closed_at if record.closed else record.opened_at
        return ExceptionView(
            kind="mismatched",
            partner=partner,
            conversion=None,
            window=window,
            reason=None,
            since=since,
            age_seconds=None if since is None else self._age(since),
            points=0,
            value=0,
            currency=currency,
            to_do=TO_DO_OF["mismatched"],
        )

    def _imports(self) -> Iterator[ExceptionView]:
        """Yield the file of balances that has begun to come in and is not finished."""
        own = self._context.reader.record(LEDGER, ONLY)
        if own is not None and own.importing_seq is not None:
            yield view_of("import_open", own.ledger, None)

    def _unproved(self) -> Iterator[ExceptionView]:
        """Yield the partners whose logs are not shown to be those that they have signed."""
        for partner, _ in self._context.reader.living_partners():
            reason = self._unproved_of(partner)
            if reason is not None:
                yield view_of("log_unproved", partner, reason)

    def _partners(self) -> Iterator[ExceptionView]:
        for partner in self._context.reader.outbox_partners():
            delivery = self._delivery_of(partner)
            if delivery.last_failure is None:
                continue
            yield ExceptionView(
                kind="waiting_for_partner",
                partner=partner,
                conversion=None,
                window=None,
                reason=delivery.last_failure,
                since=delivery.last_contact,
                age_seconds=None if delivery.last_contact is None else self._age(delivery.last_contact),
                points=0,
                value=0,
                currency=None,
                to_do=TO_DO_OF["waiting_for_partner"],
            )

    def _accused(self) -> Iterator[ExceptionView]:
        """Yield what partners have lately signed that proves misconduct, oldest first."""
        reader = self._context.reader
        for row in reader.accusations(limit=ROWS_MAX)[::-1]:
            age, subject = self._age(row.found_at), Subject(row.subject)
            if age > _ACCUSED_SECONDS:
                continue
            ordered = None if row.conversion is None else reader.record(OUTGOING, row.conversion)
            ours = ordered if ordered is not None and ordered.destination == row.partner else None
            yield ExceptionView(
                kind="misconduct",
                partner=row.partner,
                conversion=row.conversion,
                window=int(row.name) if subject is Subject.CLOSE else None,
                reason=subject.value,
                since=row.found_at,
                age_seconds=age,
                points=ours.source_points + ours.fee_points if ours else 0,
                value=ours.value if ours else 0,
                currency=ours.currency if ours else None,
                to_do=ACCUSED_TO_DO[subject],
                evidence=row.digest,
            )

    def _appeals(self) -> Iterator[ExceptionView]:
        """Yield the appeals that nobody has decided in time, oldest first."""
        today = self._context.now[:10]
        for appeal, record in self._context.reader.appeals_overdue(today, limit=ROWS_MAX)[::-1]:
            row = view_of("appeal_overdue", self._context.ledger, record.reason)
            age = self._age(record.opened_at)
            yield replace(row, since=record.opened_at, age_seconds=age, account=record.account, about=appeal)

    def _reviews(self) -> Iterator[ExceptionView]:
        """Yield the orders that a screen holds up until somebody has looked, oldest first."""
        for order, record in self._context.reader.reviews(state=ReviewState.OPEN, limit=ROWS_MAX)[::-1]:
            row = view_of("under_review", self._context.ledger, record.screen)
            age = self._age(record.opened_at)
            about = replace(row, since=record.opened_at, age_seconds=age, account=record.account, about=order)
            yield replace(about, points=record.points)

    def _webhooks(self) -> Iterator[ExceptionView]:
        """Yield the endpoints that take nothing, or not all, for a while, or are tried no more."""
        for hook in self._context.reader.webhooks():
            first = next(iter(self._context.reader.webhook_deliveries(hook.id, limit=1)), None)
            since = hook.failing_since or (None if first is None else first.waits_since)
            age = 0 if since is None else self._age(since)
            if hook.state == "disabled" or age >= _FAILING_SECONDS:
                kind: ExceptionKind = "webhook_disabled" if hook.state == "disabled" else "webhook_failing"
                reason = first.last_error if first is not None else hook.last_error
                row = view_of(kind, self._context.ledger, reason or hook.last_error)
                yield replace(row, since=since, age_seconds=age, about=hook.id)

    def _age(self, since: str) -> int:
        return max(0, int((parse_time(self._context.now) - parse_time(since)).total_seconds()))


def _disputed(view: ExceptionView, line: DisputedLine) -> ExceptionView:
    """Return the row of a line in dispute of the window that `view` is about."""
    to_do = TO_DO_OF["disputed"]
    return replace(view, kind="disputed", conversion=line.id, reason=line.reason, value=line.value, to_do=to_do)
