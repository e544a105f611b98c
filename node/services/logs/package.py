"""Audit packages: a log with its tiles, bundles and received messages in one file, no keys and nothing erasable.

The same log as of the same checkpoint makes the same file: names are in a fixed order and carry no time.
"""

import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from node.peers.log_source import PackageSource
from node.services.logs.log_files import LogFiles
from node.services.logs.pages import encode_received
from node.services.logs.publication import as_published
from node.store.reader import StoreReader
from node.store.rows import SignedCheckpoint
from protocol.audit.log import Source
from protocol.audit.pages import (
    CHECKPOINT_PATH,
    LEDGER_PATH,
    PAGE_MESSAGES_MAX,
    decode_messages_page,
    messages_path,
    past_folder,
)
from protocol.audit.tree import RecomputedTree, leaf_hashes
from protocol.checkpoint import Checkpoint, parse_checkpoint
from protocol.errors import CouldNotCheck, ProtocolError, TileInvalid
from protocol.identifiers import Ledger, generation_of
from protocol.ledger.state import LEDGER, ONLY
from protocol.note import parse_note
from protocol.tiles import (
    BundleId,
    TileId,
    bundles_of,
    decode_bundle,
    format_path,
    parse_path,
    tiles_of,
)

_TIME: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a ZIP file can state."""

_UNIX: Final = 3
_MODE: Final = 0o644 << 16
_MESSAGES: Final = "messages/"
_PAST: Final = re.compile(r"past/([1-9][0-9]{0,8})/(.+)", re.ASCII)


class StoreSource:
    """A store's logs as of its last signed checkpoint, under the paths of the public log."""

    def __init__(self, reader: StoreReader) -> None:
        """Read from `reader`; raise `CouldNotCheck` while its log is empty."""
        newest, record = reader.latest_checkpoint(), reader.record(LEDGER, ONLY)
        if newest is None or record is None:
            raise CouldNotCheck("the log is empty")
        self._reader = reader
        self._newest = as_published(newest, reader, ledger=record.ledger)
        self._files = LogFiles(reader, record)
        self._ledger = record.ledger

    @property
    def label(self) -> str:
        """Return the ledger's name."""
        return self._ledger

    def fetch(self, path: str) -> bytes | None:
        """Return the file at `path`, or None if this log has none."""
        if path.startswith(_MESSAGES):
            return self._messages(path.removeprefix(_MESSAGES))
        past = _PAST.match(path)
        if past is None:
            return self._log_file(path, self._newest)
        generation = int(past[1])
        checkpoint = self._reader.checkpoint_of(generation) if generation < self._newest.generation else None
        return None if checkpoint is None else self._log_file(past[2], checkpoint)

    def _log_file(self, path: str, checkpoint: SignedCheckpoint) -> bytes | None:
        if path == CHECKPOINT_PATH:
            return checkpoint.note
        if path == LEDGER_PATH:
            return self._files.ledger_file(checkpoint.generation)
        try:
            return self._files.file(parse_path(path), checkpoint)
        except TileInvalid:
            return None

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
    checkpoint = _stated(source, note)
    # A name of its own: another process may be writing the same package.
    unfinished = path.with_name(f"{path.name}.{uuid4().hex[:8]}.part")
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


@dataclass(frozen=True, slots=True)
class _Log:
    """One log of a source: the folder of its files, empty for the one that is written now, and its checkpoint."""

    folder: str
    checkpoint: Checkpoint

    def path(self, name: str | TileId | BundleId) -> str:
        """Return where a file of this log is."""
        return self.folder + (name if isinstance(name, str) else format_path(name))


def _logs(source: Source, checkpoint: Checkpoint) -> Iterator[_Log]:
    """Yield the log that is written now, and of the earlier ones those that are there, the latest first."""
    yield _Log("", checkpoint)
    for generation in range(generation_of(Ledger(checkpoint.origin)) - 1, 0, -1):
        folder = past_folder(generation)
        note = source.fetch(folder + CHECKPOINT_PATH)
        if note is not None:
            yield _Log(folder, _stated(source, note))


def _stated(source: Source, note: bytes) -> Checkpoint:
    try:
        return parse_checkpoint(parse_note(note).text)
    except ProtocolError as error:
        raise CouldNotCheck(f"{source.label}: the checkpoint cannot be read: {error}") from error


def _files(source: Source, checkpoint: Checkpoint, note: bytes) -> Iterator[tuple[str, bytes]]:
    for log in _logs(source, checkpoint):
        # The one that was asked for first is the one that all other files are read up to.
        yield log.path(CHECKPOINT_PATH), note if not log.folder else _required(source, log.path(CHECKPOINT_PATH))
        yield log.path(LEDGER_PATH), _required(source, log.path(LEDGER_PATH))
        for tile in tiles_of(log.checkpoint.size):
            yield log.path(tile), _required(source, log.path(tile))
        for bundle in bundles_of(log.checkpoint.size):
            yield log.path(bundle), _required(source, log.path(bundle))
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
    """Raise `CouldNotCheck` unless the entries in `package` make the tiles and roots that were signed, `note` last."""
    if _required(package, CHECKPOINT_PATH) != note:
        raise CouldNotCheck("the package that was written holds another checkpoint")
    for log in _logs(package, _stated(package, note)):
        _check_log(package, log)


def _check_log(package: PackageSource, log: _Log) -> None:
    tree = RecomputedTree()
    try:
        for bundle in bundles_of(log.checkpoint.size):
            tree.extend(leaf_hashes(decode_bundle(_required(package, log.path(bundle)), width=bundle.width)))
    except TileInvalid as error:
        raise CouldNotCheck(f"the log's entries cannot be read: {error}") from error
    if tree.root() != log.checkpoint.root:
        raise CouldNotCheck("the log's entries do not make the root that it signed: run fsck")
    for tile in tiles_of(log.checkpoint.size):
        if _required(package, log.path(tile)) != tree.tile(tile):
            raise CouldNotCheck(f"the {log.path(tile)} is not that of the log's entries: run fsck")
