"""Conversions as a programme's systems see them: ordered, pending, then completed or returned."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from node.engine.engine import Committed
from node.engine.work import CommandWork
from node.services.answers import EntryAnswer
from node.services.context import Context
from node.services.conversions.ordering import OrderBatchWork, OrderWork, PlacedOrder
from node.services.pending import Pending
from node.services.program.screening import NO_CLIENT, ClientData
from node.services.requests import CancelRequest, ForceReleaseRequest, OrderRequest, digest_request
from node.services.written import AnswerRow
from protocol.conversion import DestinationState, SourceState
from protocol.entries import ConversionCaptured, ConversionForced, ConversionReleased, Sealed, body_of
from protocol.errors import Code, Refusal
from protocol.identifiers import Digest, Id, program_of
from protocol.ledger.commands import AnyCommand, CancelConversion, ForceRelease
from protocol.ledger.names import cancel_id
from protocol.ledger.state import OUTGOING, IncomingRecord, OutgoingRecord
from protocol.messages import Fulfil, Reject

StateName: TypeAlias = Literal["pending", "completed", "returned"]
Wake: TypeAlias = Callable[[], None]

_STATES: dict[SourceState, StateName] = {
    SourceState.HELD: "pending",
    SourceState.CAPTURED: "completed",
    SourceState.RELEASED: "returned",
    SourceState.FORCED: "returned",
    SourceState.FORCED_OWED: "returned",
    SourceState.FORCED_CLEARED: "returned",
}
_FORCED: Final = frozenset({SourceState.FORCED, SourceState.FORCED_OWED, SourceState.FORCED_CLEARED})


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionView:
    """A conversion out of this programme; `waiting_for` is a sentence to show while it is pending.

    `forced` says that an operator gave the points back without the partner's word.
    """

    id: str
    state: StateName
    reason: str | None
    direction: Literal["out"] = "out"
    partner: str
    account: str
    promotion: str | None
    refund_of: str | None
    refunded_steps: int
    forced: bool
    source_points: int
    destination_points: int
    fee_points: int
    value: int
    currency: str
    since: str
    concluded_at: str | None
    expires_on: str | None
    waiting_for: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionPage:
    """Conversions, newest first; `next` is the cursor of the page after, if there is one."""

    conversions: tuple[ConversionView, ...]
    next: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingView:
    """A partner's conversion as this programme decided it; `destination_points` is 0 when it was refused."""

    id: str
    state: Literal["completed", "returned"]
    reason: str | None
    direction: Literal["in"] = "in"
    partner: str
    destination_points: int
    decided_at: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingPage:
    """Partners' conversions, newest decision first; `next` is the cursor of the page after, if there is one."""

    conversions: tuple[IncomingView, ...]
    next: int | None


class Conclusions:
    """Wakes those who wait for a conversion to be concluded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Wake]] = {}

    def watch(self, conversion: Id, wake: Wake) -> Callable[[], None]:
        """Call `wake` once when the conversion is concluded; return what ends the watch."""
        with self._lock:
            self._waiting.setdefault(conversion, []).append(wake)
        return lambda: self._forget(conversion, wake)

    def committed(self, committed: Committed) -> None:
        """Wake whoever waits for what a commit concluded; runs on the writer's thread."""
        for sealed in committed.sealed:
            if isinstance(sealed.entry, ConversionCaptured | ConversionReleased | ConversionForced):
                with self._lock:
                    wakes = self._waiting.pop(sealed.entry.conversion, [])
                for wake in wakes:
                    wake()

    @property
    def count(self) -> int:
        """Return how many conversions somebody waits for."""
        return len(self._waiting)

    def wake_all(self) -> None:
        """Wake everybody: the node is about to stop."""
        with self._lock:
            wakes = [wake for each in self._waiting.values() for wake in each]
            self._waiting.clear()
        for wake in wakes:
            wake()

    def _forget(self, conversion: Id, wake: Wake) -> None:
        with self._lock:
            left = [each for each in self._waiting.get(conversion, []) if each is not wake]
            if left:
                self._waiting[conversion] = left
            else:
                self._waiting.pop(conversion, None)


class ConversionsService:
    """Orders and cancels conversions and tells where they stand."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._conclusions = Conclusions()
        context.writer.listen(self._conclusions.committed)

    def order(self, request: OrderRequest, client: ClientData = NO_CLIENT) -> Pending[EntryAnswer]:
        """Hold the points of as many whole steps as fit and ask the partner for them, unless a screen holds it up."""
        work = self._work(PlacedOrder(request, client))
        return Pending(self._context.writer.submit(work), self._context.render_first)

    def write(self, order: PlacedOrder) -> Pending[AnswerRow]:
        """Do what `order` does; its answer is to be encoded, and nothing else."""
        return Pending(self._context.writer.submit(self._work(order)), self._context.row_of_first)

    def write_each(self, orders: Sequence[PlacedOrder], *, atomic: bool) -> Pending[list[AnswerRow | Refusal]]:
        """Order many conversions in one commit; with `atomic`, raise `ItemRefused` when one of them is refused.

        The answers are to be encoded, and nothing else.
        """
        work = OrderBatchWork([self._work(each) for each in orders], atomic=atomic)
        return Pending(self._context.writer.submit(work), self._context.row_of_each)

    def cancel(self, conversion: Id) -> Pending[ConversionView]:
        """Ask the partner to refuse; the points stay on hold until it has answered."""
        command = CancelConversion(
            id=cancel_id(conversion),
            request=digest_request(self._context.digests, CancelRequest(conversion=conversion)),
            conversion=conversion,
        )
        return self._context.execute(command).then(lambda _: self.state(conversion))

    def force_release(self, request: ForceReleaseRequest) -> Pending[EntryAnswer]:
        """Give the points back at the program's own risk, and ask the partner to refuse should it come back."""
        commands = self.forcing(request, request=digest_request(self._context.digests, request))
        return Pending(self._context.writer.submit(CommandWork(commands)), self._context.render_first)

    def forcing(self, asked: ForceReleaseRequest, *, request: Digest) -> list[AnyCommand]:
        """Return the commands of a forced release, whose entry answers `request`."""
        force = ForceRelease(id=asked.id, request=request, conversion=asked.conversion, reason=asked.reason)
        wish = CancelConversion(
            id=cancel_id(asked.conversion),
            request=digest_request(self._context.digests, CancelRequest(conversion=asked.conversion)),
            conversion=asked.conversion,
        )
        return [force, wish]

    def state(self, conversion: Id) -> ConversionView:
        """Return where a conversion stands, or raise `conversion_unknown`."""
        record = self._context.reader.record(OUTGOING, conversion)
        if record is None:
            raise Refusal(Code.CONVERSION_UNKNOWN, f"there is no conversion {conversion}")
        return self._view(conversion, record)

    def watch(self, conversion: Id, wake: Wake) -> Callable[[], None]:
        """Call `wake` once when the conversion is concluded, on another thread; return what ends the watch."""
        return self._conclusions.watch(conversion, wake)

    @property
    def watchers(self) -> int:
        """Return how many conversions are watched."""
        return self._conclusions.count

    def wake_all(self) -> None:
        """Wake everybody who watches: the node is about to stop."""
        self._conclusions.wake_all()

    def page(self, *, state: StateName | None, after: int | None, limit: int) -> ConversionPage:
        """Return up to `limit` conversions, newest first."""
        wanted = [each for each, name in _STATES.items() if state in (None, name)]
        found = self._context.reader.outgoing_page(states=wanted, before_seq=after, limit=limit + 1)
        shown = found[:limit]
        views = tuple(self._view(conversion, record) for conversion, record in shown)
        return ConversionPage(conversions=views, next=shown[-1][1].held_seq if len(found) > limit else None)

    def incoming_page(self, *, after: int | None, limit: int) -> IncomingPage:
        """Return up to `limit` conversions of partners, newest decision first."""
        found = self._context.reader.incoming_page(before_seq=after, limit=limit + 1)
        views = tuple(self._incoming(conversion, record) for (_, _, conversion), record in found[:limit])
        return IncomingPage(conversions=views, next=views[-1].seq if len(found) > limit else None)

    def _work(self, order: PlacedOrder) -> OrderWork:
        digest = digest_request(self._context.digests, order.request)
        return OrderWork(self._context, order.request, digest=digest, client=order.client)

    def _view(self, conversion: Id, record: OutgoingRecord) -> ConversionView:
        concluded = None if record.concluded_seq is None else self._stored(record.concluded_seq)
        entry = None if concluded is None else concluded.entry
        return ConversionView(
            id=conversion,
            state=_STATES[record.state],
            reason=record.reason,
            partner=record.destination,
            account=record.account,
            promotion=record.promotion,
            refund_of=record.refund_of,
            refunded_steps=record.refunded_steps,
            forced=record.state in _FORCED,
            source_points=record.source_points,
            destination_points=record.destination_points,
            fee_points=record.fee_points,
            value=record.value,
            currency=record.currency,
            since=record.held_at,
            concluded_at=None if entry is None else entry.time,
            expires_on=entry.expires_on if isinstance(entry, ConversionCaptured) else None,
            waiting_for=_waiting_for(record) if record.state is SourceState.HELD else None,
        )

    def _incoming(self, conversion: Id, record: IncomingRecord) -> IncomingView:
        said = body_of(self._stored(record.decided_seq), ledger=self._context.ledger)
        assert isinstance(said, Fulfil | Reject), "the entry decided a conversion"
        credited = record.state is DestinationState.CREDITED
        return IncomingView(
            id=conversion,
            state="completed" if credited else "returned",
            reason=said.reason if isinstance(said, Reject) else None,
            partner=said.source,
            destination_points=said.destination_points if isinstance(said, Fulfil) else 0,
            decided_at=said.decided_at,
            seq=record.decided_seq,
        )

    def _stored(self, seq: int) -> Sealed:
        sealed = self._context.entry(seq)
        assert sealed is not None, "a record names an entry that exists"
        return sealed


def _waiting_for(record: OutgoingRecord) -> str:
    asked = "to answer the cancellation" if record.cancel_requested else "to credit the points"
    return f"waiting for {program_of(record.destination)} {asked} since {record.held_at}; the points are safe on hold"
