"""The files that a writer of SQLite has open, and whether they still have their names.

A file that was removed, or that another one has replaced, takes commits as before, and nobody who comes later finds
them: SQLite asks for its file's name before it writes a rollback journal, and with a write-ahead log not at all.
"""

import os
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from node.store.errors import ForkRefused

_BESIDE: Final = ("", "-wal")


class HeldFiles:
    """The database file and its log, as they were when the writer had written to both for the first time."""

    def __init__(self, engine: Engine) -> None:
        """Look at the files of `engine`; a database on a server has none."""
        place = engine.url.database if engine.dialect.name == "sqlite" else None
        paths = [Path(f"{place}{ending}") for ending in _BESIDE] if place else []
        self._files = {path: status for path in paths if (status := _status(path)) is not None}

    def check(self) -> None:
        """Raise `ForkRefused` unless each name still leads to the file that is open."""
        for path, status in self._files.items():
            found = _status(path)
            if found is None or not os.path.samestat(found, status):
                raise ForkRefused(f"{path} is no longer the file that was opened: put it back, or stop the node")


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
