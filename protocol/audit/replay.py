"""One ledger replayed: every entry decoded, hashed, judged by the ledger's own rules, and held against what was signed.

The first entry that does not decode or that a rule refuses ends the judging, since nothing is known of the state after
it. Hashing goes on to the end, so that tiles and checkpoint are still compared with all entries. A ledger that was
restored from an old copy has several logs, one after the other: each has a tree of its own, the state goes on.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final, Protocol, TypeAlias

from protocol.agreement import key_of
from protocol.audit.days import DaySums
from protocol.audit.findings import FindingCode, Findings
from protocol.audit.segments import REFUSED, Segment, segment_of
from protocol.audit.tree import RecomputedTree
from protocol.checkpoint import Checkpoint, open_checkpoint
from protocol.encoding import ZERO_DIGEST
from protocol.entries import AnyEntry, Entry, Genesis, Sealed, decode_entry
from protocol.errors import Code, ProtocolError, Refusal
from protocol.identifiers import Digest, Ledger, partner_of
from protocol.keys import Role
from protocol.ledger import rules
from protocol.ledger.rotation import log_keys
from protocol.ledger.state import HEAD, LEDGER, ONLY, PROGRAM, Head, LedgerRecord
from protocol.ledger.view import Overlay
from protocol.limits import TILE_WIDTH
from protocol.merkle import HASH_BYTES
from protocol.messages import Predecessor
from protocol.note import KeyType, Verifier, parse_note, verify_note
from protocol.tiles import TileId, format_path

CHECKPOINT: Final = "checkpoint"


class Collector(Protocol):
    """Reads along: sees each entry right after the rules accepted it."""

    def add(self, sealed: Sealed, view: Overlay) -> None:
        """Take note of an entry; `view` is the ledger's state after it."""


Reader: TypeAlias = Callable[[Sealed, Overlay], None]
"""Takes note of an entry right after the rules accepted it, by the ledger's state after it."""


class Follower(Protocol):
    """Reads along, and asks for the entries of few kinds one by one: most kinds it only sums."""

    def readers(self, kind: type[Entry]) -> Sequence[Reader]:
        """Return who takes note of each entry of `kind`; asked once a kind."""

    def passed(self, entries: Sequence[AnyEntry], view: Overlay, sums: DaySums | None) -> None:
        """Take note that `entries` were accepted; `sums` is what they post, where it was summed already."""


@dataclass(frozen=True, slots=True)
class PastLog:
    """A log that another one succeeds, as far as it was restored; its entries begin at `first_seq`."""

    ledger: Ledger
    first_seq: int
    tree: RecomputedTree


@dataclass(frozen=True, slots=True)
class LostEnd:
    """How far a log went before its end was lost, as its successor says; `root` is null where it does not say."""

    size: int
    root: Digest | None


class LogReplay:
    """A log as its entries make it; `findings` says where it is not what it should be."""

    def __init__(
        self,
        *,
        findings: Findings,
        collectors: Sequence[Collector] = (),
        follower: Follower | None = None,
        view: Overlay | None = None,
    ) -> None:
        """Start before the first entry, or from the complete `view` of a ledger.

        `collectors` see each entry, `follower` those that it asks for.
        """
        self.findings = findings
        self.tree = RecomputedTree()
        self.view = Overlay(complete=True) if view is None else view
        # Every entry asks for the program's terms, of which most ledgers have none of their own.
        self.view.load(PROGRAM, ONLY, None)
        self.applied = 0
        self.first_seq = 0
        self.past: list[PastLog] = []
        self.lost: dict[Ledger, LostEnd] = {}
        self._collectors = tuple(collectors)
        self._follower = follower
        self._readers: dict[type[Entry], tuple[Reader, ...]] = {}

    def succeed(self) -> None:
        """Go on to the log after this one, whose end was lost: the state stays, the tree begins anew."""
        record = self.ledger
        assert record is not None, "a log that was accepted has its genesis"
        self.past.append(PastLog(record.log, record.first_seq, self.tree))
        self.tree, self.applied, self.first_seq = RecomputedTree(), 0, self.head.size

    @property
    def size(self) -> int:
        """Return how many entries of the present log were hashed; `applied` of them were judged and accepted."""
        return self.tree.size

    @property
    def end_seq(self) -> int:
        """Return the sequence number that the next entry would have."""
        return self.first_seq + self.size

    def leaf_of(self, seq: int) -> Digest | None:
        """Return the leaf hash of the entry `seq` in whichever log has it, or None where none has."""
        for first_seq, tree in ((self.first_seq, self.tree), *((log.first_seq, log.tree) for log in self.past)):
            if first_seq <= seq < first_seq + tree.size:
                return tree.leaf(seq - first_seq)
        return None

    def prefix(self, end_seq: int) -> tuple[Ledger, int, str]:
        """Return the log that has the entry before `end_seq`, how many it had with it, and the root over those."""
        own = self.ledger
        assert own is not None, "entries that were accepted begin with genesis"
        logs = [(log.ledger, log.first_seq, log.tree) for log in self.past]
        name, first_seq, tree = max(
            (each for each in [*logs, (own.log, self.first_seq, self.tree)] if each[1] < end_seq),
            key=lambda each: each[1],
        )
        size = end_seq - first_seq
        return name, size, tree.root_at(size).hex()

    @property
    def ledger(self) -> LedgerRecord | None:
        """Return what genesis said, once it has been accepted."""
        return self.view.get(LEDGER, ONLY)

    @property
    def head(self) -> Head:
        """Return the end of the log as far as it was accepted."""
        return self.view.get(HEAD, ONLY) or Head(leaf=ZERO_DIGEST)

    def add(self, entries: Sequence[bytes]) -> None:
        """Replay the next entries, in their order, as one bundle holds them."""
        segment = segment_of(entries)
        self.hash(segment)
        self.judge(segment)

    def hash(self, segment: Segment) -> None:
        """Add the next entries to the tree; they can be compared with a tile before `judge` judges them."""
        self.tree.extend(segment.leaves, root=segment.root)

    def judge(self, segment: Segment) -> None:
        """Judge the entries that were hashed last, up to the first that is refused."""
        count = segment.count
        if self.applied != self.size - count:
            return
        leaves, read = self.tree.last_leaves(count), segment.read
        if read is not None and self._continues(read.entries[0]):
            accepted = self._accepted_of(read.entries, leaves)
        else:
            accepted = self._accepted_one_by_one(segment, leaves)
        if self._follower is not None and accepted:
            sums = read.sums if read is not None and len(accepted) == count else None
            self._follower.passed(accepted, self.view, sums)
        # Nothing is ever rolled back past a bundle, so the journal need not grow with the log.
        self.view.forget_changes()

    def _continues(self, entry: AnyEntry) -> bool:
        """Return whether `entry`, the first of some that were read, follows the entries that were accepted."""
        record = self.ledger
        # Collectors see the state after each entry as it is, to the head of the log.
        if record is None or not self.applied or self._collectors:
            return False
        try:
            rules.check_placed(entry, self.head, ledger=record.ledger)
        except Refusal:
            return False
        return True

    def _accepted_of(self, entries: Sequence[AnyEntry], leaves: Sequence[Digest]) -> Sequence[AnyEntry]:
        """Return those of `entries` that every rule accepts; all of them were read, and follow one another."""
        view, known, apply = self.view, self._readers, rules.apply_placed
        last, done, mark = None, 0, view.savepoint()
        try:
            # A follower does not look at the bytes: what is in them is in the entry, and their hash is the leaf.
            for sealed in map(Sealed, entries, repeat(b""), leaves):
                apply(view, sealed)
                kind = type(sealed.entry)
                for reader in known[kind] if kind in known else self._readers_of(kind):
                    reader(sealed, view)
                last, done, mark = sealed, done + 1, view.savepoint()
        except REFUSED as error:
            view.rollback(mark)
            self.applied += done
            self._refused(error)
        else:
            self.applied += done
        if last is not None:
            rules.move_head(view, last)
        return entries[:done]

    def _accepted_one_by_one(self, segment: Segment, leaves: Sequence[Digest]) -> Sequence[AnyEntry]:
        """Return the entries of `segment` that decode, if they were not read yet, and that every rule accepts."""
        data: Iterable[bytes] = segment.entries or repeat(b"")
        read: Iterable[AnyEntry | None] = repeat(None) if segment.read is None else segment.read.entries
        accepted: list[AnyEntry] = []
        for leaf, each, known in zip(leaves, data, read, strict=False):
            entry = self._accepted(each, known, leaf)
            if entry is None:
                break
            accepted.append(entry)
            self.applied += 1
        return accepted

    def _accepted(self, data: bytes, read: AnyEntry | None, leaf: Digest) -> AnyEntry | None:
        """Return the next entry if every rule accepts it; why one does not is a finding."""
        view = self.view
        mark = view.savepoint()
        try:
            entry = decode_entry(data) if read is None else read
            sealed = Sealed(entry, data, leaf)
            if isinstance(entry, Genesis) or not self.applied:
                self._check_beginning(entry)
            rules.apply(view, sealed)
        except REFUSED as error:
            self._refused(error)
        else:
            if isinstance(entry, Genesis):
                self._begun(entry)
            readers = self._readers.get(type(entry))
            for reader in self._readers_of(type(entry)) if readers is None else readers:
                reader(sealed, view)
            return entry
        view.rollback(mark)
        return None

    def _refused(self, error: Exception) -> None:
        """Note why the entry after those that were accepted is not."""
        if isinstance(error, Refusal):
            code, text = str(error.code), error.detail
        elif isinstance(error, ProtocolError):
            code, text = str(error.code), str(error)
        else:
            code, text = str(FindingCode.RULE_FAILED), f"no rule can judge the entry: {error}"
        self.findings.broken(code, f"entry {self.first_seq + self.applied}", text)

    def _readers_of(self, kind: type[Entry]) -> tuple[Reader, ...]:
        asked = () if self._follower is None else self._follower.readers(kind)
        readers = self._readers[kind] = (*(collector.add for collector in self._collectors), *asked)
        return readers

    def _check_beginning(self, entry: Entry) -> None:
        """Refuse a succession within one log, and a log after another that does not begin with one."""
        succeeds = isinstance(entry, Genesis) and entry.predecessor is not None
        if succeeds != (not self.applied and bool(self.past)):
            raise Refusal(Code.CHAIN_BROKEN, "a genesis that names a log before begins the log after it")

    def _begun(self, genesis: Genesis) -> None:
        """Note where the log begins and, of a successor, how far the one before had gone."""
        self.first_seq, before = genesis.seq, genesis.predecessor
        if before is None:
            return
        restored = self.past[-1]
        self._check_restored(restored, before, place=f"entry {genesis.seq}")
        # The copy may be older than the log before: then nothing is here of that one, and this one's end is known.
        self.lost[restored.ledger] = LostEnd(before.first_seq - restored.first_seq, None)
        self.lost[before.ledger] = LostEnd(before.size, before.root)

    def _check_restored(self, restored: PastLog, before: Predecessor, *, place: str) -> None:
        if restored.tree.root().hex() != before.restored_root:
            text = f"{restored.ledger} has another root than genesis says was restored"
            self.findings.broken(FindingCode.ROOT_DIFFERS, place, text)

    def check_tile(self, tile: TileId, data: bytes, *, folder: str = "") -> None:
        """Compare a tile of the log with the one that the entries make; `folder` is where a past log's are kept."""
        computed = self.tree.tile(tile)
        if data == computed:
            return
        place = folder + tile_place(tile)
        if len(data) != len(computed):
            self.findings.broken(
                FindingCode.TILE_DIFFERS, place, f"{len(data)} bytes, where {tile.width} hashes have {len(computed)}"
            )
            return
        offset = next(at for at in range(tile.width) if _hash_at(data, at) != _hash_at(computed, at))
        seq = self.first_seq + tile.index * TILE_WIDTH + offset
        what = f"of entry {seq}" if tile.level == 0 else f"{offset}"
        self.findings.broken(FindingCode.TILE_DIFFERS, place, f"the hash {what} is not the one that the entries make")

    def check_checkpoint(self, note: bytes, verifiers: Sequence[Verifier], *, folder: str = "") -> None:
        """Compare the signed checkpoint with the entries: signer, name, size and root.

        The signer must be the log key that genesis names; where `verifiers` know a key of that ledger, the same one.
        """
        keys, place = self._log_keys(verifiers), folder + CHECKPOINT
        if not keys:
            self.findings.incomplete(FindingCode.KEY_UNKNOWN, place, "neither genesis nor the caller names a key")
            return
        try:
            checkpoint = open_checkpoint(note, keys)
        except ProtocolError as error:
            self.findings.broken(error.code, place, str(error))
            return
        self._check_later_keys(note, place)
        if (checkpoint.size, checkpoint.root) != (self.size, self.tree.root()):
            self.findings.broken(
                FindingCode.ROOT_DIFFERS,
                place,
                f"the log signed {checkpoint.size} entries under {checkpoint.root.hex()}; "
                f"its {self.size} entries make {self.tree.root().hex()}",
            )

    def _check_later_keys(self, note: bytes, place: str) -> None:
        """Hold that every key that the log has got since its genesis has signed too: an old one may be stolen."""
        if self.ledger is None or self.applied != self.size:
            return
        for key in log_keys(self.ledger)[1:]:
            try:
                verify_note(parse_note(note), [Verifier(self.ledger.log, key)])
            except ProtocolError as error:
                text = f"the log's key {key.text}, which it got since, has not signed: {error}"
                self.findings.broken(error.code, place, text)

    @staticmethod
    def own_key(record: LedgerRecord) -> Verifier:
        """Return the key by which a ledger's present log is signed, as its genesis names it."""
        return Verifier(record.log, key_of(record.keys, Role.LOG))

    def _log_keys(self, verifiers: Sequence[Verifier]) -> list[Verifier]:
        if self.ledger is None:
            return list(verifiers)
        own = self.own_key(self.ledger)
        # A ledger keeps its keys in all its generations, so a key that is known of one of them is known of each.
        known = [each for each in verifiers if partner_of(Ledger(each.name)) == partner_of(self.ledger.ledger)]
        given = [each.key for each in known if each.type is KeyType.ED25519]
        if given and not set(log_keys(self.ledger)) & set(given):
            self.findings.broken(
                FindingCode.KEYS_DIFFER,
                f"entry {self.first_seq}",
                "genesis names another log key than the one that is known",
            )
        return [own]

    def check_held(self, checkpoint: Checkpoint, *, place: str, findings: Findings) -> None:
        """Compare a checkpoint that somebody holds of this ledger with the entries: a log never takes one back.

        Only what was lost with the end of a log can no longer be compared, up to where its successor says it went.
        """
        own = self.ledger
        assert own is not None, "a ledger that is compared has its genesis"
        trees = {own.log: self.tree} | {log.ledger: log.tree for log in self.past}
        origin = Ledger(checkpoint.origin)
        tree, lost = trees.get(origin), self.lost.get(origin)
        if tree is not None and checkpoint.size <= tree.size:
            if tree.root_at(checkpoint.size) != checkpoint.root:
                text = "the log signed another root of this size than its entries make"
                findings.broken(FindingCode.FORKED, place, text)
        elif lost is not None:
            self._check_lost(checkpoint, lost, place=place, findings=findings)
        elif tree is None:
            findings.incomplete(FindingCode.BEHIND, place, f"nothing of {origin} was given")
        else:
            findings.incomplete(FindingCode.BEHIND, place, f"the log that was given ends at {tree.size} entries")

    @staticmethod
    def _check_lost(checkpoint: Checkpoint, lost: LostEnd, *, place: str, findings: Findings) -> None:
        if checkpoint.size > lost.size:
            text = f"{checkpoint.origin} was signed on: its successor says that it went no further than {lost.size}"
            findings.broken(FindingCode.FORKED, place, text)
        elif checkpoint.size == lost.size and lost.root not in (None, checkpoint.root.hex()):
            text = "the successor names another root of the log's last size"
            findings.broken(FindingCode.FORKED, place, text)


def tile_place(tile: TileId) -> str:
    """Return how a finding names a tile: `tile 0/000`."""
    return format_path(tile).replace("/", " ", 1)


def _hash_at(data: bytes, offset: int) -> bytes:
    return data[offset * HASH_BYTES : (offset + 1) * HASH_BYTES]
