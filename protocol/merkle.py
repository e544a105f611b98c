"""The Merkle tree of RFC 6962: hashes, an append-only frontier, and proofs that a stranger can check.

A proof is made from any function that returns the root of a perfect subtree, so that it can come from tiles, from a
database or from memory in O(log n) reads. Verifiers bind a proof to an index and to sizes, and refuse the empty tree.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final, NewType, Self

from protocol.errors import ProofInvalid
from protocol.limits import LOG_SIZE_MAX

Hash = NewType("Hash", bytes)
"""A SHA-256 digest of a leaf or a node, as 32 bytes."""

NodeReader = Callable[[int, int], Hash]
"""`read(level, index)`: the root of the perfect subtree over leaves [index × 2^level, (index + 1) × 2^level)."""

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = Hash(sha256(b"").digest())
"""The root of the tree without leaves (RFC 6962 §2.1)."""


def leaf_hash(data: bytes) -> Hash:
    """Return the hash of a leaf that holds `data` (RFC 6962 §2.1)."""
    return sha256(b"\x00" + data).digest()  # type: ignore[return-value]  # as in `node_hash`


def node_hash(left: Hash, right: Hash) -> Hash:
    """Return the hash of the node above `left` and `right` (RFC 6962 §2.1)."""
    # To call the name of the type would cost a fifth of the hash, for every entry and every node of a log.
    return sha256(b"\x01" + left + right).digest()  # type: ignore[return-value]


class CompactRange:
    """A tree reduced to the roots of its perfect subtrees, largest first: all that appending needs."""

    __slots__ = ("_hashes", "_size")

    def __init__(self, *, size: int = 0, hashes: Sequence[Hash] = ()) -> None:
        """Start from a stored `size` and `hashes`, or raise `ProofInvalid` when the two cannot belong together."""
        if not 0 <= size <= LOG_SIZE_MAX or len(hashes) != size.bit_count():
            raise ProofInvalid(f"{len(hashes)} hashes are not the frontier of a tree of {size} leaves")
        _require_hashes(*hashes)
        self._size = size
        self._hashes: list[Hash] = list(hashes)

    @property
    def size(self) -> int:
        """Return the number of leaves."""
        return self._size

    @property
    def hashes(self) -> tuple[Hash, ...]:
        """Return the roots of the perfect subtrees, largest first: one for each bit set in `size`."""
        return tuple(self._hashes)

    def append(self, leaf: Hash) -> None:
        """Add `leaf`, a leaf's hash, at the right; amortised one hash operation."""
        hashes = self._hashes
        node: bytes = leaf
        size = self._size
        self._size = size + 1
        while size & 1:
            node = sha256(b"\x01" + hashes.pop() + node).digest()
            size >>= 1
        hashes.append(node)  # type: ignore[arg-type]  # as in `node_hash`

    def root(self) -> Hash:
        """Return the root of the whole tree."""
        return fold(self.hashes)

    def copy(self) -> Self:
        """Return an independent range with the same leaves."""
        return type(self)(size=self._size, hashes=self.hashes)


def fold(hashes: Sequence[Hash]) -> Hash:
    """Return the root above perfect subtrees given largest first, or `EMPTY_ROOT` when there are none."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def root_of(leaves: Iterable[Hash]) -> Hash:
    """Return the root of the tree over `leaves`, which are leaves' hashes."""
    tree = CompactRange()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def root_at(size: int, read: NodeReader) -> Hash:
    """Return the root over the first `size` leaves of a tree that `read` reads."""
    return _range_root(0, size, read)


def path_of(leaves: Sequence[Hash], index: int) -> tuple[Hash, ...]:
    """Return the path of leaf `index` in the tree over `leaves`, or raise `ProofInvalid` when there is none."""
    return MemoryTree(leaves).inclusion_proof(index)


def paths_of(leaves: Sequence[Hash]) -> list[tuple[Hash, ...]]:
    """Return what `path_of` returns for each leaf, in their order, each inner node hashed once."""
    return _paths(leaves, 0, len(leaves))[1] if leaves else []


def _paths(leaves: Sequence[Hash], begin: int, end: int) -> tuple[Hash, list[tuple[Hash, ...]]]:
    if end - begin == 1:
        return leaves[begin], [()]
    split = begin + _left_width(end - begin)
    left, before = _paths(leaves, begin, split)
    right, after = _paths(leaves, split, end)
    paths = [*((*path, right) for path in before), *((*path, left) for path in after)]
    return node_hash(left, right), paths


def inclusion_proof(*, index: int, size: int, read: NodeReader) -> tuple[Hash, ...]:
    """Return the path that places leaf `index` in the tree of `size` leaves, from the leaf up (RFC 6962 §2.1.1).

    Raises `ProofInvalid` when that tree has no such leaf.
    """
    _require_leaf(index, size)
    begin, end = 0, size
    path = []
    while end - begin > 1:
        split = begin + _left_width(end - begin)
        if index < split:
            path.append(_range_root(split, end, read))
            end = split
        else:
            path.append(_range_root(begin, split, read))
            begin = split
    return tuple(reversed(path))


def consistency_proof(*, old_size: int, size: int, read: NodeReader) -> tuple[Hash, ...]:
    """Return the proof that the tree of `size` leaves extends that of `old_size` (RFC 6962 §2.1.2).

    Raises `ProofInvalid` unless 0 < `old_size` ≤ `size`: every tree extends the empty one, so nothing proves it.
    """
    _require_sizes(old_size, size)
    begin, end = 0, size
    path = []
    while end != old_size:
        split = begin + _left_width(end - begin)
        if old_size <= split:
            path.append(_range_root(split, end, read))
            end = split
        else:
            path.append(_range_root(begin, split, read))
            begin = split
    if begin > 0:
        path.append(_range_root(begin, end, read))
    return tuple(reversed(path))


def verify_inclusion(*, leaf: Hash, index: int, size: int, root: Hash, proof: Sequence[Hash]) -> None:
    """Raise `ProofInvalid` unless `proof` places `leaf` at `index` in the tree of `size` leaves under `root`.

    Accepts exactly what the algorithm of RFC 9162 §2.1.3.2 accepts for a proof of RFC 6962 §2.1.1.
    """
    _require_leaf(index, size)
    inner = _inner_length(index, size)
    if len(proof) != inner + (index >> inner).bit_count():
        raise ProofInvalid(f"{len(proof)} hashes are not a path to leaf {index} of {size}")
    _require_hashes(leaf, root, *proof)
    node = leaf
    for level, sibling in enumerate(proof):
        # Above `inner` the path runs along the right edge of the tree, where every sibling lies on the left.
        on_left = level >= inner or (index >> level) & 1
        node = node_hash(sibling, node) if on_left else node_hash(node, sibling)
    if node != root:
        raise ProofInvalid(f"the path does not lead from leaf {index} to the root of {size} leaves")


def verify_consistency(*, old_size: int, size: int, old_root: Hash, root: Hash, proof: Sequence[Hash]) -> None:
    """Raise `ProofInvalid` unless `proof` shows that the tree under `root` extends the one under `old_root`.

    Accepts exactly what the algorithm of RFC 9162 §2.1.4.2 accepts. An `old_size` of 0 is refused, since it proves
    nothing: whoever follows a log from its start must say so before calling this.
    """
    _require_sizes(old_size, size)
    if old_size == size:
        if proof or old_root != root:
            raise ProofInvalid(f"two trees of {size} leaves differ, or carry a proof that none needs")
        return
    _require_hashes(old_root, root, *proof)
    if not proof:
        raise ProofInvalid(f"a proof from {old_size} to {size} leaves is not empty")
    # The proof starts at the last perfect subtree of the old tree; a verifier knows it when it is the whole old tree.
    start, path = (old_root, proof) if old_size.bit_count() == 1 else (proof[0], proof[1:])
    if _roots_above(start, path, old_size=old_size, size=size) != (old_root, root):
        raise ProofInvalid(f"the proof does not join the roots of {old_size} and {size} leaves")


def shown_root(*, old_size: int, size: int, root: Hash, proof: Sequence[Hash]) -> Hash:
    """Return the root that the first `old_size` leaves of the tree under `root` have, as `proof` shows it.

    Raises `ProofInvalid` when it shows none: what does not lead to `root`, and any proof of an `old_size` that is a
    power of two, which leaves that root to who knows it (RFC 6962 §2.1.2).
    """
    _require_sizes(old_size, size)
    _require_hashes(root, *proof)
    if not proof or old_size.bit_count() == 1 or old_size == size:
        raise ProofInvalid(f"a proof from {old_size} to {size} leaves does not show the root of the smaller tree")
    old_root, shown = _roots_above(proof[0], proof[1:], old_size=old_size, size=size)
    if shown != root:
        raise ProofInvalid(f"the proof does not lead to the root of {size} leaves")
    return old_root


class MemoryTree:
    """A whole tree in memory, for small ones: an envelope's frames, a bundle, a test."""

    __slots__ = ("_levels",)

    def __init__(self, leaves: Iterable[Hash]) -> None:
        """Build every perfect subtree over `leaves`, which are leaves' hashes."""
        level = list(leaves)
        self._levels = [level]
        while len(level) > 1:
            level = [node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
            self._levels.append(level)

    @property
    def size(self) -> int:
        """Return the number of leaves."""
        return len(self._levels[0])

    def read(self, level: int, index: int) -> Hash:
        """Return the root of a perfect subtree, as a `NodeReader` does."""
        return self._levels[level][index]

    def root(self) -> Hash:
        """Return the root of the whole tree."""
        return _range_root(0, self.size, self.read) if self.size else EMPTY_ROOT

    def inclusion_proof(self, index: int) -> tuple[Hash, ...]:
        """Return the path of leaf `index` in the whole tree, or raise `ProofInvalid` when there is none."""
        return inclusion_proof(index=index, size=self.size, read=self.read)

    def consistency_proof(self, old_size: int) -> tuple[Hash, ...]:
        """Return the proof that the whole tree extends its first `old_size` leaves, or raise `ProofInvalid`."""
        return consistency_proof(old_size=old_size, size=self.size, read=self.read)


def _left_width(count: int) -> int:
    """Return the largest power of two below `count`: where RFC 6962 splits a tree."""
    return 1 << ((count - 1).bit_length() - 1)


def _trailing_zeros(number: int) -> int:
    return (number & -number).bit_length() - 1


def _inner_length(index: int, size: int) -> int:
    """Return how many levels leaf `index` climbs before its path joins the path of the last leaf."""
    return (index ^ (size - 1)).bit_length()


def _roots_above(start: Hash, path: Sequence[Hash], *, old_size: int, size: int) -> tuple[Hash, Hash]:
    """Return the roots of `old_size` and of `size` leaves above `start`, the last perfect subtree of the smaller tree.

    Raises `ProofInvalid` when `path` does not have as many hashes as lie beside that way.
    """
    shift = _trailing_zeros(old_size)
    index = (old_size - 1) >> shift
    inner = _inner_length(index, ((size - 1) >> shift) + 1)
    if len(path) != inner + (index >> inner).bit_count():
        raise ProofInvalid(f"{len(path)} hashes are not the way from {old_size} to {size} leaves")
    old_node = node = start
    for level, sibling in enumerate(path):
        if level >= inner or (index >> level) & 1:
            old_node = node_hash(sibling, old_node)
            node = node_hash(sibling, node)
        else:
            node = node_hash(node, sibling)
    return old_node, node


def _range_root(begin: int, end: int, read: NodeReader) -> Hash:
    """Return the root over leaves [begin, end), where `begin` is where a split of the tree puts it."""
    hashes = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        hashes.append(read(level, begin >> level))
        begin += 1 << level
    return fold(hashes)


def _require_leaf(index: int, size: int) -> None:
    if not 0 <= index < size <= LOG_SIZE_MAX:
        raise ProofInvalid(f"a tree of {size} leaves has no leaf {index}")


def _require_sizes(old_size: int, size: int) -> None:
    if not 0 < old_size <= size <= LOG_SIZE_MAX:
        raise ProofInvalid(f"no proof leads from {old_size} to {size} leaves")


def _require_hashes(*hashes: Hash) -> None:
    if any(len(each) != HASH_BYTES for each in hashes):
        raise ProofInvalid(f"a hash is not {HASH_BYTES} bytes long")
