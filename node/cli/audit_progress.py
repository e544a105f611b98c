"""How far an audit has come: a bar where a person looks on, lines where a program or a file does."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from protocol.audit.log import Progress as Told

PROGRESS_ENTRIES: Final = 25_600
"""Entries after which a line says how far the audit has come."""


@contextmanager
def told_progress() -> Iterator[Told]:
    """Yield what is to be called with a log's label, the entries replayed so far and the size of the log."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _tell
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("entries"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as bar:
        yield _Bars(bar).tell


class _Bars:
    """One bar for each log."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._tasks: dict[str, TaskID] = {}

    def tell(self, label: str, done: int, size: int) -> None:
        """Move the bar of a log."""
        task = self._tasks.get(label)
        if task is None:
            task = self._tasks[label] = self._bar.add_task(label, total=size)
        self._bar.update(task, completed=done, total=size)


def _tell(label: str, done: int, size: int) -> None:
    if done == size or done % PROGRESS_ENTRIES == 0:
        sys.stderr.write(f"{label}: {done:,} of {size:,} entries replayed\n")
