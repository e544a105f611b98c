"""The exchange with partners: epochs opened, parcels taken in and made, bodies offered until they are answered."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from typing import Final

import structlog

from node.engine.engine import Committed
from node.engine.writer import WriterQueue
from node.ports import Clock, Faults, Keyring, Randomness, Transport, TransportFailed
from node.services.dialling import DiallingRules
from node.services.intake import IntakeWork, OpenEpoch, Taken, incoming_of
from node.services.peer import ACKNOWLEDGE_SECONDS, ANSWERING_SECONDS, REOFFER_SECONDS, Peer
from node.store.reader import StoreReader
from node.store.rows import PartnerCheckpoint
from protocol.agreement import key_of
from protocol.channel import Outgoing, check_hello
from protocol.checkpoint import open_checkpoint
from protocol.envelope import (
    Header,
    Parcel,
    decode_parcel,
    encode_parcel,
    frames_root,
    seal_envelope,
    verify_envelope,
)
from protocol.errors import CheckpointInvalid, EnvelopeInvalid, TallystickError
from protocol.fields import format_time
from protocol.identifiers import Digest, Ledger
from protocol.keys import Role
from protocol.ledger.state import PARTNERS, PartnerRecord
from protocol.limits import ENVELOPE_FRAMES_MAX, PARCEL_BYTES_MAX
from protocol.messages import Body, Hello, body_digest, decode_body, encode_body
from protocol.note import KeyType, Verifier

_WINDOW_BYTES_MAX: Final = PARCEL_BYTES_MAX // 4
_FRAMES_AHEAD_MAX: Final = 1_024
_NONCE_BYTES: Final = 16
_DONE_WHEN_APPLIED: Final = frozenset(
    {"fulfil", "reject", "error", "query", "end", "close", "lines", "dispute", "statement", "payment", "receipt"}
)
"""Bodies that want no answer, or whose answer the partner has kept for us in the transaction that applied them."""

_LOG: Final = structlog.get_logger()


class PeerUnknown(TallystickError):
    """The sender of a parcel is not a partner of this ledger."""

    code = "partner_unknown"


class Exchange:
    """Speaks with every partner, whoever dials."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        reader: StoreReader,
        writer: WriterQueue,
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
        self._keyring = keyring
        self._clock = clock
        self._randomness = randomness
        self._transport = transport
        self._faults = faults
        self._dialling = DiallingRules(reader)
        self._peers: dict[Ledger, Peer] = {}
        self._lock = threading.Lock()
        self._woken = threading.Event()
        writer.listen(self._committed)

    # --- Partners and epochs.

    def open(self) -> None:
        """Open an epoch with every partner: part of every start."""
        for ledger in self.partners():
            self.peer(ledger)

    def partners(self) -> list[Ledger]:
        """Return every partner's ledger."""
        return [ledger for ledger, _ in self._reader.partners()]

    def peer(self, ledger: Ledger) -> Peer:
        """Return the partner's channel, opening its epoch at first use, or raise `PeerUnknown`."""
        found = self._peers.get(ledger)
        if found is not None:
            return found
        with self._lock:
            found = self._peers.get(ledger)
            if found is None:
                found = self._peers[ledger] = self._first_epoch(ledger)
            return found

    def _first_epoch(self, ledger: Ledger) -> Peer:
        record = self._reader.record(PARTNERS, ledger)
        if record is None:
            raise PeerUnknown(f"{ledger} is not a partner of {self._ledger}")
        state = self._reader.channel(ledger)
        outgoing = self._new_epoch(ledger, record, epoch=state.out_epoch + 1 if state else 1)
        return Peer(ledger=ledger, record=record, outgoing=outgoing, reoffered_at=self._clock.monotonic())

    def _next_epoch(self, peer: Peer, epoch: int) -> None:
        """Leave the present epoch, in which the partner can take nothing in."""
        with peer.opening:
            if peer.outgoing.epoch >= epoch:
                return
            _LOG.warning("epoch_reopened", partner=peer.ledger, epoch=epoch)
            outgoing = self._new_epoch(peer.ledger, peer.record, epoch=epoch)
            with peer.lock:
                outgoing.behind = peer.outgoing.behind
                peer.open(outgoing)

    def _new_epoch(self, ledger: Ledger, record: PartnerRecord, *, epoch: int) -> Outgoing:
        nonce = self._randomness.token(_NONCE_BYTES).hex()
        outgoing = Outgoing(epoch=epoch, epoch_nonce=nonce, bodies_sent=self._reader.sent_count(ledger))
        hello = Hello(
            network=record.network,
            sender=self._ledger,
            receiver=ledger,
            epoch=epoch,
            epoch_nonce=nonce,
            bodies_sent=outgoing.bodies_sent,
        )
        data = encode_body(hello)
        outgoing.offer(body_digest(data), data)
        self._writer.submit(OpenEpoch(ledger, outgoing, self._reader)).result()
        return outgoing

    # --- Taking parcels in.

    def receive(self, data: bytes) -> "tuple[Ledger, Future[int]]":
        """Verify a parcel and queue it; return its sender, and the number of frames applied once they are durable.

        Raises a `ProtocolError` or `PeerUnknown`, and then nothing happens. `reply` makes the answer.
        """
        parcel = decode_parcel(data)
        peer, bodies = self._verify(parcel)
        checkpoint = self._checkpoint_of(peer, parcel.header)
        with peer.lock:
            # What this parcel makes us say goes into its answer, not into a parcel of its own.
            peer.answering_until = self._clock.monotonic() + ANSWERING_SECONDS
        work = IntakeWork(
            peer,
            parcel,
            bodies,
            ledger=self._ledger,
            store=self._reader,
            acknowledged=self._acknowledge(peer, parcel.header),
            checkpoint=checkpoint,
        )
        self._faults.reach("intake.before")
        outcome: Future[int] = Future()
        outcome.set_running_or_notify_cancel()
        submitted = self._writer.submit(work)
        submitted.add_done_callback(partial(self._conclude, peer, outcome, carried=bool(bodies)))
        return parcel.header.sender, outcome

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

    def _checkpoint_of(self, peer: Peer, header: Header) -> PartnerCheckpoint | None:
        """Return the partner's checkpoint if it is worth keeping, or raise a `ProtocolError`."""
        if header.checkpoint is None:
            return None
        verifier = Verifier(name=peer.ledger, type=KeyType.ED25519, key=key_of(peer.record.keys, Role.LOG))
        note = header.checkpoint.encode()
        checkpoint = open_checkpoint(note, [verifier])
        if checkpoint.origin != peer.ledger:
            raise CheckpointInvalid("the checkpoint is of another log")
        kept = PartnerCheckpoint(ledger=peer.ledger, size=checkpoint.size, note=note)
        known = self._reader.latest_partner_checkpoint(peer.ledger)
        if known is None or checkpoint.size > known.size:
            return kept
        if checkpoint.size == known.size and checkpoint != open_checkpoint(known.note, [verifier]):
            _LOG.error("partner_forked", partner=peer.ledger, size=checkpoint.size)
            return kept
        return None

    def _acknowledge(self, peer: Peer, header: Header) -> Sequence[Digest]:
        """Take in how far the partner has come in our stream; return the bodies that now want nothing more."""
        acknowledgement = header.acknowledgement
        applied: list[Digest] = []
        with peer.lock:
            restarted = header.epoch > peer.heard_epoch
            peer.heard_epoch = max(header.epoch, peer.heard_epoch)
            epoch = peer.outgoing.must_open(acknowledgement, restarted=restarted)
            if acknowledgement is not None:
                was_behind = peer.outgoing.behind
                applied = peer.outgoing.acknowledge(acknowledgement, knows=self._has_said)
                if peer.outgoing.behind and not was_behind:
                    _LOG.error("store_behind", partner=peer.ledger, bodies=acknowledgement.bodies)
        if epoch is not None:
            self._next_epoch(peer, epoch)
        kinds = self._reader.sent_kinds(applied) if applied else {}
        return tuple(digest for digest in applied if kinds.get(digest) in _DONE_WHEN_APPLIED)

    def _has_said(self, digest: Digest) -> bool:
        return digest in self._reader.sent_kinds([digest])

    def _conclude(self, peer: Peer, outcome: "Future[int]", done: "Future[Taken]", *, carried: bool) -> None:
        """Note what is durable now, then tell the caller; runs on the writer's thread."""
        failure = done.exception()
        with peer.lock:
            peer.last_contact = format_time(self._clock.now())
            if failure is None:
                if carried and peer.acknowledge_at is None:
                    peer.acknowledge_at = self._clock.monotonic() + ACKNOWLEDGE_SECONDS
                self._say_again(peer, done.result())
        if failure is None:
            outcome.set_result(done.result().applied)
        else:
            outcome.set_exception(failure)
        self._woken.set()

    def _say_again(self, peer: Peer, taken: Taken) -> None:
        for digest, body in taken.again.items():
            if len(peer.outgoing.frames) < _FRAMES_AHEAD_MAX:
                peer.outgoing.offer(digest, body)
            else:
                peer.framed_number = -1

    # --- Making parcels, and sending them.

    def reply(self, ledger: Ledger) -> bytes:
        """Return the parcel that answers a partner's own: all that waits for it, or just an acknowledgement."""
        self._faults.reach("answer.before")
        parcel = self._make_parcel(self.peer(ledger))
        self._faults.reach("answer.after")
        return parcel

    def parcels(self, ledger: Ledger, *, count_max: int, bytes_max: int) -> list[bytes]:
        """Return, in parcels that travel together, all that waits for a partner, as far as the bounds let it.

        There is one at least, for its acknowledgement. What is not acknowledged is in the next ones again.
        """
        peer = self.peer(ledger)
        with peer.lock:
            self._refill(peer, self._clock.monotonic(), ahead_max=count_max * ENVELOPE_FRAMES_MAX)
            before = peer.outgoing.first_seq
            made = [self._make_parcel(peer)]
            while len(made) < count_max and peer.offered_seq < peer.outgoing.end_seq - 1:
                if sum(map(len, made)) + PARCEL_BYTES_MAX > bytes_max:
                    break
                made.append(self._make_parcel(peer, skip=peer.offered_seq + 1 - before))
        return made

    def check(self, data: bytes) -> Header:
        """Return the header of a parcel that `receive` would take, or raise as it would; nothing is taken in."""
        parcel = decode_parcel(data)
        peer, _ = self._verify(parcel)
        self._checkpoint_of(peer, parcel.header)
        return parcel.header

    def due(self, now: float) -> list[Ledger]:
        """Return the partners with an address to whom something should be sent at the monotonic time `now`."""
        due = []
        for ledger, dialling in self._dialling.all(self.partners(), now).items():
            peer = self.peer(ledger)
            with peer.lock:
                peer.addressed, peer.poll_seconds = dialling.dials, dialling.poll_seconds
                # What cannot be sent yet is not framed yet: until then its order is open, and a member's second thought
                # can overtake the order that it is about.
                if now >= peer.not_before:
                    self._refill(peer, now)
                if peer.is_due(now):
                    due.append(ledger)
        return due

    def sleep_seconds(self, now: float) -> float:
        """Return how long nothing can become due by time alone."""
        with self._lock:
            peers = list(self._peers.values())
        return min((peer.due_in(now) for peer in peers), default=REOFFER_SECONDS)

    def wait(self, timeout_seconds: float) -> None:
        """Sleep until there may be something to send, or the time is over."""
        self._woken.wait(timeout_seconds)
        self._woken.clear()

    def begin(self, ledger: Ledger) -> None:
        """Claim the next sending to a partner, so that `due` passes it over until `deliver` ends."""
        self.peer(ledger).sending = True

    def deliver(self, ledger: Ledger) -> None:
        """Send what is due to a partner and take in what it answers; a failure is tried again later."""
        peer = self.peer(ledger)
        try:
            self._deliver(peer)
            peer.succeeded()
        except (TransportFailed, TallystickError) as failure:
            if not peer.failures:
                _LOG.warning("delivery_failed", partner=ledger, reason=str(failure))
            peer.failed(self._clock.monotonic(), str(failure))
        except Exception as bug:  # noqa: BLE001 - the next attempt is made whatever befell this one
            _LOG.error("delivery_bug", partner=ledger, exc_info=bug)
            peer.failed(self._clock.monotonic(), type(bug).__name__)
        finally:
            peer.sending = False
            self._woken.set()

    def _deliver(self, peer: Peer) -> None:
        url = self._reader.partner_urls().get(peer.ledger)
        if not url:
            raise TransportFailed("the partner has no address")
        parcel = self._make_parcel(peer)
        self._faults.reach("send.before")
        answer = self._transport.exchange(url, parcel)
        self._faults.reach("send.after")
        sender, taken = self.receive(answer)
        with peer.lock:
            # This was the answer: what it makes us say goes out by itself.
            peer.answering_until = float("-inf")
        taken.result()
        if sender != peer.ledger:
            raise EnvelopeInvalid(f"{sender} answers where {peer.ledger} should")

    def _committed(self, committed: Committed) -> None:
        if committed.partners:
            self._woken.set()

    def _refill(self, peer: Peer, now: float, *, ahead_max: int = _FRAMES_AHEAD_MAX) -> None:
        """Frame what waits in the outbox: new bodies at once, and unanswered ones again from time to time."""
        if not peer.outgoing.frames and now - peer.reoffered_at >= REOFFER_SECONDS:
            peer.reoffered_at = now
            peer.framed_number = -1
        room = ahead_max - len(peer.outgoing.frames)
        if room <= 0:
            return
        for pending in self._reader.pending_outbox(peer.ledger, after_number=peer.framed_number, limit=room):
            peer.framed_number = pending.number
            peer.outgoing.offer(pending.digest, pending.body)

    def _make_parcel(self, peer: Peer, *, skip: int = 0) -> bytes:
        with peer.lock:
            now = self._clock.monotonic()
            self._refill(peer, now)
            first_seq, bodies = peer.outgoing.window(bytes_max=_WINDOW_BYTES_MAX, skip=skip)
            header = self._header(peer, first_seq, bodies)
            envelope = seal_envelope(header, key=self._keyring.key(Role.CHANNEL))
            peer.previous = envelope.digest()
            peer.offered(first_seq, len(bodies), now=now)
        return encode_parcel(envelope, bodies)

    def _header(self, peer: Peer, first_seq: int, bodies: Sequence[bytes]) -> Header:
        note = self._reader.latest_checkpoint()
        return Header(
            network=peer.record.network,
            sender=self._ledger,
            receiver=peer.ledger,
            epoch=peer.outgoing.epoch,
            epoch_nonce=peer.outgoing.epoch_nonce,
            first_seq=first_seq,
            count=len(bodies),
            previous=peer.previous,
            acknowledgement=incoming_of(self._reader.channel(peer.ledger)).acknowledgement(),
            checkpoint=note.note.decode() if note else None,
            root=frames_root(first_seq, bodies),
        )
