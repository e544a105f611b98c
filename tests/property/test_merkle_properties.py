from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ProofInvalid
from protocol.limits import LOG_SIZE_MAX
from protocol.merkle import (
    CompactRange,
    Hash,
    MemoryTree,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from protocol.tiles import TileBuilder, TileReader, tiles_of
from tests.support import rfc6962

ANY_HASH = st.binary(max_size=40).map(Hash)
REAL_HASH = st.binary(min_size=32, max_size=32).map(Hash)
ANY_NUMBER = st.integers(min_value=-2, max_value=2**70) | st.integers(min_value=-2, max_value=600)
LEAVES = st.lists(st.binary(max_size=8).map(leaf_hash), max_size=600)


@given(leaves=LEAVES)
def test_every_way_to_a_root_agrees(leaves: list[Hash]) -> None:
    builder = TileBuilder()
    for leaf in leaves:
        builder.append(leaf)
    roots = {root_of(leaves), MemoryTree(leaves).root(), builder.root(), rfc6962.tree_root(leaves)}
    assert len(roots) == 1


@given(leaves=LEAVES.filter(bool), data=st.data())
def test_proofs_out_of_tiles_hold(leaves: list[Hash], data: st.DataObject) -> None:
    builder = TileBuilder()
    for leaf in leaves:
        builder.append(leaf)
    tiles = dict(builder.take_changed())
    assert list(tiles) == list(tiles_of(len(leaves)))
    read = TileReader(size=len(leaves), fetch=tiles.__getitem__).read
    index = data.draw(st.integers(min_value=0, max_value=len(leaves) - 1))
    path = inclusion_proof(index=index, size=len(leaves), read=read)
    verify_inclusion(leaf=leaves[index], index=index, size=len(leaves), root=builder.root(), proof=path)
    proof = consistency_proof(old_size=index + 1, size=len(leaves), read=read)
    verify_consistency(
        old_size=index + 1,
        size=len(leaves),
        old_root=root_of(leaves[: index + 1]),
        root=builder.root(),
        proof=proof,
    )


@given(leaf=ANY_HASH, index=ANY_NUMBER, size=ANY_NUMBER, root=ANY_HASH, proof=st.lists(ANY_HASH, max_size=70))
def test_no_made_up_path_is_accepted_or_breaks(
    *, leaf: Hash, index: int, size: int, root: Hash, proof: list[Hash]
) -> None:
    accepted = accepts(lambda: verify_inclusion(leaf=leaf, index=index, size=size, root=root, proof=proof))
    assert accepted == ((index, size, proof) == (0, 1, []) and leaf == root and len(leaf) == 32)


@given(old_size=ANY_NUMBER, size=ANY_NUMBER, old_root=ANY_HASH, root=ANY_HASH, proof=st.lists(ANY_HASH, max_size=70))
def test_no_made_up_consistency_is_accepted_or_breaks(
    *, old_size: int, size: int, old_root: Hash, root: Hash, proof: list[Hash]
) -> None:
    accepted = accepts(
        lambda: verify_consistency(old_size=old_size, size=size, old_root=old_root, root=root, proof=proof)
    )
    assert accepted == (0 < old_size == size <= LOG_SIZE_MAX and old_root == root and not proof)


@given(size=ANY_NUMBER, hashes=st.lists(REAL_HASH, max_size=12))
def test_any_frontier_is_a_range_or_refused(size: int, hashes: list[Hash]) -> None:
    fits = 0 <= size <= LOG_SIZE_MAX and size.bit_count() == len(hashes)
    assert accepts(lambda: CompactRange(size=size, hashes=hashes)) == fits


def accepts(check: Callable[[], object]) -> bool:
    try:
        check()
    except ProofInvalid:
        return False
    return True
