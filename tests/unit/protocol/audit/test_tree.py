"""The recomputed tree, leaf by leaf or bundle by bundle, is that of RFC 6962."""

import pytest

from protocol.audit.tree import RecomputedTree, leaf_hashes, tile_root
from protocol.errors import TileInvalid
from protocol.merkle import leaf_hash, root_of
from protocol.tiles import TileBuilder, tiles_of

LEAVES = [leaf_hash(b"%d" % number) for number in range(256 * 3 + 5)]


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 512, len(LEAVES)])
def test_it_grows_alike_in_any_steps(size: int) -> None:
    one, many, builder = RecomputedTree(), RecomputedTree(), TileBuilder()
    for leaf in LEAVES[:size]:
        one.append(leaf)
        builder.append(leaf)
    for begin in range(0, size, 300):
        many.extend(b"".join(LEAVES[begin : min(begin + 300, size)]))
    expected = {(tile.level, tile.index): data for tile, data in builder.take_changed()}
    for tree in (one, many, RecomputedTree.of(b"".join(LEAVES[:size]))):
        assert (tree.size, tree.root()) == (size, root_of(LEAVES[:size]))
        assert {(tile.level, tile.index): tree.tile(tile) for tile in tiles_of(size)} == expected
        assert tree.last_leaves(min(size, 3)) == [tree.leaf(at) for at in range(max(0, size - 3), size)]


def test_a_full_tile_may_bring_its_root() -> None:
    tree, data = RecomputedTree(), b"".join(LEAVES[:256])
    tree.extend(data, root=tile_root(data))
    assert tree.root() == root_of(LEAVES[:256])
    assert leaf_hashes([b"0", b"1"]) == LEAVES[0] + LEAVES[1]


def test_half_a_hash_is_no_leaf() -> None:
    with pytest.raises(TileInvalid):
        RecomputedTree.of(LEAVES[0][:16])
