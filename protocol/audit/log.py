"""One ledger audited from wherever it is kept: checkpoint, bundles, tiles, messages and figures, in this order.

A log's files come one at a time through a `Source`; nothing but what the rules need to know stays in memory. The logs
that a successor goes on from come first, each as far as it was restored.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from protocol.agreement import key_of
from protocol.audit.citations import Citations
from protocol.audit.conversions import ConversionBook
from protocol.audit.figures import Figures, Tally, check_roll_forward, figures_of
from protocol.audit.findings import FindingCode, Findings
from protocol.audit.messages import MessageCheck
from protocol.audit.pages import (
    CHECKPOINT_PATH,
    GENERATIONS_MAX,
    LEDGER_PATH,
    PAGE_MESSAGES_MAX,
    decode_ledger_file,
    decode_messages_page,
    messages_path,
    past_folder,
)
from protocol.audit.replay import LogReplay, tile_place
from protocol.audit.settlements import SettlementBook
from protocol.audit.successions import SuccessionBook
from protocol.checkpoint import Checkpoint, parse_checkpoint
from protocol.errors import CouldNotCheck, IdentifierInvalid, ProtocolError, QuorumMissing
from protocol.identifiers import Ledger, first_of, generation_of, parse_ledger
from protocol.keys import Role
from protocol.limits import TILE_WIDTH
from protocol.merkle import HASH_BYTES
from protocol.note import KeyType, Verifier, format_vkey, parse_note, signers_of
from protocol.policy import Policy, require_quorum
from protocol.tiles import BundleId, TileId, bundles_of, decode_bundle, encode_bundle, format_path, tiles_of

Progress = Callable[[str, int, int], None]
"""Called with a source's label, the entries replayed so far, and the size of the log."""


class Source(Protocol):
    """Where the files of one log are kept: a node, or an audit package."""

    @property
    def label(self) -> str:
        """Return how a person would name the place."""

    def fetch(self, path: str) -> bytes | None:
        """Return the file at `path`, or None if there is none; raise `CouldNotCheck` if that cannot be known."""


@dataclass(slots=True, kw_only=True)
class LogAudit:
    """What the audit of one log found, and what another log can be matched with."""

    label: str
    findings: Findings
    replay: LogReplay
    book: ConversionBook
    settlements: SettlementBook
    successions: SuccessionBook
    checkpoint: Checkpoint | None = None
    note: bytes | None = None
    figures: Figures | None = None
    messages: MessageCheck | None = None
    key_given: bool = False
    is_read: bool = False
    witnesses: tuple[str, ...] = ()

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


def _quiet(_label: str, _done: int, _size: int) -> None:
    """Report progress to nobody."""


def audit_log(
    source: Source,
    *,
    verifiers: Sequence[Verifier] = (),
    known: Sequence[Checkpoint] = (),
    policy: Policy | None = None,
    progress: Progress = _quiet,
) -> LogAudit:
    """Return what is found by replaying the log at `source`.

    `verifiers` are keys known from elsewhere: that of this log, if it is among them, must be the one that signed.
    `known` are checkpoints of any logs that were verified before: this log must still lead to its own. With `policy`,
    its logs are known too, and as many witnesses as it asks for must have cosigned this log's checkpoint.
    """
    if policy is not None:
        verifiers = (*verifiers, *policy.verifiers)
    auditor = _Auditor(source=source, verifiers=verifiers, known=known, policy=policy, progress=progress)
    try:
        auditor.run()
    except CouldNotCheck as error:
        auditor.result.findings.incomplete(FindingCode.UNREACHABLE, auditor.path, str(error))
    return auditor.result


@dataclass(slots=True, kw_only=True)
class _Auditor:
    """The audit of one log under way; `path` is the file last asked for."""

    source: Source
    verifiers: Sequence[Verifier]
    known: Sequence[Checkpoint]
    policy: Policy | None
    progress: Progress
    result: LogAudit = field(init=False)
    path: str = CHECKPOINT_PATH
    _folder: str = ""
    _tally: Tally = field(default_factory=Tally)
    _citations: Citations = field(default_factory=Citations)

    def __post_init__(self) -> None:
        findings, book, settlements, successions = Findings(), ConversionBook(), SettlementBook(), SuccessionBook()
        collectors = (self._tally, book, settlements, successions, self._citations)
        self.result = LogAudit(
            label=self.source.label,
            findings=findings,
            replay=LogReplay(findings=findings, collectors=collectors),
            book=book,
            settlements=settlements,
            successions=successions,
        )

    def run(self) -> None:
        """Go through the whole ledger, as far as its files can be had."""
        note, checkpoint = self._open()
        self.result.note, self.result.checkpoint = note, checkpoint
        if note is None or checkpoint is None:
            return
        if not self._read_past(checkpoint.origin) or not self._read_entries(checkpoint.size):
            return
        self.result.is_read = True
        self._read_upper_tiles(checkpoint.size)
        self._check_signature(note)
        if self.policy is not None:
            self._check_quorum(note, self.policy)
        if self.result.is_whole:
            self._check_ledger_file()
            self._check_figures()
            self.result.successions.check(self.result.findings)
            self._check_statements()
            self._read_messages()

    def _fetch(self, path: str) -> bytes | None:
        self.path = self._folder + path
        return self.source.fetch(self.path)

    def _open(self) -> tuple[bytes | None, Checkpoint | None]:
        """Return the checkpoint as stated, its signature not yet verified: the key is in the log."""
        note = self._required(CHECKPOINT_PATH)
        if note is None:
            return None, None
        try:
            return note, parse_checkpoint(parse_note(note).text)
        except ProtocolError as error:
            self.result.findings.broken(error.code, self.path, str(error))
            return None, None

    def _read_past(self, origin: str) -> bool:
        """Replay the logs before that of `origin`, and return whether this one can go on from them."""
        try:
            generation = generation_of(parse_ledger(origin))
        except IdentifierInvalid:
            generation = 1  # Whose log this is, its own genesis says: the name is compared with that.
        if generation > GENERATIONS_MAX:
            text = f"an audit goes through {GENERATIONS_MAX} logs of one ledger"
            self.result.findings.incomplete(FindingCode.MISSING, self.path, text)
            return False
        is_read = all(self._read_generation(before) for before in range(1, generation))
        self._folder = ""
        return is_read

    def _read_generation(self, generation: int) -> bool:
        """Replay one past log as far as it was restored; one that was lost with all its entries is not there."""
        self._folder = past_folder(generation)
        if generation > 1 and self._fetch(CHECKPOINT_PATH) is None:
            return True
        note, checkpoint = self._open()
        if note is None or checkpoint is None or not self._read_entries(checkpoint.size):
            return False
        self._read_upper_tiles(checkpoint.size)
        replay = self.result.replay
        replay.check_checkpoint(note, self.verifiers, folder=self._folder)
        if not replay.applied == checkpoint.size > 0:
            return False
        self._check_ledger_file()
        replay.succeed()
        return True

    def _required(self, path: str) -> bytes | None:
        data = self._fetch(path)
        if data is None:
            self.result.findings.incomplete(FindingCode.MISSING, self.path, f"{self.source.label} has no such file")
        return data

    def _read_entries(self, size: int) -> bool:
        """Replay every bundle, comparing its level 0 tile, and return whether all of them could be read."""
        for bundle in bundles_of(size):
            data = self._bundle(bundle)
            if data is None:
                return False
            try:
                entries = decode_bundle(data, width=bundle.width)
            except ProtocolError as error:
                self.result.findings.broken(error.code, self._folder + format_path(bundle), str(error))
                return False
            self.result.replay.hash(entries)
            # The tile is compared first: it names the very entry that was changed, a rule perhaps a later one.
            self._check_tile(TileId(level=0, index=bundle.index, width=bundle.width))
            self.result.replay.judge(entries)
            self.progress(self.source.label, self.result.replay.size, size)
        return True

    def _bundle(self, bundle: BundleId) -> bytes | None:
        path = format_path(bundle)
        if bundle.width == TILE_WIDTH:
            return self._required(path)
        data = self._fetch(path)
        if data is not None:
            return data
        # A log that has grown since may have kept only the full bundle (C2SP tlog-tiles, Partial tiles).
        full = self._fetch(format_path(BundleId(index=bundle.index)))
        if full is None:
            return self._required(path)
        try:
            return encode_bundle(decode_bundle(full, width=TILE_WIDTH)[: bundle.width])
        except ProtocolError:
            return full

    def _read_upper_tiles(self, size: int) -> None:
        for tile in tiles_of(size):
            if tile.level:
                self._check_tile(tile)

    def _check_tile(self, tile: TileId) -> None:
        data = self._fetch(format_path(tile))
        if data is None and tile.width < TILE_WIDTH:
            full = self._fetch(format_path(TileId(level=tile.level, index=tile.index)))
            data = None if full is None else full[: tile.width * HASH_BYTES]
        if data is None:
            text = f"{self.source.label} has no such tile"
            self.result.findings.incomplete(FindingCode.MISSING, self._folder + tile_place(tile), text)
        else:
            self.result.replay.check_tile(tile, data, folder=self._folder)

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
        data = self._fetch(LEDGER_PATH)
        if data is None:
            return
        record = self.result.replay.ledger
        assert record is not None, "a whole log has its genesis"
        own = Verifier(record.log, key_of(record.keys, Role.LOG))
        try:
            stated = decode_ledger_file(data)
        except ProtocolError as error:
            self.result.findings.broken(error.code, self.path, str(error))
            return
        if (stated.ledger, stated.vkey) != (own.name, format_vkey(own)):
            text = "the file names another ledger or key than genesis"
            self.result.findings.broken(FindingCode.LEDGER_DIFFERS, self.path, text)

    def _check_figures(self) -> None:
        replay, findings = self.result.replay, self.result.findings
        assert replay.ledger is not None, "a whole log has its genesis"
        self._tally.check(replay.view, findings)
        figures = figures_of(self._tally, self.result.book, points=replay.ledger.points)
        check_roll_forward(figures.roll_forward, findings)
        self.result.figures = figures

    def _check_statements(self) -> None:
        result = self.result
        assert result.ledger is not None, "a whole log has its genesis"
        result.settlements.check(result.ledger, result.replay, where=result.name, findings=result.findings)

    def _read_messages(self) -> None:
        replay = self.result.replay
        assert replay.ledger is not None, "a whole log has its genesis"
        check = MessageCheck(
            replay.view, ledger=replay.ledger.ledger, citations=self._citations, findings=self.result.findings
        )
        self.result.messages = check
        page = 0
        while (data := self._fetch(messages_path(page))) is not None:
            try:
                found = decode_messages_page(data)
            except ProtocolError as error:
                self.result.findings.broken(error.code, messages_path(page), str(error))
                break
            if not check.add(found) or len(found.messages) < PAGE_MESSAGES_MAX:
                break
            page += 1
        check.finish()
