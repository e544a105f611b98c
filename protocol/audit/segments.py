"""Segments of a log: all that can be checked of a bundle apart from the others, here or in another process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from protocol.audit.days import DayBook, DaySums
from protocol.audit.tree import leaf_hashes, tile_root
from protocol.entries import AnyEntry, decode_entry, decode_known_entry
from protocol.identifiers import Asset
from protocol.limits import TILE_WIDTH

ReadEntry: TypeAlias = Callable[[bytes], AnyEntry]
"""Returns the entry in some bytes, or raises `EntryInvalid`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """The next entries of a log with the hashes of their leaves, one after the other, and the root of a full tile.

    `read` reads one of the entries. Where all of them were read before, `sums` is what they post.
    """

    entries: Sequence[bytes]
    leaves: bytes
    root: bytes | None = None
    read: ReadEntry = decode_entry
    sums: DaySums | None = None


def segment_of(entries: Sequence[bytes]) -> Segment:
    """Return `entries` with their hashes, none of them read yet."""
    return Segment(entries=entries, leaves=leaf_hashes(entries))


def checked_segment(entries: Sequence[bytes], *, points: Asset) -> Segment:
    """Return `entries` of a log of `points`, each of them read, or raise `EntryInvalid`."""
    days = DayBook()
    days.passed([decode_entry(data) for data in entries], points=points)
    leaves = leaf_hashes(entries)
    root = tile_root(leaves) if len(entries) == TILE_WIDTH else None
    return Segment(entries=entries, leaves=leaves, root=root, read=decode_known_entry, sums=days.sums())
