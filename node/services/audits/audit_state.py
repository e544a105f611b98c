"""What an auditor remembers from one audit to the next, in its own directory: checkpoints, and states to go on from.

A checkpoint is kept once its whole log held; a ledger can never take it back. A state spares the next audit what
was verified; it is derived, and whoever loses it reads the log again. Every file is replaced in one durable step.
"""

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from protocol.audit.kept import LogState, StateInvalid, decode_state, encode_state
from protocol.checkpoint import Checkpoint, parse_checkpoint
from protocol.errors import CouldNotCheck, ProtocolError
from protocol.identifiers import first_of, parse_ledger
from protocol.note import parse_note

NOTE_SUFFIX: Final = ".checkpoint"
STATE_SUFFIX: Final = ".state"
_HINT: Final = "--fresh reads the logs from their first entries, and keeps the checkpoints"


class AuditState:
    """An auditor's directory, made when there is something to remember."""

    def __init__(self, directory: Path, *, fresh: bool = False) -> None:
        """Remember in `directory`; with `fresh`, go on from no state that is there."""
        self.directory = directory
        self._fresh = fresh

    def checkpoints(self) -> Iterator[Checkpoint]:
        """Yield what is remembered; raise `CouldNotCheck` when it cannot be read."""
        try:
            for note in self.notes():
                yield parse_checkpoint(parse_note(note).text)
        except ProtocolError as error:
            raise CouldNotCheck(f"{self.directory}: a checkpoint that was seen before cannot be read") from error

    def notes(self) -> Iterator[bytes]:
        """Yield the signed notes that are remembered; raise `CouldNotCheck` when one cannot be read."""
        try:
            for path in sorted(self.directory.glob(f"*{NOTE_SUFFIX}")):
                yield path.read_bytes()
        except OSError as error:
            raise CouldNotCheck(f"{self.directory}: a checkpoint that was seen before cannot be read") from error

    def remember(self, checkpoint: Checkpoint, note: bytes) -> None:
        """Keep a checkpoint that held unless a larger one of its log is kept."""
        if any(kept.origin == checkpoint.origin and kept.size > checkpoint.size for kept in self.checkpoints()):
            return
        self._write(self._path(checkpoint.origin, NOTE_SUFFIX), note)

    def find(self, checkpoint: Checkpoint) -> LogState | None:
        """Return what was verified of the ledger whose log has `checkpoint`, or None; raise `StateInvalid`."""
        try:
            ledger = first_of(parse_ledger(checkpoint.origin))
        except ProtocolError:
            return None  # The audit says what is wrong with the name.
        path = self._path(ledger, STATE_SUFFIX)
        return None if self._fresh or not path.exists() else self._read(path)

    def states(self) -> Iterator[LogState]:
        """Yield what was verified of each ledger, or raise `StateInvalid`."""
        for path in sorted(self.directory.glob(f"*{STATE_SUFFIX}")):
            yield self._read(path)

    def keep(self, state: LogState) -> None:
        """Keep what was verified of a ledger, in the place of what was before."""
        record = state.replay.ledger
        assert record is not None, "a verified log has its genesis"
        self._write(self._path(record.ledger, STATE_SUFFIX), encode_state(state))

    def _path(self, name: str, suffix: str) -> Path:
        return self.directory / (sha256(name.encode()).hexdigest() + suffix)

    def _read(self, path: Path) -> LogState:
        try:
            state = decode_state(path.read_bytes())
        except StateInvalid as error:
            raise StateInvalid(f"{path}: {error}; {_HINT}") from error
        except OSError as error:
            raise StateInvalid(f"{path} cannot be read: {error.strerror}; {_HINT}") from error
        record = state.replay.ledger
        if record is None or self._path(record.ledger, STATE_SUFFIX) != path:
            raise StateInvalid(f"{path}: it is of another ledger than its name says; {_HINT}")
        return state

    def _write(self, path: Path, data: bytes) -> None:
        beside = path.with_name(path.name + ".new")
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            self._sync()
        except OSError as error:
            raise CouldNotCheck(f"{path} cannot be written: {error.strerror}") from error

    def _sync(self) -> None:
        """Make the new name of a file as durable as its content."""
        if os.name == "nt":
            return  # Windows opens no directories.
        descriptor = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
