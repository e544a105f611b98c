"""The file beside a store that names the newest checkpoint: what an opening node looks at, as `node.app.open` does."""

from node.engine.engine import Engine
from node.services.logs.own_log import lack, open_of
from protocol.checkpoint import Checkpoint
from protocol.identifiers import Ledger
from protocol.keys import PublicKey
from protocol.merkle import Hash, fold
from scripts.simulation.reader import MemoryReader
from scripts.simulation.store import Disk, MemoryWriter


def seen_before(disk: Disk, *, ledger: Ledger, key: PublicKey) -> Checkpoint | None:
    """Return the checkpoint in the file, or None where there is none."""
    return None if disk.kept is None else open_of(disk.kept, ledger=ledger, key=key)


def look_at_state_file(disk: Disk, engine: Engine, seen: Checkpoint | None) -> None:
    """Shut the gate where the file has `seen` a checkpoint that the store does not reach."""
    newest = MemoryReader(disk).latest_checkpoint()
    if seen is None or newest is None:
        return
    store, generation = MemoryWriter(disk), newest.generation

    def root_at(size: int) -> Hash:
        return fold(store.range_hashes(size, generation=generation))

    lacks = lack(seen, newest, root_at=root_at)
    if lacks is not None:
        engine.gate.found_behind(f"the state file {lacks}", seen)
