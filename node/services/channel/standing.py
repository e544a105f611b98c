"""How our store stands by what partners show of it: words that they have applied, checkpoints that we have signed.

Every envelope that covers a word's entry carries a checkpoint over it. So a partner which has applied a word that this
store does not know also holds a checkpoint that reaches beyond the store, unless no entry made the word.
"""

from typing import Final

import structlog

from node.engine.gate import Gate
from node.services.channel.peer import Peer
from node.services.logs.own_log import is_signed_by_all, lack, open_of, place_of
from node.store.reader import StoreReader
from protocol.checkpoint import Checkpoint
from protocol.identifiers import Ledger, generation_of
from protocol.keys import PublicKey
from protocol.ledger.names import recovery_ended_id, recovery_id
from protocol.ledger.state import LEDGER, ONLY, PARTNERS, LedgerRecord
from protocol.merkle import HASH_BYTES, Hash, fold
from protocol.tiles import TileId, TileReader

_WORDS: Final = "has applied words that the store does not have"
_LOG: Final = structlog.get_logger()


class Standing:
    """Judges our store by each envelope, and shuts the gate when it is shown to be an old copy."""

    def __init__(self, reader: StoreReader, gate: Gate, *, ledger: Ledger, key: PublicKey) -> None:
        """Judge the store that `reader` reads; `key` is the one that signs its checkpoints."""
        self._reader = reader
        self._gate = gate
        self._ledger = ledger
        self._key = key

    def show(self, peer: Peer, note: str | None) -> None:
        """Take in the checkpoint of ours that a partner holds, or raise a `ProtocolError` when it is not ours."""
        if note is None or (note == peer.shown_note and peer.lacks is None and peer.doubted is None):
            return
        restorations = self._gate.restorations
        checkpoint = open_of(note.encode(), ledger=self._ledger, key=self._key)
        lack_of_this = self._lack(checkpoint)
        doubted = checkpoint if lack_of_this and not self._is_ours(note.encode()) else None
        if doubted is None and (peer.shown is None or place_of(checkpoint) > place_of(peer.shown)):
            peer.shown = checkpoint
        lacks = self._lack(peer.shown) if peer.shown else None
        if doubted is None:
            lacks = lacks or lack_of_this
        with peer.lock:
            # A successor that has begun meanwhile has said what it lacks: its next envelope is compared with that.
            if self._gate.restorations == restorations:
                peer.lacks, peer.doubted, peer.shown_note = lacks, doubted, note

    def judge(self, peer: Peer) -> None:
        """Shut the gate if the partner has shown that the store is behind; see `Peer` for what does not show it.

        The caller holds the peer's lock, without which no successor begins between the look at the store and the gate.
        """
        if peer.lacks is not None:
            self._shut(peer, peer.lacks)
        peer.late = peer.beyond = False
        behind = peer.outgoing.behind
        peer.excused = self._excuses(peer) if behind else self._goes_on(peer)
        peer.expected = behind and (peer.expected or (peer.excused and peer.outgoing.answered))
        if not peer.excused and not peer.beyond and peer.lacks is None:
            self._claimed(peer, _WORDS if peer.doubted is None else self._lack(peer.doubted) or _WORDS)

    def _shut(self, peer: Peer, lacks: str) -> None:
        self._tell(peer, lacks)
        self._gate.found_behind(f"{peer.ledger} {lacks}", peer.shown)

    def _tell(self, peer: Peer, reason: str) -> None:
        if self._gate.behind is None:
            _LOG.error("store_behind", partner=peer.ledger, reason=reason)

    def _claimed(self, peer: Peer, claim: str) -> None:
        """Shut the gate by what a partner says and does not show, unless an operator keeps it out."""
        record = self._reader.record(PARTNERS, peer.ledger)
        assert record is not None, "a partner that is spoken with"
        if record.suspended_seq is not None or record.ended_seq is not None:
            self._gate.kept_out(peer.ledger)
            return
        self._tell(peer, claim)
        self._gate.claimed_behind(peer.ledger, f"{peer.ledger} {claim}")

    def _goes_on(self, peer: Peer) -> bool:
        """Return whether we go on with a partner that has shown no word which we do not know, unless it claims one.

        One that was gone when we went on as a successor is asked all the same: only so does it hear of our log.
        """
        if peer.doubted is not None:
            return False
        if peer.told or peer.lacks is not None:
            return True
        record = self._record()
        peer.told = not self._is_untold(record, peer)
        if peer.told or not peer.outgoing.answered:
            return True
        return self._asks(record, peer)

    def _is_untold(self, record: LedgerRecord, peer: Peer) -> bool:
        """Return whether a partner of the log before this one was never asked for words in this one."""
        if record.predecessor is None or peer.record.added_seq >= record.first_seq:
            return False
        return self._reader.entry_seq_of_id(recovery_id(record.log, peer.ledger)) is None

    def _asks(self, record: LedgerRecord, peer: Peer) -> bool:
        peer.late = _is_accounted_for(record, peer)
        peer.beyond = not peer.late
        return peer.late

    def _record(self) -> LedgerRecord:
        record = self._reader.record(LEDGER, ONLY)
        assert record is not None, "a log has its genesis"
        return record

    def _excuses(self, peer: Peer) -> bool:
        """Return whether words that we do not know are to be expected of this partner."""
        record = self._record()
        if peer.ledger in record.recovering:
            return True
        if peer.lacks is not None or peer.doubted is not None or peer.shown is None:
            return False
        if self._is_waived(record, peer.ledger):
            # An operator has gone on without the rest of its words.
            return True
        if generation_of(Ledger(peer.shown.origin)) == generation_of(record.log):
            # All our entries are here that it has seen: what we lack is a word that no entry made. A checkpoint that
            # this very process has signed shows neither that nor the contrary: what its answer had shown before holds.
            return peer.expected or place_of(peer.shown) <= peer.began
        return self._asks(record, peer)

    def _is_waived(self, record: LedgerRecord, partner: Ledger) -> bool:
        """Return whether words were asked of a partner in this log that it has not all given back."""
        ids = (recovery_id(record.log, partner), recovery_ended_id(record.log, partner))
        begun, ended = (self._reader.entry_seq_of_id(each) for each in ids)
        return begun is not None and ended is None

    def _is_ours(self, note: bytes) -> bool:
        return is_signed_by_all(note, self._record(), self._reader)

    def _lack(self, seen: Checkpoint) -> str | None:
        newest = self._reader.latest_checkpoint()
        assert newest is not None, "a log has its genesis, and a checkpoint over it"
        return lack(seen, newest, root_at=lambda size: self._root_at(newest.generation, size))

    def _root_at(self, generation: int, size: int) -> Hash:
        signed = self._reader.checkpoint_covering(size, generation=generation)
        if signed is not None and signed.size == size:
            return Hash(bytes.fromhex(signed.root))

        def fetch(tile: TileId) -> bytes:
            return self._reader.tile(tile.level, tile.index, generation=generation)[: tile.width * HASH_BYTES]

        tiles, begin = TileReader(size=size, fetch=fetch), 0
        hashes: list[Hash] = []
        for level in reversed(range(size.bit_length())):
            if size >> level & 1:
                hashes.append(tiles.read(level, begin >> level))
                begin += 1 << level
        return fold(hashes)


def _is_accounted_for(record: LedgerRecord, peer: Peer) -> bool:
    """Return whether a partner that was gone when we went on as a successor has seen no more than that one says."""
    before, shown = record.predecessor, peer.shown
    if before is None:
        return False
    if shown is None:
        return True
    if shown.origin != before.ledger:
        return generation_of(Ledger(shown.origin)) < generation_of(before.ledger)
    return shown.size < before.size or (shown.size, shown.root.hex()) == (before.size, before.root)
