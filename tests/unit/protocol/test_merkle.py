import sys
from collections.abc import Iterator, Sequence

import pytest

from protocol.errors import ProofInvalid
from protocol.limits import LOG_SIZE_MAX
from protocol.merkle import (
    EMPTY_ROOT,
    CompactRange,
    Hash,
    MemoryTree,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    path_of,
    paths_of,
    root_at,
    root_of,
    shown_root,
    verify_consistency,
    verify_inclusion,
)
from tests.support import rfc6962
from tests.support.rfc6962 import flip, leaves

LEAVES = leaves(100)
TREE = MemoryTree(LEAVES)
ROOTS = [rfc6962.tree_root(LEAVES[:size]) for size in range(101)]
HASH_BITS = 256


def damaged(proof: Sequence[Hash]) -> Iterator[list[Hash]]:
    """Yield `proof` with each bit of each of its hashes flipped, one at a time."""
    for position, each in enumerate(proof):
        for bit in range(HASH_BITS):
            copy = list(proof)
            copy[position] = Hash(flip(each, bit))
            yield copy


def reshaped(proof: Sequence[Hash]) -> Iterator[list[Hash]]:
    """Yield what a proof is not: cut, extended, turned round, or with a hash of another length."""
    extra = leaf_hash(b"extra")
    yield [*proof, extra]
    yield [extra, *proof]
    yield [*proof, Hash(b"")]
    if proof:
        yield list(proof[1:])
        yield list(proof[:-1])
        yield [*proof, proof[-1]]
        yield [Hash(proof[0][:-1]), *proof[1:]]
        yield [Hash(proof[0] + b"\0"), *proof[1:]]
    if len(proof) > 1:
        yield list(reversed(proof))


def included(size: int, index: int) -> tuple[Hash, ...]:
    return inclusion_proof(index=index, size=size, read=TREE.read)


def consistent(old_size: int, size: int) -> tuple[Hash, ...]:
    return consistency_proof(old_size=old_size, size=size, read=TREE.read)


def test_hashes_of_nothing_and_of_one_leaf_are_those_of_the_rfc() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert root_of([leaf_hash(b"")]) == leaf_hash(b"")
    assert root_of([]) == EMPTY_ROOT


def test_a_leaf_never_hashes_as_a_node() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != node_hash(left, right)


def test_the_range_has_the_root_of_the_rfc_at_every_size() -> None:
    tree = CompactRange()
    for size, leaf in enumerate(LEAVES):
        assert (tree.size, tree.root()) == (size, ROOTS[size])
        assert len(tree.hashes) == size.bit_count()
        tree.append(leaf)
    assert tree.root() == TREE.root() == ROOTS[100]


def test_a_stored_range_goes_on_where_it_stopped() -> None:
    for size in range(100):
        tree = CompactRange()
        for leaf in LEAVES[:size]:
            tree.append(leaf)
        again = CompactRange(size=tree.size, hashes=tree.hashes)
        copy = again.copy()
        for leaf in LEAVES[size:]:
            again.append(leaf)
        assert again.root() == ROOTS[100]
        assert copy.root() == ROOTS[size]


@pytest.mark.parametrize(
    ("size", "hashes"),
    [
        (1, ()),
        (2, LEAVES[:2]),
        (3, LEAVES[:1]),
        (0, LEAVES[:1]),
        (-1, LEAVES[:1]),
        (1, (Hash(b"short"),)),
        (LOG_SIZE_MAX + 1, LEAVES[:1]),
    ],
)
def test_a_range_refuses_hashes_that_do_not_fit_its_size(size: int, hashes: Sequence[Hash]) -> None:
    with pytest.raises(ProofInvalid):
        CompactRange(size=size, hashes=hashes)


@pytest.mark.parametrize("size", range(1, 101))
def test_every_path_is_that_of_the_rfc_and_holds(size: int) -> None:
    for index in range(size):
        proof = included(size, index)
        assert list(proof) == rfc6962.path(index, LEAVES[:size])
        verify_inclusion(leaf=LEAVES[index], index=index, size=size, root=ROOTS[size], proof=proof)


@pytest.mark.parametrize("size", range(1, 101))
def test_every_consistency_proof_is_that_of_the_rfc_and_holds(size: int) -> None:
    for old_size in range(1, size + 1):
        proof = consistent(old_size, size)
        assert list(proof) == rfc6962.proof(old_size, LEAVES[:size])
        verify_consistency(old_size=old_size, size=size, old_root=ROOTS[old_size], root=ROOTS[size], proof=proof)


def test_a_small_tree_proves_its_own_leaves_and_prefixes() -> None:
    tree = MemoryTree(LEAVES[:7])
    assert tree.inclusion_proof(4) == path_of(LEAVES[:7], 4) == included(7, 4)
    assert tree.consistency_proof(3) == consistent(3, 7)
    assert MemoryTree([]).root() == EMPTY_ROOT


@pytest.fixture
def _untraced() -> Iterator[None]:
    """Leave millions of verifications out of the coverage, which other tests give: they would take most of its time."""
    tracer = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(tracer)


@pytest.mark.usefixtures("_untraced")
@pytest.mark.parametrize("size", range(1, 101))
def test_no_path_survives_a_flipped_bit(size: int) -> None:
    for index in range(size):
        for wrong in damaged(included(size, index)):
            assert not accepts_inclusion(LEAVES[index], index, size, wrong)


@pytest.mark.usefixtures("_untraced")
@pytest.mark.parametrize("size", range(1, 101))
def test_no_consistency_proof_survives_a_flipped_bit(size: int) -> None:
    for old_size in range(1, size):
        for wrong in damaged(consistent(old_size, size)):
            assert not accepts_consistency(old_size, size, wrong)


def test_no_path_survives_a_change_of_shape() -> None:
    for size in range(1, 101):
        for index in range(size):
            for wrong in reshaped(included(size, index)):
                assert not accepts_inclusion(LEAVES[index], index, size, wrong)


def test_no_consistency_proof_survives_a_change_of_shape() -> None:
    for size in range(1, 101):
        for old_size in range(1, size + 1):
            for wrong in reshaped(consistent(old_size, size)):
                assert not accepts_consistency(old_size, size, wrong)


def test_a_path_holds_for_its_own_index_and_leaf_alone() -> None:
    for size in range(1, 41):
        for index in range(size):
            proof = included(size, index)
            for other in range(-1, size + 2):
                assert accepts_inclusion(LEAVES[index], other, size, proof) == (other == index)
            assert not accepts_inclusion(leaf_hash(b"other"), index, size, proof)
            assert not accepts_inclusion(Hash(b"short"), index, size, proof)


def test_a_path_holds_for_its_own_size_and_root_alone() -> None:
    for size in range(1, 41):
        for index in range(size):
            proof = included(size, index)
            for other in range(1, 44):
                right = other == size
                assert accepts_inclusion(LEAVES[index], index, other, proof) == right
                assert accepts_inclusion(LEAVES[index], index, size, proof, root=ROOTS[other]) == right


def test_a_consistency_proof_holds_for_its_own_sizes_and_roots_alone() -> None:
    for size in range(1, 41):
        for old_size in range(1, size + 1):
            proof = consistent(old_size, size)
            for other in range(-1, 44):
                assert accepts_consistency(other, size, proof) == (other == old_size)
                assert accepts_consistency(old_size, other, proof) == (other == size)
            if old_size < size:
                assert not accepts_consistency(old_size, size, proof, roots=(ROOTS[size], ROOTS[old_size]))
                assert not accepts_consistency(old_size, size, proof, roots=(ROOTS[size], ROOTS[size]))
                assert not accepts_consistency(old_size, size, proof, roots=(Hash(b"x"), Hash(b"x")))


def test_the_border_between_two_hashes_cannot_be_moved() -> None:
    # The same 64 bytes are hashed, but cut elsewhere: a leaf or a root that nobody ever logged.
    longer, shorter = Hash(LEAVES[0] + LEAVES[1][:1]), Hash(LEAVES[1][1:])
    assert not accepts_inclusion(longer, 0, 2, [shorter])
    assert not accepts_consistency(1, 2, [shorter], roots=(longer, ROOTS[2]))


def test_equal_sizes_need_equal_roots() -> None:
    assert accepts_consistency(5, 5, [])
    assert not accepts_consistency(5, 5, [], roots=(ROOTS[5], ROOTS[6]))


def test_the_empty_tree_proves_nothing() -> None:
    for size in range(5):
        assert not accepts_consistency(0, size, [])
        with pytest.raises(ProofInvalid):
            consistent(0, size)
    assert not accepts_inclusion(LEAVES[0], 0, 0, [])


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0), (0, LOG_SIZE_MAX + 1)])
def test_no_path_is_made_for_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ProofInvalid):
        included(size, index)


@pytest.mark.parametrize(("old_size", "size"), [(0, 0), (-1, 3), (4, 3), (1, LOG_SIZE_MAX + 1)])
def test_no_consistency_proof_is_made_for_impossible_sizes(old_size: int, size: int) -> None:
    with pytest.raises(ProofInvalid):
        consistent(old_size, size)


def test_proofs_of_a_huge_tree_take_few_reads() -> None:
    reads: list[tuple[int, int]] = []

    def read(level: int, index: int) -> Hash:
        reads.append((level, index))
        return leaf_hash(b"%d %d" % (level, index))

    size = LOG_SIZE_MAX
    inclusion_proof(index=12_345_678_901, size=size, read=read)
    consistency_proof(old_size=12_345_678_901, size=size, read=read)
    assert len(reads) <= 4 * size.bit_length()
    assert all((index + 1) << level <= size for level, index in reads)


def accepts_inclusion(leaf: Hash, index: int, size: int, proof: Sequence[Hash], *, root: Hash | None = None) -> bool:
    root = ROOTS[size] if root is None else root
    try:
        verify_inclusion(leaf=leaf, index=index, size=size, root=root, proof=proof)
    except ProofInvalid:
        return False
    return True


def accepts_consistency(
    old_size: int, size: int, proof: Sequence[Hash], *, roots: tuple[Hash, Hash] | None = None
) -> bool:
    old_root, root = roots or (ROOTS[old_size], ROOTS[size])
    try:
        verify_consistency(old_size=old_size, size=size, old_root=old_root, root=root, proof=proof)
    except ProofInvalid:
        return False
    return True


@pytest.mark.parametrize("size", range(1, 20))
def test_a_proof_shows_the_smaller_root_unless_that_is_left_to_who_knows_it(size: int) -> None:
    tree = MemoryTree(leaves(size))
    for old_size in range(1, size + 1):
        proof = tree.consistency_proof(old_size)
        if old_size.bit_count() == 1 or old_size == size:
            with pytest.raises(ProofInvalid):
                shown_root(old_size=old_size, size=size, root=tree.root(), proof=proof)
            continue
        shown = shown_root(old_size=old_size, size=size, root=tree.root(), proof=proof)
        assert shown == MemoryTree(leaves(old_size)).root()
        for wrong in ((), proof[:-1], (*proof, proof[0]), (*proof[:-1], Hash(flip(proof[-1], 7)))):
            with pytest.raises(ProofInvalid):
                shown_root(old_size=old_size, size=size, root=tree.root(), proof=wrong)


@pytest.mark.parametrize("size", range(10))
def test_a_larger_tree_has_the_root_of_each_smaller_one(size: int) -> None:
    assert root_at(size, MemoryTree(leaves(9)).read) == MemoryTree(leaves(size)).root()


@pytest.mark.parametrize("size", range(18))
def test_all_paths_at_once_are_those_of_each_leaf(size: int) -> None:
    leaves = [leaf_hash(bytes([place])) for place in range(size)]
    assert paths_of(leaves) == [path_of(leaves, place) for place in range(size)]
