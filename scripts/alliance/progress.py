"""Progress on standard error: one line for each thing that is done."""

import sys
import time
from typing import Final

_STARTED: Final = time.monotonic()


def say(text: str) -> None:
    """Print what is being done, with the seconds since the start."""
    print(f"[{time.monotonic() - _STARTED:5.1f} s] {text}", file=sys.stderr, flush=True)


def seconds() -> float:
    """Return the seconds since the start."""
    return time.monotonic() - _STARTED
