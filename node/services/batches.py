"""Batches: many items in one commit, each by itself, or all or none."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeAlias, TypeVar

from node.engine.work import Answer, Desk, Weighed
from protocol.errors import Refusal, TallystickError

_I = TypeVar("_I")

AnsweredItem: TypeAlias = Answer | Refusal
"""What becomes of one item of a batch."""


class ItemRefused(TallystickError):
    """One item of an atomic batch was refused, so nothing of it was written. `index` counts from 0."""

    def __init__(self, index: int, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.code = refusal.code
        self.index = index
        self.detail = refusal.detail


class EachOrAll(Weighed, Generic[_I]):
    """A work of many items in one commit, each by itself, or with `atomic` all or none."""

    def __init__(self, items: Sequence[_I], *, atomic: bool) -> None:
        self._items = items
        self._atomic = atomic

    @property
    def items(self) -> int:
        """Return how many entries this may write: what the writer's queue is bounded by."""
        return len(self._items)

    @abstractmethod
    def do(self, desk: Desk, item: _I) -> Answer:
        """Do one item; where this raises a `Refusal`, it has left nothing behind."""

    def run(self, desk: Desk) -> list[AnsweredItem]:
        """Return an answer or a refusal for each item, in order; each sees what those before it have done."""
        done: list[AnsweredItem] = []
        for index, item in enumerate(self._items):
            try:
                done.append(self.do(desk, item))
            except Refusal as refusal:
                if self._atomic:
                    raise ItemRefused(index, refusal) from refusal
                done.append(refusal)
        return done
