"""The exact tail of a log, brought back into a store that is behind: from the audit package of a replica or auditor.

Nothing in the package is believed. Its checkpoint must be signed by every key of the log, the store's log must be a
prefix of its log, and every missing entry is judged again by the rules. The store is then what it was at that
checkpoint, but for what no log and no message holds: proposals, credentials, erasable data.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from node.engine.sent import sent_body
from node.services.logs.own_log import open_of, place_of
from node.services.partners.recovering_messages import MessagesBack
from node.store.reader import StoreReader
from node.store.rows import Answered, CommitRecord, SignedCheckpoint, StoredHead, TileRow, Write
from node.store.writer import StoreWriter
from protocol.agreement import key_of
from protocol.audit.citations import Citations
from protocol.audit.log import Source
from protocol.audit.pages import CHECKPOINT_PATH, past_folder
from protocol.audit.tree import RecomputedTree
from protocol.checkpoint import Checkpoint
from protocol.entries import ConversionCaptured, ConversionReleased, Sealed, body_of, unseal
from protocol.errors import CouldNotCheck, ProtocolError, Refusal
from protocol.identifiers import Account, Digest, Ledger, generation_of
from protocol.keys import PublicKey, Role
from protocol.ledger import rules
from protocol.ledger.names import recovery_id
from protocol.ledger.rotation import log_keys
from protocol.ledger.state import IDS, LEDGER, ONLY, OUTGOING, LedgerRecord
from protocol.ledger.view import Overlay
from protocol.merkle import Hash, leaf_hash
from protocol.messages import receiver_of
from protocol.note import Verifier, parse_note, verify_note
from protocol.recovery_entries import RecoveryBegun, RecoveryEnded, RecoveryWaived
from protocol.tiles import TileBuilder, bundles_of, decode_bundle, format_path

_FAULTS: Final = (ArithmeticError, AssertionError, LookupError, ValueError)
"""What a rule can run into on an entry that no honest ledger wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BroughtBack:
    """What was brought back: entries, messages of partners, and where the log ends now; `note` is its checkpoint."""

    log: Ledger
    size: int
    entries: int
    messages: int
    note: bytes


def recover(store: StoreWriter, reader: StoreReader, source: Source, *, seen: Checkpoint | None) -> BroughtBack:
    """Bring what `source` has beyond the store into it, and return what that was.

    `seen` is the last checkpoint that the node is known to have signed: the source must reach it. Raises
    `CouldNotCheck` when the source is no continuation of the store's log, or is damaged, and `StoreFailed`; what was
    committed before stays, and the same call goes on from there.
    """
    record = reader.record(LEDGER, ONLY)
    if record is None:
        raise CouldNotCheck("the database holds no ledger")
    return _Recovery(store, reader, source, record).run(seen)


@dataclass(slots=True)
class _Batch:
    """What one log brings back."""

    sealed: list[Sealed] = field(default_factory=list)
    history: list[tuple[Account, int]] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)


class _Recovery:
    """One recovery under way: the package's whole log is replayed, and what the store lacks is written."""

    def __init__(self, store: StoreWriter, reader: StoreReader, source: Source, record: LedgerRecord) -> None:
        self._store = store
        self._reader = reader
        self._source = source
        self._ledger = record.ledger
        self._key: PublicKey = key_of(record.keys, Role.LOG)
        self._view = Overlay(complete=True)
        self._citations = Citations()
        self._entries = 0
        self._messages = 0

    def run(self, seen: Checkpoint | None) -> BroughtBack:
        """Replay, compare, write."""
        newest, note = self._opened("")
        head = self._store.head()
        for what, least in (("this node has signed", seen), ("the store ends at", head.checkpoint)):
            if least is not None and place_of(newest) < place_of(least):
                text = f"{what} {least.size} entries of {least.origin}, and the package ends at {newest.size}"
                raise CouldNotCheck(f"{text} of {newest.origin}")
        last = generation_of(Ledger(newest.origin))
        for generation in range(1, last + 1):
            folder = "" if generation == last else past_folder(generation)
            if folder and self._source.fetch(folder + CHECKPOINT_PATH) is None:
                continue
            self._replay(folder, seen, last=generation == last)
        return BroughtBack(
            log=Ledger(newest.origin),
            size=newest.size,
            entries=self._entries,
            messages=self._messages,
            note=note,
        )

    def _opened(self, folder: str) -> tuple[Checkpoint, bytes]:
        note = self._required(folder + CHECKPOINT_PATH)
        try:
            return open_of(note, ledger=self._ledger, key=self._key), note
        except ProtocolError as error:
            raise CouldNotCheck(f"{folder}{CHECKPOINT_PATH} is none of {self._ledger}: {error}") from error

    def _required(self, path: str) -> bytes:
        data = self._source.fetch(path)
        if data is None:
            raise CouldNotCheck(f"{self._source.label} has no {path}")
        return data

    # --- One log.

    def _replay(self, folder: str, seen: Checkpoint | None, *, last: bool) -> None:
        checkpoint, note = self._opened(folder)
        head = self._store.head()
        generation = generation_of(Ledger(checkpoint.origin))
        known = self._known(head, generation, checkpoint)
        tree, tiles, batch = RecomputedTree(), TileBuilder(), _Batch()
        for index, data in enumerate(self._data_of(folder, checkpoint)):
            if index == known:
                # What comes up to here is in the store: only what follows is written.
                tiles.take_changed()
                self._view.take_changes()
            sealed = self._judged(data)
            leaf = leaf_hash(data)
            tree.append(leaf)
            tiles.append(leaf)
            if index >= known:
                self._take(sealed, batch)
        self._check_keys(checkpoint, note)
        self._compare(tree, checkpoint, head, seen)
        first_seq = batch.sealed[0].entry.seq - known if batch.sealed else 0
        self._messages = self._write(batch, tiles, head, (checkpoint, note, first_seq), last=last)

    def _known(self, head: StoredHead, generation: int, checkpoint: Checkpoint) -> int:
        """Return how many entries of the package's log the store has."""
        if generation < head.generation:
            return checkpoint.size
        return head.size if generation == head.generation else 0

    def _data_of(self, folder: str, checkpoint: Checkpoint) -> Iterator[bytes]:
        for bundle in bundles_of(checkpoint.size):
            path = folder + format_path(bundle)
            try:
                yield from decode_bundle(self._required(path), width=bundle.width)
            except ProtocolError as error:
                raise CouldNotCheck(f"{path} cannot be read: {error}") from error

    def _judged(self, data: bytes) -> Sealed:
        try:
            sealed = unseal(data)
            rules.apply(self._view, sealed)
        except (ProtocolError, Refusal, *_FAULTS) as error:
            raise CouldNotCheck(f"the package has an entry that breaks a rule: {error}") from error
        self._citations.add(sealed, self._view)
        return sealed

    def _check_keys(self, checkpoint: Checkpoint, note: bytes) -> None:
        """Raise unless each key that the log got in the replayed entries has signed too: an old one may be stolen."""
        own = self._view.get(LEDGER, ONLY)
        for key in log_keys(own)[1:] if own else ():
            try:
                verify_note(parse_note(note), [Verifier(Ledger(checkpoint.origin), key)])
            except ProtocolError as error:
                text = f"the log's key {key.text} has not signed the package's checkpoint: {error}"
                raise CouldNotCheck(text) from error

    def _compare(self, tree: RecomputedTree, checkpoint: Checkpoint, head: StoredHead, seen: Checkpoint | None) -> None:
        """Raise unless the entries make the root that was signed, and lead on from all that is known of this log."""
        if tree.root() != checkpoint.root:
            raise CouldNotCheck(f"the package's entries do not make the root that {checkpoint.origin} signed")
        for what, held in (("the store", head.checkpoint), ("the last checkpoint that this node has signed,", seen)):
            if held is None or held.origin != checkpoint.origin:
                continue
            if held.size > tree.size or tree.root_at(held.size) != held.root:
                raise CouldNotCheck(f"the package has another history than {what} of {held.size} entries")

    # --- What is written.

    def _take(self, sealed: Sealed, batch: _Batch) -> None:
        entry = sealed.entry
        batch.sealed.append(sealed)
        batch.history += [(holder, entry.seq) for holder in rules.holders_of(self._view, entry)]
        said = self._said_by(sealed, batch)
        body = None if said is None else body_of(said, ledger=self._ledger)
        if said is not None and body is not None:
            batch.writes.append(sent_body(body, receiver_of(body, self._ledger), entry_seq=said.entry.seq))
        if isinstance(entry, ConversionCaptured | ConversionReleased):
            concluded = self._view.get(OUTGOING, entry.conversion)
            batch.writes += [Answered((Digest(concluded.prepare),))] if concluded else []

    def _said_by(self, sealed: Sealed, batch: _Batch) -> Sealed | None:
        """Return the entry whose body was said when `sealed` was entered; see `CommitDesk`."""
        entry = sealed.entry
        if isinstance(entry, RecoveryBegun):
            return None
        if not isinstance(entry, RecoveryEnded | RecoveryWaived):
            return sealed
        own = self._view.get(LEDGER, ONLY)
        begun = self._view.get(IDS, recovery_id(own.log, entry.partner)) if own else None
        if begun is None:
            return None
        data = self._store.entry(begun.seq)
        here = next((each for each in batch.sealed if each.entry.seq == begun.seq), None)
        return here or (None if data is None else unseal(data))

    def _write(
        self,
        batch: _Batch,
        tiles: TileBuilder,
        head: StoredHead,
        signed: tuple[Checkpoint, bytes, int],
        *,
        last: bool,
    ) -> int:
        checkpoint, note, first_seq = signed
        messages = MessagesBack(self._reader, self._source, self._view, self._citations, ledger=self._ledger)
        writes = [*batch.writes, *(messages.writes() if last else ())]
        if not batch.sealed and not writes:
            return 0
        generation = generation_of(Ledger(checkpoint.origin))
        root = Digest(Hash(checkpoint.root).hex())
        self._store.commit(
            CommitRecord(
                old_size=head.size,
                old_generation=head.generation,
                generation=generation if batch.sealed else head.generation,
                first_seq=first_seq if batch.sealed else head.first_seq,
                sealed=tuple(batch.sealed),
                tiles=tuple(TileRow(tile.level, tile.index, data) for tile, data in tiles.take_changed())
                if batch.sealed
                else (),
                checkpoint=SignedCheckpoint(
                    number=head.checkpoint_number + 1,
                    generation=generation,
                    size=checkpoint.size,
                    root=root,
                    note=note,
                )
                if batch.sealed
                else None,
                changes=self._view.take_changes() if batch.sealed else {},
                history=tuple(batch.history),
                writes=tuple(writes),
            )
        )
        self._entries += len(batch.sealed)
        return messages.count
