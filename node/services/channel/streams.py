"""Our streams to partners: epochs opened, bodies framed in their order, parcels made and signed.

New bodies are framed in the order of their numbers, always: what a partner has applied is then told by a count, and a
partner that has forgotten some of it is given the rest again from there.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Final

import structlog

from node.ports import Clock, Keyring, Randomness
from node.services.channel.channel_rows import OpenEpoch, incoming_of
from node.services.channel.giving_back import GivingBack
from node.services.channel.peer import REOFFER_SECONDS, Peer
from node.services.channel.remembered import Remembered
from node.services.channel.shown_checkpoints import ShownCheckpoints
from node.services.channel.taking_back import AskWork
from node.services.context import NodeWriter
from node.store.reader import StoreReader
from node.store.rows import ChannelState
from protocol.channel import Outgoing, first_missing
from protocol.envelope import Header, encode_parcel, frames_root, seal_envelope
from protocol.errors import TallystickError
from protocol.identifiers import Digest, Ledger
from protocol.keys import Role
from protocol.ledger.state import PARTNERS, PartnerRecord
from protocol.limits import PARCEL_BYTES_MAX
from protocol.messages import Hello, body_digest, encode_body

FRAMES_AHEAD_MAX: Final = 1_024
_WINDOW_BYTES_MAX: Final = PARCEL_BYTES_MAX // 4
_NONCE_BYTES: Final = 16
_MILLISECONDS: Final = 1_000
_SHOWN_BYTES_MAX: Final = 8_192
"""Of a partner's checkpoint: one with more signatures than that is not shown back, since a header has a bound."""

_LOG: Final = structlog.get_logger()


class PeerUnknown(TallystickError):
    """The sender of a parcel is not a partner of this ledger."""

    code = "partner_unknown"


class Streams:
    """One stream to each partner, opened when it is first spoken with."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        reader: StoreReader,
        remembered: Remembered,
        writer: NodeWriter,
        keyring: Keyring,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        """Prepare; nothing is opened yet."""
        self._ledger = ledger
        self._reader = reader
        self._remembered = remembered
        self._shown_checkpoints = ShownCheckpoints(reader)
        self._writer = writer
        self._keyring = keyring
        self._clock = clock
        self._randomness = randomness
        self._peers: dict[Ledger, Peer] = {}
        self._lock = threading.Lock()

    def partners(self) -> list[Ledger]:
        """Return every partner's ledger."""
        return [ledger for ledger, _ in self._remembered.partners()]

    def living_partners(self) -> list[Ledger]:
        """Return the ledgers of the partners that have not ended to be one: nobody waits for the others."""
        return [ledger for ledger, record in self._remembered.partners() if record.ended_seq is None]

    def peers(self) -> list[Peer]:
        """Return the partners whose streams are open."""
        with self._lock:
            return list(self._peers.values())

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

    # --- Epochs.

    def _first_epoch(self, ledger: Ledger) -> Peer:
        record = self._reader.record(PARTNERS, ledger)
        if record is None:
            raise PeerUnknown(f"{ledger} is not a partner of {self._ledger}")
        row = self._reader.channel(ledger) or ChannelState(partner=ledger)
        newest = self._reader.latest_checkpoint()
        # A store that was put back to an old copy does not know which epochs were used since: the clock does.
        started = int(self._clock.now().timestamp() * _MILLISECONDS)
        outgoing = self._new_epoch(ledger, record, epoch=max(row.out_epoch + 1, started))
        made = Peer(ledger=ledger, record=record, outgoing=outgoing, reoffered_at=self._clock.monotonic())
        # A partner that has lost words of its own gets them first, once its answer tells what it has of ours.
        made.began = (newest.generation, newest.size) if newest else made.began
        made.held = row.in_bodies_sent < row.fence_bodies
        return made

    def reopen(self, peer: Peer, epoch: int, *, behind: bool | None = None) -> None:
        """Leave the present epoch for `epoch`, in which nothing but the HELLO is framed until it is answered."""
        with peer.opening:
            if peer.outgoing.epoch >= epoch:
                return
            _LOG.warning("epoch_reopened", partner=peer.ledger, epoch=epoch)
            with peer.lock:
                # What the HELLO counts as said must be all that was: from here on nothing more is in this epoch.
                peer.closing = True
            try:
                outgoing = self._new_epoch(peer.ledger, peer.record, epoch=epoch)
                with peer.lock:
                    outgoing.behind = peer.outgoing.behind if behind is None else behind
                    peer.open(outgoing, held=True)
            finally:
                peer.closing = False

    def reopen_if_wanted(self, peer: Peer) -> None:
        """Open another epoch if the partner should hear a HELLO: that we have our words back, or of an epoch in doubt.

        In doubt is one whose commit failed and was kept all the same: of the one before nothing is noted any more.
        """
        if peer.wants_epoch:
            self.reopen(peer, peer.outgoing.epoch + 1, behind=False)
        row = self._remembered.channel(peer.ledger)
        if row is not None and row.out_epoch > peer.outgoing.epoch:
            self.reopen(peer, row.out_epoch)

    def _new_epoch(self, ledger: Ledger, record: PartnerRecord, *, epoch: int) -> Outgoing:
        nonce = self._randomness.token(_NONCE_BYTES).hex()
        row = self._reader.channel(ledger)
        known = row.back_next if row else None
        bodies_sent = self._reader.sent_count(ledger) if known is None else known
        outgoing = Outgoing(epoch=epoch, epoch_nonce=nonce, bodies_sent=bodies_sent)
        hello = Hello(
            network=record.network,
            sender=self._ledger,
            receiver=ledger,
            epoch=epoch,
            epoch_nonce=nonce,
            bodies_sent=bodies_sent,
        )
        data = encode_body(hello)
        outgoing.offer(body_digest(data), data)
        self._writer.submit(OpenEpoch(ledger, outgoing, self._reader)).result()
        return outgoing

    # --- What the partner has lost.

    def gives_back(self, peer: Peer, words_from: int | None) -> bool:
        """Begin to give back what the partner's answer to our HELLO shows to be lost; return whether that must wait.

        `words_from` is the place of the first word of its own that it has lost, if any. It must wait for another epoch
        where other frames are under way in this one: they would come first.
        """
        number = self._first_lost(peer)
        lost = number is not None and (words_from is not None or self._reader.stands_no_more(peer.ledger, number))
        if words_from is None and not lost:
            return False
        if not peer.held and peer.outgoing.end_seq > 1:
            return True
        _LOG.warning("giving_back", partner=peer.ledger, words_from=words_from, own_number=number if lost else None)
        peer.giving = GivingBack(
            self._reader,
            ledger=self._ledger,
            partner=peer.ledger,
            network=peer.record.network,
            own_number=number if lost else None,
            words_from=words_from,
        )
        peer.framed_number = number - 1 if lost and number is not None else -1
        return False

    def _first_lost(self, peer: Peer) -> int | None:
        """Return the number of the first of our bodies that the partner lacks, or None where it has all."""
        if peer.outgoing.fence.bodies >= peer.outgoing.bodies_sent:
            # All that it has applied are words of ours: it has as many as there were when the HELLO was said.
            return None
        place = first_missing(
            peer.outgoing.fence, number_of=lambda digest: self._reader.sent_place(peer.ledger, digest)
        )
        return self._reader.sent_number(peer.ledger, place)

    # --- Frames and parcels.

    def ask(self, peer: Peer, *, then: Callable[[], None]) -> None:
        """Ask a partner for our words that answered before the gate opened; with a full queue, at the next look.

        It hears of our log in the next envelope, which is due as soon as the question is durable: `then` is called.
        """

        def asked(_: "Future[None]") -> None:
            peer.acknowledge_at = self._clock.monotonic()
            then()

        with suppress(TallystickError):
            self._writer.submit(AskWork(peer, self._reader)).add_done_callback(asked)
            peer.late = False

    def refill(self, peer: Peer, now: float, *, ahead_max: int = FRAMES_AHEAD_MAX) -> None:
        """Frame what is given back, then what waits in the outbox: new bodies at once, unanswered ones now and then."""
        if peer.held and not peer.outgoing.answered:
            return
        if not peer.outgoing.frames and peer.giving is None and now - peer.reoffered_at >= REOFFER_SECONDS:
            peer.reoffered_at = now
            peer.framed_number = -1
        room = ahead_max - len(peer.outgoing.frames)
        if room > 0 and peer.giving is not None:
            room = self._give(peer, peer.giving, room)
        if room <= 0 or peer.giving is not None:
            return
        looked = (self._writer.commits, peer.framed_number)
        if looked == peer.drained:
            return
        found = self._reader.pending_outbox(peer.ledger, after_number=peer.framed_number, limit=room)
        for pending in found:
            peer.framed_number = pending.number
            peer.outgoing.offer(pending.digest, pending.body)
        if len(found) < room:
            peer.drained = (looked[0], peer.framed_number)

    def _give(self, peer: Peer, giving: GivingBack, room: int) -> int:
        given = giving.take(room)
        for word in given:
            peer.outgoing.offer(word.digest, word.body)
            if word.number is not None:
                peer.framed_number = word.number
        if giving.ended:
            peer.giving = None
        return room - len(given)

    def say_again(self, peer: Peer, again: Mapping[Digest, bytes]) -> None:
        """Frame bodies anew that were framed before; those that were not yet come in their order."""
        numbers = self._reader.sent_numbers(list(again)) if again else {}
        for digest, body in again.items():
            if numbers.get(digest, peer.framed_number + 1) > peer.framed_number:
                continue
            if len(peer.outgoing.frames) < FRAMES_AHEAD_MAX:
                peer.outgoing.offer(digest, body)
            elif peer.giving is None:
                peer.framed_number = -1

    def parcel(self, peer: Peer, *, skip: int = 0, answers: bool = False) -> bytes:
        """Return the next parcel for a partner, without frames if there is nothing to say in this epoch.

        One that `answers` does not say again what the partner has and may be writing at this moment.
        """
        with peer.lock:
            now = self._clock.monotonic()
            self.refill(peer, now)
            skip = peer.on_their_way(now) if answers else skip
            first_seq, bodies = peer.outgoing.window(bytes_max=_WINDOW_BYTES_MAX, skip=skip)
            if peer.closing:
                bodies = []
            header = self._header(peer, first_seq, bodies)
            envelope = seal_envelope(header, key=self._keyring.key(Role.CHANNEL))
            peer.previous = envelope.digest()
            peer.offered(first_seq, len(bodies), now=now)
        return encode_parcel(envelope, bodies)

    def _header(self, peer: Peer, first_seq: int, bodies: Sequence[bytes]) -> Header:
        note = self._remembered.latest_checkpoint()
        shown = self._shown(peer.ledger)
        return Header(
            network=peer.record.network,
            sender=self._ledger,
            receiver=peer.ledger,
            epoch=peer.outgoing.epoch,
            epoch_nonce=peer.outgoing.epoch_nonce,
            first_seq=first_seq,
            count=len(bodies),
            previous=peer.previous,
            acknowledgement=incoming_of(self._remembered.channel(peer.ledger)).acknowledgement(shown),
            checkpoint=note.note.decode() if note else None,
            root=frames_root(first_seq, bodies),
        )

    def _shown(self, partner: Ledger) -> str | None:
        """Return the largest checkpoint of the partner that we hold, of the log by which our own log knows it."""
        record = self._remembered.partner(partner)
        assert record is not None, "a partner that is spoken with"
        # Of a successor we say nothing before we have entered it: it is to learn what we hold of the log before.
        held = self._shown_checkpoints.newest(partner, record.log)
        return held.decode() if held is not None and len(held) <= _SHOWN_BYTES_MAX else None
