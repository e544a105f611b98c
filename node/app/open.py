"""Opening a node: the store's lock first, then its checks, then the writer; nothing answers before all of it."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import structlog

from node.app.access import access_of, partner_tls
from node.app.agent_client import AgentKeyring
from node.app.directory import STATE_NAME, database_url
from node.app.genesis import own_keys
from node.app.key_files import ask_passphrase, public_key, read_keyring
from node.app.system import SystemClock, SystemRandomness
from node.config import NodeConfig, load_config, parse_witness
from node.engine.engine import Engine
from node.engine.standby import StandbyWriter
from node.engine.writer import WriterQueue
from node.peers.hooks import HttpHooks
from node.peers.http import HttpTransport
from node.peers.links import HttpLinks
from node.peers.logs import HttpLogs
from node.peers.papers import HttpPapers
from node.peers.witnesses import HttpWitnesses
from node.ports import Clock, Faults, Hooks, Keyring, Links, Logs, NoFaults, Papers, Randomness, Transport, Witnesses
from node.services.context import NodeWriter
from node.services.logs.cosigning import Cosigner, Witnessing
from node.services.logs.own_log import lack, open_of, place_of
from node.services.node import Node, Ports
from node.store.copying import check_here
from node.store.database import Database
from node.store.facts import unsafe_settings
from node.store.reader import StoreReader
from node.store.writer import StoreWriter
from node.workers.keep_state import read_state, write_state
from protocol.checkpoint import Checkpoint
from protocol.errors import ProtocolError, TallystickError
from protocol.identifiers import Ledger, first_of
from protocol.keys import PublicKey, Role
from protocol.ledger.rotation import log_keys
from protocol.ledger.state import LEDGER, ONLY
from protocol.merkle import fold

_LOG: Final = structlog.get_logger()


class KeysMismatch(TallystickError):
    """The directory's configuration or keys are not those of the ledger in its database."""

    code = "keys_mismatch"


class StateFileForeign(TallystickError):
    """The state file holds no checkpoint of this ledger: whether the store is an older copy cannot be told."""

    code = "state_file_foreign"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortOverrides:
    """Parts of the world that a test or a simulation puts in place of the real ones."""

    clock: Clock | None = None
    randomness: Randomness | None = None
    keyring: Keyring | None = None
    transport: Transport | None = None
    papers: Papers | None = None
    faults: Faults | None = None
    logs: Logs | None = None
    witnesses: Witnesses | None = None
    hooks: Hooks | None = None
    links: Links | None = None


class MakeEngine(Protocol):
    """Makes the engine of a node."""

    def __call__(self, store: StoreWriter, *, keyring: Keyring, randomness: Randomness, faults: Faults) -> Engine:
        """Return an engine that continues where the store's last checkpoint ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedNode:
    """A node that can be called: its writer is at work, in the writer's `term` of the store, or stands by in term 0."""

    directory: Path
    config: NodeConfig
    node: Node
    ports: Ports
    database: Database
    term: int = 0


@contextmanager
def open_node(
    directory: Path,
    *,
    settings: Mapping[str, object] | None = None,
    ports: PortOverrides | None = None,
    make_engine: MakeEngine = Engine,
    remembered: bytes | None = None,
) -> Iterator[OpenedNode]:
    """Lend the node in `directory` with its writer at work; `settings` override its configuration.

    A store that lacks what the state file has seen, or the checkpoint's note that is `remembered`, is opened with its
    gate closed: nothing is written to its log.
    Raises `ConfigInvalid`, what `keyring_of` raises, `KeysMismatch`, `StateFileForeign` or `StoreFailed` (`StoreBusy`
    while another process has it). At the end what is queued is written and everything is closed.
    """
    config = load_config(directory, settings)
    with Database.open(database_url(directory, config), made=True) as database:
        _bring_up_to_date(database)
        with ExitStack() as stack:
            store = stack.enter_context(database.writer(copy_beside=True))
            _warn_of_loss(database)
            # After the lock: sealed keys take half a second, and who stands by tries twice in one.
            real = _ports(directory, config, ports or PortOverrides())
            stack.enter_context(_closing(real))
            reader = database.reader()
            check_directory(directory, config, reader=reader, keyring=real.keyring)
            engine = make_engine(store, keyring=real.keyring, randomness=real.randomness, faults=real.faults)
            seen = seen_before(directory / STATE_NAME, config, keyring=real.keyring)
            known = _known(real.keyring.last_committed(), config, real.keyring)
            own = _known(remembered, config, real.keyring)
            told = ((STATE_NAME, seen), ("the agent" if config.agent else "this process", known), ("this process", own))
            for name, checkpoint in told:
                lacks = None if checkpoint is None else _lack(checkpoint, store=store, reader=reader)
                if lacks is not None:
                    engine.gate.found_behind(f"{name} {lacks}", checkpoint)
            _tell_keyring(engine, reader, real.keyring)
            writer = WriterQueue(engine, real.clock)
            node = _node(directory, config, reader=reader, writer=writer, real=real)
            writer.start()
            try:
                yield OpenedNode(
                    directory=directory, config=config, node=node, ports=real, database=database, term=store.term
                )
            finally:
                writer.close()
                _keep_known(directory, config, real.keyring)


@contextmanager
def open_standby(
    directory: Path, *, settings: Mapping[str, object] | None = None, ports: PortOverrides | None = None
) -> Iterator[OpenedNode]:
    """Lend the node in `directory` to be read alone, while this or another process writes its store.

    Raises what `open_node` raises; `StoreBusy` only where the tables are of another version.
    """
    config = load_config(directory, settings)
    real = _ports(directory, config, ports or PortOverrides())
    with _closing(real), Database.open(database_url(directory, config), made=True) as database:
        _bring_up_to_date(database)
        reader = database.reader()
        check_directory(directory, config, reader=reader, keyring=real.keyring)
        node = _node(directory, config, reader=reader, writer=StandbyWriter(), real=real)
        node.log.publication.follow()
        yield OpenedNode(directory=directory, config=config, node=node, ports=real, database=database)


def _node(directory: Path, config: NodeConfig, *, reader: StoreReader, writer: NodeWriter, real: Ports) -> Node:
    return Node(
        reader=reader,
        writer=writer,
        ports=real,
        url=config.url,
        witnessing=_witnessing(config),
        log_is_open=config.public_log == "open",
        access=access_of(directory, config),
        appeal_days=config.appeal_days,
    )


@contextmanager
def _closing(ports: Ports) -> Iterator[None]:
    try:
        yield
    finally:
        for each in (ports.transport, ports.witnesses, ports.logs, ports.hooks, ports.keyring):
            if isinstance(each, HttpTransport | HttpWitnesses | HttpLogs | HttpHooks | AgentKeyring):
                each.close()


def _witnessing(config: NodeConfig) -> Witnessing:
    others = tuple(Cosigner(*parse_witness(text)) for text in config.witnesses)
    return Witnessing(others=others, partners=config.partners_are_witnesses, acknowledge=config.ack_after_witness)


def _ports(directory: Path, config: NodeConfig, given: PortOverrides) -> Ports:
    tls = partner_tls(directory, config)
    return Ports(
        keyring=given.keyring or keyring_of(directory, config),
        clock=given.clock or SystemClock(),
        randomness=given.randomness or SystemRandomness(),
        transport=given.transport or HttpTransport(tls),
        papers=given.papers or HttpPapers(config.partner_timeout_seconds, tls),
        faults=given.faults or NoFaults(),
        logs=given.logs or HttpLogs(tls),
        witnesses=given.witnesses or HttpWitnesses(tls),
        hooks=given.hooks or HttpHooks(private=config.webhooks_private),
        links=given.links or HttpLinks(tls),
    )


def keyring_of(directory: Path, config: NodeConfig) -> Keyring:
    """Return the keys of the node in `directory`: its agent's, where it has one.

    Raises `KeyFileInvalid`, `PassphraseMissing` or `PassphraseWrong`; with an agent, `SignerUnavailable` or
    `SignerRefused`.
    """
    if config.agent:
        return AgentKeyring(directory / config.agent)
    file = directory / config.passphrase_file if config.passphrase_file else None
    return read_keyring(directory, ask_passphrase(file))


def public_key_of(directory: Path, config: NodeConfig, role: Role) -> PublicKey:
    """Return a public key of the node in `directory`, from its files or its agent; no passphrase is needed."""
    if not config.agent:
        return public_key(directory, role)
    with closing(AgentKeyring(directory / config.agent)) as keyring:
        return keyring.key(role).public


def check_directory(directory: Path, config: NodeConfig, *, reader: StoreReader, keyring: Keyring) -> None:
    """Raise `KeysMismatch` unless the database holds the ledger of this configuration, under these keys.

    Raises `StoreMoved` where that ledger goes on in another store.
    """
    check_here(reader)
    record = reader.record(LEDGER, ONLY)
    if record is None:
        raise KeysMismatch(f"the database of {directory} holds no ledger")
    if (record.ledger, record.keys) != (first_of(Ledger(config.ledger)), own_keys(keyring)):
        raise KeysMismatch(f"the database of {directory} holds {record.ledger}, under other keys or another name")
    if not set(log_keys(record)) <= {each.public for each in keyring.log_keys()}:
        raise KeysMismatch(f"the log of {record.ledger} has got keys that are not held for {directory}")


def seen_before(path: Path, config: NodeConfig, *, keyring: Keyring) -> Checkpoint | None:
    """Return the last checkpoint that this node has signed, as the state file beside the database keeps it."""
    note = read_state(path)
    if note is None:
        return None
    try:
        return open_of(note, ledger=first_of(Ledger(config.ledger)), key=keyring.key(Role.LOG).public)
    except ProtocolError as error:
        raise StateFileForeign(f"{path} holds no checkpoint of this ledger: {error}") from error


def _bring_up_to_date(database: Database) -> None:
    """Change the tables to those of this version of the program, if they are not, and say so."""
    begun: list[float] = []

    def begin() -> None:
        begun.append(time.monotonic())
        _LOG.info("tables_change", advice="all at once or not at all; the node answers when they are changed")

    database.migrate(begin)
    if begun:
        _LOG.info("tables_changed", seconds=round(time.monotonic() - begun[0], 3))


def _warn_of_loss(database: Database) -> None:
    """Say that what is answered may be lost with the server's power, where its settings let it be."""
    unsafe = unsafe_settings(database)
    if unsafe:
        advice = (
            "turn it on: a commit that was answered could be lost, and the node would then be behind what it signed"
        )
        _LOG.warning("not_durable", settings=", ".join(unsafe), advice=advice)


def last_signed(directory: Path, config: NodeConfig, *, keyring: Keyring) -> Checkpoint | None:
    """Return the largest checkpoint that the node is known to have signed, by its state file or by its agent."""
    told = (
        seen_before(directory / STATE_NAME, config, keyring=keyring),
        _known(keyring.last_committed(), config, keyring),
    )
    return max((each for each in told if each is not None), key=place_of, default=None)


def _known(note: bytes | None, config: NodeConfig, keyring: Keyring) -> Checkpoint | None:
    """Return the checkpoint that `note` holds, which is known to be durable, or None where none is known."""
    if note is None:
        return None
    return open_of(note, ledger=first_of(Ledger(config.ledger)), key=keyring.key(Role.LOG).public)


def _keep_known(directory: Path, config: NodeConfig, keyring: Keyring) -> None:
    """Leave in the state file what was committed here, unless an agent keeps it: the store may come back without."""
    if config.agent:
        return
    path, note = directory / STATE_NAME, keyring.last_committed()
    try:
        known, seen = _known(note, config, keyring), seen_before(path, config, keyring=keyring)
        if note is not None and known is not None and (seen is None or place_of(known) > place_of(seen)):
            write_state(path, note)
    except TallystickError as failure:
        _LOG.warning("state_not_kept", reason=str(failure))


def _tell_keyring(engine: Engine, reader: StoreReader, keyring: Keyring) -> None:
    newest = reader.latest_checkpoint()
    if engine.gate.behind is None and newest is not None:
        keyring.committed(newest.note)


def _lack(seen: Checkpoint, *, store: StoreWriter, reader: StoreReader) -> str | None:
    newest = reader.latest_checkpoint()
    assert newest is not None, "a store with a ledger has its genesis, and a checkpoint over it"
    return lack(seen, newest, root_at=lambda size: fold(store.range_hashes(size, generation=newest.generation)))
