"""A writer's place in a process that does not write: another process on the same store does."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from node.engine.engine import Committed
from node.engine.gate import Gate
from node.engine.work import Work
from protocol.errors import TallystickError

_T = TypeVar("_T")


class NotWriting(TallystickError):
    """This process does not write, and the one that does cannot be reached."""

    code = "not_writing"


class StandbyWriter:
    """Takes no works."""

    def __init__(self) -> None:
        """Stand by."""
        self.gate = Gate()

    @property
    def failure(self) -> Exception | None:
        """Return no failure: nothing is tried."""
        return None

    @property
    def commits(self) -> int:
        """Return that no commit is made here."""
        return 0

    @property
    def waiting(self) -> int:
        """Return that nothing waits."""
        return 0

    def has_room(self, _items: int) -> bool:
        """Return that there is room: what comes is refused for another reason."""
        return True

    @property
    def clock_stopped(self) -> bool:
        """Return that nothing depends on the clock here."""
        return False

    def stop_clock(self) -> None:
        """Do nothing: as above."""

    def confirm_clock(self) -> None:
        """Do nothing: the process that writes believes its own clock."""

    def submit(self, _work: Work[_T]) -> "Future[_T]":
        """Refuse the work."""
        raise NotWriting("this process stands by: another one writes")

    def listen(self, _listener: Callable[[Committed], None]) -> None:
        """Do nothing: there are no commits here."""
