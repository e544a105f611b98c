"""The first commit: genesis, the first credentials, and what a node draws once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from node.config import NodeConfig
from node.engine.engine import Engine
from node.engine.work import CommandWork
from node.ports import Keyring, NoFaults, Randomness
from node.services.node import REQUEST_KEY_SETTING
from node.services.partners.partners import NETWORK_SETTING
from node.store.database import Database
from node.store.rows import PutSetting, Write
from node.store.rows_access import PutCredential
from node.store.writer import StoreWriter
from protocol.agreement import RoleKey
from protocol.entries import Genesis, decode_entry
from protocol.errors import TallystickError
from protocol.identifiers import Asset, Ledger, Network
from protocol.keys import Role
from protocol.ledger.commands import CreateLedger
from protocol.ledger.names import genesis_id

REQUEST_KEY_BYTES: Final = 32
NETWORK_BYTES: Final = 16


class DatabaseTaken(TallystickError):
    """The database holds another ledger."""

    code = "database_taken"


def begin_ledger(
    database: Database,
    config: NodeConfig,
    *,
    keyring: Keyring,
    credentials: Sequence[PutCredential],
    network: Network | None,
    now: str,
    randomness: Randomness,
) -> bytes:
    """Commit genesis with the rows beside it unless that was done, and return the last checkpoint's note.

    Raises `DatabaseTaken` when the database holds another ledger, or this one under other keys.
    """
    command = _command(config, keyring)
    writes: list[Write] = [
        *credentials,
        PutSetting(REQUEST_KEY_SETTING, randomness.token(REQUEST_KEY_BYTES).hex()),
        PutSetting(NETWORK_SETTING, network or randomness.token(NETWORK_BYTES).hex()),
    ]
    with database.writer() as writer:
        if writer.head().size:
            _check_same(writer, command)
        else:
            engine = Engine(writer, keyring=keyring, randomness=randomness, faults=NoFaults())
            results, _ = engine.commit([CommandWork([command], writes=writes)], datetime.fromisoformat(now))
            if isinstance(results[0], Exception):
                raise results[0]
        note = writer.head().note
    assert note is not None, "a log with a genesis has a checkpoint"
    return note


def own_keys(keyring: Keyring) -> tuple[RoleKey, ...]:
    """Return the public halves of a keyring as documents list them."""
    return tuple(RoleKey(role=role, key=keyring.key(role).public.text) for role in Role)


def _command(config: NodeConfig, keyring: Keyring) -> CreateLedger:
    return CreateLedger(
        id=genesis_id(Ledger(config.ledger)),
        ledger=Ledger(config.ledger),
        points=Asset(config.points),
        points_name=config.points_name,
        currencies=tuple(map(Asset, config.currencies)),
        keys=own_keys(keyring),
        next_log_key=keyring.next_log_key,
    )


def _check_same(writer: StoreWriter, command: CreateLedger) -> None:
    data = writer.entry(0)
    assert data is not None, "a log that is not empty has entry 0"
    genesis = decode_entry(data)
    assert isinstance(genesis, Genesis), "the store reads no other log"
    if (genesis.ledger, genesis.keys) != (command.ledger, command.keys):
        raise DatabaseTaken(f"the database holds the ledger {genesis.ledger}, made with another directory's keys")
