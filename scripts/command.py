"""How scripts behave as commands: the numbers that they take, and how they end where something fails."""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from typing import Final

from node.cli.unread import while_read
from protocol.errors import TallystickError
from scripts.alliance.process import AllianceFailed

INTERRUPTED: Final = 130
"""The exit status of a command that was interrupted, as shells tell it."""


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
