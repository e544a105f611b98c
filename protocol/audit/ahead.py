"""Segments that other processes read ahead, and how they are handed over (specs/audit.md §3).

What a helper hands over is sound; of whatever is not, it says nothing but that. The one process that judges then reads
it again by itself, so that an audit finds the same in the same words, however many processes have read.
"""

from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import Final, Protocol

import msgspec

from protocol.agreement import RoleKey
from protocol.audit.days import DaySums
from protocol.audit.framed import check_page
from protocol.audit.pages import PAGE_MESSAGES_MAX, decode_messages_page, messages_path
from protocol.audit.segments import Owner, Read, Segment, checked_segment
from protocol.entries import AnyEntry
from protocol.errors import CouldNotCheck, ProtocolError
from protocol.identifiers import Ledger
from protocol.tiles import BundleId, TileId, changed_bundles, decode_bundle, format_path


class Source(Protocol):
    """Where the files of one log are kept: a node, or an audit package."""

    @property
    def label(self) -> str:
        """Return how a person would name the place."""

    def fetch(self, path: str) -> bytes | None:
        """Return the file at `path`, or None if there is none; raise `CouldNotCheck` if that cannot be known."""


class Stretch(msgspec.Struct, frozen=True, kw_only=True, tag="entries"):
    """What is to be read ahead: the bundles from `first` on of the log in `folder`, which has `size` entries.

    Of `parts` helpers each reads every `parts`th bundle, from the one that stands at its `part` on.
    """

    folder: str
    first: int
    size: int
    owner: Owner
    part: int = 0
    parts: int = 1

    def bundles(self) -> Iterator[BundleId]:
        """Yield the bundles of this part."""
        for bundle in changed_bundles(old_size=0, size=self.size):
            if bundle.index >= self.first and (bundle.index - self.first) % self.parts == self.part:
                yield bundle


class Pages(msgspec.Struct, frozen=True, kw_only=True, tag="messages"):
    """Which received messages are to be read ahead: from the page `first` on, by partners who have these `keys`."""

    first: int
    keys: dict[Ledger, tuple[RoleKey, ...]]


class Ahead(Protocol):
    """Other processes that read one log ahead of the one that judges it."""

    def begin(self, stretch: Stretch) -> Generator[Segment | None, None, None] | None:
        """Return the segments of `stretch` in their order, None for one that is not sound; or None, if not now.

        Asking for the next one raises `CouldNotCheck` where a process has ended before its time.
        """

    def pages(self, pages: Pages) -> Generator[bytes, None, None] | None:
        """Return pages in their order up to one that is short, not sound or not there; or None, if nobody is ready.

        Asking for the next one raises `CouldNotCheck` as above.
        """


class _HandedOver(msgspec.Struct, frozen=True, array_like=True):
    entries: bytes
    leaves: bytes
    root: bytes | None
    sums: DaySums


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_HandedOver)
# Fields stand in the order in which their kind declares them, its name first: all are read in two thirds of the time.
_ENTRIES_ENCODER: Final = msgspec.json.Encoder()
_ENTRIES_DECODER: Final = msgspec.json.Decoder(list[AnyEntry])


def read_ahead(source: Source, stretch: Stretch) -> Iterator[bytes | None]:
    """Yield each bundle of `stretch` as it is handed over, or None where it is not sound or cannot be read."""
    for bundle in stretch.bundles():
        try:
            yield _handed_over(source, stretch, bundle)
        except (ProtocolError, CouldNotCheck):
            yield None


def read_pages(source: Source, pages: Pages) -> Iterator[bytes | None]:
    """Yield each page that is signed as it should be, up to one that is short; then None."""
    number = pages.first
    with suppress(ProtocolError, CouldNotCheck, KeyError):
        while (data := source.fetch(messages_path(number))) is not None:
            page = decode_messages_page(data)
            check_page(page, pages.keys)
            yield data
            number += 1
            if len(page.messages) < PAGE_MESSAGES_MAX:
                break
    yield None


def _handed_over(source: Source, stretch: Stretch, bundle: BundleId) -> bytes | None:
    data = source.fetch(stretch.folder + format_path(bundle))
    if data is None:
        return None
    segment = checked_segment(decode_bundle(data, width=bundle.width), owner=stretch.owner)
    tile = source.fetch(stretch.folder + format_path(TileId(level=0, index=bundle.index, width=bundle.width)))
    if tile != segment.leaves:
        return None
    assert segment.read is not None, "a segment that was looked at was read"
    entries = _ENTRIES_ENCODER.encode(segment.read.entries)
    return _ENCODER.encode(_HandedOver(entries, segment.leaves, segment.root, segment.read.sums))


def taken_over(data: bytes) -> Segment:
    """Return the segment that a helper has handed over."""
    found = _DECODER.decode(data)
    read = Read(entries=_ENTRIES_DECODER.decode(found.entries), sums=found.sums)
    return Segment(entries=(), leaves=found.leaves, root=found.root, read=read)
