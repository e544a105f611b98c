"""What an operator should look at: conversions and partners that do not go as they should, and what to do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from node.services.context import Context
from protocol.conversion import SourceState
from protocol.errors import Code
from protocol.fields import parse_time
from protocol.identifiers import Asset, Id, Ledger
from protocol.ledger.state import OutgoingRecord, WindowRecord
from protocol.settlement.states import WindowState

ExceptionKind: TypeAlias = Literal["stuck", "over_limit", "forced", "mismatched", "disputed", "waiting_for_partner"]

ROWS_MAX: Final = 500
_OVER_LIMIT: Final = frozenset({Code.CAP_REACHED, Code.MEMBER_LIMIT, Code.PROMOTION_OVER})
_REFUSED_SECONDS: Final = 7 * 86_400
"""For how long a refusal is worth an operator's look."""

_TO_DO: Final[dict[ExceptionKind, str]] = {
    "stuck": "cancel it; if the partner is gone for good, release it by force, which is at your own risk",
    "over_limit": "raise the limit with the partner, or close and pay the window early; the member may order again",
    "forced": "wait for the partner's late answer, or settle with it outside; the value is booked as contingent",
    "mismatched": "compare the lines of both sides; what only one has is disputed and moves to the next window",
    "disputed": "decide with the partner by the signed messages; the line is billed, or not, in a later window",
    "waiting_for_partner": "ask the partner whether its node runs and which address it has",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionView:
    """One thing to look at: a conversion, a settlement window, or a partner; `value` in millionths of `currency`."""

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

    def __init__(self, context: Context, *, delivery_of: Callable[[Ledger], Delivery]) -> None:
        self._context = context
        self._delivery_of = delivery_of

    def all(self, *, older_than_seconds: int) -> ExceptionList:
        """Return what to look at; a conversion is stuck when it is pending for longer than the given seconds."""
        held = self._outgoing(SourceState.HELD)
        released = self._outgoing(SourceState.RELEASED)
        forced = self._outgoing(SourceState.FORCED)
        found = [
            *(view for view in map(self._stuck, held) if (view.age_seconds or 0) >= older_than_seconds),
            *(self._view("over_limit", *each) for each in released if self._is_over(each[1])),
            *(self._view("forced", *each) for each in forced),
            *self._windows(),
            *self._partners(),
        ]
        return ExceptionList(
            exceptions=tuple(found), more=any(len(rows) >= ROWS_MAX for rows in (held, released, forced))
        )

    def _outgoing(self, state: SourceState) -> list[tuple[Id, OutgoingRecord]]:
        return self._context.reader.outgoing_page(state=state, limit=ROWS_MAX)[::-1]

    def _stuck(self, each: tuple[Id, OutgoingRecord]) -> ExceptionView:
        return self._view("stuck", *each)

    def _is_over(self, record: OutgoingRecord) -> bool:
        return record.reason in _OVER_LIMIT and self._age(record.held_at) <= _REFUSED_SECONDS

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
        for partner, window, record in self._context.reader.unsettled_windows(ROWS_MAX):
            current = self._context.reader.current_agreement(partner)
            currency = current[1].signed.agreement.currency if current else None
            if record.state is WindowState.MISMATCH:
                yield self._window("mismatched", partner, window, record=record, currency=currency)
            for line in (*record.disputed_out, *record.disputed_in):
                view = self._window("disputed", partner, window, record=record, currency=currency)
                yield replace(view, conversion=line.id, reason=line.reason, value=line.value)

    def _window(
        self, kind: ExceptionKind, partner: Ledger, window: int, *, record: WindowRecord, currency: Asset | None
    ) -> ExceptionView:
        since = record.closed.closed_at if record.closed else record.opened_at
        return ExceptionView(
            kind=kind,
            partner=partner,
            conversion=None,
            window=window,
            reason=None,
            since=since,
            age_seconds=None if since is None else self._age(since),
            points=0,
            value=0,
            currency=currency,
            to_do=_TO_DO[kind],
        )

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

    def _age(self, since: str) -> int:
        return max(0, int((parse_time(self._context.now) - parse_time(since)).total_seconds()))
