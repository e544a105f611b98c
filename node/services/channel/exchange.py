"""The exchange with partners: parcels taken in, parcels sent and answered, failures tried again."""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Final

import structlog

from node.engine.engine import Committed
from node.ports import Clock, Faults, Keyring, Randomness, Transport, TransportFailed
from node.services.channel.channel_rows import incoming_of, is_void, words_lost
from node.services.channel.dialling import DiallingRules
from node.services.channel.intake import IntakeWork
from node.services.channel.peer import ACKNOWLEDGE_SECONDS, ANSWERING_SECONDS, REOFFER_SECONDS, Peer
from node.services.channel.remembered import Remembered
from node.services.channel.shown_checkpoints import ShownCheckpoints
from node.services.channel.standing import Standing
from node.services.channel.streams import PeerUnknown, Streams
from node.services.channel.surroundings import Surroundings, Taken
from node.services.context import NodeWriter
from node.store.reader import StoreReader
from node.store.rows import ChannelState
from protocol.agreement import key_of
from protocol.channel import check_hello, goes_on
from protocol.envelope import Header, Parcel, decode_parcel, verify_envelope
from protocol.errors import EnvelopeInvalid, TallystickError
from protocol.fields import format_time
from protocol.identifiers import Digest, Ledger
from protocol.keys import Role
from protocol.limits import ENVELOPE_FRAMES_MAX, PARCEL_BYTES_MAX
from protocol.messages import Body, decode_body, kind_in

__all__ = ["Exchange", "PeerUnknown"]

RECOVERING_POLL_SECONDS: Final = 1.0
"""How often a partner is asked whose give-back the ledger waits for."""

_DONE_WHEN_APPLIED: Final = frozenset(
    {
        "fulfil", "reject", "error", "query", "end", "succeeded",
        "close", "lines", "dispute", "statement", "payment", "receipt", "unlink",
    }
)  # fmt: skip
"""Bodies that want no answer, or whose answer the partner has kept for us in the transaction that applied them."""

_LOG: Final = structlog.get_logger()


class Exchange:
    """Speaks with every partner, whoever dials."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        reader: StoreReader,
        writer: NodeWriter,
        keyring: Keyring,
        clock: Clock,
        randomness: Randomness,
        transport: Transport,
        faults: Faults,
    ) -> None:
        """Prepare; a partner's epoch opens when it is first spoken with."""
        self._ledger = ledger
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._transport = transport
        self._faults = faults
        self._gate = writer.gate
        self._remembered = Remembered(reader, writer, clock)
        self._streams = Streams(
            ledger=ledger,
            reader=reader,
            remembered=self._remembered,
            writer=writer,
            keyring=keyring,
            clock=clock,
            randomness=randomness,
        )
        self._shown = ShownCheckpoints(reader)
        self._standing = Standing(reader, writer.gate, ledger=ledger, key=keyring.key(Role.LOG).public)
        self._around = Surroundings(
            ledger=ledger,
            store=reader,
            channels=self._remembered,
            gate=writer.gate,
            key=keyring.key(Role.CHANNEL).public,
            waits=self._waits,
        )
        self._dialling = DiallingRules(reader, self._remembered.urls)
        self._woken = threading.Event()
        writer.listen(self._committed)

    # --- Partners.

    def open(self) -> None:
        """Open an epoch with every partner: part of every start."""
        for ledger in self.partners():
            self.peer(ledger)

    def ask(self) -> None:
        """Keep the gate closed until every partner that is dialled has answered: part of every start that serves."""
        dialled = self._dialling.all(self._streams.living_partners(), self._clock.monotonic())
        self._gate.close(ledger for ledger, dialling in dialled.items() if dialling.dials)

    def partners(self) -> list[Ledger]:
        """Return every partner's ledger."""
        return self._streams.partners()

    def peer(self, ledger: Ledger) -> Peer:
        """Return the partner's channel, opening its epoch at first use, or raise `PeerUnknown`."""
        return self._streams.peer(ledger)

    def keep_out(self, ledger: Ledger) -> None:
        """Let nobody wait any longer because of what a partner claims that has just been suspended."""
        for peer in (each for each in self._streams.peers() if each.ledger == ledger):
            # Whoever judges it at this moment has looked at it as it was before.
            with peer.lock:
                self._gate.kept_out(ledger)
        self.wake()

    def reopen(self, peer: Peer, epoch: int) -> None:
        """Leave a partner's present epoch for `epoch`."""
        self._streams.reopen(peer, epoch)

    def wake(self) -> None:
        """Look at once whether there is something to send."""
        self._woken.set()

    def _waits(self) -> Mapping[Ledger, int | None]:
        return {peer.ledger: peer.waits_since for peer in self._streams.peers()}

    # --- Taking parcels in.

    def receive(self, data: bytes, *, posted: bool = False) -> "tuple[Ledger, Future[int]]":
        """Verify a parcel and queue it; return its sender, and the number of frames applied once they are durable.

        Raises a `ProtocolError` or `PeerUnknown`, and then nothing happens; so does a `NodeRefusal`, `busy`, for one
        that the partner has `posted` while as many as may be wait already. `reply` makes the answer.
        """
        parcel = decode_parcel(data)
        peer, bodies = self._verify(parcel)
        if not posted:
            return peer.ledger, self._take(peer, parcel, bodies)
        peer.admit()
        try:
            taken = self._take(peer, parcel, bodies)
        except BaseException:
            peer.admitted()
            raise
        taken.add_done_callback(lambda _: peer.admitted())
        return peer.ledger, taken

    def _take(self, peer: Peer, parcel: Parcel, bodies: Sequence[Body]) -> "Future[int]":
        header = parcel.header
        row = self._remembered.channel(peer.ledger) or ChannelState(partner=peer.ledger)
        keeps = peer.outgoing.is_named_by(header.acknowledgement) and not is_void(header, row)
        checkpoint = self._shown.to_keep(peer.ledger, peer.record, header) if keeps else None
        with peer.lock:
            # What this parcel makes us say goes into its answer, not into a parcel of its own.
            peer.answering_until = self._clock.monotonic() + ANSWERING_SECONDS
            peer.goes_on = goes_on(incoming_of(row), header)
        work = IntakeWork(
            peer,
            parcel,
            bodies,
            around=self._around,
            acknowledged=self._acknowledge(peer, header, bodies, row),
            checkpoint=checkpoint,
            before=incoming_of(row),
        )
        self._faults.reach("intake.before")
        outcome: Future[int] = Future()
        outcome.set_running_or_notify_cancel()
        submitted = self._writer.submit(work)
        submitted.add_done_callback(partial(self._conclude, peer, outcome, work))
        return outcome

    def _verify(self, parcel: Parcel) -> tuple[Peer, list[Body]]:
        header = parcel.header
        if header.receiver != self._ledger:
            raise EnvelopeInvalid(f"the envelope is for {header.receiver}, not for {self._ledger}")
        peer = self.peer(header.sender)
        if header.network != peer.record.network:
            raise EnvelopeInvalid("the envelope is of another network")
        verify_envelope(parcel.envelope, key=key_of(peer.record.keys, Role.CHANNEL))
        bodies = [decode_body(body) for body in parcel.bodies]
        check_hello(header, bodies)
        return peer, bodies

    def _acknowledge(self, peer: Peer, header: Header, bodies: Sequence[Body], row: ChannelState) -> Sequence[Digest]:
        """Take in how far the partner has come in our stream; return the bodies that now want nothing more."""
        acknowledgement = header.acknowledgement
        words_from = words_lost(row, header, bodies)
        # An envelope of another epoch may come from before one of the two was put back to an old copy, and show what
        # nobody knows any more; since one of an older epoch was made, the partner may have forgotten what it says.
        current = not is_void(header, row)
        if acknowledgement is not None and current:
            self._standing.show(peer, acknowledgement.checkpoint)
        applied: list[tuple[Digest, bytes]] = []
        with peer.lock:
            epoch = peer.outgoing.must_open(acknowledgement, restarted=header.epoch > row.in_epoch)
            was_answered = peer.outgoing.answered
            if acknowledgement is not None and current:
                framed = dict(peer.outgoing.frames)
                digests = peer.outgoing.acknowledge(acknowledgement, knows=self._has_said)
                applied = [(digest, framed[digest]) for digest in digests]
                peer.heard(self._clock.monotonic(), some=bool(applied))
            self._standing.judge(peer)
            waits = peer.held and not peer.outgoing.answered
            if words_from is not None and header.epoch > row.in_epoch and not waits:
                # It has just restarted without them: it gets them in an epoch of their own.
                epoch = epoch or peer.outgoing.epoch + 1
            if epoch is None and peer.outgoing.answered and not was_answered:
                epoch = peer.outgoing.epoch + 1 if self._streams.gives_back(peer, words_from) else None
            answered = peer.outgoing.answered
        if epoch is not None:
            try:
                self._streams.reopen(peer, epoch)
            except Exception:
                # What asks for another epoch is looked at again with the next parcel.
                peer.outgoing.answered = was_answered
                raise
        if answered:
            self._gate.answered(peer.ledger)
        return tuple(digest for digest, body in applied if self._is_done(digest, kind_in(body)))

    def _is_done(self, digest: Digest, kind: str) -> bool:
        """Return whether a body that the partner has applied wants nothing more: a wish does once it is answered."""
        if kind != "cancel":
            return kind in _DONE_WHEN_APPLIED
        asked = self._reader.message_sent(digest)
        order = None if asked is None or asked.conversion is None else self._reader.outgoing(asked.conversion)
        return order is not None and order.concluded_seq is not None

    def _has_said(self, digest: Digest) -> bool:
        return digest in self._reader.sent_kinds([digest])

    def _conclude(self, peer: Peer, outcome: "Future[int]", work: IntakeWork, done: "Future[Taken]") -> None:
        """Note what is durable now, then tell the caller how many frames are applied; runs on the writer's thread."""
        try:
            applied = self._note(peer, work, done).applied
        except Exception as failure:  # noqa: BLE001 - what a future's callback raises reaches nobody who waits for it
            outcome.set_exception(failure)
        else:
            outcome.set_result(applied)
        self._woken.set()

    def _note(self, peer: Peer, work: IntakeWork, done: "Future[Taken]") -> Taken:
        """Note what an intake has led to and return it, or raise what it raised."""
        with peer.lock:
            peer.last_contact = format_time(self._clock.now())
            taken = done.result()
            peer.wants_epoch = peer.wants_epoch or taken.restored
            if (work.carries or taken.restored) and peer.acknowledge_at is None:
                peer.acknowledge_at = self._clock.monotonic() + ACKNOWLEDGE_SECONDS
            self._streams.say_again(peer, taken.again)
        return taken

    # --- Making parcels, and sending them.

    def reply(self, ledger: Ledger) -> bytes:
        """Return the parcel that answers a partner's own: all that waits for it, or just an acknowledgement."""
        self._faults.reach("answer.before")
        parcel = self._parcel(self.peer(ledger), answers=True)
        self._faults.reach("answer.after")
        return parcel

    def parcels(self, ledger: Ledger, *, count_max: int, bytes_max: int) -> list[bytes]:
        """Return, in parcels that travel together, all that waits for a partner, as far as the bounds let it.

        There is one at least, for its acknowledgement. What is not acknowledged is in the next ones again.
        """
        peer = self.peer(ledger)
        self._streams.reopen_if_wanted(peer)
        with peer.lock:
            self._streams.refill(peer, self._clock.monotonic(), ahead_max=count_max * ENVELOPE_FRAMES_MAX)
            before = peer.outgoing.first_seq
            made = [self._streams.parcel(peer)]
            while len(made) < count_max and peer.offered_seq < peer.outgoing.end_seq - 1:
                if sum(map(len, made)) + PARCEL_BYTES_MAX > bytes_max:
                    break
                made.append(self._streams.parcel(peer, skip=peer.offered_seq + 1 - before))
        return made

    def check(self, data: bytes) -> Header:
        """Return the header of a parcel that `receive` would take, or raise as it would; nothing is taken in."""
        parcel = decode_parcel(data)
        peer, _ = self._verify(parcel)
        self._shown.to_keep(peer.ledger, peer.record, parcel.header)
        return parcel.header

    def due(self, now: float) -> list[Ledger]:
        """Return the partners with an address to whom something should be sent at the monotonic time `now`."""
        due = []
        recovering = self._recovering()
        for ledger, dialling in self._dialling.all(self.partners(), now).items():
            peer = self.peer(ledger)
            with peer.lock:
                peer.addressed, peer.poll_seconds = dialling.dials, dialling.poll_seconds
                if ledger in recovering:
                    peer.poll_seconds = RECOVERING_POLL_SECONDS
                if peer.late and self._around.gate.is_open:
                    self._streams.ask(peer, then=self._woken.set)
                # What cannot be sent yet is not framed yet: until then its order is open, and a member's second thought
                # can overtake the order that it is about.
                if now >= peer.not_before:
                    self._streams.refill(peer, now)
                if peer.is_due(now):
                    due.append(ledger)
        return due

    def sleep_seconds(self, now: float) -> float:
        """Return how long nothing can become due by time alone."""
        return min((peer.due_in(now) for peer in self._streams.peers()), default=REOFFER_SECONDS)

    def wait(self, timeout_seconds: float) -> None:
        """Sleep until there may be something to send, or the time is over."""
        self._woken.wait(timeout_seconds)
        self._woken.clear()

    def begin(self, ledger: Ledger) -> None:
        """Claim the next sending to a partner, so that `due` passes it over until `deliver` ends."""
        self.peer(ledger).sending = True

    def deliver(self, ledger: Ledger) -> None:
        """Send what is due to a partner and take in what it answers; a failure is tried again later.

        Once the answer is in the writer's queue the next sending may begin: the partner works on that while we write.
        """
        peer = self.peer(ledger)
        try:
            taken = self._exchanged(peer)
        except Exception as failure:  # noqa: BLE001 - the next attempt is made whatever befell this one
            self._failed(peer, failure)
            return
        finally:
            peer.sending = False
            self._woken.set()
        try:
            taken.result()
            peer.succeeded()
        except Exception as failure:  # noqa: BLE001 - the next attempt is made whatever befell this one
            self._failed(peer, failure)
        finally:
            peer.taken_in()
            self._woken.set()

    def _exchanged(self, peer: Peer) -> "Future[int]":
        """Send a parcel, and return the future of the answer, which is counted as being taken in."""
        url = self._remembered.urls().get(peer.ledger)
        if not url:
            raise TransportFailed("the partner has no address")
        parcel = self._parcel(peer)
        self._faults.reach("send.before")
        answer = self._transport.exchange(url, parcel)
        self._faults.reach("send.after")
        sender, taken = self.receive(answer)
        if sender != peer.ledger:
            raise EnvelopeInvalid(f"{sender} answers where {peer.ledger} should")
        with peer.lock:
            # This was the answer: what it makes us say goes out by itself.
            peer.answering_until = float("-inf")
            peer.takings += 1
        return taken

    def _failed(self, peer: Peer, failure: Exception) -> None:
        if not isinstance(failure, TransportFailed | TallystickError):
            _LOG.error("delivery_bug", partner=peer.ledger, exc_info=failure)
            peer.failed(self._clock.monotonic(), type(failure).__name__)
            return
        if not peer.failures:
            _LOG.warning("delivery_failed", partner=peer.ledger, reason=str(failure))
        peer.failed(self._clock.monotonic(), str(failure))

    def _committed(self, committed: Committed) -> None:
        if committed.partners:
            self._woken.set()

    def _parcel(self, peer: Peer, *, answers: bool = False) -> bytes:
        self._streams.reopen_if_wanted(peer)
        return self._streams.parcel(peer, answers=answers)

    def _recovering(self) -> frozenset[Ledger]:
        record = self._remembered.ledger()
        return frozenset(record.recovering if record else ())
