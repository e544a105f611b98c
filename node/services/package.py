"""Audit packages: a log with its tiles, bundles and received messages in one file, no keys and nothing erasable.

The same log as of the same checkpoint makes the same file: names are in a fixed order and carry no time.
"""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from node.peers.log_source import PackageSource
from node.services.pages import encode_received
from node.store.reader import StoreReader
from protocol.agreement import key_of
from protocol.audit.log import Source
from protocol.audit.pages import (
    CHECKPOINT_PATH,
    LEDGER_PATH,
    PAGE_MESSAGES_MAX,
    LedgerFile,
    decode_messages_page,
    encode_ledger_file,
    messages_path,
)
from protocol.audit.tree import RecomputedTree
from protocol.checkpoint import Checkpoint, parse_checkpoint
from protocol.errors import CouldNotCheck, ProtocolError, TileInvalid
from protocol.keys import Role
from protocol.ledger.state import LEDGER, ONLY
from protocol.limits import TILE_WIDTH
from protocol.merkle import HASH_BYTES, leaf_hash
from protocol.note import Verifier, format_vkey, parse_note
from protocol.tiles import (
    BundleId,
    TileId,
    bundles_of,
    decode_bundle,
    encode_bundle,
    format_path,
    parse_path,
    tile_width,
    tiles_of,
)

_TIME: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a ZIP file can state."""

_UNIX: Final = 3
_MODE: Final = 0o644 << 16
_MESSAGES: Final = "messages/"


class StoreSource:
    """A store's log as of its last signed checkpoint, under the paths of the public log."""

    def __init__(self, reader: StoreReader) -> None:
        """Read from `reader`; raise `CouldNotCheck` while its log is empty."""
        newest, record = reader.latest_checkpoint(), reader.record(LEDGER, ONLY)
        if newest is None or record is None:
            raise CouldNotCheck("the log is empty")
        self._reader = reader
        self._newest = newest
        self._ledger = record.ledger
        self._verifier = Verifier(record.ledger, key_of(record.keys, Role.LOG))

    @property
    def label(self) -> str:
        """Return the ledger's name."""
        return self._ledger

    def fetch(self, path: str) -> bytes | None:
        """Return the file at `path`, or None if this log has none."""
        if path == CHECKPOINT_PATH:
            return self._newest.note
        if path == LEDGER_PATH:
            return encode_ledger_file(LedgerFile(ledger=self._ledger, vkey=format_vkey(self._verifier)))
        if path.startswith(_MESSAGES):
            return self._messages(path.removeprefix(_MESSAGES))
        try:
            place = parse_path(path)
        except TileInvalid:
            return None
        level = place.level if isinstance(place, TileId) else 0
        if place.width > tile_width(level=level, index=place.index, size=self._newest.size):
            return None
        if isinstance(place, BundleId):
            return encode_bundle(self._reader.entries(place.index * TILE_WIDTH, place.width))
        return self._reader.tile(place.level, place.index)[: place.width * HASH_BYTES]

    def _messages(self, page: str) -> bytes | None:
        if not page.isascii() or not page.isdigit():
            return None
        first = int(page) * PAGE_MESSAGES_MAX
        received = self._reader.messages_received(first, PAGE_MESSAGES_MAX)
        if not received:
            return None
        return encode_received(first, received)


def export(reader: StoreReader, path: Path) -> Checkpoint:
    """Write the package of the log that `reader` reads and return the checkpoint it reaches; see `write_package`."""
    return write_package(StoreSource(reader), path)


def write_package(source: Source, path: Path) -> Checkpoint:
    """Write the log at `source` to the file `path` and return the checkpoint that it reaches.

    The file is there, whole and read back, or not at all. Raises `CouldNotCheck` when the source lacks a file, when
    the files do not make the root that was signed, or when the package cannot be written.
    """
    note = _required(source, CHECKPOINT_PATH)
    try:
        checkpoint = parse_checkpoint(parse_note(note).text)
    except ProtocolError as error:
        raise CouldNotCheck(f"{source.label}: the checkpoint cannot be read: {error}") from error
    unfinished = path.with_name(f"{path.name}.part")
    try:
        with unfinished.open("wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, data in _files(source, checkpoint, note):
                    _add(archive, name, data)
            file.flush()
            os.fsync(file.fileno())
        with PackageSource(unfinished) as written:
            _check(written, note)
        unfinished.replace(path)
    except OSError as error:
        raise CouldNotCheck(f"{path} cannot be written: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return checkpoint


def _files(source: Source, checkpoint: Checkpoint, note: bytes) -> Iterator[tuple[str, bytes]]:
    yield CHECKPOINT_PATH, note
    yield LEDGER_PATH, _required(source, LEDGER_PATH)
    for tile in tiles_of(checkpoint.size):
        yield format_path(tile), _required(source, format_path(tile))
    for bundle in bundles_of(checkpoint.size):
        yield format_path(bundle), _required(source, format_path(bundle))
    page = 0
    while (data := source.fetch(messages_path(page))) is not None:
        yield messages_path(page), data
        if len(decode_messages_page(data).messages) < PAGE_MESSAGES_MAX:
            return
        page += 1


def _required(source: Source, path: str) -> bytes:
    data = source.fetch(path)
    if data is None:
        raise CouldNotCheck(f"{source.label} has no {path}")
    return data


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    member = zipfile.ZipInfo(name, date_time=_TIME)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = _MODE
    # The system that made the file would be in it, and the file another one on another system.
    member.create_system = _UNIX
    archive.writestr(member, data)


def _check(package: PackageSource, note: bytes) -> None:
    """Raise `CouldNotCheck` unless the entries in `package` make its tiles and the root that `note` states."""
    if _required(package, CHECKPOINT_PATH) != note:
        raise CouldNotCheck("the package that was written holds another checkpoint")
    checkpoint = parse_checkpoint(parse_note(note).text)
    tree = RecomputedTree()
    try:
        for bundle in bundles_of(checkpoint.size):
            for data in decode_bundle(_required(package, format_path(bundle)), width=bundle.width):
                tree.append(leaf_hash(data))
            tree.settle()
    except TileInvalid as error:
        raise CouldNotCheck(f"the log's entries cannot be read: {error}") from error
    if tree.root() != checkpoint.root:
        raise CouldNotCheck("the log's entries do not make the root that it signed: run fsck")
    for tile in tiles_of(checkpoint.size):
        if _required(package, format_path(tile)) != tree.tile(tile):
            raise CouldNotCheck(f"the {format_path(tile)} is not that of the log's entries: run fsck")
