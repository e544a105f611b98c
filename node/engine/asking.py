"""What the many parts of a work read, asked for round by round: a part whose rows are all there is not asked again."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from protocol.ledger import rules
from protocol.ledger.commands import AnyCommand
from protocol.ledger.state import IDS
from protocol.ledger.view import Need, Overlay, need

_P = TypeVar("_P")


class Asking(Generic[_P]):
    """Asks each of a work's parts what it reads until all of that is loaded."""

    def __init__(
        self, parts: Sequence[_P], reads: Callable[[Overlay, _P], Iterable[Need]], first: Sequence[Need] = ()
    ) -> None:
        """Ask for `first`, and all of `parts`; `reads` tells what one reads, as far as the loaded rows tell."""
        self._parts = parts
        self._reads = reads
        self._first = first
        self._left = parts
        self._view: Overlay | None = None

    def needs(self, view: Overlay) -> Iterator[Need]:
        """Return what is missing in `view`."""
        wanted: list[Need] = []
        if view is not self._view:
            self._view, self._left = view, self._parts
            wanted += self._first
        left = []
        for part in self._left:
            missing = view.missing(self._reads(view, part))
            if missing:
                left.append(part)
                wanted += missing
        self._left = left
        return iter(wanted)


def asking_for(commands: Sequence[AnyCommand]) -> Asking[AnyCommand]:
    """Return what asks for all that `commands` read beside the rows of `rules.ALWAYS`, which each commit begins with.

    Whether its own id is taken changes nothing of what else a command reads: that is asked once.
    """
    return Asking(commands, rules.further_needs, [need(IDS, command.id) for command in commands])
