"""The tree of a log as the auditor computes it anew from the entries: leaves, tiles, and the root at any size."""

from typing import Final, Self

from protocol.identifiers import Digest
from protocol.limits import TILE_WIDTH
from protocol.merkle import HASH_BYTES, Hash, fold
from protocol.tiles import TileBuilder, TileId, TileReader, decode_tile

_LEAVES: Final = 0


class RecomputedTree:
    """A whole tree in 32 bytes a leaf: what the rules keep for an entry is several times as much."""

    __slots__ = ("_builder", "_tiles")

    def __init__(self) -> None:
        """Start with the empty log."""
        self._builder = TileBuilder()
        self._tiles: dict[tuple[int, int], bytes] = {}

    @classmethod
    def of(cls, leaves: bytes) -> Self:
        """Return the settled tree over `leaves`, their hashes one after the other, or raise `TileInvalid`."""
        tree = cls()
        for leaf in decode_tile(leaves, width=len(leaves) // HASH_BYTES):
            tree.append(leaf)
        tree.settle()
        return tree

    def leaves(self) -> bytes:
        """Return the hashes of all settled leaves, one after the other."""
        count = -(-self.size // TILE_WIDTH)
        return b"".join(self._tiles[_LEAVES, index] for index in range(count))

    @property
    def size(self) -> int:
        """Return the number of leaves."""
        return self._builder.size

    def append(self, leaf: Hash) -> None:
        """Add a leaf's hash at the right; `settle` makes it readable."""
        self._builder.append(leaf)

    def settle(self) -> None:
        """Keep the tiles that changed since the last call, each as wide as it is now."""
        for tile, data in self._builder.take_changed():
            self._tiles[tile.level, tile.index] = data

    def root(self) -> Hash:
        """Return the root over all leaves."""
        return self._builder.root()

    def tile(self, tile: TileId) -> bytes:
        """Return the bytes of a settled tile of this tree."""
        return self._tiles[tile.level, tile.index][: tile.width * HASH_BYTES]

    def leaf(self, seq: int) -> Digest:
        """Return the leaf hash of the settled entry `seq`, in hex."""
        index, offset = divmod(seq, TILE_WIDTH)
        begin = offset * HASH_BYTES
        return Digest(self._tiles[_LEAVES, index][begin : begin + HASH_BYTES].hex())

    def root_at(self, size: int) -> Hash:
        """Return the root that the log had at `size`, no more than the settled leaves (RFC 6962 §2.1)."""
        reader = TileReader(size=self.size, fetch=self.tile)
        hashes: list[Hash] = []
        begin = 0
        for level in reversed(range(size.bit_length())):
            if size >> level & 1:
                hashes.append(reader.read(level, begin >> level))
                begin += 1 << level
        return fold(hashes)
