"""Reading the log: entries, tiles and our own checkpoints."""

from typing import Final, cast

from sqlalchemy import Executable, bindparam, select

from node.store import schema
from node.store.numbers import number_of
from node.store.reads import Reads
from node.store.rows import SignedCheckpoint
from protocol.identifiers import Account, Digest, Id

_ENTRIES: Final = schema.ENTRIES.c
_CHECKPOINTS: Final = select(schema.CHECKPOINTS)
_IDS: Final = schema.IDS.c
_HISTORY: Final = schema.HISTORY.c
_TILES: Final = schema.TILES.c


_ENTRY: Final = select(_ENTRIES.data).where(_ENTRIES.seq == bindparam("seq"))
_NEWEST: Final = _CHECKPOINTS.order_by(schema.CHECKPOINTS.c.number.desc()).limit(1)
_COVERING: Final = (
    _CHECKPOINTS.where(
        schema.CHECKPOINTS.c.generation == bindparam("generation"), schema.CHECKPOINTS.c.size >= bindparam("size")
    )
    .order_by(schema.CHECKPOINTS.c.size)
    .limit(1)
)


class LogReads(Reads):
    """Entries, tiles and checkpoints."""

    def entry(self, seq: int) -> bytes | None:
        """Return the bytes of entry `seq`, or None."""
        rows = self._ask(_ENTRY, seq=seq)
        return cast("bytes", rows[0][0]) if rows else None

    def entries(self, start: int, count: int) -> list[bytes]:
        """Return the bytes of up to `count` entries from entry `start` on."""
        wanted = select(_ENTRIES.data).where(_ENTRIES.seq >= start, _ENTRIES.seq < start + count)
        return [cast("bytes", data) for (data,) in self._rows(wanted.order_by(_ENTRIES.seq))]

    def entries_from(self, seq: int, limit: int) -> list[bytes]:
        """Return the bytes of up to `limit` entries, from entry `seq` or the first after it on, over any gap."""
        wanted = select(_ENTRIES.data).where(_ENTRIES.seq >= seq).order_by(_ENTRIES.seq).limit(limit)
        return [cast("bytes", data) for (data,) in self._rows(wanted)]

    def leaf(self, seq: int) -> Digest | None:
        """Return the leaf hash of entry `seq` in hex, or None."""
        rows = self._rows(select(_ENTRIES.leaf).where(_ENTRIES.seq == seq))
        return Digest(cast("bytes", rows[0][0]).hex()) if rows else None

    def entry_seq_of_id(self, entry_id: Id) -> int | None:
        """Return which entry has taken `entry_id`, or None."""
        rows = self._rows(select(_IDS.seq).where(_IDS.id == entry_id))
        return cast("int", rows[0][0]) if rows else None

    def history(self, account: Account, before_seq: int | None = None, limit: int = 100) -> list[bytes]:
        """Return up to `limit` entries of `account`, newest first, those before entry `before_seq` if it is given."""
        wanted = select(_ENTRIES.data).join(schema.HISTORY, _HISTORY.seq == _ENTRIES.seq)
        wanted = wanted.where(_HISTORY.account_seq == number_of(account))
        if before_seq is not None:
            wanted = wanted.where(_HISTORY.seq < before_seq)
        return [cast("bytes", data) for (data,) in self._rows(wanted.order_by(_HISTORY.seq.desc()).limit(limit))]

    def tile(self, level: int, index: int, *, generation: int = 1) -> bytes:
        """Return the hashes of a tile of one of our logs, as wide as it now is, or nothing where there is none."""
        place = (_TILES.generation == generation, _TILES.level == level, _TILES.tile_index == index)
        rows = self._rows(select(_TILES.hashes).where(*place))
        return cast("bytes", rows[0][0]) if rows else b""

    def latest_checkpoint(self) -> SignedCheckpoint | None:
        """Return our last signed checkpoint, or None while the log is empty."""
        return next(iter(self._found(SignedCheckpoint, _NEWEST)), None)

    def checkpoint(self, number: int) -> SignedCheckpoint | None:
        """Return our checkpoint `number`, or None."""
        return self._checkpoint(_CHECKPOINTS.where(schema.CHECKPOINTS.c.number == number))

    def checkpoint_of(self, generation: int) -> SignedCheckpoint | None:
        """Return the last checkpoint of one of our logs, or None where there is no such log."""
        signed = _CHECKPOINTS.where(schema.CHECKPOINTS.c.generation == generation)
        return self._checkpoint(signed.order_by(schema.CHECKPOINTS.c.size.desc()).limit(1))

    def checkpoint_covering(self, size: int, *, generation: int = 1) -> SignedCheckpoint | None:
        """Return our first checkpoint of at least `size` entries of one of our logs, or None."""
        return next(iter(self._found(SignedCheckpoint, _COVERING, generation=generation, size=size)), None)

    def _checkpoint(self, wanted: Executable) -> SignedCheckpoint | None:
        return next(iter(self._objects(SignedCheckpoint, wanted)), None)
