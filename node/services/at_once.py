"""How many do at once what takes long: who waits for a partner, a receiver or an issuer, and who reads a whole log.

Each of them keeps one of the threads on which most requests are answered, and how long is not the node's to say. So
there is a bound over all, and one for each name: what is beyond is refused at once, and everything else is answered.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from node.services.refusals import NodeCode, NodeRefusal

ALL_MAX: Final = 12
"""How many may wait for others' answers of one kind: of some forty threads, most stay free."""


class AtOnce:
    """Counts what is under way; safe to use from several threads."""

    def __init__(self, *, each: int, most: int = ALL_MAX) -> None:
        """Let `each` under one name be under way, and `most` altogether."""
        self._each = each
        self._most = most
        self._begun: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def one(self, name: str) -> Iterator[None]:
        """Count one more until it is over, or raise `busy`."""
        with self._lock:
            if self._begun[name] >= self._each or self._begun.total() >= self._most:
                raise NodeRefusal(NodeCode.BUSY, "too many requests of this kind are under way")
            self._begun[name] += 1
        try:
            yield
        finally:
            with self._lock:
                self._begun[name] -= 1
                if not self._begun[name]:
                    del self._begun[name]
