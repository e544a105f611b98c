"""Moving a node's ledger to another database, while no node runs: the same entries, tiles and checkpoints there."""

from pathlib import Path

from node.app.directory import database_url
from node.app.files import write_private
from node.config import FILE_NAME, format_changed, load_config
from node.store.copying import Told, move
from node.store.database import Database, whole_url
from node.store.rows import SignedCheckpoint
from protocol.errors import CouldNotCheck


def move_store(directory: Path, url: str, *, told: Told) -> SignedCheckpoint:
    """Move the ledger of the node in `directory` to the empty database at `url`; return the checkpoint that it reaches.

    The store before is marked, so that no node starts on it again, and `node.toml` names the new one. What was
    interrupted is finished by a second call. Raises `StoreBusy` while the node runs, and `StoreTaken` where the
    database is not empty.
    """
    config = load_config(directory)
    named = {"database_url": whole_url(url)}
    target = load_config(directory, named)
    with (
        Database.open(database_url(directory, config), made=True) as source,
        Database.open(database_url(directory, target)) as to,
    ):
        if config.database_url != target.database_url:
            move(source, to, name=to.name, told=told)
            write_private(directory / FILE_NAME, format_changed(directory, named))
        newest = to.reader().latest_checkpoint()
    if newest is None:
        raise CouldNotCheck(f"the database of {directory} holds no ledger")
    return newest
