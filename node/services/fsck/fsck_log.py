"""The log's own tables: entries hashed and judged anew, tiles and checkpoints held against them.

A leaf stands in three places: hashed from `entries.data`, in `entries.leaf`, and in a tile. Where they disagree, the
two that agree are believed, so that one damaged value is named once, and not by all that follows from it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from node.services.fsck.fsck_collected import BodiesOfEntries, HistoryOfHolders, LaterKeys
from node.services.fsck.fsck_report import Notes
from node.services.logs.own_log import open_of
from node.store.codec import Row
from node.store.dump import Dump
from protocol.agreement import key_of
from protocol.audit.citations import Citations
from protocol.audit.findings import Findings
from protocol.audit.replay import LogReplay
from protocol.audit.tree import RecomputedTree
from protocol.checkpoint import Checkpoint, parse_checkpoint
from protocol.errors import ProtocolError
from protocol.identifiers import Ledger
from protocol.keys import PublicKey, Role
from protocol.limits import TILE_WIDTH
from protocol.merkle import HASH_BYTES, CompactRange, Hash, leaf_hash
from protocol.note import Note, Verifier, parse_note, verify_note
from protocol.tiles import tiles_of

ENTRIES: Final = "entries"
TILES: Final = "tiles"
CHECKPOINTS: Final = "checkpoints"


@dataclass(frozen=True, slots=True)
class WalkedLog:
    """One of the store's logs: the seq of its first entry, and the tree that its entries make."""

    generation: int
    first_seq: int
    tree: RecomputedTree


class LogWalk:
    """Goes through every log from its first entry to its last; what was collected on the way proves other tables."""

    def __init__(self, dump: Dump, notes: Notes) -> None:
        """Prepare to read `dump`."""
        self.history = HistoryOfHolders()
        self.bodies = BodiesOfEntries()
        self.citations = Citations()
        self.logs: list[WalkedLog] = []
        self._findings = Findings()
        self._keys = LaterKeys()
        collectors = (self.history, self.bodies, self.citations, self._keys)
        self.replay = LogReplay(findings=self._findings, collectors=collectors)
        self._dump = dump
        self._notes = notes
        self._tiles = self._read_tiles()
        self._bundle: list[bytes] = []
        self._gap = False
        self._root_noted: set[int] = set()

    @property
    def is_sound(self) -> bool:
        """Return whether every entry is there and was accepted, so that what follows from the log is known."""
        return not self._gap and self.replay.applied == self.replay.size

    @property
    def key(self) -> PublicKey | None:
        """Return the log's key as genesis names it, once genesis was accepted."""
        own = self.replay.ledger
        return None if own is None else key_of(own.keys, Role.LOG)

    @property
    def last(self) -> WalkedLog:
        """Return the log that is written now."""
        return self.logs[-1]

    @property
    def end_seq(self) -> int:
        """Return the seq that the next entry would have."""
        return self._next_seq

    def run(self) -> None:
        """Check entries, tiles and checkpoints."""
        covered = self._covered_sizes()
        self._walk_entries(covered)
        self._check_tiles()
        self._check_checkpoints()

    # --- Entries.

    def _read_tiles(self) -> dict[tuple[int, int, int], bytes]:
        notes = self._notes.table(TILES)
        tiles: dict[tuple[int, int, int], bytes] = {}
        for generation, level, index, hashes in self._dump.rows(TILES):
            notes.rows += 1
            if isinstance(hashes, bytes):
                tiles[cast("int", generation), cast("int", level), cast("int", index)] = hashes
        return tiles

    def _covered_sizes(self) -> dict[int, int]:
        """Return for each log, in their order, how many entries its last checkpoint covers.

        That is what the signed note says, where it can be read.
        """
        covered: dict[int, int] = {}
        for _, generation, size, _, note in self._dump.rows(CHECKPOINTS):
            stated = _stated(note)
            if stated is not None:
                covered[_generation_of(stated)] = stated.size
            elif isinstance(size, int) and isinstance(generation, int):
                covered[generation] = size
        return dict(sorted(covered.items())) or {1: 0}

    def _walk_entries(self, covered: Mapping[int, int]) -> None:
        notes = self._notes.table(ENTRIES)
        notes.checked = True
        sizes = iter(covered.items())
        generation, size = next(sizes)
        self.logs.append(WalkedLog(generation, 0, RecomputedTree()))
        for seq, leaf, data in self._dump.rows(ENTRIES):
            notes.rows += 1
            at = cast("int", seq)
            if self.last.tree.size >= size and at > self._next_seq and (following := next(sizes, None)) is not None:
                # The next log begins after all that anybody has seen of this one: what lies between was lost.
                generation, size = following
                self._turn_over(generation, at)
            self._fill_gap(min(at, self.last.first_seq + size))
            if self._next_seq != at or not isinstance(data, bytes):
                notes.note((at,), "seq", "this entry stands where none should")
                self._gap = True
                continue
            self._place(at, leaf, data)
            if not self._gap:
                self._bundle.append(data)
            if len(self._bundle) == TILE_WIDTH:
                self._judge()
        self._judge()
        self._fill_gap(self.last.first_seq + size)
        self._note_refusal()
        for generation, _ in sizes:
            notes.note((), None, f"all entries of the log {generation} are missing")
            self._gap = True
        if self.last.tree.size > size:
            text = f"no checkpoint covers the entries from {self.last.first_seq + size} to {self._next_seq - 1}"
            self._notes.table(CHECKPOINTS).note((), None, text)

    @property
    def _next_seq(self) -> int:
        return self.last.first_seq + self.last.tree.size

    def _judge(self) -> None:
        self.replay.add(self._bundle)
        self._bundle.clear()

    def _turn_over(self, generation: int, seq: int) -> None:
        """Go on to the log after this one, whose genesis is the entry `seq`."""
        self._judge()
        if self.is_sound:
            self.replay.succeed()
        else:
            self._gap = True
        self.logs.append(WalkedLog(generation, seq, RecomputedTree()))

    def _fill_gap(self, seq: int) -> None:
        """Note that entries up to before `seq` are missing, and go on with what the tiles know of them."""
        first = self._next_seq
        if first >= seq:
            return
        last = f" and all up to {seq - 1}" if seq - 1 > first else ""
        self._notes.table(ENTRIES).note((first,), None, f"this entry is missing{last}")
        self._gap = True
        while self._next_seq < seq and (known := self._in_tile(self.last.tree.size)) is not None:
            self.last.tree.append(known)

    def _place(self, seq: int, leaf: object, data: bytes) -> None:
        computed, known = leaf_hash(data), self._in_tile(self.last.tree.size)
        if leaf == computed:
            self.last.tree.append(computed)
            return
        if known is not None and known == leaf:
            self._notes.table(ENTRIES).note((seq,), "data", "the bytes do not lead to the leaf hash")
            self.last.tree.append(known)
            return
        self._notes.table(ENTRIES).note((seq,), "leaf", "this is not the leaf hash of the bytes")
        self.last.tree.append(computed)

    def _in_tile(self, leaf_index: int) -> Hash | None:
        index, offset = divmod(leaf_index, TILE_WIDTH)
        tile = self._tiles.get((self.last.generation, 0, index), b"")
        found = tile[offset * HASH_BYTES : (offset + 1) * HASH_BYTES]
        return Hash(found) if len(found) == HASH_BYTES else None

    def _note_refusal(self) -> None:
        seq = self.replay.first_seq + self.replay.applied
        for finding in self._findings.listed:
            self._notes.table(ENTRIES).note((seq,), "data", f"{finding.detail} ({finding.code})")

    # --- Tiles.

    def _check_tiles(self) -> None:
        notes = self._notes.table(TILES)
        notes.checked = True
        for log in self.logs:
            for tile in tiles_of(log.tree.size):
                place = (log.generation, tile.level, tile.index)
                stored = self._tiles.pop(place, None)
                if stored is None:
                    notes.note(place, None, "this tile is missing")
                elif stored != log.tree.tile(tile):
                    at = _first_difference(stored, log.tree.tile(tile))
                    notes.note(place, "hashes", f"hash {at} is not the one that the entries make")
        for place in sorted(self._tiles):
            notes.note(place, None, "this tile should not be there")

    # --- Checkpoints.

    def _check_checkpoints(self) -> None:
        notes = self._notes.table(CHECKPOINTS)
        key, own = self.key, self.replay.ledger
        notes.checked = key is not None
        roots = {log.generation: _Roots(log.tree) for log in self.logs}
        expected, covered = 0, (0, 0)
        for row in self._dump.rows(CHECKPOINTS):
            notes.rows += 1
            number = cast("int", row[0])
            if number != expected:
                notes.note((expected,), None, f"this checkpoint is missing, and {number} stands in its place")
            expected = number + 1
            if key is not None and own is not None:
                covered = self._check_checkpoint(row, Signed(own.ledger, key), roots, covered)

    def _check_checkpoint(
        self, row: Row, by: "Signed", roots: Mapping[int, "_Roots"], covered: tuple[int, int]
    ) -> tuple[int, int]:
        """Check one row against its own note and the log; return which log it covers, and how many entries of it."""
        notes = self._notes.table(CHECKPOINTS)
        key, (_, generation, size, root, note) = (cast("int", row[0]),), row
        try:
            stated = open_of(note if isinstance(note, bytes) else b"", ledger=by.ledger, key=by.key)
        except ProtocolError as error:
            notes.note(key, "note", f"{error} ({error.code})")
            return covered
        place = _generation_of(stated), stated.size
        if place[0] != generation:
            notes.note(key, "generation", f"the note is of the log {stated.origin}")
        if stated.size != size:
            notes.note(key, "size", f"the note states {stated.size} entries")
        elif place <= covered:
            notes.note(key, "size", f"the checkpoint before covers {covered[1]} entries of the log {covered[0]}")
        if stated.root.hex() != root:
            notes.note(key, "root", f"the note states {stated.root.hex()}")
        for text in self._unsigned(stated, parse_note(cast("bytes", note))):
            notes.note(key, "note", text)
        self._compare_root(key[0], stated, roots.get(place[0]))
        return place

    def _unsigned(self, stated: Checkpoint, note: Note) -> Iterator[str]:
        """Yield what is wrong with the signatures of the keys that the log had got before this checkpoint."""
        logs = {log.generation: log for log in self.logs}
        log = logs.get(_generation_of(stated))
        end_seq = log.first_seq + stated.size if log else 0
        for seq, key in self._keys.rotated:
            if seq < end_seq:
                try:
                    verify_note(note, [Verifier(stated.origin, key)])
                except ProtocolError as error:
                    yield f"the log's key of entry {seq} has not signed: {error} ({error.code})"

    def _compare_root(self, number: int, stated: Checkpoint, roots: "_Roots | None") -> None:
        generation = _generation_of(stated)
        if generation in self._root_noted or roots is None or stated.size > roots.size:
            return
        if roots.at(stated.size) != stated.root:
            self._root_noted.add(generation)
            first_seq = next(log.first_seq for log in self.logs if log.generation == generation)
            text = f"the entries up to this one do not make the root that checkpoint {number} signed"
            self._notes.table(ENTRIES).note((first_seq + stated.size - 1,), None, text)


@dataclass(frozen=True, slots=True)
class Signed:
    """By whom checkpoints must be signed: a ledger, and the key of its logs."""

    ledger: Ledger
    key: PublicKey


class _Roots:
    """Roots of a growing tree: cheap while sizes rise, which they do unless a row is damaged."""

    def __init__(self, tree: RecomputedTree) -> None:
        self._tree = tree
        self._range = CompactRange()

    @property
    def size(self) -> int:
        return self._tree.size

    def at(self, size: int) -> Hash:
        if size < self._range.size:
            return self._tree.root_at(size)
        while self._range.size < size:
            self._range.append(Hash(bytes.fromhex(self._tree.leaf(self._range.size))))
        return self._range.root()


def _stated(note: object) -> Checkpoint | None:
    try:
        return parse_checkpoint(parse_note(note if isinstance(note, bytes) else b"").text)
    except ProtocolError:
        return None


def _generation_of(checkpoint: Checkpoint) -> int:
    text = checkpoint.origin.rpartition(".")[2]
    return int(text) if text.isascii() and text.isdigit() else 0


def _first_difference(one: bytes, two: bytes) -> int:
    pairs = zip(_hashes(one), _hashes(two), strict=False)
    return next((at for at, (left, right) in enumerate(pairs) if left != right), min(len(one), len(two)) // HASH_BYTES)


def _hashes(data: Sequence[int]) -> Iterator[Sequence[int]]:
    return (data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES))
