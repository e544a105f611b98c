"""Bringing the exact tail of a log back into a node's directory, while no node runs there."""

from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path

from node.app.agent_client import AgentKeyring
from node.app.directory import STATE_NAME, database_url
from node.app.open import check_directory, keyring_of, last_signed
from node.config import NodeConfig, load_config
from node.peers.log_source import PackageSource
from node.ports import Keyring
from node.services.partners.recovering import BroughtBack, recover
from node.store.database import Database
from node.workers.keep_state import write_state


def recover_directory(directory: Path, package: Path, settings: Mapping[str, object] | None = None) -> BroughtBack:
    """Bring what `package` has beyond the store of the node in `directory` into it, and return what that was.

    Raises `CouldNotCheck` when the package is no continuation of the node's log, `StoreBusy` while the node runs, and
    what `open_node` raises for its directory.
    """
    config = load_config(directory, settings)
    keyring = keyring_of(directory, config)
    with ExitStack() as stack:
        if isinstance(keyring, AgentKeyring):
            stack.enter_context(closing(keyring))
        brought = _recover(directory, package, config, keyring)
    write_state(directory / STATE_NAME, brought.note)
    return brought


def _recover(directory: Path, package: Path, config: NodeConfig, keyring: Keyring) -> BroughtBack:
    with Database.open(database_url(directory, config), made=True) as database, PackageSource(package) as source:
        database.migrate()
        reader = database.reader()
        check_directory(directory, config, reader=reader, keyring=keyring)
        seen = last_signed(directory, config, keyring=keyring)
        with database.writer() as store:
            return recover(store, reader, source, seen=seen)
