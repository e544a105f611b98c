"""Who of several processes answers at the address that they share while another one writes.

The one that writes has enough to do. It leaves the address to the others as long as one of them is there, and answers
by itself again as soon as none is: each holds a shared lock on one file, which its process's end ends, too.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path


def file_name(host: str, port: int) -> str:
    """Return the name of the file for an address: processes at another one do not answer there."""
    return f"answering-{host}-{port}.lock"


class Presence:
    """One process's place among those that answer; nothing here ever waits."""

    def __init__(self, directory: Path, *, host: str, port: int) -> None:
        """Open the file in the node's `directory`, or raise `OSError`."""
        self._file = os.open(directory / file_name(host, port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def enter(self) -> None:
        """Answer from now on; at the next call where another process is just looking."""
        with suppress(BlockingIOError):
            fcntl.flock(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def leave(self) -> None:
        """Answer no longer beside one that writes: be the one that does."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def others_answer(self) -> bool:
        """Return whether any other process does, for one that has left."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(self._file, fcntl.LOCK_UN)
        return False

    def close(self) -> None:
        """Be gone."""
        os.close(self._file)
