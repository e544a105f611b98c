"""How long a thread of a serving node may keep the interpreter while others wait for it (specs/decisions/0057)."""

import sys
from typing import Final

TURN_SECONDS: Final = 0.0005
"""Python's own is ten times as long; a request gives the interpreter up several times, each time to the writer."""


def shorten_turns() -> None:
    """Let the threads of this process take turns of `TURN_SECONDS`."""
    sys.setswitchinterval(TURN_SECONDS)
