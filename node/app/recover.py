"""Bringing the exact tail of a log back into a node's directory, while no node runs there."""

from pathlib import Path

from node.app.directory import STATE_NAME, database_url
from node.app.open import check_directory, seen_before
from node.app.system import read_keyring
from node.config import load_config
from node.peers.log_source import PackageSource
from node.services.recovering import BroughtBack, recover
from node.store.database import Database
from node.workers.keep_state import write_state


def recover_directory(directory: Path, package: Path) -> BroughtBack:
    """Bring what `package` has beyond the store of the node in `directory` into it, and return what that was.

    Raises `CouldNotCheck` when the package is no continuation of the node's log, `StoreBusy` while the node runs, and
    what `open_node` raises for its directory.
    """
    config = load_config(directory)
    keyring = read_keyring(directory)
    with Database.open(database_url(directory, config)) as database, PackageSource(package) as source:
        database.migrate()
        reader = database.reader()
        check_directory(directory, config, reader=reader, keyring=keyring)
        seen = seen_before(directory / STATE_NAME, config, keyring=keyring)
        with database.writer() as store:
            brought = recover(store, reader, source, seen=seen)
    write_state(directory / STATE_NAME, brought.note)
    return brought
