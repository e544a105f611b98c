"""The log's own tables: entries hashed and judged anew, tiles and checkpoints held against them.

A leaf stands in three places: hashed from `entries.data`, in `entries.leaf`, and in a tile. Where they disagree, the
two that agree are believed, so that one damaged value is named once, and not by all that follows from it.
"""

from array import array
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import Final, cast

from node.services.fsck_report import Notes
from node.store.codec import Row
from node.store.dump import Dump
from protocol.agreement import key_of
from protocol.audit.citations import Citations
from protocol.audit.findings import Findings
from protocol.audit.replay import LogReplay
from protocol.audit.tree import RecomputedTree
from protocol.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from protocol.entries import Sealed, body_of
from protocol.errors import ProtocolError
from protocol.identifiers import Account, Digest
from protocol.keys import Role
from protocol.ledger import rules
from protocol.ledger.postings import ledger_record
from protocol.ledger.view import Overlay
from protocol.limits import TILE_WIDTH
from protocol.merkle import HASH_BYTES, CompactRange, Hash, leaf_hash
from protocol.messages import body_digest, encode_body
from protocol.note import Verifier, parse_note
from protocol.tiles import tiles_of

ENTRIES: Final = "entries"
TILES: Final = "tiles"
CHECKPOINTS: Final = "checkpoints"


class HistoryOfHolders:
    """Collects the entries that belong to each holder's history."""

    def __init__(self) -> None:
        """Start with none."""
        self.seqs: defaultdict[Account, array[int]] = defaultdict(lambda: array("q"))

    def add(self, sealed: Sealed, view: Overlay) -> None:
        """Take note of an entry that the rules accepted."""
        for account in rules.holders_of(view, sealed.entry):
            self.seqs[account].append(sealed.entry.seq)


class BodiesOfEntries:
    """Collects the digests of the bodies that entries oblige the ledger to send, by entry."""

    def __init__(self) -> None:
        """Start with none."""
        self.digests: dict[int, Digest] = {}

    def add(self, sealed: Sealed, view: Overlay) -> None:
        """Take note of an entry that the rules accepted."""
        body = body_of(sealed, ledger=ledger_record(view).ledger)
        if body is not None:
            self.digests[sealed.entry.seq] = body_digest(encode_body(body))


class LogWalk:
    """Goes through the log from its first entry to its last; what was collected on the way proves other tables."""

    def __init__(self, dump: Dump, notes: Notes) -> None:
        """Prepare to read `dump`."""
        self.history = HistoryOfHolders()
        self.bodies = BodiesOfEntries()
        self.citations = Citations()
        self.tree = RecomputedTree()
        self._findings = Findings()
        self.replay = LogReplay(findings=self._findings, collectors=(self.history, self.bodies, self.citations))
        self._dump = dump
        self._notes = notes
        self._tiles = self._read_tiles()
        self._gap = False
        self._root_noted = False

    @property
    def is_sound(self) -> bool:
        """Return whether every entry is there and was accepted, so that what follows from the log is known."""
        return not self._gap and self.replay.applied == self.replay.size

    @property
    def verifier(self) -> Verifier | None:
        """Return the log's key as genesis names it, once genesis was accepted."""
        own = self.replay.ledger
        return None if own is None else Verifier(own.ledger, key_of(own.keys, Role.LOG))

    def run(self) -> None:
        """Check entries, tiles and checkpoints."""
        covered = self._covered_size()
        self._walk_entries(covered)
        self._check_tiles()
        self._check_checkpoints()

    # --- Entries.

    def _read_tiles(self) -> dict[tuple[int, int], bytes]:
        notes = self._notes.table(TILES)
        tiles: dict[tuple[int, int], bytes] = {}
        for level, index, hashes in self._dump.rows(TILES):
            notes.rows += 1
            if isinstance(hashes, bytes):
                tiles[cast("int", level), cast("int", index)] = hashes
        return tiles

    def _covered_size(self) -> int:
        """Return how many entries the last checkpoint covers, by its signed note where that can be read."""
        last = next(iter(deque(self._dump.rows(CHECKPOINTS), maxlen=1)), None)
        if last is None:
            return 0
        stated = _stated(last[3])
        if stated is not None:
            return stated.size
        return last[1] if isinstance(last[1], int) else 0

    def _walk_entries(self, covered: int) -> None:
        notes = self._notes.table(ENTRIES)
        notes.checked = True
        bundle: list[bytes] = []
        for seq, leaf, data in self._dump.rows(ENTRIES):
            notes.rows += 1
            self._fill_gap(cast("int", seq))
            if self.tree.size != seq or not isinstance(data, bytes):
                notes.note((cast("int", seq),), "seq", "this entry stands where none should")
                self._gap = True
                continue
            self._place(self.tree.size, leaf, data)
            if not self._gap:
                bundle.append(data)
            if len(bundle) == TILE_WIDTH:
                self.replay.add(bundle)
                bundle.clear()
        self.replay.add(bundle)
        self._fill_gap(covered)
        self.tree.settle()
        self._note_refusal()
        if self.tree.size > covered:
            text = f"no checkpoint covers the entries from {covered} to {self.tree.size - 1}"
            self._notes.table(CHECKPOINTS).note((), None, text)

    def _fill_gap(self, seq: int) -> None:
        """Note that entries up to before `seq` are missing, and go on with what the tiles know of them."""
        first = self.tree.size
        if first >= seq:
            return
        last = f" and all up to {seq - 1}" if seq - 1 > first else ""
        self._notes.table(ENTRIES).note((first,), None, f"this entry is missing{last}")
        self._gap = True
        while self.tree.size < seq and (known := self._in_tile(self.tree.size)) is not None:
            self.tree.append(known)

    def _place(self, seq: int, leaf: object, data: bytes) -> None:
        computed, known = leaf_hash(data), self._in_tile(seq)
        if leaf == computed:
            self.tree.append(computed)
            return
        if known is not None and known == leaf:
            self._notes.table(ENTRIES).note((seq,), "data", "the bytes do not lead to the leaf hash")
            self.tree.append(known)
            return
        self._notes.table(ENTRIES).note((seq,), "leaf", "this is not the leaf hash of the bytes")
        self.tree.append(computed)

    def _in_tile(self, seq: int) -> Hash | None:
        index, offset = divmod(seq, TILE_WIDTH)
        found = self._tiles.get((0, index), b"")[offset * HASH_BYTES : (offset + 1) * HASH_BYTES]
        return Hash(found) if len(found) == HASH_BYTES else None

    def _note_refusal(self) -> None:
        seq = self.replay.applied
        for finding in self._findings.listed:
            self._notes.table(ENTRIES).note((seq,), "data", f"{finding.detail} ({finding.code})")

    # --- Tiles.

    def _check_tiles(self) -> None:
        notes = self._notes.table(TILES)
        notes.checked = True
        for tile in tiles_of(self.tree.size):
            stored = self._tiles.pop((tile.level, tile.index), None)
            place = (tile.level, tile.index)
            if stored is None:
                notes.note(place, None, "this tile is missing")
            elif stored != self.tree.tile(tile):
                at = _first_difference(stored, self.tree.tile(tile))
                notes.note(place, "hashes", f"hash {at} is not the one that the entries make")
        for place in sorted(self._tiles):
            notes.note(place, None, "this tile should not be there")

    # --- Checkpoints.

    def _check_checkpoints(self) -> None:
        notes = self._notes.table(CHECKPOINTS)
        verifier = self.verifier
        notes.checked = verifier is not None
        roots = _Roots(self.tree)
        expected, covered = 0, 0
        for row in self._dump.rows(CHECKPOINTS):
            notes.rows += 1
            number = cast("int", row[0])
            if number != expected:
                notes.note((expected,), None, f"this checkpoint is missing, and {number} stands in its place")
            expected = number + 1
            if verifier is not None:
                covered = self._check_checkpoint(row, verifier, roots, covered)

    def _check_checkpoint(self, row: Row, verifier: Verifier, roots: "_Roots", covered: int) -> int:
        """Check one row against its own note and the log; return how many entries it covers."""
        notes = self._notes.table(CHECKPOINTS)
        key, (_, size, root, note) = (cast("int", row[0]),), row
        try:
            stated = open_checkpoint(note if isinstance(note, bytes) else b"", [verifier])
        except ProtocolError as error:
            notes.note(key, "note", f"{error} ({error.code})")
            return covered
        if stated.size != size:
            notes.note(key, "size", f"the note states {stated.size} entries")
        elif stated.size <= covered:
            notes.note(key, "size", f"the checkpoint before covers {covered} entries")
        if stated.root.hex() != root:
            notes.note(key, "root", f"the note states {stated.root.hex()}")
        if stated.size <= self.tree.size and not self._root_noted and roots.at(stated.size) != stated.root:
            self._root_noted = True
            text = f"the entries up to this one do not make the root that checkpoint {key[0]} signed"
            self._notes.table(ENTRIES).note((stated.size - 1,), None, text)
        return stated.size


class _Roots:
    """Roots of a growing tree: cheap while sizes rise, which they do unless a row is damaged."""

    def __init__(self, tree: RecomputedTree) -> None:
        self._tree = tree
        self._range = CompactRange()

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


def _first_difference(one: bytes, two: bytes) -> int:
    pairs = zip(_hashes(one), _hashes(two), strict=False)
    return next((at for at, (left, right) in enumerate(pairs) if left != right), min(len(one), len(two)) // HASH_BYTES)


def _hashes(data: Sequence[int]) -> Iterator[Sequence[int]]:
    return (data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES))
