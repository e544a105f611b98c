"""SQLite's write-ahead log, copied into the database file beside the commits instead of inside one of them.

By itself SQLite copies the log's pages inside the commit that makes it too long, which waits for thousands of writes
and two flushes. Here a thread with a connection of its own copies them while commits go on; only what they have added
meanwhile is copied while none is being written, so that the next one begins the log anew. Nothing depends on the
thread: what it does not copy stays in the log, until SQLite copies it inside a commit.
"""

import sqlite3
import struct
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Final, cast

from sqlalchemy import Engine

from node.store.errors import StoreFailed, translated

COPIED_PAGES: Final = 8_000
"""With so many pages in the log they are copied: 32 MB."""

BACKSTOP_PAGES: Final = 32_000
"""With so many a commit copies them as SQLite does by itself: 128 MB, which the log reaches where the thread fails."""

_RETRY_PAGES: Final = 1_000
"""What was not copied, for a reader still needs what it hides, is tried again when the log has grown by so many."""

_FEW_PAGES: Final = 200
"""So many are copied while no commit is being written: some milliseconds."""

_ROUNDS_MAX: Final = 3
_COMMIT_PAGES: Final = 8
"""What a commit changes beside its rows' own pages, about."""

_PASSIVE: Final = "PRAGMA wal_checkpoint(PASSIVE)"

# The log's header and that of each frame, as SQLite's file format describes them: https://sqlite.org/fileformat2.html
_HEADER: Final = struct.Struct(">I4xI4x8s8x")
_MAGIC: Final = (0x377F0682, 0x377F0683)
_FRAME: Final = struct.Struct(">8x8s8x")


class LogEmptier:
    """Copies the log of one database beside the commits of its writer, from its making to `close`."""

    def __init__(self, engine: Engine) -> None:
        """Start the thread, or raise a `StoreFailed` where the database cannot be opened."""
        self.gap: Final = Lock()
        self._path = Path(f"{engine.url.database}-wal")
        self._written = 0
        self._mark = COPIED_PAGES
        self._wanted = 0
        self._woken = Event()
        self._closing = False
        with translated():
            self._connection = engine.raw_connection()
        self._thread = Thread(target=self._run, name="log-emptier", daemon=True)
        self._thread.start()

    def written(self, rows: int) -> None:
        """Take note of a commit that wrote so many rows, each on a page of its own at most."""
        self._written += rows + _COMMIT_PAGES
        if self._written >= self._wanted:
            self._woken.set()

    def close(self) -> None:
        """End the thread, after what it is copying."""
        self._closing = True
        self._woken.set()
        self._thread.join()
        with suppress(StoreFailed), translated():
            self._connection.close()

    def _run(self) -> None:
        while not self._closing:
            self._woken.wait()
            self._look()
            self._woken.clear()

    def _look(self) -> None:
        """Copy the log where it is long enough, and say after how many more pages it wants to be looked at again."""
        self._written = 0
        pages = log_pages(self._path)
        if pages < COPIED_PAGES:
            self._mark = COPIED_PAGES
        elif pages >= self._mark and not self._closing:
            with suppress(sqlite3.Error):
                pages = self._copy()
            self._mark = pages + _RETRY_PAGES if pages else COPIED_PAGES
        self._wanted = self._mark - pages

    def _copy(self) -> int:
        """Copy what can be copied; return the pages of a log that cannot begin anew, or 0."""
        pages = 0
        for _ in range(_ROUNDS_MAX):
            before = pages
            pages, _ = self._checkpoint()
            if pages - before <= _FEW_PAGES:
                break
        with self.gap:
            pages, copied = self._checkpoint()
        return 0 if copied == pages else pages

    def _checkpoint(self) -> tuple[int, int]:
        """Copy what no reader needs to be hidden; return how many pages the log has, and how many are copied."""
        cursor = self._connection.cursor()
        try:
            cursor.execute(_PASSIVE)
            ((_, pages, copied),) = cast("list[tuple[int, int, int]]", cursor.fetchall())
        finally:
            cursor.close()
        return pages, copied


def log_pages(path: Path) -> int:
    """Return how many pages the log at `path` has since it was last begun anew, or 0 where it cannot be read.

    Frames that are left over from before have another salt than the header.
    """
    try:
        with path.open("rb", buffering=0) as file:
            magic, page_bytes, salt = _HEADER.unpack(file.read(_HEADER.size))
            if magic not in _MAGIC:
                return 0
            frame_bytes = _FRAME.size + page_bytes
            low, high = 0, (path.stat().st_size - _HEADER.size) // frame_bytes
            while low < high:
                middle = (low + high) // 2
                file.seek(_HEADER.size + middle * frame_bytes)
                if _FRAME.unpack(file.read(_FRAME.size))[0] == salt:
                    low = middle + 1
                else:
                    high = middle
            return low
    except (OSError, struct.error):
        return 0
