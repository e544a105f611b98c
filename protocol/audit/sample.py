"""A random sample of a log's entries, each proved to be in the tree that the ledger signed.

The choice follows from a seed and the log's root alone: whoever has both can draw it again, and nobody could know it
before the root was signed.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Final

import msgspec

from protocol.audit.explain import entry_lines
from protocol.audit.outcome import LogAudit
from protocol.entries import decode_entry
from protocol.errors import ProofInvalid
from protocol.identifiers import Digest
from protocol.merkle import Hash, inclusion_proof, leaf_hash, verify_inclusion
from protocol.proof import Receipt, format_receipt
from protocol.tiles import TileReader

_DOMAIN: Final = b"tallystick audit sample 1\n"
SAMPLE_MAX: Final = 10_000
"""Entries of one sample."""


class SampleRow(msgspec.Struct, frozen=True, kw_only=True):
    """An entry by its number and its place in the log, with its inclusion proof; `lines` say what is in it."""

    seq: int
    index: int
    leaf: Digest
    lines: tuple[str, ...]
    proof: tuple[Digest, ...]


def chosen(seed: str, *, root: bytes, size: int, count: int) -> list[int]:
    """Return `count` different places of a log of `size` entries, or all there are, in their order."""
    wanted, found, draw = min(count, size), set[int](), 0
    while len(found) < wanted:
        found.add(int.from_bytes(sha256(_DOMAIN + root + seed.encode() + draw.to_bytes(8)).digest()) % size)
        draw += 1
    return sorted(found)


def sample_row(audit: LogAudit, index: int, data: bytes | None) -> SampleRow:
    """Return the entry at `index` of the present log, proved; raise `ProofInvalid` where `data` is another entry."""
    replay = audit.replay
    leaf = replay.tree.leaf(index)
    if data is not None and leaf_hash(data).hex() != leaf:
        raise ProofInvalid(f"entry {replay.first_seq + index} is not the one that was verified")
    proof = _proof(audit, index)
    lines = () if data is None else tuple(entry_lines(decode_entry(data)))
    return SampleRow(seq=replay.first_seq + index, index=index, leaf=leaf, lines=lines, proof=tuple(proof))


def sample_receipt(audit: LogAudit, index: int, data: bytes) -> bytes:
    """Return the receipt of the entry at `index`: anybody can verify it with the log's key alone."""
    assert audit.note is not None, "a whole log has its checkpoint"
    tree = audit.replay.tree
    proof = inclusion_proof(index=index, size=tree.size, read=TileReader(size=tree.size, fetch=tree.tile).read)
    return format_receipt(Receipt(extra=data, index=index, proof=proof, checkpoint=audit.note))


def _proof(audit: LogAudit, index: int) -> Iterator[Digest]:
    """Yield the inclusion proof of an entry once it has been verified (RFC 6962 §2.1.1)."""
    tree = audit.replay.tree
    proof = inclusion_proof(index=index, size=tree.size, read=TileReader(size=tree.size, fetch=tree.tile).read)
    leaf = Hash(bytes.fromhex(tree.leaf(index)))
    verify_inclusion(leaf=leaf, index=index, size=tree.size, root=tree.root(), proof=proof)
    for node in proof:
        yield Digest(node.hex())
