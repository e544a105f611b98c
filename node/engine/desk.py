"""The desk of one commit: executes commands on its overlay and keeps what is to be written."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple, TypeVar

from node.engine.gate import Gate
from node.engine.sent import sent_body
from node.engine.times import EntryTimes
from node.engine.work import Answer
from node.ports import Randomness
from node.store.rows import SentBody, Write
from node.store.writer import StoreWriter
from protocol.entries import (
    AnyEntry,
    Genesis,
    PointsIssued,
    PointsRedeemed,
    PointsTransferred,
    Sealed,
    body_of,
    seal,
    stamp,
    unseal,
)
from protocol.errors import Code, EntryInvalid, Refusal
from protocol.identifiers import Account, Ledger
from protocol.ledger import rules
from protocol.ledger.commands import AnyCommand, Recover
from protocol.ledger.moment import Moment
from protocol.ledger.names import recovery_id
from protocol.ledger.programs import terms_of
from protocol.ledger.state import HEAD, IDS, LEDGER, ONLY, Head, Table
from protocol.ledger.succession import place_of
from protocol.ledger.view import NotLoaded, Overlay, View
from protocol.messages import receiver_of, said_at
from protocol.program import day_of
from protocol.recovery_entries import RecoveryBegun, RecoveryEnded, RecoveryWaived

_NONCE_BYTES: Final = 16
_NONCE_DIGITS: Final = 2 * _NONCE_BYTES
_NONCES_AT_ONCE_MAX: Final = 256
_SILENT: Final = frozenset({PointsIssued, PointsRedeemed, PointsTransferred})
"""Most entries are of these kinds, and none of them is told to a partner."""

_K = TypeVar("_K")
_R = TypeVar("_R")


class Mark(NamedTuple):
    """How far everything was when a work began."""

    overlay: int
    sealed: int
    history: int
    writes: int


class CommitDesk:
    """Executes commands one after the other; each entry follows the one before it."""

    def __init__(
        self,
        overlay: Overlay,
        store: StoreWriter,
        *,
        now: datetime,
        randomness: Randomness,
        gate: Gate | None = None,
    ) -> None:
        """Begin at the end of the log as `overlay` has it."""
        self._gate = gate or Gate()
        self._overlay = overlay
        self._store = store
        self._randomness = randomness
        self._nonces: list[str] = []
        self._nonces_drawn = 1
        self._times = EntryTimes(now=now, last=self._head().time)
        self.sealed: list[Sealed] = []
        self.history: list[tuple[Account, int]] = []
        self.writes: list[Write] = []

    @property
    def time(self) -> str:
        """Return the time that the next entry will have."""
        return self._times.peek()

    @property
    def today(self) -> str:
        """Return the program's calendar day."""
        return self._day_of(self.time)

    @property
    def partners(self) -> set[Ledger]:
        """Return the partners that a body was written for."""
        return {write.partner for write in self.writes if isinstance(write, SentBody)}

    def mark(self) -> Mark:
        """Return where `undo` can come back to."""
        return Mark(self._overlay.savepoint(), len(self.sealed), len(self.history), len(self.writes))

    def undo(self, mark: Mark) -> None:
        """Forget everything since `mark`."""
        self._overlay.rollback(mark.overlay)
        del self.sealed[mark.sealed :]
        del self.history[mark.history :]
        del self.writes[mark.writes :]

    @property
    def view(self) -> View:
        """Return the rows that the work's needs named, for what is computed before there is a command."""
        return self._overlay

    def find(self, table: Table[_K, _R], key: _K) -> _R | None:
        """Return a row that the work's needs named, or None if there is none."""
        return self._overlay.get(table, key)

    def stage(self, write: Write) -> None:
        """Write evidence or operational rows in the same transaction."""
        self.writes.append(write)

    def staged(self) -> Sequence[Write]:
        """Return what this commit is to write beside its entries so far: no reader sees it yet."""
        return self.writes

    def execute(self, command: AnyCommand) -> Answer:
        """Decide and apply `command`, or return the entry that answered it before; raise `Refusal`."""
        seq = rules.prior(self._overlay, command)
        if seq is not None:
            return Answer(self.entry(seq), repeated=True)
        self._gate.check(command)
        # Until a command is accepted, rows are all that it can have changed.
        savepoint = self._overlay.savepoint()
        if isinstance(command, Recover):
            self._times.pass_by(said_at(command.body) or "")
        try:
            time = self._times.peek()
            sealed = self._judge(command, Moment(time, self._day_of(time)), savepoint)
        except Exception:
            self._overlay.rollback(savepoint)
            raise
        self._accept(sealed)
        return Answer(sealed, repeated=False)

    def _judge(self, command: AnyCommand, moment: Moment, savepoint: int) -> Sealed:
        """Decide and apply `command`, loading first what only earlier commands of this commit have made it read."""
        while True:
            try:
                return self._judge_loaded(command, moment, savepoint)
            except NotLoaded:
                self._overlay.rollback(savepoint)
                missing = self._overlay.missing(rules.needs(self._overlay, command))
                if not missing:
                    raise
                self._store.load(missing, self._overlay)

    def _judge_loaded(self, command: AnyCommand, moment: Moment, savepoint: int) -> Sealed:
        try:
            return self._apply(rules.decide(self._overlay, command, moment), moment)
        except Refusal as refusal:
            self._overlay.rollback(savepoint)
            tombstone = rules.refusal_entry(command, refusal, moment)
            if tombstone is None:
                raise
            return self._apply(tombstone, moment)

    def _day_of(self, time: str) -> str:
        return day_of(terms_of(self._overlay), time)

    def _head(self) -> Head:
        return self._overlay.get(HEAD, ONLY) or Head()

    def entry(self, seq: int) -> Sealed:
        """Return an entry that exists."""
        if self.sealed and seq >= self.sealed[0].entry.seq:
            return self.sealed[seq - self.sealed[0].entry.seq]
        data = self._store.entry(seq)
        assert data is not None, "an id's entry exists"
        return unseal(data)

    def _apply(self, draft: AnyEntry, moment: Moment) -> Sealed:
        if type(draft) is Genesis and self.sealed:
            raise Refusal(Code.SUCCESSION_INVALID, "a successor does not begin in a commit of the log before")
        seq, prev = place_of(self._overlay, draft)
        entry = stamp(draft, seq=seq, prev=prev, time=moment.time, nonce=self._nonce())
        try:
            sealed = seal(entry)
        except EntryInvalid as error:
            raise Refusal(Code.ENTRY_TOO_LARGE, str(error)) from error
        rules.apply(self._overlay, sealed)
        return sealed

    def _accept(self, sealed: Sealed) -> None:
        self._times.advance()
        self.sealed.append(sealed)
        entry = sealed.entry
        seq = entry.seq
        for holder in rules.holders_of(self._overlay, entry):
            self.history.append((holder, seq))
        if type(entry) in _SILENT:
            return
        ledger = self._overlay.get(LEDGER, ONLY)
        said = self._said_by(sealed)
        body = body_of(said, ledger=ledger.ledger) if ledger and said else None
        if ledger is None or said is None or body is None:
            return
        self.writes.append(sent_body(body, receiver_of(body, ledger.ledger), entry_seq=said.entry.seq))

    def _said_by(self, sealed: Sealed) -> Sealed | None:
        """Return the entry whose body is to be said now, if it makes one.

        A successor tells a partner of itself after the words that this one has given back: then both count the words
        of this ledger in one order.
        """
        entry = sealed.entry
        if isinstance(entry, RecoveryBegun):
            return None
        if not isinstance(entry, RecoveryEnded | RecoveryWaived):
            return sealed
        ledger = self._overlay.get(LEDGER, ONLY)
        begun = self._overlay.get(IDS, recovery_id(ledger.log, entry.partner)) if ledger else None
        return self.entry(begun.seq) if begun else None

    def _nonce(self) -> str:
        if not self._nonces:
            # Most commits want a few and some thousands: each draw is twice the one before.
            drawn = self._randomness.token(_NONCE_BYTES * self._nonces_drawn).hex()
            self._nonces_drawn = min(2 * self._nonces_drawn, _NONCES_AT_ONCE_MAX)
            self._nonces = [drawn[at : at + _NONCE_DIGITS] for at in reversed(range(0, len(drawn), _NONCE_DIGITS))]
        return self._nonces.pop()
