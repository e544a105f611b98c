"""One log replayed: every entry decoded, hashed, judged by the ledger's own rules, and held against what was signed.

The first entry that does not decode or that a rule refuses ends the judging, since nothing is known of the state after
it. Hashing goes on to the end, so that tiles and checkpoint are still compared with all entries.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from protocol.agreement import key_of
from protocol.audit.findings import FindingCode, Findings
from protocol.audit.tree import RecomputedTree
from protocol.checkpoint import Checkpoint, open_checkpoint
from protocol.encoding import ZERO_DIGEST
from protocol.entries import Sealed, decode_entry
from protocol.errors import ProtocolError, Refusal
from protocol.keys import Role
from protocol.ledger import rules
from protocol.ledger.state import HEAD, LEDGER, ONLY, Head, LedgerRecord
from protocol.ledger.view import Overlay
from protocol.limits import TILE_WIDTH
from protocol.merkle import HASH_BYTES, leaf_hash
from protocol.note import KeyType, Verifier
from protocol.tiles import TileId, format_path

CHECKPOINT: Final = "checkpoint"
_RULE_FAULTS: Final = (ArithmeticError, AssertionError, LookupError, ValueError)
"""What a rule can run into on an entry that no honest ledger wrote: the auditor names the entry and goes on."""


class Collector(Protocol):
    """Reads along: sees each entry right after the rules accepted it."""

    def add(self, sealed: Sealed, view: Overlay) -> None:
        """Take note of an entry; `view` is the ledger's state after it."""


class LogReplay:
    """A log as its entries make it; `findings` says where it is not what it should be."""

    def __init__(self, *, findings: Findings, collectors: Sequence[Collector] = ()) -> None:
        """Start before the first entry."""
        self.findings = findings
        self.tree = RecomputedTree()
        self.view = Overlay(complete=True)
        self.applied = 0
        self._collectors = tuple(collectors)

    @property
    def size(self) -> int:
        """Return how many entries were hashed; `applied` of them were judged and accepted."""
        return self.tree.size

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
        self.hash(entries)
        self.judge(entries)

    def hash(self, entries: Sequence[bytes]) -> None:
        """Add the next entries to the tree; they can be compared with a tile before `judge` judges them."""
        for data in entries:
            self.tree.append(leaf_hash(data))
        self.tree.settle()

    def judge(self, entries: Sequence[bytes]) -> None:
        """Judge the entries that were hashed last, up to the first that is refused."""
        first = self.size - len(entries)
        for seq, data in enumerate(entries, first):
            if self.applied != seq or not self._accepts(seq, data):
                break
            self.applied += 1
        # Nothing is ever rolled back past a bundle, so the journal need not grow with the log.
        self.view.take_changes()

    def _accepts(self, seq: int, data: bytes) -> bool:
        place = f"entry {seq}"
        mark = self.view.savepoint()
        try:
            sealed = Sealed(decode_entry(data), data, self.tree.leaf(seq))
            rules.apply(self.view, sealed)
        except Refusal as refusal:
            self.findings.broken(refusal.code, place, refusal.detail)
        except ProtocolError as error:
            self.findings.broken(error.code, place, str(error))
        except _RULE_FAULTS as error:
            self.findings.broken(FindingCode.RULE_FAILED, place, f"no rule can judge the entry: {error}")
        else:
            for collector in self._collectors:
                collector.add(sealed, self.view)
            return True
        self.view.rollback(mark)
        return False

    def check_tile(self, tile: TileId, data: bytes) -> None:
        """Compare a tile of the log with the one that the entries make."""
        computed = self.tree.tile(tile)
        if data == computed:
            return
        place = tile_place(tile)
        if len(data) != len(computed):
            self.findings.broken(
                FindingCode.TILE_DIFFERS, place, f"{len(data)} bytes, where {tile.width} hashes have {len(computed)}"
            )
            return
        offset = next(at for at in range(tile.width) if _hash_at(data, at) != _hash_at(computed, at))
        what = f"of entry {tile.index * TILE_WIDTH + offset}" if tile.level == 0 else f"{offset}"
        self.findings.broken(FindingCode.TILE_DIFFERS, place, f"the hash {what} is not the one that the entries make")

    def check_checkpoint(self, note: bytes, verifiers: Sequence[Verifier]) -> None:
        """Compare the signed checkpoint with the entries: signer, name, size and root.

        The signer must be the log key that genesis names; where `verifiers` know a key of that log, the same one.
        """
        keys = self._log_keys(verifiers)
        if not keys:
            self.findings.incomplete(FindingCode.KEY_UNKNOWN, CHECKPOINT, "neither genesis nor the caller names a key")
            return
        try:
            checkpoint = open_checkpoint(note, keys)
        except ProtocolError as error:
            self.findings.broken(error.code, CHECKPOINT, str(error))
            return
        if (checkpoint.size, checkpoint.root) != (self.size, self.tree.root()):
            self.findings.broken(
                FindingCode.ROOT_DIFFERS,
                CHECKPOINT,
                f"the log signed {checkpoint.size} entries under {checkpoint.root.hex()}; "
                f"its {self.size} entries make {self.tree.root().hex()}",
            )

    def _log_keys(self, verifiers: Sequence[Verifier]) -> list[Verifier]:
        if self.ledger is None:
            return list(verifiers)
        own = Verifier(self.ledger.ledger, key_of(self.ledger.keys, Role.LOG))
        given = [each for each in verifiers if each.name == own.name and each.type is KeyType.ED25519]
        if given and own not in given:
            self.findings.broken(
                FindingCode.KEYS_DIFFER, "entry 0", "genesis names another log key than the one that is known"
            )
        return [own]

    def check_held(self, checkpoint: Checkpoint, *, place: str, findings: Findings) -> None:
        """Compare a checkpoint that somebody holds of this log with the entries: a log never takes one back."""
        if checkpoint.size > self.size:
            findings.incomplete(FindingCode.BEHIND, place, f"the log that was given ends at {self.size} entries")
        elif self.tree.root_at(checkpoint.size) != checkpoint.root:
            findings.broken(FindingCode.FORKED, place, "the log signed another root of this size than its entries make")


def tile_place(tile: TileId) -> str:
    """Return how a finding names a tile: `tile 0/000`."""
    return format_path(tile).replace("/", " ", 1)


def _hash_at(data: bytes, offset: int) -> bytes:
    return data[offset * HASH_BYTES : (offset + 1) * HASH_BYTES]
