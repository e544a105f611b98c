"""What the writer is given: works, and the desk at which a work runs inside the commit."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

import msgspec

from node.engine.asking import asking_for
from node.store.rows import Write
from protocol.entries import Sealed
from protocol.ledger.commands import AnyCommand
from protocol.ledger.state import Table
from protocol.ledger.view import Need, Overlay, View

_T_co = TypeVar("_T_co", covariant=True)
_K = TypeVar("_K")
_R = TypeVar("_R")


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The entry that answers a command; `repeated` when it was written by an earlier one with the same id."""

    sealed: Sealed
    repeated: bool


class Desk(Protocol):
    """Where a work runs: it sees the effects of the works before it, and its own until it fails."""

    @property
    def time(self) -> str:
        """Return the time that the next entry will have."""

    @property
    def today(self) -> str:
        """Return the program's calendar day."""

    @property
    def view(self) -> View:
        """Return the rows that the work's needs named, for what is computed before there is a command."""

    def execute(self, command: AnyCommand) -> Answer:
        """Decide and apply `command`, or return the entry that answered it before; raise `Refusal`."""

    def find(self, table: Table[_K, _R], key: _K) -> _R | None:
        """Return a row that the work's needs named, or None if there is none."""

    def entry(self, seq: int) -> Sealed:
        """Return an entry that exists."""

    def stage(self, write: Write) -> None:
        """Write evidence or operational rows in the same transaction."""

    def staged(self) -> Sequence[Write]:
        """Return what this commit is to write beside its entries so far: no reader sees it yet."""


class Work(Protocol[_T_co]):
    """Something to be done in one commit, all of it or nothing.

    What `run` learns is true only once the commit is durable, which is when its future carries the result.
    """

    def needs(self, view: Overlay) -> Iterable[Need]:
        """Yield the rows that `run` will read, as far as the loaded ones tell; asked again after loading."""

    def run(self, desk: Desk) -> _T_co:
        """Do the work; what it raises undoes it and becomes its result.

        A work that reads a row which it needs only since works before it in the same commit is run again with that row.
        """


class CommandWork:
    """Commands executed together, all or none, with rows to write beside their entries."""

    def __init__(self, commands: Sequence[AnyCommand], *, writes: Sequence[Write] = ()) -> None:
        """Execute `commands` in order; stage `writes` unless every command is a repeat."""
        self._commands = commands
        self._asking = asking_for(commands)
        self._writes = writes

    def needs(self, view: Overlay) -> Iterator[Need]:
        """Return what every command reads."""
        return self._asking.needs(view)

    def run(self, desk: Desk) -> list[Answer]:
        """Return one answer a command, in order."""
        answers = [desk.execute(command) for command in self._commands]
        if not answers or not all(answer.repeated for answer in answers):
            for write in self._writes:
                desk.stage(write)
        return answers


class Foremost:
    """A work that does not wait behind orders: a partner's envelope, or what the node itself is asked by."""

    __slots__ = ()


class Weighed(ABC):
    """A work that may write many entries; any other counts as one."""

    __slots__ = ()

    @property
    @abstractmethod
    def items(self) -> int:
        """Return how many entries it may write."""
