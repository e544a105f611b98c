"""Opening a node: the store's lock first, then its checks, then the writer; nothing answers before all of it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from node.app.directory import STATE_NAME, database_url
from node.app.genesis import own_keys
from node.app.system import SystemClock, SystemRandomness, read_keyring
from node.config import NodeConfig, load_config
from node.engine.engine import Engine
from node.engine.writer import WriterQueue
from node.peers.http import HttpTransport
from node.peers.papers import HttpPapers
from node.ports import Clock, Faults, Keyring, NoFaults, Papers, Randomness, Transport
from node.services.node import Node, Ports
from node.store.database import Database
from node.store.reader import StoreReader
from node.store.writer import StoreWriter
from node.workers.keep_state import read_state
from protocol.checkpoint import open_checkpoint
from protocol.errors import ProtocolError, TallystickError
from protocol.keys import Role
from protocol.ledger.state import LEDGER, ONLY
from protocol.merkle import fold
from protocol.note import Verifier


class KeysMismatch(TallystickError):
    """The directory's configuration or keys are not those of the ledger in its database."""

    code = "keys_mismatch"


class StoreBehind(TallystickError):
    """The store lacks what this node has signed before: to go on would write a second history."""

    code = "store_behind"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortOverrides:
    """Parts of the world that a test or a simulation puts in place of the real ones."""

    clock: Clock | None = None
    randomness: Randomness | None = None
    keyring: Keyring | None = None
    transport: Transport | None = None
    papers: Papers | None = None
    faults: Faults | None = None


class MakeEngine(Protocol):
    """Makes the engine of a node."""

    def __call__(self, store: StoreWriter, *, keyring: Keyring, randomness: Randomness, faults: Faults) -> Engine:
        """Return an engine that continues where the store's last checkpoint ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedNode:
    """A node that can be called: its writer is at work."""

    directory: Path
    config: NodeConfig
    node: Node
    ports: Ports


@contextmanager
def open_node(
    directory: Path,
    *,
    settings: Mapping[str, object] | None = None,
    ports: PortOverrides | None = None,
    make_engine: MakeEngine = Engine,
) -> Iterator[OpenedNode]:
    """Lend the node in `directory` with its writer at work; `settings` override its configuration.

    Raises `ConfigInvalid`, `KeyFileInvalid`, `KeysMismatch`, `StoreBehind` or `StoreError` (`StoreBusy` while another
    process has it). At the end what is queued is written and everything is closed.
    """
    config = load_config(directory, settings)
    real = _ports(directory, config, ports or PortOverrides())
    with Database.open(database_url(directory, config)) as database:
        database.migrate()
        with database.writer() as store:
            _check(directory, config, store=store, reader=database.reader(), keyring=real.keyring)
            engine = make_engine(store, keyring=real.keyring, randomness=real.randomness, faults=real.faults)
            writer = WriterQueue(engine, real.clock)
            node = Node(reader=database.reader(), writer=writer, ports=real, url=config.url)
            writer.start()
            try:
                yield OpenedNode(directory=directory, config=config, node=node, ports=real)
            finally:
                writer.close()
                if isinstance(real.transport, HttpTransport):
                    real.transport.close()


def _ports(directory: Path, config: NodeConfig, given: PortOverrides) -> Ports:
    return Ports(
        keyring=given.keyring or read_keyring(directory),
        clock=given.clock or SystemClock(),
        randomness=given.randomness or SystemRandomness(),
        transport=given.transport or HttpTransport(),
        papers=given.papers or HttpPapers(config.partner_timeout_seconds),
        faults=given.faults or NoFaults(),
    )


def _check(directory: Path, config: NodeConfig, *, store: StoreWriter, reader: StoreReader, keyring: Keyring) -> None:
    record = reader.record(LEDGER, ONLY)
    if record is None:
        raise KeysMismatch(f"the database of {directory} holds no ledger")
    if (record.ledger, record.keys) != (config.ledger, own_keys(keyring)):
        raise KeysMismatch(f"the database of {directory} holds {record.ledger}, under other keys or another name")
    _check_state(directory / STATE_NAME, config, store=store, keyring=keyring)


def _check_state(path: Path, config: NodeConfig, *, store: StoreWriter, keyring: Keyring) -> None:
    note = read_state(path)
    if note is None:
        return
    try:
        seen = open_checkpoint(note, [Verifier(config.ledger, keyring.key(Role.LOG).public)])
    except ProtocolError as error:
        raise StoreBehind(f"{path} holds no checkpoint of this ledger: {error}") from error
    size = store.head().size
    if seen.size > size:
        raise StoreBehind(f"{path} has seen {seen.size} entries, and the database has {size}: it is an older copy")
    if fold(store.range_hashes(seen.size)) != seen.root:
        raise StoreBehind(f"{path} has seen another history than the database holds")
