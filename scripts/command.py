"""How scripts behave as commands: the numbers that they take, and how they end where something fails."""

import argparse
import os
import select
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from protocol.errors import TallystickError
from scripts.alliance.process import AllianceFailed

INTERRUPTED: Final = 130
"""The exit status of a command that was interrupted, as shells tell it."""

UNREAD: Final = 141
"""The exit status of a command whose reader has gone, as shells tell it of one that the lost pipe has ended."""

_OUTPUTS: Final = (1, 2)
"""The descriptors of standard output and standard error."""


def positive(text: str) -> int:
    """Return a number from 1 on, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("a number from 1 on is expected")
    return number


def exit_status(name: str, act: Callable[[], int]) -> int:
    """Return what `act` returns; 1 where it fails, with the reason on standard error; 130 where it is interrupted.

    Nobody need read all that it prints: see `while_read`.
    """
    return while_read(partial(_told, name, act))


def while_read(act: Callable[[], int]) -> int:
    """Return what `act` returns; or 141, without a word, where nobody reads any more what it prints."""
    try:
        status = act()
        sys.stdout.flush()
    except BrokenPipeError:
        lost = _unread()
        if not lost:
            raise
        # What waits to be printed would be printed when the interpreter ends, which complains where it cannot.
        with Path(os.devnull).open("wb") as nowhere:
            for output in lost:
                os.dup2(nowhere.fileno(), output)
        return UNREAD
    return status


def _unread() -> Sequence[int]:
    """Return which of the outputs nobody reads any more: a connection that breaks is something else."""
    poll = select.poll()
    for output in _OUTPUTS:
        poll.register(output, 0)
    return [output for output, event in poll.poll(0) if event & (select.POLLERR | select.POLLHUP)]


def _told(name: str, act: Callable[[], int]) -> int:
    try:
        return act()
    except AllianceFailed as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except TallystickError as error:
        print(f"{name}: {error.code}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
