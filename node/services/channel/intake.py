"""Taking in a partner's envelope: its due frames are applied in order, with their evidence, in one transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

import structlog

from node.engine.asking import Asking
from node.engine.sent import sent_body
from node.engine.work import Desk, Foremost
from node.services.channel.body_commands import command_for
from node.services.channel.channel_rows import incoming_of, present_channel, with_incoming
from node.services.channel.misconduct import Watch
from node.services.channel.peer import Peer
from node.services.channel.surroundings import Surroundings, Taken
from node.services.channel.taking_back import Outcome, TakingBack
from node.services.channel.waiting import note_waiting
from node.store.rows import (
    Answered,
    ChannelState,
    PartnerCheckpoint,
    ReceivedBody,
    ReceivedEnvelope,
    Requeue,
    Write,
)
from protocol.channel import Incoming, applied_of, plan
from protocol.entries import Sealed, body_of
from protocol.envelope import Parcel, encode_envelope, frame_leaf
from protocol.errors import Code, Refusal
from protocol.identifiers import Digest, generation_of
from protocol.ledger import rules, settling
from protocol.ledger.commands import AnyCommand
from protocol.ledger.names import cancel_id, decision_id
from protocol.ledger.state import HEAD, IDS, INCOMING, ONLY, PARTNERS, WINDOWS
from protocol.ledger.view import Need, Overlay, need
from protocol.merkle import paths_of
from protocol.messages import (
    Body,
    Cancel,
    ChannelBody,
    Close,
    End,
    Error,
    Fulfil,
    Hello,
    PaymentAdvice,
    Prepare,
    Query,
    Receipt,
    Reject,
    Returned,
    ReturnedAgreement,
    body_digest,
    conversion_of,
    encode_body,
    kind_of,
    may_send,
    receiver_of,
)

_SHUT: Final = frozenset({Code.STORE_BEHIND.value, Code.START_UNANSWERED.value})
_LOG: Final = structlog.get_logger()


class IntakeWork(Foremost):
    """One verified parcel of a partner: its due frames are applied in order, and kept as evidence."""

    def __init__(
        self,
        peer: Peer,
        parcel: Parcel,
        bodies: Sequence[Body],
        *,
        around: Surroundings,
        acknowledged: Sequence[Digest],
        checkpoint: PartnerCheckpoint | None,
        before: Incoming,
    ) -> None:
        """Take in `parcel`; `acknowledged` are the bodies of ours that want nothing more now that they are applied.

        `before` is the partner's stream as an earlier commit left it: what was applied then is not looked at again.
        """
        self._peer = peer
        self._parcel = parcel
        self._bodies = bodies
        self._ledger = around.ledger
        self._store = around.store
        self._channels = around.channels
        self._gate = around.gate
        self._acknowledged = acknowledged
        self._checkpoint = checkpoint
        self._taken = Taken()
        self._due = [
            (body, command_for(body, frame.body))
            for frame, body in islice(zip(parcel.frames, bodies, strict=True), applied_of(before, parcel.header), None)
        ]
        self._asking = Asking(self._due, _reads)
        self._wishes = {body.prepare: place for place, body in enumerate(bodies) if isinstance(body, Cancel)}
        self._back_next: int | None = None
        self._back = TakingBack(
            peer, bodies, ledger=around.ledger, key=around.key, store=around.store, gate=around.gate, waits=around.waits
        )
        self._paths = paths_of([frame_leaf(frame) for frame in parcel.frames])

    @property
    def carries(self) -> bool:
        """Return whether the parcel has any frame."""
        return bool(self._bodies)

    def needs(self, view: Overlay) -> Iterator[Need]:
        """Yield what every body's command reads."""
        yield need(PARTNERS, self._peer.ledger)
        yield from self._back.needs(view)
        yield from self._asking.needs(view)

    def run(self, desk: Desk) -> Taken:
        """Apply the frames that are due."""
        self._taken = Taken()
        row = present_channel(desk, self._channels, self._peer.ledger)
        due = plan(incoming_of(row), self._parcel.header, self._bodies)
        watch = Watch(store=self._store, peer=self._peer, parcel=self._parcel, bodies=self._bodies)
        watch.look(desk, repeated=due.offset)
        if self._acknowledged:
            desk.stage(Answered(tuple(self._acknowledged)))
        changed = self._heard(row)
        self._back_next = changed.back_next
        if self._may_act():
            self._back.begin(desk)
        incoming = self._apply(desk, due.incoming, due.offset)
        if self._checkpoint is not None and self._counts(desk, self._checkpoint, due.incoming):
            desk.stage(self._checkpoint)
        changed = replace(with_incoming(changed, incoming), in_bodies_sent=self._bodies_sent(row, incoming))
        if self._may_act() and changed.answered_epoch == self._peer.outgoing.epoch:
            self._end(desk)
        if (changed := replace(changed, back_next=self._back_next)) != row:
            desk.stage(changed)
        return self._taken

    def _counts(self, desk: Desk, checkpoint: PartnerCheckpoint, incoming: Incoming) -> bool:
        """Return whether a checkpoint is of our present epoch and the partner's, and of a log that we know."""
        header, partner = self._parcel.header, desk.find(PARTNERS, self._peer.ledger)
        current = (header.epoch, header.epoch_nonce) == (incoming.epoch, incoming.epoch_nonce)
        known = partner is not None and checkpoint.generation <= generation_of(partner.log)
        return current and known and self._is_answer()

    def _is_answer(self) -> bool:
        return self._peer.outgoing.is_named_by(self._parcel.header.acknowledgement)

    def _heard(self, row: ChannelState) -> ChannelState:
        """Return the row with the partner's answer to our HELLO, and what it shows to be lost, once it is there."""
        outgoing = self._peer.outgoing
        # A newer epoch may be durable already and not yet be the one we speak in.
        if not outgoing.answered or outgoing.epoch != row.out_epoch or row.answered_epoch == outgoing.epoch:
            return row
        lost = outgoing.behind and row.back_next is None
        return replace(row, answered_epoch=outgoing.epoch, back_next=outgoing.bodies_sent if lost else row.back_next)

    def _bodies_sent(self, row: ChannelState, incoming: Incoming) -> int:
        hello = self._bodies[0] if self._bodies else None
        opened = (incoming.epoch, incoming.epoch_nonce) != (row.in_epoch, row.in_nonce)
        return hello.bodies_sent if opened and isinstance(hello, Hello) else row.in_bodies_sent

    def _end(self, desk: Desk) -> None:
        """Note that the partner has given back all our words, if it has."""
        if self._back_next is not None and self._back_next < self._peer.outgoing.fence.bodies:
            return
        self._back.end(desk)
        # A commit that noted this may have failed and been kept all the same: then the partner has not heard of it yet.
        self._taken.restored = self._back_next is not None or self._peer.outgoing.behind
        self._back_next = None

    def _apply(self, desk: Desk, incoming: Incoming, offset: int) -> Incoming:
        known = self._known(desk, offset)
        evidence: list[Write] = []
        for place in range(offset, len(self._bodies)):
            body, digest = self._bodies[place], self._parcel.frames[place].body
            head = desk.find(HEAD, ONLY)
            log_size = head.size if head else 0
            if not self._handled(desk, body, digest, place):
                break
            fresh = digest not in known
            if fresh:
                known.add(digest)
                evidence.append(self._received(place, body, log_size))
            incoming = incoming.applied(digest if fresh and not isinstance(body, ChannelBody) else None)
            self._taken.applied += 1
        if evidence:
            desk.stage(ReceivedEnvelope(partner=self._peer.ledger, envelope=encode_envelope(self._parcel.envelope)))
        for write in evidence:
            desk.stage(write)
        return incoming

    def _handled(self, desk: Desk, body: Body, digest: Digest, place: int) -> bool:
        """Handle one body and return whether it is applied; one that is not keeps back all that come after it."""
        if isinstance(body, Hello):
            # What it gives back in this epoch begins where our own HELLO says.
            if self._back_next is not None:
                self._back_next = self._peer.outgoing.bodies_sent
            return True
        if not self._may_act():
            return False
        if isinstance(body, Prepare) and self._wishes.get(digest, -1) > place and self._is_undecided(desk, body):
            # An order comes together with the wish to cancel it: the wish decides.
            return True
        if isinstance(body, Returned):
            return self._take_back(desk, body)
        if isinstance(body, ReturnedAgreement):
            self._back.take_agreement(desk, body)
            return True
        return self._handle(desk, body, digest)

    def _is_undecided(self, desk: Desk, prepare: Prepare) -> bool:
        return desk.find(IDS, decision_id(prepare.key)) is None

    def _take_back(self, desk: Desk, body: Returned) -> bool:
        if self._back_next is None:
            return True
        if self._back.take(desk, body) is not Outcome.STANDS:
            return False
        self._back_next += 1
        return True

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
        # Until our HELLO is answered, and those to all other partners, this store may be an old copy that does not know
        # what it has promised; once it is shown to be one, nothing moves until the lost words are back. An envelope of
        # before our start says again what it has to say.
        return self._is_answer() and self._peer.excused and self._gate.is_open

    def _handle(self, desk: Desk, body: Body, digest: Digest) -> bool:
        """Handle a body and return whether it is applied: while the ledger waits for its words, some must wait."""
        try:
            self._check_addressed(body)
            self._execute(desk, body, digest)
        except Refusal as refusal:
            if refusal.code == Code.RECOVERING.value:
                # What asks is asked again, and answered when the ledger has its words back.
                return isinstance(body, Prepare | Cancel | Query)
            if refusal.code in _SHUT or (refusal.code == Code.CLOCK.value and isinstance(body, Close | End)):
                # Nobody would say it again: what comes from ahead of our clock waits until that has come so far.
                return False
            self._refused(desk, body, digest, refusal)
        return True

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
            note_waiting(desk, self._store, body, digest)
            tell = _LOG.warning if isinstance(body, Error) else _LOG.info
            tell("body_moves_nothing", kind=kind_of(body), partner=self._peer.ledger, body=digest)
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

    def _say_receipt_again(self, desk: Desk, payment: PaymentAdvice) -> None:
        """Answer a payment of a window that we have confirmed: our receipt met one that the payer had taken back."""
        window = desk.find(WINDOWS, (self._peer.ledger, payment.window))
        confirmed = None if window is None or window.confirmed_seq is None else desk.entry(window.confirmed_seq)
        if confirmed is not None and isinstance(body_of(confirmed, ledger=self._ledger), Receipt):
            self._say_again(desk, confirmed)

    def _asked(self, desk: Desk, body: Fulfil | Reject) -> tuple[Digest, ...]:
        cancelled = desk.find(IDS, cancel_id(body.id))
        wish = body_of(desk.entry(cancelled.seq), ledger=self._ledger) if cancelled else None
        asked = body_digest(encode_body(wish)) if wish else None
        # A wish that the partner has not seen yet goes out all the same: both sides count the same words in one order.
        seen = asked is not None and ((isinstance(body, Reject) and body.cancel == asked) or self._is_applied(asked))
        return (body.prepare, *([asked] if asked is not None and seen else []))

    def _is_applied(self, digest: Digest) -> bool:
        """Return whether the partner has acknowledged a body of ours in the present epoch."""
        with self._peer.lock:
            framed = self._store.sent_numbers([digest]).get(digest, self._peer.framed_number + 1)
            return framed <= self._peer.framed_number and digest not in self._peer.outgoing.frames

    def _refused(self, desk: Desk, body: Body, digest: Digest, refusal: Refusal) -> None:
        _LOG.warning(
            "body_refused", kind=kind_of(body), partner=self._peer.ledger, body=digest, code=refusal.code,
            detail=refusal.detail,
        )  # fmt: skip
        if isinstance(body, PaymentAdvice) and refusal.code == Code.WINDOW_CONFIRMED.value:
            self._say_receipt_again(desk, body)
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
        said = sent_body(error, self._peer.ledger)
        self._taken.again[said.digest] = said.body
        desk.stage(said)

    def _received(self, place: int, body: Body, log_size: int) -> ReceivedBody:
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
            path=tuple(Digest(node.hex()) for node in self._paths[place]),
            log_size=log_size,
        )


def _reads(view: Overlay, due: tuple[Body, AnyCommand | None]) -> Iterator[Need]:
    """Yield what a body that is due reads."""
    body, command = due
    if command is not None:
        yield from rules.needs(view, command)
    if isinstance(body, Close):
        yield from rules.needs(view, settling.close_with(body))
    if isinstance(body, Query):
        yield need(INCOMING, (body.network, body.source, body.id))
    if isinstance(body, Fulfil | Reject):
        yield need(IDS, cancel_id(body.id))
