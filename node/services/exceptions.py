"""What an operator should look at: conversions and partners that do not go as they should, and what to do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, Literal, TypeAlias

from node.services.context import Context
from node.services.exposures import exposures
from node.services.misconduct import TO_DO as ACCUSED_TO_DO
from node.services.narrowing import TO_DO, Narrowing
from node.services.succession import LedgerStanding
from protocol.audit.evidence import Subject
from protocol.conversion import SourceState
from protocol.errors import Code
from protocol.fields import parse_time
from protocol.identifiers import Asset, Id, Ledger, generation_of
from protocol.ledger.state import OUTGOING, SETTLEMENTS, STATEMENTS, WINDOWS, OutgoingRecord, WindowRecord
from protocol.messages import Succeeded, decode_body
from protocol.settlement.states import WindowState
from protocol.statement import DisputedLine

ExceptionKind: TypeAlias = Literal[
    "store_behind",
    "start_unanswered",
    "witness_silent",
    "unwatched",
    "recovering",
    "succession_refused",
    "contradicted",
    "stuck",
    "over_limit",
    "near_cap",
    "forced",
    "mismatched",
    "disputed",
    "misconduct",
    "log_unproved",
    "waiting_for_partner",
]

ROWS_MAX: Final = 500
_OVER_LIMIT: Final = frozenset({Code.CAP_REACHED, Code.MEMBER_LIMIT, Code.PROMOTION_OVER})
_REFUSED_SECONDS: Final = 7 * 86_400
"""For how long a refusal is worth an operator's look."""

_NEAR: Final = Fraction(4, 5)
"""How much of a cap is taken when an operator is told, before conversions are refused."""

_ACCUSED_SECONDS: Final = 30 * 86_400
"""For how long evidence against a partner stays here; it is kept for ever (`AccusationsService`)."""

_NARROWED: Final = frozenset({WindowState.RECONCILED, WindowState.MISMATCH})
"""The decider of a line finds nothing wrong with its own window: the partner's lines tell it."""

_AGREED: Final = frozenset({WindowState.AGREED, WindowState.PAID, WindowState.CONFIRMED})

_TO_DO: Final[dict[ExceptionKind, str]] = {
    "store_behind": "bring the missing entries back (tallystick recover), or open a successor (tallystick succeed)",
    "start_unanswered": "ask the partner whether its node runs, or go on without its answer (tallystick start)",
    "witness_silent": "ask whoever runs the witness, or go on without its answer (tallystick start --witness)",
    "unwatched": "name a witness (witnesses in node.toml): nobody outside could tell that the store is an older copy",
    "recovering": "wait for the partner's words; where none come or one cannot stand again, go on without "
    "(tallystick waive)",
    "succession_refused": "ask the partner: its new log does not come after all that it has shown of the one before",
    "contradicted": "settle with the partner outside: it was gone when this ledger went on as a successor, and holds "
    "more of the log before than that says there was, so it will not take the new log",
    "stuck": "cancel it; if the partner is gone for good, release it by force, which is at your own risk",
    "over_limit": "raise the limit with the partner, or close and pay the window early; the member may order again",
    "near_cap": "close and pay the window early, or agree on a higher cap: at the cap conversions are refused",
    "forced": "wait for the partner's late answer, or settle with it outside; the value is booked as contingent",
    "mismatched": "look at its lines; what only one side has is entered in dispute and moves to the next window",
    "disputed": "decide with the partner by the signed messages; the line is billed, or not, in a later window",
    "misconduct": "show the file of evidence to the partner and to whoever judges between you",
    "log_unproved": "ask the partner: what it publishes of its log does not show what it has signed; until it does, "
    "sign no statement, and have its log audited",
    "waiting_for_partner": "ask the partner whether its node runs and which address it has",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionView:
    """One thing to look at: a conversion, a settlement window, or a partner; `value` in millionths of `currency`.

    `evidence` names the file that proves what a partner did (`AccusationsService`).
    """

    kind: ExceptionKind
    partner: str
    conversion: str | None
    window: int | None
    reason: str | None
    since: str | None
    age_seconds: int | None
    points: int
    value: int
    currency: str | None
    to_do: str
    evidence: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionList:
    """Everything to look at, oldest first within a kind; `more` where a kind has more than are listed."""

    exceptions: tuple[ExceptionView, ...]
    more: bool


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
            yield _about("store_behind", standing.ledger, standing.reason)
        for partner in standing.waiting:
            yield _about("start_unanswered", partner, None)
        for witness in standing.waiting_witnesses:
            yield _about("witness_silent", witness, None)
        if self._is_unwatched():
            yield _about("unwatched", standing.ledger, None)
        for each in standing.partners:
            if each.recovering:
                waits = Code.INSUFFICIENT_POINTS.value if each.waits else None
                yield _about("recovering", each.partner, each.stuck or waits)
            elif each.stuck:
                yield _about("contradicted", each.partner, each.stuck)

    def _successions(self) -> Iterator[ExceptionView]:
        """Yield the partners who say that their ledger goes on as a log which cannot be."""
        reader = self._context.reader
        for partner, record in reader.partners():
            said = reader.latest_received(partner, "succeeded")
            body = None if said is None else decode_body(said.body)
            if isinstance(body, Succeeded) and generation_of(body.log) > generation_of(record.log):
                yield _about("succession_refused", partner, Code.SUCCESSION_INVALID.value)

    def _outgoing(self, state: SourceState) -> list[tuple[Id, OutgoingRecord]]:
        return self._context.reader.outgoing_page(state=state, limit=ROWS_MAX)[::-1]

    def _stuck(self, each: tuple[Id, OutgoingRecord]) -> ExceptionView:
        return self._view("stuck", *each)

    def _is_over(self, record: OutgoingRecord) -> bool:
        return record.reason in _OVER_LIMIT and self._age(record.held_at) <= _REFUSED_SECONDS

    def _near_caps(self) -> Iterator[ExceptionView]:
        """Yield the partners with whom the most that may be open, one way, is nearly open; `value` is what is."""
        for partner, _ in self._context.reader.partners():
            if self._context.reader.current_agreement(partner) is None:
                continue
            for each in exposures(self._context, partner):
                if each.cap is not None and int(each.open) >= _NEAR * each.cap:
                    about = _about("near_cap", partner, each.direction)
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
            to_do=_TO_DO[kind],
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
            to_do=_TO_DO["mismatched"],
        )

    def _unproved(self) -> Iterator[ExceptionView]:
        """Yield the partners whose logs are not shown to be those that they have signed."""
        for partner, _ in self._context.reader.partners():
            reason = self._unproved_of(partner)
            if reason is not None:
                yield _about("log_unproved", partner, reason)

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
                to_do=_TO_DO["waiting_for_partner"],
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

    def _age(self, since: str) -> int:
        return max(0, int((parse_time(self._context.now) - parse_time(since)).total_seconds()))


def _about(kind: ExceptionKind, partner: str, reason: str | None) -> ExceptionView:
    """Return what is to be said about the ledger itself, or a partner of it."""
    return ExceptionView(
        kind=kind,
        partner=partner,
        conversion=None,
        window=None,
        reason=reason,
        since=None,
        age_seconds=None,
        points=0,
        value=0,
        currency=None,
        to_do=_TO_DO[kind],
    )


def _disputed(view: ExceptionView, line: DisputedLine) -> ExceptionView:
    """Return the row of a line in dispute of the window that `view` is about."""
    to_do = _TO_DO["disputed"]
    return replace(view, kind="disputed", conversion=line.id, reason=line.reason, value=line.value, to_do=to_do)
