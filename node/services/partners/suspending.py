"""Suspending a partner, from where its stream stands, and taking it back (specs/partners.md §4)."""

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass

import msgspec

from node.engine.work import Answer, Desk
from node.services.answers import EntryAnswer
from node.services.channel.exchange import Exchange
from node.services.context import Context
from node.services.pending import Pending
from node.store.reader import StoreReader
from node.store.rows import ChannelState
from protocol.identifiers import Digest, Id, Ledger
from protocol.ledger import rules
from protocol.ledger.commands import ResumePartner, SuspendPartner
from protocol.ledger.state import PARTNERS
from protocol.ledger.view import Need, Overlay


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspensionRequest:
    """Suspend a partner, or take it back, for a reason in one word."""

    id: Id
    partner: Ledger
    reason: str


class Suspend:
    """Suspends a partner from where its stream stands in this very commit."""

    def __init__(self, reader: StoreReader, command: SuspendPartner) -> None:
        self._reader = reader
        self._command = command

    def needs(self, view: Overlay) -> Iterator[Need]:
        """Yield what the command reads."""
        yield from rules.needs(view, self._command)

    def run(self, desk: Desk) -> list[Answer]:
        """Suspend it; words that came in the same commit before this are among those that were taken."""
        partner = self._command.partner
        staged = [row for row in desk.staged() if isinstance(row, ChannelState) and row.partner == partner]
        channel = staged[-1] if staged else self._reader.channel(partner)
        epoch, next_seq = (channel.in_epoch, channel.in_next_seq) if channel else (0, 0)
        return [desk.execute(_at(self._command, epoch=epoch, next_seq=next_seq))]


class SuspensionService:
    """What an operator does who does not trust a partner's keys any more, or does again."""

    def __init__(self, context: Context, exchange: Exchange) -> None:
        self._context = context
        self._exchange = exchange

    def suspend(self, request: SuspensionRequest) -> Pending[EntryAnswer]:
        """Begin nothing new with a partner; what has begun ends by the rules.

        One that claims to have applied words that this store does not have, and shows no checkpoint for them, is kept
        out from then on: nothing of its stream is applied, and nobody else waits for it (specs/succession.md §8).
        """
        command = SuspendPartner(
            id=request.id,
            request=self._digest("suspend", request),
            partner=request.partner,
            reason=request.reason,
            epoch=0,
            next_seq=0,
        )
        done = self._context.writer.submit(Suspend(self._context.reader, command))
        done.add_done_callback(lambda future: self._suspended(future, request.partner))
        return Pending(done, self._context.render_first)

    def resume(self, request: SuspensionRequest) -> Pending[EntryAnswer]:
        """Let new things begin with a suspended partner again."""
        command = ResumePartner(
            id=request.id,
            request=self._digest("resume", request),
            partner=request.partner,
            reason=request.reason,
        )
        return self._context.execute(command)

    def _suspended(self, done: "Future[list[Answer]]", partner: Ledger) -> None:
        """Open the gate if it was closed by this partner's claim alone; on the writer's thread, once it is durable."""
        if done.exception() is not None:
            return
        record = self._context.reader.record(PARTNERS, partner)
        # A request that is repeated may be of a suspension that is over.
        if record is not None and record.suspended_seq is not None:
            self._exchange.keep_out(partner)

    def _digest(self, kind: str, request: SuspensionRequest) -> Digest:
        fields = {"id": request.id, "partner": request.partner, "reason": request.reason}
        return self._context.digests.digest(kind, fields)


def _at(command: SuspendPartner, *, epoch: int, next_seq: int) -> SuspendPartner:
    return msgspec.structs.replace(command, epoch=epoch, next_seq=next_seq)
