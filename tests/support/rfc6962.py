"""RFC 6962 §2.1 written down as the RFC writes it: recursive and slow, to hold against what is iterative and fast."""

from collections.abc import Sequence
from hashlib import sha256

from protocol.merkle import Hash, leaf_hash


def leaves(count: int) -> list[Hash]:
    """Return the hashes of `count` distinct leaves."""
    return [leaf_hash(b"leaf %d" % number) for number in range(count)]


def tree_root(nodes: Sequence[Hash]) -> Hash:
    """Return MTH over leaves' hashes (RFC 6962 §2.1)."""
    if not nodes:
        return Hash(sha256(b"").digest())
    if len(nodes) == 1:
        return nodes[0]
    split = split_point(len(nodes))
    return Hash(sha256(b"\x01" + tree_root(nodes[:split]) + tree_root(nodes[split:])).digest())


def path(index: int, nodes: Sequence[Hash]) -> list[Hash]:
    """Return PATH (RFC 6962 §2.1.1)."""
    if len(nodes) == 1:
        return []
    split = split_point(len(nodes))
    if index < split:
        return [*path(index, nodes[:split]), tree_root(nodes[split:])]
    return [*path(index - split, nodes[split:]), tree_root(nodes[:split])]


def proof(old_size: int, nodes: Sequence[Hash]) -> list[Hash]:
    """Return PROOF (RFC 6962 §2.1.2)."""
    return _subproof(old_size, nodes, whole=True)


def _subproof(old_size: int, nodes: Sequence[Hash], *, whole: bool) -> list[Hash]:
    if old_size == len(nodes):
        return [] if whole else [tree_root(nodes)]
    split = split_point(len(nodes))
    if old_size <= split:
        return [*_subproof(old_size, nodes[:split], whole=whole), tree_root(nodes[split:])]
    return [*_subproof(old_size - split, nodes[split:], whole=False), tree_root(nodes[:split])]


def split_point(count: int) -> int:
    """Return the largest power of two below `count`."""
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def flip(data: bytes, bit: int) -> bytes:
    """Return `data` with one bit changed."""
    return (int.from_bytes(data) ^ (1 << bit)).to_bytes(len(data))
