"""What the many parts of a work read, asked for round by round: a part whose rows are all there is not asked again."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from protocol.ledger.view import Need, Overlay

_P = TypeVar("_P")


class AskingEach(Generic[_P]):
    """Asks each of a work's parts what it reads until all of that is loaded."""

    def __init__(self, parts: Sequence[_P], reads: Callable[[Overlay, _P], Iterable[Need]]) -> None:
        """Ask all of `parts` first; `reads` tells what one reads, as far as the loaded rows tell."""
        self._parts = parts
        self._reads = reads
        self._left = parts
        self._view: Overlay | None = None

    def needs(self, view: Overlay) -> Iterator[Need]:
        """Yield what is missing in `view`."""
        if view is not self._view:
            self._view, self._left = view, self._parts
        left = []
        for part in self._left:
            missing = view.missing(self._reads(view, part))
            if missing:
                left.append(part)
                yield from missing
        self._left = left

    def begin_again(self) -> None:
        """Ask all parts once more: another commit has forgotten what this one loaded."""
        self._view = None
