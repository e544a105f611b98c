"""Output that nobody reads any more, as behind `| head`: a command ends then, without a word."""

import os
import select
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Final

UNREAD: Final = 141
"""The exit status of a command whose reader has gone, as shells tell it of one that the lost pipe has ended."""

_OUTPUTS: Final = (1, 2)
"""The descriptors of standard output and standard error."""


def give_outputs() -> None:
    """Give a process that was started with a closed output one that leads nowhere: what it does is not undone by it.

    A character that the output cannot show, as in a file name that is not UTF-8, is escaped for the same reason.
    """
    for name in ("stdout", "stderr"):
        output = getattr(sys, name)
        if output is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open to the end
        elif isinstance(output, TextIOWrapper):
            output.reconfigure(errors="backslashreplace")


def while_read(act: Callable[[], int]) -> int:
    """Return what `act` returns; or 141, without a word, where nobody reads any more what it prints."""
    try:
        status = act()
        sys.stdout.flush()
    except BrokenPipeError:
        lost = unread_outputs()
        if not lost:
            raise
        # What waits to be printed would be printed when the interpreter ends, which complains where it cannot.
        with Path(os.devnull).open("wb") as nowhere:
            for output in lost:
                os.dup2(nowhere.fileno(), output)
        return UNREAD
    return status


def unread_outputs() -> Sequence[int]:
    """Return which of the outputs nobody reads any more: a connection that breaks is something else."""
    poll = select.poll()
    for output in _OUTPUTS:
        poll.register(output, 0)
    return [output for output, event in poll.poll(0) if event & (select.POLLERR | select.POLLHUP)]
