"""One ledger audited from wherever it is kept: checkpoint, bundles, tiles, messages and figures, in this order.

A log's files come one at a time through a `Source`; nothing but what the rules need to know stays in memory. The logs
that a successor goes on from come first, each as far as it was restored. What an earlier audit has verified is not read
again; where the log does not go on from that, it is read from its first entry, which shows what is wrong.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from protocol.agreement import key_of
from protocol.audit.ahead import Ahead, Pages, Source
from protocol.audit.books import Books
from protocol.audit.findings import FindingCode, Findings, Verdict
from protocol.audit.kept import LogState, StateInvalid
from protocol.audit.messages import MessageCheck, MessageMemory
from protocol.audit.outcome import LogAudit
from protocol.audit.pages import (
    CHECKPOINT_PATH,
    GENERATIONS_MAX,
    LEDGER_PATH,
    PAGE_MESSAGES_MAX,
    decode_known_page,
    decode_ledger_file,
    decode_messages_page,
    messages_path,
    past_folder,
)
from protocol.audit.reading import LogFiles, Progress
from protocol.audit.replay import LogReplay
from protocol.checkpoint import Checkpoint, parse_checkpoint
from protocol.errors import CouldNotCheck, IdentifierInvalid, ProtocolError, QuorumMissing
from protocol.identifiers import Ledger, first_of, generation_of, parse_ledger
from protocol.keys import Role
from protocol.ledger.state import PARTNERS
from protocol.note import KeyType, Verifier, format_vkey, parse_note, signers_of
from protocol.policy import Policy, require_quorum

__all__ = ["Keeping", "LogAudit", "Progress", "Source", "audit_log"]

STATE_ENTRIES: Final = 25_600
"""Entries after which a long audit keeps what it has verified, and an eighth of the log at least."""

_SHARE: Final = 8


def _nothing(_checkpoint: Checkpoint) -> LogState | None:
    """Find nothing that was kept."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How to `find` what an earlier audit kept of the log with a checkpoint, and how to `keep` what this one verifies.

    It does so after `every` entries, once the log's signed checkpoint is shown to follow from what was read so far.
    """

    find: Callable[[Checkpoint], LogState | None] = _nothing
    keep: Callable[[LogState], None] | None = None
    every: int = STATE_ENTRIES


def _quiet(_label: str, _done: int, _size: int) -> None:
    """Report progress to nobody."""


def audit_log(
    source: Source,
    *,
    verifiers: Sequence[Verifier] = (),
    known: Sequence[Checkpoint] = (),
    policy: Policy | None = None,
    progress: Progress = _quiet,
    keeping: Keeping | None = None,
    ahead: Ahead | None = None,
) -> LogAudit:
    """Return what is found by replaying the log at `source`.

    `verifiers` are keys known from elsewhere: that of this log, if it is among them, must be the one that signed.
    `known` are checkpoints of any logs that were verified before: this log must still lead to its own. With `policy`,
    its logs are known too, and as many witnesses as it asks for must have cosigned this log's checkpoint. `keeping`
    finds what an earlier audit has verified, and keeps what this one has. `ahead` reads in other processes what can be
    checked apart.
    """
    if policy is not None:
        verifiers = (*verifiers, *policy.verifiers)
    kept = keeping or Keeping()

    def audited(kept: Keeping) -> LogAudit:
        auditor = _Auditor(
            source=source,
            verifiers=verifiers,
            known=known,
            policy=policy,
            progress=progress,
            keeping=kept,
            ahead=ahead,
        )
        return auditor.audited()

    found = audited(kept)
    if found.resumed and not (found.is_whole and found.findings.verdict is not Verdict.BROKEN):
        # From the first entry on it is seen which one is wrong. What was kept stays: this may be another history.
        return audited(Keeping())
    return found


@dataclass(slots=True, kw_only=True)
class _Auditor:
    """The audit of one log under way."""

    source: Source
    verifiers: Sequence[Verifier]
    known: Sequence[Checkpoint]
    policy: Policy | None
    progress: Progress
    keeping: Keeping
    ahead: Ahead | None
    result: LogAudit = field(init=False)
    _files: LogFiles = field(init=False)
    _memory: MessageMemory = field(default_factory=MessageMemory)
    _kept_size: int = 0

    def __post_init__(self) -> None:
        findings, books = Findings(), Books()
        replay = LogReplay(findings=findings, follower=books)
        self.result = LogAudit(label=self.source.label, findings=findings, replay=replay, books=books)
        self._files = LogFiles(self.source, findings, ahead=self.ahead)

    def audited(self) -> LogAudit:
        """Go through the whole ledger, as far as its files can be had, and return what was found."""
        try:
            self._run()
        except StateInvalid as error:
            self.result.findings.incomplete(FindingCode.STATE_INVALID, self._files.path, str(error))
        except CouldNotCheck as error:
            self.result.findings.incomplete(FindingCode.UNREACHABLE, self._files.path, str(error))
        return self.result

    def _run(self) -> None:
        note, checkpoint = self._open()
        self.result.note, self.result.checkpoint = note, checkpoint
        if note is None or checkpoint is None:
            return
        if not self._resume(checkpoint):
            return
        replay, begun = self.result.replay, self.result.resumed
        if not self._files.read_entries(replay, checkpoint.size, progress=self.progress, settled=self._keep):
            return
        self.result.is_read = True
        self._files.check_upper_tiles(replay, checkpoint.size, old_size=begun)
        self._check_signature(note)
        self.result.check_cosignatures()
        if self.policy is not None:
            self._check_quorum(note, self.policy)
        if self.result.is_whole:
            self._check_ledger_file()
            # While the figures are checked here, others verify the first messages.
            signed = self._pages_ahead()
            self.result.check_books()
            self._read_messages(signed)

    def _resume(self, checkpoint: Checkpoint) -> bool:
        """Come to where reading begins: to what was verified before of this log, or to its first entry."""
        state = self.keeping.find(checkpoint)
        record = None if state is None else state.replay.ledger
        if state is None or record is None or record.log != checkpoint.origin or state.replay.size > checkpoint.size:
            return self._read_past(checkpoint.origin)
        state.replay.findings = self.result.findings
        self.result.replay, self.result.books = state.replay, state.books
        self.result.resumed = self._kept_size = state.replay.size
        self._memory = state.memory
        return True

    def _keep(self) -> None:
        """Keep what was read so far, from time to time, if what the log signed follows from it."""
        result, keep = self.result, self.keeping.keep
        size, checkpoint = result.replay.size, result.checkpoint
        assert checkpoint is not None, "entries are read by a checkpoint"
        assert result.note is not None, "a checkpoint comes in a note"
        if keep is None or size - self._kept_size < max(self.keeping.every, size // _SHARE):
            return
        if size == checkpoint.size or result.findings.count or result.replay.applied != size:
            return
        record = result.replay.ledger
        assert record is not None, "entries that were accepted begin with genesis"
        if self._files.leads_to(result.replay, result.note, [result.replay.own_key(record)]):
            self._kept_size = size
            keep(LogState(note=result.note, replay=result.replay, books=result.books, memory=self._memory))

    def _open(self) -> tuple[bytes | None, Checkpoint | None]:
        """Return the checkpoint as stated, its signature not yet verified: the key is in the log."""
        note = self._files.required(CHECKPOINT_PATH)
        if note is None:
            return None, None
        try:
            return note, parse_checkpoint(parse_note(note).text)
        except ProtocolError as error:
            self.result.findings.broken(error.code, self._files.path, str(error))
            return None, None

    def _read_past(self, origin: str) -> bool:
        """Replay the logs before that of `origin`, and return whether this one can go on from them."""
        try:
            generation = generation_of(parse_ledger(origin))
        except IdentifierInvalid:
            generation = 1  # Whose log this is, its own genesis says: the name is compared with that.
        if generation > GENERATIONS_MAX:
            text = f"an audit goes through {GENERATIONS_MAX} logs of one ledger"
            self.result.findings.incomplete(FindingCode.MISSING, self._files.path, text)
            return False
        is_read = all(self._read_generation(before) for before in range(1, generation))
        self._files.folder = ""
        return is_read

    def _read_generation(self, generation: int) -> bool:
        """Replay one past log as far as it was restored; one that was lost with all its entries is not there."""
        files, replay = self._files, self.result.replay
        files.folder = past_folder(generation)
        if generation > 1 and files.fetch(CHECKPOINT_PATH) is None:
            return True
        note, checkpoint = self._open()
        if note is None or checkpoint is None:
            return False
        if not files.read_entries(replay, checkpoint.size, progress=self.progress):
            return False
        files.check_upper_tiles(replay, checkpoint.size)
        replay.check_checkpoint(note, self.verifiers, folder=files.folder)
        if not replay.applied == checkpoint.size > 0:
            return False
        self._check_ledger_file()
        replay.succeed()
        return True

    def _check_signature(self, note: bytes) -> None:
        known = {first_of(Ledger(each.name)) for each in self.verifiers if each.type is KeyType.ED25519}
        self.result.key_given = self.result.ledger in known
        self.result.replay.check_checkpoint(note, self.verifiers)
        for each in self.known:
            if first_of(Ledger(each.origin)) == self.result.ledger:
                place = f"checkpoint of {each.size}, seen before"
                self.result.replay.check_held(each, place=place, findings=self.result.findings)

    def _check_quorum(self, note: bytes, policy: Policy) -> None:
        findings = self.result.findings
        if policy.logs and not self.result.key_given:
            findings.incomplete(FindingCode.KEY_UNKNOWN, CHECKPOINT_PATH, "the policy does not know this log")
        try:
            signers = signers_of(parse_note(note), [each.verifier for each in policy.witnesses])
            self.result.witnesses = tuple(each.name for each in signers)
            require_quorum(policy, signers)
        except ProtocolError as error:
            findings.broken(error.code, CHECKPOINT_PATH, str(error))
        except QuorumMissing as error:
            findings.incomplete(FindingCode.QUORUM_MISSING, CHECKPOINT_PATH, str(error))

    def _check_ledger_file(self) -> None:
        data = self._files.fetch(LEDGER_PATH)
        if data is None:
            return
        record = self.result.replay.ledger
        assert record is not None, "a whole log has its genesis"
        own = Verifier(record.log, key_of(record.keys, Role.LOG))
        try:
            stated = decode_ledger_file(data)
        except ProtocolError as error:
            self.result.findings.broken(error.code, self._files.path, str(error))
            return
        if (stated.ledger, stated.vkey) != (own.name, format_vkey(own)):
            text = "the file names another ledger or key than genesis"
            self.result.findings.broken(FindingCode.LEDGER_DIFFERS, self._files.path, text)

    def _pages_ahead(self) -> Generator[bytes, None, None] | None:
        """Let other processes verify the messages that are new, if there are any who are ready."""
        if self.ahead is None:
            return None
        keys = {name: each.keys for name, each in self.result.replay.view.rows(PARTNERS)}
        return self.ahead.pages(Pages(first=self._memory.count // PAGE_MESSAGES_MAX, keys=keys))

    def _read_messages(self, signed: Generator[bytes, None, None] | None) -> None:
        check = self.result.begin_messages(self._memory)
        if signed is None or self._add_signed(check, signed):
            self._read_pages(check)
        check.finish()

    @staticmethod
    def _add_signed(check: MessageCheck, signed: Generator[bytes, None, None]) -> bool:
        """Check the pages that other processes have verified, and return whether there may be more."""
        is_last = False
        with closing(signed):
            for data in signed:
                page = decode_known_page(data)
                if not check.add(page, is_signed=True):
                    return False
                is_last = len(page.messages) < PAGE_MESSAGES_MAX
        return not is_last

    def _read_pages(self, check: MessageCheck) -> None:
        page = check.count // PAGE_MESSAGES_MAX
        while (data := self._files.fetch(messages_path(page))) is not None:
            try:
                found = decode_messages_page(data)
            except ProtocolError as error:
                self.result.findings.broken(error.code, messages_path(page), str(error))
                break
            if not check.add(found) or len(found.messages) < PAGE_MESSAGES_MAX:
                break
            page += 1
