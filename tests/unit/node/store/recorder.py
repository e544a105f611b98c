"""Logs for the store's tests: written commit by commit as the engine does, beside the state that they lead to."""

from collections.abc import Iterable, Sequence
from functools import cache

from node.store.rows import CommitRecord, SignedCheckpoint, TileRow, Write
from node.store.writer import StoreWriter
from protocol.checkpoint import Checkpoint, sign_checkpoint
from protocol.entries import Sealed
from protocol.identifiers import Account, Digest
from protocol.keys import Role
from protocol.ledger import rules
from protocol.ledger.view import Overlay
from protocol.merkle import Hash
from protocol.tiles import TileBuilder
from tests.support.audits import busy_alliance
from tests.support.documents import AURORA, Side
from tests.support.history import history
from tests.support.ledger import MemoryLedger, genesis_of, holder, issue, open_holder


class Recorder:
    """Turns entries into commit records, one after the other, and knows the state after them."""

    def __init__(self, side: Side = AURORA) -> None:
        self.side = side
        self.state = Overlay(complete=True)
        self.tiles = TileBuilder()
        self.number = -1

    def record(self, sealed: Sequence[Sealed] = (), writes: Iterable[Write] = ()) -> CommitRecord:
        """Return the record of a commit that adds `sealed` and makes `writes`."""
        old_size = self.tiles.size
        history: list[tuple[Account, int]] = []
        for each in sealed:
            rules.apply(self.state, each)
            history += [(account, each.entry.seq) for account in rules.holders_of(self.state, each.entry)]
            self.tiles.append(Hash(bytes.fromhex(each.leaf)))
        return CommitRecord(
            old_size=old_size,
            sealed=tuple(sealed),
            tiles=tuple(TileRow(tile.level, tile.index, data) for tile, data in self.tiles.take_changed()),
            checkpoint=self._checkpoint() if sealed else None,
            changes=self.state.take_changes(),
            history=tuple(history),
            writes=tuple(writes),
        )

    def _checkpoint(self) -> SignedCheckpoint:
        self.number += 1
        root = self.tiles.root()
        checkpoint = Checkpoint(origin=self.side.ledger, size=self.tiles.size, root=root)
        note = sign_checkpoint(checkpoint, key=self.side.signing_keys[Role.LOG])
        return SignedCheckpoint(number=self.number, size=checkpoint.size, root=Digest(root.hex()), note=note)


@cache
def small_log() -> list[Sealed]:
    """Return a ledger's first entries: genesis, two accounts, points on one."""
    ledger = MemoryLedger(AURORA)
    ledger.execute(genesis_of(AURORA))
    open_holder(ledger, "ann", points=500)
    open_holder(ledger, "cem")
    return ledger.sealed


@cache
def busy_logs() -> list[tuple[Side, list[Sealed]]]:
    """Return the logs of two brands between whom a conversion of every fate has happened."""
    halves = busy_alliance().halves
    return [(half.ledger.side, half.ledger.sealed) for half in halves]


@cache
def whole_logs() -> list[tuple[Side, list[Sealed]]]:
    """Return two logs that between them have entries of every kind."""
    pair = history()
    return [(ledger.side, ledger.sealed) for ledger in (pair.source, pair.destination)]


@cache
def long_log(count: int) -> list[Sealed]:
    """Return a log of `count` entries, most of which issue points to a hundred members."""
    ledger = MemoryLedger(AURORA)
    ledger.execute(genesis_of(AURORA))
    members = [open_holder(ledger, f"member {number}") for number in range(100)]
    while len(ledger.sealed) < count:
        issue(ledger, members[len(ledger.sealed) % len(members)], 5)
    return ledger.sealed


def write_log(writer: StoreWriter, sealed: Sequence[Sealed], *, side: Side = AURORA, step: int = 3) -> Recorder:
    """Write a log into an empty store in commits of `step` entries."""
    recorder = Recorder(side)
    for begin in range(0, len(sealed), step):
        writer.commit(recorder.record(sealed[begin : begin + step]))
    return recorder


ANN = holder("ann")
CEM = holder("cem")
