from collections.abc import Callable

import pytest

from protocol.errors import ProtocolError, TileInvalid
from protocol.limits import ENTRY_BYTES_MAX
from protocol.merkle import (
    Hash,
    MemoryTree,
    consistency_proof,
    inclusion_proof,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from protocol.tiles import (
    INDEX_MAX,
    BundleId,
    TileBuilder,
    TileId,
    TileReader,
    bundles_of,
    changed_bundles,
    changed_tiles,
    decode_bundle,
    decode_tile,
    encode_bundle,
    encode_tile,
    format_path,
    parse_path,
    tile_width,
    tiles_of,
)
from tests.support.rfc6962 import leaves

COUNT = 66_000
LEAVES = leaves(COUNT)
EDGES = [0, 1, 2, 3, 255, 256, 257, 511, 512, 513, 1000]

PATHS = [
    ("tile/0/000", TileId(level=0, index=0)),
    ("tile/0/005", TileId(level=0, index=5)),
    ("tile/0/x001/x234/067", TileId(level=0, index=1_234_067)),
    ("tile/0/x001/x234/067.p/5", TileId(level=0, index=1_234_067, width=5)),
    ("tile/2/999.p/255", TileId(level=2, index=999, width=255)),
    ("tile/1/x001/000.p/1", TileId(level=1, index=1000, width=1)),
    ("tile/63/000.p/1", TileId(level=63, index=0, width=1)),
    ("tile/entries/000", BundleId(index=0)),
    ("tile/entries/x001/x234/067.p/10", BundleId(index=1_234_067, width=10)),
    ("tile/0/x035/x184/x372/x088/831", TileId(level=0, index=INDEX_MAX)),
]

MALFORMED_PATHS = [
    "",
    "tile",
    "tile/0",
    "tile/0/",
    "/tile/0/000",
    "tile/0/000/",
    "tile/0/000\n",
    "tile/0/0",
    "tile/0/0000",
    "tile/00/000",
    "tile/64/000",
    "tile/-1/000",
    "tile/+1/000",
    "tile/1e1/000",
    "tile/entry/000",
    "tile/0/x000/005",
    "tile/0/001/x000",
    "tile/0/x001",
    "tile/0/x1/000",
    "tile/0/X001/000",
    "tile/0/000.p",
    "tile/0/000.p/",
    "tile/0/000.p/0",
    "tile/0/000.p/01",
    "tile/0/000.p/256",
    "tile/0/000.p/999",
    "tile/0/000.p/1/2",
    "tile/0/\u0660\u0660\u0660",
    "tile/\uff10/000",
    "tile/0/x035/x184/x372/x088/832",
    "tile/0/x001/x000/x000/x000/x000/000",
]


@pytest.mark.parametrize(("path", "place"), PATHS)
def test_a_place_has_one_path(path: str, place: TileId | BundleId) -> None:
    assert format_path(place) == path
    assert parse_path(path) == place


@pytest.mark.parametrize("path", MALFORMED_PATHS)
def test_another_spelling_of_a_path_is_refused(path: str) -> None:
    with pytest.raises(TileInvalid):
        parse_path(path)


@pytest.mark.parametrize(
    "make",
    [
        lambda: TileId(level=-1, index=0),
        lambda: TileId(level=64, index=0),
        lambda: TileId(level=0, index=-1),
        lambda: TileId(level=0, index=INDEX_MAX + 1),
        lambda: TileId(level=0, index=0, width=0),
        lambda: TileId(level=0, index=0, width=257),
        lambda: BundleId(index=-1),
        lambda: BundleId(index=0, width=0),
    ],
)
def test_a_place_that_no_log_has_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(TileInvalid):
        make()


def test_the_example_of_the_specification() -> None:
    tiles = list(tiles_of(70_000))
    partial = [tile for tile in tiles if tile.width < 256]
    assert [sum(tile.level == level for tile in tiles) for level in range(4)] == [274, 2, 1, 0]
    assert partial == [
        TileId(level=0, index=273, width=112),
        TileId(level=1, index=1, width=17),
        TileId(level=2, index=0, width=1),
    ]
    assert list(tiles_of(256)) == [TileId(level=0, index=0), TileId(level=1, index=0, width=1)]


def test_growing_changes_the_tiles_that_differ() -> None:
    for old_size in EDGES:
        for size in EDGES:
            changed = set(changed_tiles(old_size=old_size, size=size))
            grown = set(tiles_of(size)) - set(tiles_of(old_size)) if size > old_size else set()
            assert changed == grown
            bundles = {BundleId(index=tile.index, width=tile.width) for tile in changed if tile.level == 0}
            assert set(changed_bundles(old_size=old_size, size=size)) == bundles
    assert list(bundles_of(257)) == [BundleId(index=0), BundleId(index=1, width=1)]


def test_the_width_of_a_tile_at_a_size() -> None:
    for size in EDGES:
        widths = {(tile.level, tile.index): tile.width for tile in tiles_of(size)}
        for level in range(4):
            for index in range(6):
                assert tile_width(level=level, index=index, size=size) == widths.get((level, index), 0)


def test_tiles_hold_the_roots_of_perfect_subtrees() -> None:
    store = built(COUNT)
    tree = MemoryTree(LEAVES)
    assert set(store) == {(tile.level, tile.index) for tile in tiles_of(COUNT)}
    for (level, index), data in store.items():
        hashes = decode_tile(data, width=len(data) // 32)
        assert list(hashes) == [tree.read(8 * level, 256 * index + at) for at in range(len(hashes))]
        assert encode_tile(hashes) == data


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 513, 65_535, 65_536, 65_537, COUNT])
def test_proofs_come_from_tiles(size: int) -> None:
    store = built(COUNT)
    fetched: list[TileId] = []

    def fetch(tile: TileId) -> bytes:
        fetched.append(tile)
        assert tile.width == tile_width(level=tile.level, index=tile.index, size=size)
        return store[tile.level, tile.index][: tile.width * 32]

    root = root_of(LEAVES[:size])
    for index in {0, size // 3, size - 1}:
        fetched.clear()
        path = inclusion_proof(index=index, size=size, read=TileReader(size=size, fetch=fetch).read)
        verify_inclusion(leaf=LEAVES[index], index=index, size=size, root=root, proof=path)
        assert len(fetched) == len(set(fetched)) <= 6
        old_size, old_root = index + 1, root_of(LEAVES[: index + 1])
        proof = consistency_proof(old_size=old_size, size=size, read=TileReader(size=size, fetch=fetch).read)
        verify_consistency(old_size=old_size, size=size, old_root=old_root, root=root, proof=proof)


def test_a_node_beyond_the_log_is_refused() -> None:
    store = built(300)
    reader = TileReader(size=300, fetch=lambda tile: store[tile.level, tile.index])
    assert reader.read(2, 74) == root_of(LEAVES[296:300])
    for level, index in [(0, 300), (2, 75), (8, 1), (9, 0), (600, 0), (0, 2**60)]:
        with pytest.raises(TileInvalid):
            reader.read(level, index)


def test_a_tile_of_another_length_is_refused() -> None:
    for data in (b"", bytes(31), bytes(33), bytes(64)):
        reader = TileReader(size=1, fetch=lambda _, data=data: data)  # type: ignore[misc]
        with pytest.raises(TileInvalid):
            reader.read(0, 0)


def test_a_builder_gives_out_what_changed() -> None:
    builder = TileBuilder()
    store: dict[tuple[int, int], bytes] = {}
    for size in EDGES:
        old_size = builder.size
        for leaf in LEAVES[old_size:size]:
            builder.append(leaf)
        changed = builder.take_changed()
        assert [tile for tile, _ in changed] == list(changed_tiles(old_size=old_size, size=size))
        assert all(len(data) == tile.width * 32 for tile, data in changed)
        store.update({(tile.level, tile.index): data for tile, data in changed})
        assert builder.root() == root_of(LEAVES[:size])
        assert builder.take_changed() == []
    assert store == built(EDGES[-1])


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65_535, 65_536, 65_537])
def test_a_builder_resumes_from_the_rightmost_tiles(size: int) -> None:
    whole, before = built(COUNT), built(size)
    builder = TileBuilder.resume(size=size, fetch=lambda tile: before[tile.level, tile.index])
    assert (builder.size, builder.root()) == (size, root_of(LEAVES[:size]))
    for leaf in LEAVES[size:]:
        builder.append(leaf)
    assert builder.root() == root_of(LEAVES)
    before.update({(tile.level, tile.index): data for tile, data in builder.take_changed()})
    assert before == whole


def test_a_builder_refuses_a_tile_that_is_too_short() -> None:
    with pytest.raises(TileInvalid):
        TileBuilder.resume(size=3, fetch=lambda _: bytes(64))


@pytest.mark.parametrize(
    ("entries", "data"),
    [
        ([b""], "0000"),
        ([b"one", b"two"], "00036f6e65000374776f"),
        ([b"", b"a", b""], "00000001610000"),
    ],
)
def test_a_bundle_is_entries_after_their_lengths(entries: list[bytes], data: str) -> None:
    assert encode_bundle(entries).hex() == data
    assert list(decode_bundle(bytes.fromhex(data), width=len(entries))) == entries


def test_a_bundle_holds_the_longest_entry() -> None:
    entry = bytes(ENTRY_BYTES_MAX)
    assert decode_bundle(encode_bundle([entry] * 256), width=256) == (entry,) * 256


@pytest.mark.parametrize("entries", [[], [b"x"] * 257, [bytes(ENTRY_BYTES_MAX + 1)]])
def test_what_is_no_bundle_is_not_encoded(entries: list[bytes]) -> None:
    with pytest.raises(TileInvalid):
        encode_bundle(entries)


@pytest.mark.parametrize(
    ("data", "width"),
    [
        ("", 1),
        ("00", 1),
        ("0001", 1),
        ("000261", 1),
        ("000161", 2),
        ("000161000162", 1),
        ("00016100", 1),
        ("00016100", 2),
    ],
)
def test_a_malformed_bundle_is_refused(data: str, width: int) -> None:
    with pytest.raises(ProtocolError) as refusal:
        decode_bundle(bytes.fromhex(data), width=width)
    assert refusal.value.code == "tile_invalid"


def built(size: int) -> dict[tuple[int, int], bytes]:
    """Return the tiles of the first `size` leaves, by level and index."""
    builder = TileBuilder()
    for leaf in LEAVES[:size]:
        builder.append(leaf)
    return {(tile.level, tile.index): data for tile, data in builder.take_changed()}


def test_a_tile_of_no_hashes_is_empty() -> None:
    assert decode_tile(b"", width=0) == ()
    assert encode_tile([Hash(bytes(32))]) == bytes(32)
