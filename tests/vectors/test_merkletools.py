"""merkletools, made to hash as RFC 6962 does, as an oracle that shares no code with ours.

Its trees have the shape of RFC 6962; with SHA-256(0x01 || x) for nodes and leaves hashed beforehand the roots and the
inclusion paths are equal. It has no consistency proofs.
"""

from collections.abc import Sequence
from hashlib import sha256

import pytest
from merkletools import MerkleTools

from protocol.merkle import Hash, MemoryTree, root_of
from tests.support.rfc6962 import leaves

LEAVES = leaves(300)


class NodeDigest:
    """What merkletools asks of a hash function: an object with a digest."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def digest(self) -> bytes:
        return sha256(b"\x01" + self._data).digest()


def oracle(nodes: Sequence[Hash]) -> MerkleTools:
    tree = MerkleTools(hash_type="sha256")
    tree.hash_function = NodeDigest
    tree.add_leaf([leaf.hex() for leaf in nodes], do_hash=False)
    tree.make_tree()
    return tree


@pytest.mark.parametrize("size", range(1, 301))
def test_roots_and_paths_equal_the_oracle(size: int) -> None:
    expected = oracle(LEAVES[:size])
    ours = MemoryTree(LEAVES[:size])
    assert ours.root().hex() == root_of(LEAVES[:size]).hex() == expected.get_merkle_root()
    for index in range(size):
        path = [next(iter(step.values())) for step in expected.get_proof(index)]
        assert [node.hex() for node in ours.inclusion_proof(index)] == path
