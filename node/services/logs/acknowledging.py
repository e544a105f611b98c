"""Answers that wait for witnesses: `ack_after_witness` (specs/witness.md §6).

An entry that was answered and seen by nobody outside is lost with the disk. Who minds lets a request be answered only
once so many witnesses have cosigned the log that holds its entry.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final, TypeVar, cast

from node.engine.engine import Committed
from node.engine.gate import Gate
from node.engine.work import Work
from node.ports import Clock
from node.services.context import Writer
from node.services.logs.publication import Publication
from node.services.refusals import NodeCode, NodeRefusal
from node.store.rows import SignedCheckpoint

WAIT_SECONDS: Final = 10.0
"""How long an answer waits for witnesses; then the caller is told to ask again."""

_T = TypeVar("_T")
_Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A result that is durable, and the checkpoint that must be cosigned before it is told."""

    answer: "Future[object]"
    result: object
    place: _Place
    until: float


class WitnessedWriter:
    """Hands works to the writer, and their results to the callers when enough witnesses have cosigned.

    What is refused is told at once. Until `begin`, and with a `count` of 0, so is everything else.
    """

    def __init__(self, writer: Writer, publication: Publication, clock: Clock, *, count: int) -> None:
        self._writer = writer
        self._publication = publication
        self._clock = clock
        self._count = count
        self._lock = threading.Lock()
        self._begun = False
        self._waiting: list[_Waiting] = []
        self._cosigned: _Place = (0, 0)
        if count:
            publication.listen(self._published)

    @property
    def gate(self) -> Gate:
        """Return the gate before the log."""
        return self._writer.gate

    @property
    def waits(self) -> bool:
        """Return whether answers wait for witnesses."""
        return self._begun and self._count > 0

    def begin(self) -> None:
        """Let answers wait from now on: somebody asks the witnesses, and calls `expire`."""
        self._begun = True

    def listen(self, listener: Callable[[Committed], None]) -> None:
        """Call `listener` after each commit."""
        self._writer.listen(listener)

    def submit(self, work: Work[_T]) -> "Future[_T]":
        """Queue `work`; the future carries its value, once that is durable and cosigned, or the error it raised."""
        durable = self._writer.submit(work)
        if not self.waits:
            return durable
        answer: Future[object] = Future()
        durable.add_done_callback(lambda done: self._durable(answer, cast("Future[object]", done)))
        return cast("Future[_T]", answer)

    def expire(self) -> None:
        """Tell those who have waited too long to ask again: their entries are written."""
        now = self._clock.monotonic()
        with self._lock:
            late = [each for each in self._waiting if each.until <= now]
            self._waiting = [each for each in self._waiting if each.until > now]
        for each in late:
            refusal = NodeRefusal(
                NodeCode.UNWITNESSED,
                f"it is written, and fewer than {self._count} witnesses have cosigned it yet: repeat the request",
            )
            _tell(each.answer, refusal)

    def _durable(self, answer: "Future[object]", done: "Future[object]") -> None:
        """Take in what is durable; a repeat, which wrote nothing, waits for the whole log as all do."""
        failure = done.exception()
        if failure is not None:
            _tell(answer, failure)
            return
        place, now = _place(self._publication.newest()), self._clock.monotonic()
        waiting = _Waiting(answer, done.result(), place, now + WAIT_SECONDS)
        with self._lock:
            if place > self._cosigned:
                self._waiting.append(waiting)
                return
        _tell(answer, waiting.result)

    def _published(self, checkpoint: SignedCheckpoint, cosignatures: int) -> None:
        if cosignatures >= self._count:
            with self._lock:
                self._cosigned = max(self._cosigned, _place(checkpoint))
                ready = [each for each in self._waiting if each.place <= self._cosigned]
                self._waiting = [each for each in self._waiting if each.place > self._cosigned]
            for each in ready:
                _tell(each.answer, each.result)


def _place(checkpoint: SignedCheckpoint) -> _Place:
    return checkpoint.generation, checkpoint.size


def _tell(answer: "Future[object]", result: object) -> None:
    # A caller that has gone away has cancelled its future, and is told nothing.
    if not answer.set_running_or_notify_cancel():
        return
    if isinstance(result, BaseException):
        answer.set_exception(result)
    else:
        answer.set_result(result)
