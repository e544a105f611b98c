"""What the audit of one log came to, and the checks that need no file: figures, statements, what messages leave."""

from dataclasses import dataclass

from protocol.agreement import key_of
from protocol.audit.books import Books
from protocol.audit.conversions import ConversionBook
from protocol.audit.figures import Figures, check_roll_forward, figures_of
from protocol.audit.findings import Findings
from protocol.audit.kept import LogState
from protocol.audit.liability import liability_of
from protocol.audit.messages import MessageCheck, MessageMemory
from protocol.audit.pages import CHECKPOINT_PATH
from protocol.audit.replay import LogReplay
from protocol.audit.settlements import SettlementBook
from protocol.audit.successions import SuccessionBook
from protocol.checkpoint import Checkpoint, parse_checkpoint
from protocol.errors import ProtocolError
from protocol.identifiers import Ledger
from protocol.keys import Role
from protocol.ledger.state import PARTNERS
from protocol.note import KeyType, Verifier, parse_note, signers_of


@dataclass(slots=True, kw_only=True)
class LogAudit:
    """What the audit of one log found, and what another log can be matched with.

    `witnesses` of a policy have cosigned the checkpoint, and so have the partners that are `cosigners`. `resumed`
    entries were verified by an earlier audit, and not read again.
    """

    label: str
    findings: Findings
    replay: LogReplay
    books: Books
    checkpoint: Checkpoint | None = None
    note: bytes | None = None
    figures: Figures | None = None
    messages: MessageCheck | None = None
    key_given: bool = False
    is_read: bool = False
    witnesses: tuple[str, ...] = ()
    cosigners: tuple[str, ...] = ()
    resumed: int = 0

    @property
    def book(self) -> ConversionBook:
        """Return the conversions of the log."""
        return self.books.conversions

    @property
    def settlements(self) -> SettlementBook:
        """Return the settlement of the log."""
        return self.books.settlements

    @property
    def successions(self) -> SuccessionBook:
        """Return what the log says of successions."""
        return self.books.successions

    @property
    def ledger(self) -> Ledger | None:
        """Return the name of the ledger, once its genesis has been accepted."""
        record = self.replay.ledger
        return None if record is None else record.ledger

    @property
    def name(self) -> str:
        """Return how the report calls the log."""
        return self.ledger or self.label

    def lies_ahead(self, seq: int, *, partner: Ledger | None) -> bool:
        """Return whether this ledger may still enter what `partner` was promised as the entry `seq`.

        That is so beyond the end that was given, and in a gap as long as the partner has not given all of it back.
        """
        record = self.replay.ledger
        waits = record is not None and partner in record.recovering
        return seq >= self.replay.end_seq or (waits and self.replay.leaf_of(seq) is None)

    @property
    def is_whole(self) -> bool:
        """Return whether every entry that the checkpoint counts was replayed and accepted."""
        return self.is_read and self.checkpoint is not None and self.replay.applied == self.checkpoint.size > 0

    @property
    def state(self) -> LogState:
        """Return what a next audit can go on from: of a whole log that held."""
        assert self.note is not None, "a whole log has its checkpoint"
        memory = self.messages.memory if self.messages else MessageMemory()
        return LogState(note=self.note, replay=self.replay, books=self.books, memory=memory)

    def check_books(self) -> None:
        """Check figures, successions and statements, each by what the entries of a whole log say."""
        replay, books = self.replay, self.books
        assert replay.ledger is not None, "a whole log has its genesis"
        books.tally.check(replay.view, self.findings)
        liability = liability_of(replay.view)
        self.figures = figures_of(books.tally, books.conversions, points=replay.ledger.points, liability=liability)
        check_roll_forward(self.figures.roll_forward, self.findings)
        books.successions.check(self.findings)
        books.settlements.check(replay.ledger.ledger, replay, where=self.name, findings=self.findings)

    def check_cosignatures(self) -> None:
        """Verify the cosignature of each partner that the log's entries name, where the checkpoint bears one."""
        assert self.note is not None, "a log is read by its checkpoint"
        partners = self.replay.view.rows(PARTNERS)
        keys = [Verifier(name, key_of(each.keys, Role.WITNESS), KeyType.COSIGNATURE) for name, each in partners]
        try:
            self.cosigners = tuple(each.name for each in signers_of(parse_note(self.note), keys))
        except ProtocolError as error:
            self.findings.broken(error.code, CHECKPOINT_PATH, str(error))

    def begin_messages(self, memory: MessageMemory) -> MessageCheck:
        """Return the check of received messages of a whole log, which goes on from `memory`."""
        assert self.ledger is not None, "a whole log has its genesis"
        self.messages = MessageCheck(
            self.replay.view,
            ledger=self.ledger,
            citations=self.books.citations,
            findings=self.findings,
            memory=memory,
        )
        return self.messages


def audit_of_state(state: LogState, label: str) -> LogAudit:
    """Return the audit that `state` was kept of, as of then; nothing is read, so `state` is to be verified already."""
    replay = state.replay
    stated = parse_checkpoint(parse_note(state.note).text)
    replay.findings = findings = Findings()
    result = LogAudit(
        label=label,
        findings=findings,
        replay=replay,
        books=state.books,
        checkpoint=Checkpoint(origin=stated.origin, size=replay.size, root=replay.tree.root()),
        note=state.note,
        is_read=True,
        resumed=replay.size,
    )
    result.check_cosignatures()
    result.check_books()
    result.begin_messages(state.memory).finish()
    return result
