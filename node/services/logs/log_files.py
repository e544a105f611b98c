"""The files of this ledger's logs: tiles, bundles and names of each generation, as the store has them.

Sequence numbers go on from one log to the next, while the leaves of each tree are counted from 0: the leaf of entry
`seq` has the index `seq` less the seq of the log's genesis.
"""

from node.store.reader import StoreReader
from node.store.rows import SignedCheckpoint
from protocol.agreement import key_of
from protocol.audit.pages import LedgerFile, encode_ledger_file
from protocol.identifiers import Ledger, partner_of
from protocol.keys import Role
from protocol.ledger.names import genesis_id
from protocol.ledger.state import LedgerRecord
from protocol.limits import TILE_WIDTH
from protocol.merkle import HASH_BYTES
from protocol.note import Verifier, format_vkey
from protocol.tiles import BundleId, TileId, encode_bundle, tile_width


def log_name(ledger: Ledger, generation: int) -> Ledger:
    """Return the name of the log of `ledger` in that generation."""
    return Ledger(f"{partner_of(ledger)}.{generation}")


class LogFiles:
    """Reads the files of every generation; each call says of which, by one of its signed checkpoints."""

    def __init__(self, reader: StoreReader, record: LedgerRecord) -> None:
        """Read from `reader` the logs of the ledger that `record` names."""
        self._reader = reader
        self._ledger = record.ledger
        self._key = key_of(record.keys, Role.LOG)
        self._first_seqs: dict[int, int] = {}

    def first_seq(self, generation: int) -> int | None:
        """Return the seq of the genesis of a log, or None where the store has no such log."""
        known = self._first_seqs.get(generation)
        if known is None:
            known = self._reader.entry_seq_of_id(genesis_id(log_name(self._ledger, generation)))
            if known is not None:
                self._first_seqs[generation] = known
        return known

    def generation_at(self, seq: int, *, newest: int) -> int | None:
        """Return the generation of the log that has entry `seq`, up to the `newest`, or None where none has it."""
        for generation in range(newest, 0, -1):
            first = self.first_seq(generation)
            if first is not None and first <= seq:
                return generation
        return None

    def ledger_file(self, generation: int) -> bytes:
        """Return which log this is and its verifier key."""
        name = log_name(self._ledger, generation)
        return encode_ledger_file(LedgerFile(ledger=name, vkey=format_vkey(Verifier(name, self._key))))

    def file(self, place: TileId | BundleId, checkpoint: SignedCheckpoint) -> bytes | None:
        """Return a tile or bundle as far as `checkpoint` reaches, or None for one beyond it."""
        level = place.level if isinstance(place, TileId) else 0
        width = tile_width(level=level, index=place.index, size=checkpoint.size)
        if not width or place.width > width:
            return None
        if isinstance(place, TileId):
            return self.hashes(place, checkpoint.generation)
        first = self.first_seq(checkpoint.generation)
        assert first is not None, "a log with a checkpoint has its genesis"
        return encode_bundle(self._reader.entries(first + place.index * TILE_WIDTH, place.width))

    def hashes(self, tile: TileId, generation: int) -> bytes:
        """Return the hashes of a tile of one log."""
        return self._reader.tile(tile.level, tile.index, generation=generation)[: tile.width * HASH_BYTES]
