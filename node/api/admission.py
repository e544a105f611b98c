"""Orders that come faster than they can be written: refused at the door, before anything of them is read.

What was let in is answered within about the time that the writer takes for what waits, however much more is asked for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from node.services.node import Node
from node.services.refusals import NodeCode, NodeRefusal

ORDERS_BYTES_MAX: Final = 8_388_608
"""How many bytes of orders are read, wait, or are written at once: some forty thousand transfers in batches."""

ORDER_BYTES: Final = 192
"""About what one order takes of a batch, by which its items are guessed before it is read."""


class Admission:
    """Counts what is let in; used by one event loop."""

    def __init__(self, node: Node) -> None:
        """Ask `node` whether its writer is at work on all that it can take."""
        self._node = node
        self._bytes = 0

    @contextmanager
    def let_in(self, size: int) -> Iterator[None]:
        """Let in an order of so many bytes until it is answered, or raise `busy`; one alone is always let in."""
        self.enter(size)
        try:
            yield
        finally:
            self.leave(size)

    def enter(self, size: int) -> None:
        """Let in an order of so many bytes until it has to `leave`, or raise `busy`."""
        too_many = self._bytes and self._bytes + size > ORDERS_BYTES_MAX
        if too_many or not self._node.has_room(max(1, size // ORDER_BYTES)):
            raise NodeRefusal(NodeCode.BUSY, "too many requests are waiting to be written")
        self._bytes += size

    def leave(self, size: int) -> None:
        """Take note that an order of so many bytes is answered."""
        self._bytes -= size
