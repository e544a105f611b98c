"""The state file: the newest checkpoint of this node outside of its database.

A database that was restored from an old copy would sign a second history. The file lies beside it, so a copy of the
database alone brings none, and the node writes nothing to its log while it is behind.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from node.services.logs.log import LogService
from protocol.errors import TallystickError

INTERVAL_SECONDS: Final = 1.0


class StateFileInvalid(TallystickError):
    """The state file cannot be read or written."""

    code = "state_file_invalid"


class KeepState:
    """Writes the newest checkpoint's note when it has changed, unless the store is known to be an old copy."""

    def __init__(self, log: LogService, path: Path, *, holds: Callable[[], bool] = lambda: True) -> None:
        """Write to `path` while the store `holds` all that was signed."""
        self._log = log
        self._holds = holds
        self._path = path
        self._number = -1

    def step(self) -> None:
        """Write the newest checkpoint unless that or a later one is there; raise `StateFileInvalid` when it cannot."""
        if not self._holds():
            # What the file says is what shows that the store is behind.
            return
        newest = self._log.newest()
        # A server may answer that has taken another one's place without its last commits.
        if newest.number > self._number:
            write_state(self._path, newest.note)
            self._number = newest.number


def write_state(path: Path, note: bytes) -> None:
    """Replace the state file in one step, so that it is never half written."""
    data = json.dumps({"v": 1, "checkpoint": note.decode()}, ensure_ascii=False).encode() + b"\n"
    beside = path.with_suffix(".new")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        # A bare write may take a part alone, and say so only by its count.
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
        beside.replace(path)
    except OSError as error:
        raise StateFileInvalid(f"{path} cannot be written: {error}") from error


def read_state(path: Path) -> bytes | None:
    """Return the note that the state file keeps, or None where there is no file; raise `StateFileInvalid`."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return str(kept["checkpoint"]).encode()
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StateFileInvalid(f"{path} cannot be read: {error}") from error
