"""One commit: load what the works need, run each behind a savepoint, sign one checkpoint, write all of it durably.

Thread-free, so that a simulator can call it. Nothing is answered and nothing signed leaves before the transaction is
on disk.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from time import perf_counter
from typing import Final, cast

import structlog

from node.engine.desk import CommitDesk
from node.engine.gate import Gate
from node.engine.work import Work
from node.ports import Faults, Keyring, Randomness, SignerRefused
from node.store.errors import StoreCorrupt, StoreFailed
from node.store.rows import CommitRecord, SignedCheckpoint, StoredHead, TileRow
from node.store.writer import StoreWriter
from protocol.checkpoint import Checkpoint, parse_checkpoint, sign_checkpoint
from protocol.entries import Genesis, Sealed
from protocol.errors import TallystickError
from protocol.identifiers import Digest, Ledger, generation_of
from protocol.keys import PublicKey
from protocol.ledger import rules
from protocol.ledger.rotation import log_keys
from protocol.ledger.state import IDS, INCOMING, LEDGER, LINES, ONLY, REVERSIBLE, Table
from protocol.ledger.view import Need, NotLoaded, Overlay
from protocol.merkle import Hash, fold
from protocol.note import parse_note
from protocol.tiles import TileBuilder, TileId

ROWS_KEPT_MAX: Final = 200_000
"""How many rows stay in memory from commit to commit, at about 400 bytes each; beyond, all are loaded again."""

_FLEETING: Final = cast("tuple[Table[object, object], ...]", (IDS, REVERSIBLE, LINES, INCOMING))
"""The tables that grow with the log, and whose rows are seldom asked for twice."""

_ROUNDS_MAX: Final = 8
_STAGES: Final = ("load", "run", "write")
_LOG: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Committed:
    """What one commit added: its entries, and the partners that have something to be sent.

    `size` is how many entries the log has now, in its present generation. It came of `works` works and took so many
    `seconds` in each stage: load, run, write. Where nothing was to be written, it `wrote` nothing.
    """

    sealed: tuple[Sealed, ...]
    partners: frozenset[Ledger]
    size: int
    works: int = 0
    wrote: bool = True
    seconds: Mapping[str, float] = field(default_factory=dict)


class Engine:
    """Owns the store's writer and the growing tree; `gate` says whether entries may be written now.

    The rows that commits have loaded and changed stay in memory: nobody else writes them as long as this writer's term
    lasts, and after a commit that failed they are forgotten.
    """

    def __init__(self, store: StoreWriter, *, keyring: Keyring, randomness: Randomness, faults: Faults) -> None:
        """Continue where the store's last checkpoint ends."""
        self._store = store
        self._keyring = keyring
        self._randomness = randomness
        self._faults = faults
        self._note: bytes | None = None
        self.gate = Gate()
        self.resume()

    def resume(self) -> None:
        """Take the end of the log from the store: at the start, and after a commit whose fate is unknown.

        Where the store no longer holds what was committed here, as when an older copy is put back under a node at work,
        the gate is closed.
        """
        self._sound = False
        self._rows = Overlay(complete=False)
        head = self._store.head()
        if self._note is not None and head.note != self._note:
            self._compare(head, parse_checkpoint(parse_note(self._note).text))
        self._generation, self._first_seq, self._size = head.generation, head.first_seq, head.size
        self._number = head.checkpoint_number
        self._note = head.note
        self._tiles = TileBuilder.resume(size=head.size, fetch=self._fetch)
        if head.checkpoint is not None and self._tiles.root() != head.checkpoint.root:
            raise StoreCorrupt("the stored tiles do not lead to the last checkpoint: run fsck")
        self._sound = True

    def _compare(self, head: StoredHead, known: Checkpoint) -> None:
        """Close the gate unless what ends with `head` goes on from the checkpoint that is `known` to be durable."""
        generation = generation_of(Ledger(known.origin))
        if head.generation > generation:
            return
        if (head.generation, head.size) < (generation, known.size):
            lacks = f"has written {known.size} entries, and the store has {head.size}"
        elif fold(self._store.range_hashes(known.size, generation=generation)) != known.root:
            lacks = f"has written another history of {known.size} entries than the store holds"
        else:
            return
        _LOG.error("store_behind", written=known.size, stored=head.size)
        self.gate.found_behind(f"this process {lacks}", known)

    @property
    def size(self) -> int:
        """Return the number of entries of the log that is written now."""
        return self._size

    def _fetch(self, tile: TileId) -> bytes:
        return self._store.tile(tile.level, tile.index, generation=self._generation)[: 32 * tile.width]

    def commit(self, works: Sequence[Work[object]], now: datetime) -> tuple[list[object], Committed]:
        """Run `works` in one transaction and return their results in order: a value, or the exception it raised.

        Raises `StoreFailed` when no entry was written; then no command took effect.
        """
        if not self._sound:
            self.resume()
        overlay = self._rows
        results: list[object] = [None] * len(works)
        times = [perf_counter()]
        failed = self._load(works, overlay, results)
        times.append(perf_counter())
        # Until what the works change is written, the rows in memory say more than the store does.
        self._sound = False
        desk = self.desk(overlay, now)
        for place, work in enumerate(works):
            if place not in failed:
                results[place] = self._run(work, desk)
        times.append(perf_counter())
        wrote = bool(desk.sealed or desk.writes)
        if wrote:
            self._write(desk, overlay)
            if len(overlay) > ROWS_KEPT_MAX:
                self._rows = Overlay(complete=False)
        self._sound = True
        times.append(perf_counter())
        seconds = dict(zip(_STAGES, (after - before for before, after in pairwise(times)), strict=True))
        return results, Committed(
            tuple(desk.sealed), frozenset(desk.partners), self._size, works=len(works), wrote=wrote, seconds=seconds
        )

    def desk(self, overlay: Overlay, now: datetime) -> CommitDesk:
        """Return the desk at which the works of one commit run."""
        return CommitDesk(overlay, self._store, now=now, randomness=self._randomness, gate=self.gate)

    def _load(self, works: Sequence[Work[object]], overlay: Overlay, results: list[object]) -> set[int]:
        """Load what the works need, and return the places of those that could not say it."""
        wanted: dict[Need, None] = overlay.missing(rules.ALWAYS)
        asking: Sequence[int] = range(len(works))
        failed: set[int] = set()
        for _ in range(_ROUNDS_MAX):
            if wanted:
                self._store.load(wanted, overlay)
            wanted, places, asking = {}, asking, []
            for place in places:
                try:
                    missing = overlay.missing(works[place].needs(overlay))
                except Exception as error:  # noqa: BLE001 - one work's bug must not harm the others in its commit
                    failed.add(place)
                    results[place] = _reported(error, works[place])
                    continue
                if missing:
                    asking.append(place)
                    wanted.update(missing)
            if not wanted:
                return failed
        for place in asking:
            results[place] = _reported(AssertionError("a work asks for ever more rows"), works[place])
        return failed | set(asking)

    def _run(self, work: Work[object], desk: CommitDesk) -> object:
        """Return the work's result, after loading what only earlier works of this commit have made it read."""
        mark = desk.mark()
        for _ in range(_ROUNDS_MAX):
            try:
                return work.run(desk)
            except NotLoaded as error:
                desk.undo(mark)
                if not self._load_more(work):
                    return _reported(error, work)
            except Exception as error:  # noqa: BLE001 - one work's bug must not harm the others in its commit
                desk.undo(mark)
                return _reported(error, work)
        return _reported(AssertionError("a work asks for ever more rows"), work)

    def _load_more(self, work: Work[object]) -> bool:
        """Load what the work needs by what the works before it did; return whether that was anything."""
        try:
            missing = self._rows.missing(work.needs(self._rows))
        except Exception:  # noqa: BLE001 - as above; the first error is the one that is told
            return False
        if missing:
            self._store.load(missing, self._rows)
        return bool(missing)

    def _write(self, desk: CommitDesk, overlay: Overlay) -> None:
        old_generation, old_size = self._generation, self._size
        self._turn_over(desk.sealed)
        record = CommitRecord(
            old_size=old_size,
            old_generation=old_generation,
            generation=self._generation,
            first_seq=self._first_seq,
            sealed=tuple(desk.sealed),
            tiles=self._grow(desk.sealed),
            checkpoint=self._sign(overlay) if desk.sealed else None,
            changes=overlay.take_changes(),
            history=tuple(desk.history),
            writes=tuple(desk.writes),
        )
        self._faults.reach("commit.before")
        try:
            self._store.commit(record)
        except StoreFailed:
            # The transaction may have become durable although its commit reported an error.
            self.resume()
            if record.checkpoint is None or self._note != record.checkpoint.note:
                raise
        if record.checkpoint is not None:
            self._size = record.checkpoint.size
            self._number = record.checkpoint.number
            self._note = record.checkpoint.note
            self._keyring.committed(self._note)
        overlay.forget(_FLEETING, record.changes)
        self._faults.reach("commit.after")

    def _turn_over(self, sealed: Sequence[Sealed]) -> None:
        """Begin a new tree where a genesis begins the next log."""
        genesis = sealed[0].entry if sealed else None
        if isinstance(genesis, Genesis):
            self._generation, self._first_seq = generation_of(genesis.ledger), genesis.seq
            self._tiles = TileBuilder()

    def _grow(self, sealed: Sequence[Sealed]) -> tuple[TileRow, ...]:
        for each in sealed:
            self._tiles.append(Hash(bytes.fromhex(each.leaf)))
        return tuple(TileRow(tile.level, tile.index, data) for tile, data in self._tiles.take_changed())

    def _sign(self, overlay: Overlay) -> SignedCheckpoint:
        ledger = overlay.get(LEDGER, ONLY)
        assert ledger is not None, "entries were applied, so genesis was"
        root = self._tiles.root()
        checkpoint = Checkpoint(origin=ledger.log, size=self._tiles.size, root=root)
        return SignedCheckpoint(
            number=self._number + 1,
            generation=self._generation,
            size=checkpoint.size,
            root=Digest(root.hex()),
            note=self._signed(checkpoint, log_keys(ledger)),
        )

    def _signed(self, checkpoint: Checkpoint, keys: Sequence[PublicKey]) -> bytes:
        """Return `checkpoint` signed by every key that the log has, or raise `SignerRefused` where one is not held."""
        held = {each.public: each for each in self._keyring.log_keys()}
        missing = [key.text for key in keys if key not in held]
        if missing:
            raise SignerRefused(f"the log's key {missing[0]} is not held here: start again where it is")
        first, *later = (held[key] for key in keys)
        return sign_checkpoint(checkpoint, key=first, later=later)


def _reported(error: Exception, work: Work[object]) -> Exception:
    """Return `error` as the work's result; one that nobody raised on purpose is a bug and is logged."""
    if not isinstance(error, TallystickError):
        _LOG.error("work_failed", work=type(work).__name__, exc_info=error)
    return error
