"""Private files that are there whole or not at all, also after a crash."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PRIVATE_FILE: Final = 0o600
PRIVATE_DIRECTORY: Final = 0o700


def make_private_directory(path: Path) -> None:
    """Make the directory, or take it back from others if it exists."""
    path.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    path.chmod(PRIVATE_DIRECTORY)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, durably and in one step."""
    beside = path.with_name(path.name + ".new")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE_FILE)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    rename_durably(beside, path)


def rename_durably(path: Path, to: Path) -> None:
    """Give a file its name, so that a crash afterwards does not take it back."""
    path.replace(to)
    flush(to.parent)


@contextmanager
def alone(path: Path, busy: Exception) -> Iterator[None]:
    """Hold the lock file at `path`, or raise `busy` while another process does; its death frees it."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it removes the file at the end: what was opened before may be none any more.
            if not os.path.samestat(os.fstat(handle), path.stat()):
                raise busy
        except (BlockingIOError, FileNotFoundError) as error:
            raise busy from error
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(handle)


def flush(path: Path) -> None:
    """Return once a file, or the names in a directory, are on the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
