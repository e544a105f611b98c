"""How often a node's process looks for garbage that refers to itself.

A commit of thousands of entries makes millions of objects that are all alive until it is on disk: to look through them
again and again took two fifths of its time (specs/decisions/0032-the-collector-looks-less-often.md).
"""

import gc
from typing import Final

ALLOCATIONS: Final = 100_000
"""How many more objects there are when the youngest are looked through; Python's own number is 700."""

GENERATIONS: Final = (20, 50)


def settle() -> None:
    """Leave out what is there, which stays, and look through the rest less often.

    Called once before a command's modules are imported and once after a node's start: neither leaves garbage worth the
    tenth of a second that looking for it takes.
    """
    gc.freeze()
    gc.set_threshold(ALLOCATIONS, *GENERATIONS)
