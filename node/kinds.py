"""Types that msgspec gets to know on one thread at a time (specs/decisions/0064).

What it has found out about a type it keeps with that type, and it does so before it has found out all: a thread that
comes upon it then reads what is not there, and the process is gone (seen with msgspec 0.22).
"""

from threading import Lock
from typing import TypeVar

import msgspec

_T = TypeVar("_T")
_FINDING_OUT = Lock()
_KNOWN: set[object] = set()


def known(kind: type[_T]) -> type[_T]:
    """Return `kind`, which any number of threads may ask msgspec for from now on.

    A decoder that a module makes when it is imported has done the same for its type, and for those within.
    """
    if kind not in _KNOWN:
        with _FINDING_OUT:
            msgspec.convert([], list[kind])  # type: ignore[valid-type]  # a type that is made here
            _KNOWN.add(kind)
    return kind
