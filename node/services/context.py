"""What every service is given: the ledger's name, its store to read from, the writer to submit to, and the ports."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypeVar

from node.engine.engine import Committed
from node.engine.gate import Gate
from node.engine.work import Answer, CommandWork, Desk, Foremost, Work
from node.ports import Clock, Keyring, Randomness
from node.services.answers import EntryAnswer
from node.services.pending import Pending
from node.services.render import render
from node.services.request_digest import RequestDigests
from node.services.written import AnswerRow, row_of
from node.store.reader import StoreReader
from node.store.rows import Write
from protocol.entries import Sealed, unseal
from protocol.errors import Refusal
from protocol.fields import format_time
from protocol.identifiers import Ledger
from protocol.ledger.commands import AnyCommand
from protocol.ledger.state import ONLY, PROGRAM, LedgerRecord
from protocol.ledger.view import Need, Overlay
from protocol.program import DEFAULT_TERMS, ProgramTerms

_T = TypeVar("_T")


class Writer(Protocol):
    """Takes works and runs them, each in one commit with others."""

    @property
    def gate(self) -> Gate:
        """Return the gate before the log."""

    def submit(self, work: Work[_T]) -> "Future[_T]":
        """Queue `work`; the future carries its value or the error it raised."""

    def listen(self, listener: Callable[[Committed], None]) -> None:
        """Call `listener` after each commit."""


class NodeWriter(Writer, Protocol):
    """The writer as the node itself sees it."""

    @property
    def failure(self) -> Exception | None:
        """Return why the last commit failed, or None when it did not."""

    @property
    def commits(self) -> int:
        """Return how many commits have ended."""

    @property
    def waiting(self) -> int:
        """Return about how many works wait for the next commits."""

    def has_room(self, items: int) -> bool:
        """Return whether orders of so many entries would be taken now."""

    @property
    def clock_stopped(self) -> bool:
        """Return whether a jump of the wall clock waits for `confirm_clock`."""

    def stop_clock(self) -> None:
        """Refuse works until `confirm_clock`."""

    def confirm_clock(self) -> None:
        """Believe the wall clock as it is now."""


class Ping(Foremost):
    """A work that does nothing: its answer shows that the writer is at work."""

    def needs(self, _view: Overlay) -> Iterator[Need]:
        """Need nothing."""
        return iter(())

    def run(self, _desk: Desk) -> None:
        """Do nothing."""


class WriteWork:
    """Rows that no entry stands beside."""

    def __init__(self, writes: Sequence[Write]) -> None:
        self._writes = writes

    def needs(self, _view: Overlay) -> Iterator[Need]:
        """Need nothing."""
        return iter(())

    def run(self, desk: Desk) -> None:
        """Write them."""
        for write in self._writes:
            desk.stage(write)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The parts that services share."""

    record: LedgerRecord
    reader: StoreReader
    writer: Writer
    keyring: Keyring
    clock: Clock
    randomness: Randomness
    digests: RequestDigests

    @property
    def ledger(self) -> Ledger:
        """Return this ledger's name."""
        return self.record.ledger

    @property
    def now(self) -> str:
        """Return the wall time as documents write it."""
        return format_time(self.clock.now())

    @property
    def terms(self) -> ProgramTerms:
        """Return the program's terms that are in force."""
        record = self.reader.record(PROGRAM, ONLY)
        return DEFAULT_TERMS if record is None else record.terms

    def execute(self, command: AnyCommand, writes: Sequence[Write] = ()) -> Pending[EntryAnswer]:
        """Submit one command, with rows to be written unless it is a repeat."""
        return Pending(self.writer.submit(CommandWork([command], writes=writes)), self.render_first)

    def render_first(self, answers: Sequence[Answer]) -> EntryAnswer:
        """Return what the caller is told about the first of a work's answers."""
        return self.render(answers[0].sealed)

    def row_of_first(self, answers: Sequence[Answer]) -> AnswerRow:
        """Return what `render_first` does, to be encoded and nothing else."""
        return row_of(answers[0].sealed, ledger=self.ledger)

    def row_of_each(self, answers: Sequence[Answer | Refusal]) -> list[AnswerRow | Refusal]:
        """Return what the caller is told about each of a batch's items, to be encoded and nothing else."""
        ledger = self.ledger
        return [each if isinstance(each, Refusal) else row_of(each.sealed, ledger=ledger) for each in answers]

    def render(self, sealed: Sealed) -> EntryAnswer:
        """Return what the caller is told about an entry."""
        return render(sealed, ledger=self.ledger)

    def entry(self, seq: int) -> Sealed | None:
        """Return a stored entry, or None where the log does not reach."""
        data = self.reader.entry(seq)
        return None if data is None else unseal(data)
