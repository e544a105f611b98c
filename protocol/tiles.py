"""Tiles and entry bundles: how a log's tree and entries are stored and served (C2SP tlog-tiles).

A tile holds up to 256 consecutive hashes of one tree level in eight: level 0 has the leaves' hashes, and each hash at
level L + 1 is the root of a full tile at level L. What a tile holds never changes; the rightmost ones only grow.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

from protocol.errors import TileInvalid
from protocol.limits import ENTRY_BYTES_MAX, LOG_SIZE_MAX, TILE_LEVEL_MAX, TILE_WIDTH
from protocol.merkle import HASH_BYTES, CompactRange, Hash, fold, root_of

TILE_HEIGHT: Final = 8
"""Tree levels in one tile: a full tile's 256 hashes are the leaves of a subtree of this height."""

INDEX_MAX: Final = LOG_SIZE_MAX // TILE_WIDTH
_LENGTH_BYTES: Final = 2
_PATH: Final = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,4}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class TileId:
    """Which tile, and how many of its hashes: `width` is 256 for a full tile, 1 to 255 for a partial one."""

    level: int
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        """Raise `TileInvalid` for a tile that no log can have."""
        if not 0 <= self.level <= TILE_LEVEL_MAX:
            raise TileInvalid(f"tile levels are 0 to {TILE_LEVEL_MAX}")
        _require_place(self.index, self.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleId:
    """Which entry bundle, and how many of its entries: those of the level 0 tile of the same index and width."""

    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        """Raise `TileInvalid` for a bundle that no log can have."""
        _require_place(self.index, self.width)


TileFetcher = Callable[[TileId], bytes]
"""Returns the bytes of a tile, of exactly the width asked for."""


def format_path(place: TileId | BundleId) -> str:
    """Return the path under which a log serves `place`, without a leading slash (C2SP tlog-tiles, APIs)."""
    kind = str(place.level) if isinstance(place, TileId) else "entries"
    digits = str(place.index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = "/".join(["tile", kind, *(f"x{group}" for group in groups[:-1]), groups[-1]])
    return path if place.width == TILE_WIDTH else f"{path}.p/{place.width}"


def parse_path(path: str) -> TileId | BundleId:
    """Return the tile or bundle that `path` names in its one spelling, or raise `TileInvalid`."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise TileInvalid(f"{path[:80]!r} is not the path of a tile")
    kind, groups, partial = match.groups()
    index = int(groups.replace("/", "").replace("x", ""))
    width = int(partial or TILE_WIDTH)
    place: TileId | BundleId
    if kind == "entries":
        place = BundleId(index=index, width=width)
    else:
        place = TileId(level=int(kind), index=index, width=width)
    if format_path(place) != path:
        raise TileInvalid(f"{path!r} is not the one path of its tile")
    return place


def tile_width(*, level: int, index: int, size: int) -> int:
    """Return how many hashes of tile `index` at `level` a log of `size` leaves has: 0, when it has none, to 256."""
    return max(0, min(TILE_WIDTH, (size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH))


def changed_tiles(*, old_size: int, size: int) -> Iterator[TileId]:
    """Yield the tiles, as wide as they are at `size`, that a log gets by growing from `old_size` leaves to `size`."""
    level = 0
    while size > 0:
        for index, width in _changed(old_size, size):
            yield TileId(level=level, index=index, width=width)
        old_size >>= TILE_HEIGHT
        size >>= TILE_HEIGHT
        level += 1


def changed_bundles(*, old_size: int, size: int) -> Iterator[BundleId]:
    """Yield the bundles, as wide as they are at `size`, that a log gets by growing from `old_size` to `size`."""
    for index, width in _changed(old_size, size):
        yield BundleId(index=index, width=width)


def tiles_of(size: int) -> Iterator[TileId]:
    """Yield all tiles of a log of `size` leaves."""
    return changed_tiles(old_size=0, size=size)


def bundles_of(size: int) -> Iterator[BundleId]:
    """Yield all entry bundles of a log of `size` leaves."""
    return changed_bundles(old_size=0, size=size)


def encode_tile(hashes: Iterable[Hash]) -> bytes:
    """Return the bytes of a tile that holds `hashes`."""
    return b"".join(hashes)


def decode_tile(data: bytes, *, width: int) -> tuple[Hash, ...]:
    """Return the `width` hashes that a tile holds, or raise `TileInvalid`."""
    if len(data) != width * HASH_BYTES:
        raise TileInvalid(f"a tile of {width} hashes is not {len(data)} bytes long")
    return tuple(Hash(data[at : at + HASH_BYTES]) for at in range(0, len(data), HASH_BYTES))


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Return the bundle of 1 to 256 `entries`, each after its length as a big-endian uint16, or raise `TileInvalid`."""
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise TileInvalid(f"a bundle has 1 to {TILE_WIDTH} entries, not {len(entries)}")
    if any(len(entry) > ENTRY_BYTES_MAX for entry in entries):
        raise TileInvalid(f"an entry is longer than {ENTRY_BYTES_MAX} bytes")
    return b"".join(len(entry).to_bytes(_LENGTH_BYTES) + entry for entry in entries)


def decode_bundle(data: bytes, *, width: int) -> tuple[bytes, ...]:
    """Return the `width` entries of a bundle, or raise `TileInvalid`."""
    entries: list[bytes] = []
    position = 0
    while position < len(data) and len(entries) < width:
        begin = position + _LENGTH_BYTES
        position = begin + int.from_bytes(data[position:begin])
        entries.append(data[begin:position])
    if position != len(data) or len(entries) != width:
        raise TileInvalid(f"the bytes are not a bundle of {width} entries")
    return tuple(entries)


class TileReader:
    """Reads nodes of a log of `size` leaves out of its tiles; each tile is fetched once, so use one a request."""

    __slots__ = ("_fetch", "_size", "_tiles")

    def __init__(self, *, size: int, fetch: TileFetcher) -> None:
        """Read from the tiles that `fetch` returns."""
        self._size = size
        self._fetch = fetch
        self._tiles: dict[tuple[int, int], tuple[Hash, ...]] = {}

    def read(self, level: int, index: int) -> Hash:
        """Return the root of a perfect subtree, as a `NodeReader`, or raise `TileInvalid` when the tile is wrong."""
        tile_level, height = divmod(level, TILE_HEIGHT)
        tile_index, offset = divmod(index << height, TILE_WIDTH)
        hashes = self._tile(tile_level, tile_index)[offset : offset + (1 << height)]
        if len(hashes) != 1 << height:
            raise TileInvalid(f"a log of {self._size} leaves has no node {index} at level {level}")
        return root_of(hashes)

    def _tile(self, level: int, index: int) -> tuple[Hash, ...]:
        hashes = self._tiles.get((level, index))
        if hashes is None:
            width = tile_width(level=level, index=index, size=self._size)
            data = self._fetch(TileId(level=level, index=index, width=width)) if width else b""
            hashes = self._tiles[level, index] = decode_tile(data, width=width)
        return hashes


class TileBuilder:
    """Grows a log's tree leaf by leaf and gives out the tiles that changed."""

    __slots__ = ("_full", "_open", "_size", "_taken_size")

    def __init__(self) -> None:
        """Start with the empty log."""
        self._size = 0
        self._taken_size = 0
        self._full: dict[tuple[int, int], bytes] = {}
        self._open: list[_OpenTile] = []

    @classmethod
    def resume(cls, *, size: int, fetch: TileFetcher) -> Self:
        """Continue a log of `size` leaves from its rightmost tiles, or raise `TileInvalid` when one is wrong."""
        builder = cls()
        builder._size = builder._taken_size = size
        count = size
        while count > 0:
            level, (index, width) = len(builder._open), divmod(count, TILE_WIDTH)
            data = fetch(TileId(level=level, index=index, width=width)) if width else b""
            builder._open.append(_OpenTile(index, decode_tile(data, width=width)))
            count = index
        return builder

    @property
    def size(self) -> int:
        """Return the number of leaves."""
        return self._size

    def root(self) -> Hash:
        """Return the root of the whole tree."""
        return fold([each for tile in reversed(self._open) for each in tile.range.hashes])

    def append(self, leaf: Hash) -> None:
        """Add `leaf`, a leaf's hash, at the right."""
        self._size += 1
        node: Hash | None = leaf
        level = 0
        while node is not None:
            node = self._push(level, node)
            level += 1

    def take_changed(self) -> list[tuple[TileId, bytes]]:
        """Return the tiles that changed since this was last called, each as wide as it is now, with its bytes."""
        changed = [(tile, self._bytes_of(tile)) for tile in changed_tiles(old_size=self._taken_size, size=self._size)]
        self._taken_size = self._size
        self._full.clear()
        return changed

    def _push(self, level: int, node: Hash) -> Hash | None:
        """Add `node` to the open tile of `level` and return the tile's root when that fills it."""
        if level == len(self._open):
            self._open.append(_OpenTile(0, ()))
        tile = self._open[level]
        tile.append(node)
        if tile.range.size < TILE_WIDTH:
            return None
        self._full[level, tile.index] = bytes(tile.data)
        self._open[level] = _OpenTile(tile.index + 1, ())
        return tile.range.root()

    def _bytes_of(self, tile: TileId) -> bytes:
        full = self._full.get((tile.level, tile.index))
        return bytes(self._open[tile.level].data) if full is None else full


class _OpenTile:
    """The rightmost tile of a level, not yet full: its bytes, and the compact range over its hashes."""

    __slots__ = ("data", "index", "range")

    def __init__(self, index: int, hashes: Iterable[Hash]) -> None:
        self.index = index
        self.data = bytearray()
        self.range = CompactRange()
        for each in hashes:
            self.append(each)

    def append(self, node: Hash) -> None:
        self.data += node
        self.range.append(node)


def _changed(old_count: int, count: int) -> Iterator[tuple[int, int]]:
    """Yield index and width of the tiles that hold the hashes from `old_count` to `count` of one level."""
    for begin in range(old_count - old_count % TILE_WIDTH, count if count > old_count else 0, TILE_WIDTH):
        yield begin // TILE_WIDTH, min(TILE_WIDTH, count - begin)


def _require_place(index: int, width: int) -> None:
    if not 0 <= index <= INDEX_MAX:
        raise TileInvalid(f"tile indexes are 0 to {INDEX_MAX}")
    if not 1 <= width <= TILE_WIDTH:
        raise TileInvalid(f"tile widths are 1 to {TILE_WIDTH}")
