"""Taking in a partner's envelope: its due frames are applied in order, with their evidence, in one transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import structlog

from node.engine.work import Desk
from node.services.peer import Peer
from node.store.rows import (
    Answered,
    ChannelState,
    PartnerCheckpoint,
    ReceivedBody,
    ReceivedEnvelope,
    Requeue,
    SentBody,
    Write,
)
from protocol.channel import Incoming, Outgoing, plan
from protocol.entries import Sealed, body_of
from protocol.envelope import Fence, Parcel, encode_envelope, frame_leaf
from protocol.errors import Code, Refusal
from protocol.identifiers import Digest, Ledger
from protocol.ledger import rules, settling
from protocol.ledger.commands import AnyCommand, ConcludeFulfil, ConcludeReject, DecideCancel, DecidePrepare, TakeEnd
from protocol.ledger.names import cancel_id, conclusion_id, decision_id, ended_id
from protocol.ledger.state import IDS, INCOMING
from protocol.ledger.view import Need, Overlay, need
from protocol.merkle import MemoryTree
from protocol.messages import (
    Body,
    Cancel,
    Close,
    End,
    Error,
    Fulfil,
    Hello,
    Prepare,
    Query,
    Reject,
    body_digest,
    conversion_of,
    encode_body,
    kind_of,
    may_send,
    receiver_of,
)

_LOG: Final = structlog.get_logger()


def command_for(body: Body, digest: Digest) -> AnyCommand | None:
    """Return what a received body asks of the ledger, or None for one that moves nothing."""
    match body:
        case Prepare():
            return DecidePrepare(id=decision_id(body.key), request=digest, prepare=body, digest=digest)
        case Cancel():
            return DecideCancel(id=decision_id(body.key), request=body.prepare, cancel=body, digest=digest)
        case Fulfil():
            return ConcludeFulfil(id=conclusion_id(body.id), request=digest, fulfil=body, digest=digest)
        case Reject():
            return ConcludeReject(id=conclusion_id(body.id), request=digest, reject=body, digest=digest)
        case End():
            return TakeEnd(id=ended_id(body.agreement, body.sender), request=digest, end=body, digest=digest)
        case _:
            return settling.command_for(body, digest)


class ChannelReads(Protocol):
    """What the store tells about the streams with partners."""

    def channel(self, partner: Ledger) -> ChannelState | None:
        """Return where the streams with `partner` stand, or None before the first epoch."""

    def received_digests(self, partner: Ledger, digests: Sequence[Digest]) -> set[Digest]:
        """Return those of `digests` that are bodies which `partner` has sent us."""


def with_incoming(row: ChannelState, incoming: Incoming) -> ChannelState:
    """Return the row with the partner's stream as `incoming` says; our own stream's columns stay."""
    fence = incoming.fence
    return replace(
        row,
        in_epoch=incoming.epoch,
        in_nonce=incoming.epoch_nonce,
        in_next_seq=incoming.next_seq,
        in_bodies=incoming.bodies,
        in_last_body=incoming.last_body,
        fence_epoch=fence.epoch,
        fence_next_seq=fence.next_seq,
        fence_bodies=fence.bodies,
        fence_last_body=fence.last_body,
    )


def incoming_of(state: ChannelState | None) -> Incoming:
    """Return the partner's stream as the row keeps it."""
    if state is None or not state.in_epoch:
        return Incoming()
    return Incoming(
        epoch=state.in_epoch,
        epoch_nonce=state.in_nonce,
        next_seq=state.in_next_seq,
        bodies=state.in_bodies,
        last_body=state.in_last_body,
        fence=Fence(
            epoch=state.fence_epoch,
            next_seq=state.fence_next_seq,
            bodies=state.fence_bodies,
            last_body=state.fence_last_body,
        ),
    )


def present_channel(desk: Desk, store: ChannelReads, partner: Ledger) -> ChannelState:
    """Return the row of both streams as the works before this one, in this commit and in earlier ones, leave it."""
    for write in reversed(desk.staged()):
        if isinstance(write, ChannelState) and write.partner == partner:
            return write
    return store.channel(partner) or ChannelState(partner=partner)


class OpenEpoch:
    """Makes a new epoch of our stream to a partner durable, before anything is said in it."""

    def __init__(self, partner: Ledger, outgoing: Outgoing, store: ChannelReads) -> None:
        """Open `outgoing`."""
        self._partner = partner
        self._outgoing = outgoing
        self._store = store

    def needs(self, _view: Overlay) -> Iterator[Need]:
        """Need nothing."""
        return iter(())

    def run(self, desk: Desk) -> None:
        """Write the epoch beside the partner's stream as it stands."""
        row = present_channel(desk, self._store, self._partner)
        desk.stage(replace(row, out_epoch=self._outgoing.epoch, out_nonce=self._outgoing.epoch_nonce))


@dataclass(slots=True)
class Taken:
    """What an intake has done: the number of frames applied, and the bodies of ours that it made stand again."""

    applied: int = 0
    again: dict[Digest, bytes] = field(default_factory=dict)


class IntakeWork:
    """One verified parcel of a partner: its due frames are applied in order, and kept as evidence."""

    def __init__(
        self,
        peer: Peer,
        parcel: Parcel,
        bodies: Sequence[Body],
        *,
        ledger: Ledger,
        store: ChannelReads,
        acknowledged: Sequence[Digest],
        checkpoint: PartnerCheckpoint | None,
    ) -> None:
        """Take in `parcel`; `acknowledged` are the bodies of ours that want nothing more now that they are applied."""
        self._peer = peer
        self._parcel = parcel
        self._bodies = bodies
        self._ledger = ledger
        self._store = store
        self._acknowledged = acknowledged
        self._checkpoint = checkpoint
        self._taken = Taken()
        self._tree = MemoryTree([frame_leaf(frame) for frame in parcel.frames])

    def needs(self, view: Overlay) -> Iterator[Need]:
        """Yield what every body's command reads."""
        for frame, body in zip(self._parcel.frames, self._bodies, strict=True):
            command = command_for(body, frame.body)
            if command is not None:
                yield from rules.needs(view, command)
            if isinstance(body, Close):
                yield from rules.needs(view, settling.close_with(body))
            if isinstance(body, Query):
                yield need(INCOMING, (body.network, body.source, body.id))
            if isinstance(body, Fulfil | Reject):
                yield need(IDS, cancel_id(body.id))

    def run(self, desk: Desk) -> Taken:
        """Apply the frames that are due."""
        self._taken = Taken()
        row = present_channel(desk, self._store, self._peer.ledger)
        before = incoming_of(row)
        due = plan(before, self._parcel.header, self._bodies)
        if self._acknowledged:
            desk.stage(Answered(tuple(self._acknowledged)))
        if self._checkpoint is not None:
            desk.stage(self._checkpoint)
        incoming = self._apply(desk, due.incoming, due.offset)
        if incoming != before:
            desk.stage(replace(with_incoming(row, incoming), answered_epoch=self._answered_epoch(row)))
        return self._taken

    def _answered_epoch(self, row: ChannelState) -> int:
        # A newer epoch may be durable already and not yet be the one we speak in.
        outgoing = self._peer.outgoing
        return row.out_epoch if outgoing.answered and outgoing.epoch == row.out_epoch else row.answered_epoch

    def _apply(self, desk: Desk, incoming: Incoming, offset: int) -> Incoming:
        known = self._known(desk, offset)
        evidence: list[Write] = []
        for place in range(offset, len(self._bodies)):
            body, digest = self._bodies[place], self._parcel.frames[place].body
            if not isinstance(body, Hello):
                if not self._may_act():
                    break
                self._handle(desk, body, digest)
            fresh = digest not in known
            if fresh:
                known.add(digest)
                evidence.append(self._received(place, body))
            incoming = incoming.applied(digest if fresh and not isinstance(body, Hello) else None)
            self._taken.applied += 1
        if evidence:
            desk.stage(ReceivedEnvelope(partner=self._peer.ledger, envelope=encode_envelope(self._parcel.envelope)))
        for write in evidence:
            desk.stage(write)
        return incoming

    def _known(self, desk: Desk, offset: int) -> set[Digest]:
        """Return those of the due bodies that were received before, in this commit or in earlier ones."""
        digests = [frame.body for frame in self._parcel.frames[offset:]]
        if not digests:
            return set()
        partner = self._peer.ledger
        received = (write for write in desk.staged() if isinstance(write, ReceivedBody))
        staged = {write.digest for write in received if write.partner == partner}
        return staged | self._store.received_digests(partner, digests)

    def _may_act(self) -> bool:
        # Until our HELLO is answered, this store may be an old copy that does not know what it has promised; once it
        # is shown to be one, nothing moves until the lost words are back.
        return self._peer.outgoing.answered and not self._peer.outgoing.behind

    def _handle(self, desk: Desk, body: Body, digest: Digest) -> None:
        try:
            self._check_addressed(body)
            self._execute(desk, body, digest)
        except Refusal as refusal:
            self._refused(desk, body, digest, refusal)

    def _check_addressed(self, body: Body) -> None:
        sender = self._peer.ledger
        if receiver_of(body, sender) != self._ledger or body.network != self._peer.record.network:
            raise Refusal(Code.PARTNER_MISMATCH, "the body is not about sender and receiver")
        if not may_send(body, sender):
            raise Refusal(Code.PARTNER_MISMATCH, "the body is for the other side to send")

    def _execute(self, desk: Desk, body: Body, digest: Digest) -> None:
        if isinstance(body, Query):
            decided = desk.find(INCOMING, (body.network, body.source, body.id))
            if decided is None:
                raise Refusal(Code.CONVERSION_UNKNOWN, "no decision about this conversion has been made")
            self._say_again(desk, desk.entry(decided.decided_seq))
            return
        command = command_for(body, digest)
        if command is None:
            # An ERROR is for an operator to see; a proposed statement and lines wait for who looks at them.
            _LOG.warning("body_moves_nothing", kind=kind_of(body), partner=self._peer.ledger, body=digest)
            return
        answer = desk.execute(command)
        if isinstance(body, Fulfil | Reject):
            desk.stage(Answered(self._asked(desk, body)))
        elif isinstance(body, Close):
            self._close_too(desk, body)
        elif answer.repeated and isinstance(body, Prepare | Cancel):
            self._say_again(desk, answer.sealed)

    def _close_too(self, desk: Desk, close: Close) -> None:
        """Close our own direction of a window that the partner has closed; what cannot be now is tried again later."""
        try:
            desk.execute(settling.close_with(close))
        except Refusal as refusal:
            _LOG.warning("window_stays_open", partner=self._peer.ledger, window=close.window, code=refusal.code)

    def _say_again(self, desk: Desk, decision: Sealed) -> None:
        body = body_of(decision, ledger=self._ledger)
        assert body is not None, "a decision makes a body"
        data = encode_body(body)
        digest = body_digest(data)
        desk.stage(Requeue(digest))
        self._taken.again[digest] = data

    def _asked(self, desk: Desk, body: Fulfil | Reject) -> tuple[Digest, ...]:
        cancelled = desk.find(IDS, cancel_id(body.id))
        wish = body_of(desk.entry(cancelled.seq), ledger=self._ledger) if cancelled else None
        return (body.prepare, *([body_digest(encode_body(wish))] if wish else []))

    def _refused(self, desk: Desk, body: Body, digest: Digest, refusal: Refusal) -> None:
        _LOG.warning(
            "body_refused", kind=kind_of(body), partner=self._peer.ledger, body=digest, code=refusal.code,
            detail=refusal.detail,
        )  # fmt: skip
        if not isinstance(body, Prepare | Cancel | Query):
            return
        modified = refusal.code == Code.ID_REUSED.value
        error = Error(
            network=self._peer.record.network,
            source=body.source,
            destination=body.destination,
            id=body.id,
            about=digest,
            reason=Code.CONVERSION_MODIFIED.value if modified else refusal.code,
        )
        data = encode_body(error)
        said = body_digest(data)
        self._taken.again[said] = data
        desk.stage(
            SentBody(
                partner=self._peer.ledger,
                digest=said,
                kind=kind_of(error),
                conversion=body.id,
                body=data,
                entry_seq=None,
            )
        )

    def _received(self, place: int, body: Body) -> ReceivedBody:
        header, frame = self._parcel.header, self._parcel.frames[place]
        return ReceivedBody(
            partner=self._peer.ledger,
            digest=frame.body,
            kind=kind_of(body),
            conversion=conversion_of(body),
            body=self._parcel.bodies[place],
            epoch=header.epoch,
            epoch_nonce=header.epoch_nonce,
            frame_seq=frame.seq,
            path=tuple(Digest(node.hex()) for node in self._tree.inclusion_proof(place)),
        )
