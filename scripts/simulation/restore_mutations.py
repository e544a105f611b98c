"""Rules about restarts and restores taken away; see `mutations`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

from node.engine.desk import CommitDesk
from node.engine.work import Desk
from node.services.channel.channel_rows import present_channel
from node.services.channel.intake import IntakeWork
from node.services.channel.peer import Peer
from node.services.channel.standing import Standing
from node.services.channel.streams import Streams
from node.services.channel.surroundings import Taken
from node.store.reader import StoreReader
from node.store.rows import Answered, Requeue
from protocol.channel import Incoming, Outgoing, Plan
from protocol.envelope import Acknowledgement, Header
from protocol.identifiers import Digest, Ledger
from protocol.ledger.state import PARTNERS
from protocol.messages import Body

_DECISIONS: Final = frozenset({"fulfil", "reject"})


def restore_without_safe_mode(_original: Callable[[Standing, Peer], None]) -> Callable[[Standing, Peer], None]:
    """Go on as if nothing were lost, whatever a partner shows to be missing."""

    def judge(_self: Standing, peer: Peer) -> None:
        peer.excused, peer.late, peer.beyond = True, False, False

    return judge


def restore_without_fence(
    original: Callable[[Incoming, Header, Sequence[Body]], Plan],
) -> Callable[[Incoming, Header, Sequence[Body]], Plan]:
    """Apply what comes in late of a sender's older epoch, too: nothing is void."""

    def plan(incoming: Incoming, header: Header, bodies: Sequence[Body]) -> Plan:
        present = (incoming.epoch, incoming.epoch_nonce)
        if header.epoch > incoming.epoch or (header.epoch, header.epoch_nonce) == present:
            return original(incoming, header, bodies)
        # Where the present epoch's frames stand is the same afterwards.
        before = replace(incoming, next_seq=incoming.next_seq - len(bodies))
        return Plan(incoming=before, offset=0) if before.next_seq >= 0 else original(incoming, header, bodies)

    return plan


@dataclass(slots=True, kw_only=True)
class _Continued(Outgoing):
    """The stream of before a restart; where it stands is learnt from the partner's next acknowledgement."""

    learnt: bool = False

    def acknowledge(self, acknowledgement: Acknowledgement, *, knows: Callable[[Digest], bool]) -> list[Digest]:
        """Go on where the partner stands."""
        if not self.learnt and self.is_named_by(acknowledgement):
            self.learnt = self.answered = True
            self.first_seq, self.fence = acknowledgement.next_seq, acknowledgement.fence
        return Outgoing.acknowledge(self, acknowledgement, knows=knows)

    def must_open(self, acknowledgement: Acknowledgement | None, *, restarted: bool) -> int | None:
        """Open another epoch, with a HELLO, if the partner is ahead of what is known here."""
        if acknowledgement is not None and acknowledgement.bodies > self.bodies_sent:
            return max(self.epoch, acknowledgement.epoch) + 1
        return Outgoing.must_open(self, acknowledgement, restarted=restarted)


def hello_only_if_ahead(original: Callable[[Streams, Ledger], Peer]) -> Callable[[Streams, Ledger], Peer]:
    """Go on in the epoch of before a restart, unless the partner turns out to be ahead."""

    def first_epoch(self: Streams, ledger: Ledger) -> Peer:
        reader = self._reader
        row, record, newest = reader.channel(ledger), reader.record(PARTNERS, ledger), reader.latest_checkpoint()
        if row is None or not row.out_epoch or row.back_next is not None or record is None or newest is None:
            return original(self, ledger)
        outgoing = _Continued(epoch=row.out_epoch, epoch_nonce=row.out_nonce, bodies_sent=reader.sent_count(ledger))
        now = self._clock.monotonic()
        made = Peer(ledger=ledger, record=record, outgoing=outgoing, reoffered_at=now, acknowledge_at=now)
        made.began, made.held = (newest.generation, newest.size), True
        return made

    return first_epoch


def fence_drops_peer_decisions(
    original: Callable[[IntakeWork, Desk], Taken],
) -> Callable[[IntakeWork, Desk], Taken]:
    """Let a partner's new epoch void what was decided for it and has not arrived there, for good."""
    void: set[Digest] = set()

    def run(self: IntakeWork, desk: Desk) -> Taken:
        reader, partner = cast("StoreReader", self._store), self._peer.ledger
        epoch = present_channel(desk, self._store, partner).in_epoch
        taken = original(self, desk)
        if 0 < epoch < present_channel(desk, self._store, partner).in_epoch:
            waiting = [each.digest for each in reader.pending_outbox(partner)]
            kinds = reader.sent_kinds(waiting)
            void.update(digest for digest in waiting if kinds[digest] in _DECISIONS)
        if void:
            taken.again = {digest: body for digest, body in taken.again.items() if digest not in void}
            writes = cast("CommitDesk", desk).writes
            writes[:] = [each for each in writes if not (isinstance(each, Requeue) and each.digest in void)]
            desk.stage(Answered(tuple(sorted(void))))
        return taken

    return run
