"""The fake store: the writer's interface over plain rows in memory. `reader` has the reader's.

A commit makes a new `State` and leaves the one before it as it was, so that a commit happens whole or not at all, a
crash loses nothing that was committed, and an old copy is just an old state put back.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum, auto
from typing import Final, Self, TypeAlias, TypeVar, cast

from node.store.codec import is_stored
from node.store.errors import ForkRefused, StoreFailed
from node.store.rows import (
    Answered,
    ChannelState,
    CommitRecord,
    DeleteProposal,
    EraseMetadata,
    PartnerCheckpoint,
    PartnerUrl,
    Proposal,
    PutMetadata,
    PutProposal,
    PutSetting,
    ReceivedBody,
    ReceivedEnvelope,
    ReceivedMessage,
    Requeue,
    SentBody,
    SentMessage,
    SignedCheckpoint,
    StoredHead,
    StoredPartnerCheckpoint,
    Write,
)
from node.store.rows_access import PutCredential, RevokeCredential
from node.store.rows_accusations import Accusation, StoredAccusation
from node.store.writer import StoreWriter
from protocol.checkpoint import parse_checkpoint
from protocol.entries import Sealed
from protocol.identifiers import Account, Digest, Ledger
from protocol.ledger.state import IDS, LOTS, Lot, Table
from protocol.ledger.view import Changes, Need, Overlay
from protocol.note import parse_note

_K = TypeVar("_K")
_R = TypeVar("_R")
_Frame: TypeAlias = tuple[Ledger, int, str, int]
_NOT_SIMULATED: Final = (PutCredential, RevokeCredential, PutMetadata, EraseMetadata)


@dataclass(slots=True)
class State:
    """All that one ledger's store holds after one commit; never changed once it is committed."""

    entries: list[Sealed] = field(default_factory=list)
    tiles: dict[tuple[int, int, int], bytes] = field(default_factory=dict)
    checkpoints: list[SignedCheckpoint] = field(default_factory=list)
    tables: dict[str, dict[object, object]] = field(default_factory=dict)
    sent: list[SentMessage] = field(default_factory=list)
    sent_numbers: dict[Digest, int] = field(default_factory=dict)
    received: dict[tuple[Ledger, Digest], ReceivedBody] = field(default_factory=dict)
    words: list[ReceivedMessage] = field(default_factory=list)
    envelopes: list[bytes] = field(default_factory=list)
    frames: dict[_Frame, Digest] = field(default_factory=dict)
    partner_checkpoints: list[StoredPartnerCheckpoint] = field(default_factory=list)
    latest: dict[Ledger, StoredPartnerCheckpoint] = field(default_factory=dict)
    outbox: dict[int, Ledger] = field(default_factory=dict)
    channels: dict[Ledger, ChannelState] = field(default_factory=dict)
    urls: dict[Ledger, str] = field(default_factory=dict)
    proposals: dict[Digest, Proposal] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    accusations: list[StoredAccusation] = field(default_factory=list)

    def copy(self) -> Self:
        """Return an independent state with the same rows, which themselves never change; nor do its tables."""
        return type(self)(*(getattr(self, each.name).copy() for each in fields(self)))

    def entry(self, seq: int) -> Sealed | None:
        """Return the entry `seq`, or None: a successor leaves out what the log before had lost."""
        place = bisect_left(self.entries, seq, key=lambda sealed: sealed.entry.seq)
        found = self.entries[place] if 0 <= place < len(self.entries) else None
        return found if found is not None and found.entry.seq == seq else None

    def row(self, table: Table[_K, _R], key: _K) -> _R | None:
        """Return one row of the ledger's state, or None."""
        rows = self.tables.get(table.name)
        return None if rows is None else cast("_R | None", rows.get(key))

    def table(self, table: Table[_K, _R]) -> Mapping[_K, _R]:
        """Return every row of one table."""
        return cast("Mapping[_K, _R]", self.tables.get(table.name, {}))

    def lots(self, account: Account) -> list[Lot]:
        """Return the open lots of `account` in the order in which they are consumed."""
        found = [lot for (owner, _, _), lot in self.table(LOTS).items() if owner == account]
        return sorted(found, key=lambda lot: lot.order)


class Fate(Enum):
    """What becomes of a commit."""

    KEPT = auto()
    FAILED = auto()
    FAILED_BUT_KEPT = auto()


def always_kept() -> Fate:
    """Return the fate of every commit of a store that never fails."""
    return Fate.KEPT


@dataclass(slots=True)
class Disk:
    """Where a node's store is, whether the node is up or not; `fate` is asked once for each commit.

    With `copies_max`, so many old copies are kept, the older the fewer, for somebody to put one of them back. `kept` is
    the checkpoint in the file beside the store, which no copy of the store brings back. `lost` are the states that were
    replaced by a copy, which a replica still has.
    """

    state: State = field(default_factory=State)
    fate: Callable[[], Fate] = always_kept
    copies_max: int = 0
    copies: list[State] = field(default_factory=list)
    kept: bytes | None = None
    lost: list[State] = field(default_factory=list)

    def commit(self, record: CommitRecord) -> None:
        """Make all of `record` durable or nothing; as fate has it, say that it failed in either case."""
        state = self.state.copy()
        _write(state, record)
        fate = self.fate()
        if fate is not Fate.FAILED:
            self._keep_copy()
            self.state = state
        if fate is not Fate.KEPT:
            raise StoreFailed("the disk says no")

    def _keep_copy(self) -> None:
        if not self.copies_max:
            return
        if len(self.copies) >= self.copies_max:
            half = self.copies_max // 2
            self.copies[:half] = self.copies[:half:2]
        self.copies.append(self.state)


class MemoryWriter(StoreWriter):
    """The writer of the fake store."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def close(self) -> None:
        """Do nothing: the disk stays."""

    def head(self) -> StoredHead:
        """Return the end of the log."""
        state = self._disk.state
        if not state.entries:
            return StoredHead()
        made = state.checkpoints[-1]
        last = state.entries[-1]
        return StoredHead(
            size=made.size,
            generation=made.generation,
            first_seq=last.entry.seq + 1 - made.size,
            checkpoint=parse_checkpoint(parse_note(made.note).text),
            checkpoint_number=made.number,
            note=made.note,
            leaf=last.leaf,
            time=last.entry.time,
        )

    def load(self, needs: Iterable[Need], overlay: Overlay) -> None:
        """Make all that `needs` names known to `overlay`; a missing row becomes None."""
        state = self._disk.state
        for table, key in needs:
            if table is None:
                account = cast("Account", key)
                overlay.load_book(account, state.lots(account))
            else:
                overlay.load(table, key, state.row(table, key))

    def tile(self, level: int, index: int, *, generation: int = 1) -> bytes:
        """Return the hashes of a stored tile of one of the ledger's logs, or nothing where there is none."""
        return self._disk.state.tiles.get((generation, level, index), b"")

    def entries(self, seqs: Iterable[int]) -> dict[int, bytes]:
        """Return the bytes of those of the entries `seqs` that exist."""
        wanted = ((seq, self._disk.state.entry(seq)) for seq in seqs)
        return {seq: sealed.data for seq, sealed in wanted if sealed is not None}

    def commit(self, record: CommitRecord) -> None:
        """Write all of `record`, or raise a `StoreFailed`."""
        self._disk.commit(record)


def _write(state: State, record: CommitRecord) -> None:
    last = state.checkpoints[-1] if state.checkpoints else None
    number, place = (last.number, (last.generation, last.size)) if last else (-1, (record.old_generation, 0))
    if place != (record.old_generation, record.old_size) or (
        record.checkpoint and record.checkpoint.number != number + 1
    ):
        raise ForkRefused(f"the stored log {place[0]} has {place[1]} entries under checkpoint {number}")
    state.entries += record.sealed
    state.tiles.update({(record.generation, tile.level, tile.index): tile.hashes for tile in record.tiles})
    if record.checkpoint:
        state.checkpoints.append(record.checkpoint)
    _change(state, record.changes)
    carried = False
    for write in record.writes:
        carried = carried or isinstance(write, ReceivedEnvelope)
        _apply(state, write, carried=carried)


def _change(state: State, changes: Changes) -> None:
    for family, changed in changes.items():
        rows = state.tables[family.name] = dict(state.tables.get(family.name, {}))
        for key, row in changed.items():
            if family.name == IDS.name and key in rows:
                raise StoreFailed(f"the id {key} is taken")
            if is_stored(family, row):
                rows[key] = row
            else:
                rows.pop(key, None)


def _apply(state: State, write: Write, *, carried: bool) -> None:
    match write:
        case ReceivedEnvelope():
            state.envelopes.append(write.envelope)
        case ReceivedBody():
            _receive(state, write, carried=carried)
        case SentBody():
            _send(state, write)
        case Requeue():
            _queue(state, write.digest)
        case Answered():
            for digest in write.digests:
                state.outbox.pop(state.sent_numbers.get(digest, -1), None)
        case PartnerCheckpoint():
            kept = StoredPartnerCheckpoint(
                number=len(state.partner_checkpoints),
                ledger=write.ledger,
                generation=write.generation,
                size=write.size,
                note=write.note,
            )
            state.partner_checkpoints.append(kept)
            known = state.latest.get(write.ledger)
            if known is None or (known.generation, known.size) < (write.generation, write.size):
                state.latest[write.ledger] = kept
        case _:
            _operate(state, write)


def _operate(state: State, write: Write) -> None:
    """Apply a write that changes what operators keep."""
    match write:
        case ChannelState():
            state.channels[write.partner] = write
        case PartnerUrl():
            state.urls[write.partner] = write.url
        case PutProposal():
            state.proposals[write.digest] = Proposal(write.digest, write.partner, write.document, write.received_at)
        case DeleteProposal():
            state.proposals.pop(write.digest, None)
        case PutSetting():
            state.settings[write.name] = write.value
        case Accusation():
            said = {each.name: getattr(write, each.name) for each in fields(write)}
            state.accusations.append(StoredAccusation(number=len(state.accusations), **said))
        case _:
            assert isinstance(write, _NOT_SIMULATED)


def _receive(state: State, write: ReceivedBody, *, carried: bool) -> None:
    if not carried:
        raise StoreFailed("a received body comes after the envelope that carried it")
    frame = (write.partner, write.epoch, write.epoch_nonce, write.frame_seq)
    if frame in state.frames:
        raise StoreFailed(f"the frame {frame} is kept already")
    state.frames[frame] = write.digest
    state.received.setdefault((write.partner, write.digest), write)
    said = {each.name: getattr(write, each.name) for each in fields(write)}
    envelope_number = len(state.envelopes) - 1
    state.words.append(
        ReceivedMessage(
            number=len(state.words), envelope_number=envelope_number, envelope=state.envelopes[envelope_number], **said
        )
    )


def _send(state: State, write: SentBody) -> None:
    if write.digest not in state.sent_numbers:
        kept = SentMessage(
            number=len(state.sent),
            digest=write.digest,
            partner=write.partner,
            kind=write.kind,
            conversion=write.conversion,
            body=write.body,
            entry_seq=write.entry_seq,
        )
        state.sent_numbers[write.digest] = kept.number
        state.sent.append(kept)
    if write.wants_answer:
        _queue(state, write.digest)


def _queue(state: State, digest: Digest) -> None:
    number = state.sent_numbers.get(digest)
    if number is None:
        raise StoreFailed(f"no body {digest} was ever sent")
    state.outbox[number] = state.sent[number].partner
