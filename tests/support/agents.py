"""Agents on threads of this process: over the keys of a brand of the tests, or of a node's directory."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from node.app.agent import AgentServer, open_agent
from node.app.directory import Created
from node.app.key_files import read_keyring
from node.app.system import SeedKeyring
from protocol.identifiers import Ledger
from protocol.keys import SigningKey
from tests.support.documents import AURORA, Side

NEXT: Final = SigningKey(bytes(32)).public


def keyring_of(side: Side = AURORA) -> SeedKeyring:
    """Return the keys of a brand."""
    return SeedKeyring(side.signing_keys, next_log_key=NEXT)


@contextmanager
def serving(directory: Path, keyring: SeedKeyring | None = None, *, ledger: Ledger = AURORA.ledger) -> Iterator[Path]:
    """Lend the socket of an agent that holds a keyring, on a thread of this process."""
    path = directory / "agent.sock"
    (directory / "keys").mkdir(exist_ok=True)
    with open_agent(directory, path, keyring=keyring or keyring_of(), ledger=ledger) as server, running(server):
        yield path


@contextmanager
def running(server: AgentServer) -> Iterator[None]:
    """Let an agent answer."""
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield
    finally:
        server.stop()
        thread.join(20)


@contextmanager
def serving_keys_of(created: Created, vault: Path) -> Iterator[SeedKeyring]:
    """Move the keys of a node into `vault`, unless they are there, and have an agent hold them."""
    if not vault.exists():
        vault.mkdir()
        (created.directory / "keys").rename(vault / "keys")
    keyring = read_keyring(vault)
    path = created.directory / "agent.sock"
    with open_agent(vault, path, keyring=keyring, ledger=AURORA.ledger) as server, running(server):
        yield keyring
