"""The tree of a log as the auditor computes it anew from the entries: leaves, tiles, and the root at any size."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final, Self

from protocol.errors import TileInvalid
from protocol.identifiers import Digest
from protocol.limits import TILE_WIDTH
from protocol.merkle import HASH_BYTES, Hash, fold
from protocol.tiles import TileId, TileReader

_LEAVES: Final = 0
_TILE_BYTES: Final = TILE_WIDTH * HASH_BYTES


def leaf_hashes(entries: Sequence[bytes]) -> bytes:
    """Return the leaf hashes of `entries`, one after the other (RFC 6962 §2.1)."""
    return b"".join([sha256(b"\x00" + data).digest() for data in entries])


def texts_of(hashes: bytes) -> list[Digest]:
    """Return `hashes`, which come one after the other, each in hex."""
    digits = hashes.hex()
    return [Digest(digits[at : at + 2 * HASH_BYTES]) for at in range(0, len(digits), 2 * HASH_BYTES)]


def tile_root(hashes: bytes) -> bytes:
    """Return the root over the hashes of a full tile, which come one after the other (RFC 6962 §2.1)."""
    while len(hashes) > HASH_BYTES:
        # A whole level at a time: a call for each node is most of what a node costs.
        pairs = range(0, len(hashes), 2 * HASH_BYTES)
        hashes = b"".join([sha256(b"\x01" + hashes[at : at + 2 * HASH_BYTES]).digest() for at in pairs])
    return hashes


class RecomputedTree:
    """A whole tree in 32 bytes a leaf: what the rules keep for an entry is several times as much."""

    __slots__ = ("_levels",)

    def __init__(self) -> None:
        """Start with the empty log."""
        self._levels = [bytearray()]

    @classmethod
    def of(cls, leaves: bytes) -> Self:
        """Return the tree over `leaves`, their hashes one after the other, or raise `TileInvalid`."""
        if len(leaves) % HASH_BYTES:
            raise TileInvalid(f"{len(leaves)} bytes are no row of hashes")
        tree = cls()
        tree.extend(leaves)
        return tree

    def leaves(self) -> bytes:
        """Return the hashes of all leaves, one after the other."""
        return bytes(self._levels[_LEAVES])

    @property
    def size(self) -> int:
        """Return the number of leaves."""
        return len(self._levels[_LEAVES]) // HASH_BYTES

    def append(self, leaf: Hash) -> None:
        """Add a leaf's hash at the right."""
        self.extend(leaf)

    def extend(self, leaves: bytes, *, root: bytes | None = None) -> None:
        """Add leaves' hashes, one after the other, at the right; `root` is theirs if they are a tile, where known."""
        self._extend(_LEAVES, leaves, root)

    def _extend(self, level: int, hashes: bytes, root: bytes | None) -> None:
        if level == len(self._levels):
            self._levels.append(bytearray())
        row = self._levels[level]
        full = len(row) // _TILE_BYTES
        row += hashes
        if full < len(row) // _TILE_BYTES:
            if root is None:
                ends = range((full + 1) * _TILE_BYTES, len(row) + 1, _TILE_BYTES)
                root = b"".join(tile_root(bytes(row[end - _TILE_BYTES : end])) for end in ends)
            self._extend(level + 1, root, None)

    def root(self) -> Hash:
        """Return the root over all leaves."""
        return self.root_at(self.size)

    def tile(self, tile: TileId) -> bytes:
        """Return the bytes of a tile of this tree."""
        begin = tile.index * _TILE_BYTES
        return bytes(self._levels[tile.level][begin : begin + tile.width * HASH_BYTES])

    def leaf(self, seq: int) -> Digest:
        """Return the leaf hash of the entry `seq`, in hex."""
        begin = seq * HASH_BYTES
        return Digest(self._levels[_LEAVES][begin : begin + HASH_BYTES].hex())

    def last_leaves(self, count: int) -> list[Digest]:
        """Return the last `count` leaf hashes, in hex."""
        return texts_of(bytes(self._levels[_LEAVES][-count * HASH_BYTES :])) if count else []

    def root_at(self, size: int) -> Hash:
        """Return the root that the log had at `size`, no more than its leaves (RFC 6962 §2.1)."""
        reader = TileReader(size=self.size, fetch=self.tile)
        hashes: list[Hash] = []
        begin = 0
        for level in reversed(range(size.bit_length())):
            if size >> level & 1:
                hashes.append(reader.read(level, begin >> level))
                begin += 1 << level
        return fold(hashes)
