"""`engine.transfers`: transfers between members in process, through the product's own tables, lots and history."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from node.app.directory import database_url
from node.app.open import keyring_of
from node.app.system import SystemRandomness
from node.config import load_config
from node.engine.engine import Engine
from node.ports import NoFaults
from node.services.program.points import BatchItem, BatchWork
from node.store.database import Database
from protocol.encoding import digest_of
from protocol.identifiers import Account
from protocol.ledger.commands import AnyCommand, IssuePoints, OpenAccount, TransferPoints
from scripts.benchmark.figures import ROUNDS, Figure, timed
from scripts.benchmark.members import Ids
from scripts.benchmark.nodes import new_node
from scripts.benchmark.places import Place

NAME: Final = "engine.transfers"
BATCHES: Final = ((1, 300), (100, 40), (1_000, 10), (8_000, 3))
"""Transfers a commit, and how many commits a round has."""

COMMIT: Final = 8_000
"""Commands of a commit where it does not matter how many they are: what is measured is something else."""

MEMBERS: Final = 8_000
POINTS: Final = 1_000_000
REQUEST: Final = digest_of("benchmark", b"")
SEED: Final = 1
TRANSFERS_SEED: Final = 2
"""Another one than that of the members: ids that are drawn a second time are repeats, which cost next to nothing."""


def measure(place: Place) -> Iterator[Figure]:
    """Yield the figures of every store and batch."""
    for store in place.stores:
        node = new_node(place.fresh("engine"), place.database(store))
        with engine_at(node.directory) as (engine, _):
            members, ids = fill(engine, Ids(SEED)), Ids(TRANSFERS_SEED)
            for batch, commits in BATCHES:
                rounds = [
                    timed(
                        [partial(commit, engine, list(transfers(members, batch, ids))) for _ in range(commits)],
                        units=batch,
                    )
                    for _ in range(place.few(ROUNDS, quick=1))
                ]
                yield place.conditions.figure(NAME, rounds, store=store, batch=batch)


@contextmanager
def engine_at(directory: Path) -> Iterator[tuple[Engine, Database]]:
    """Lend the engine of the node in `directory`, and its store."""
    config = load_config(directory)
    with Database.open(database_url(directory, config)) as database, database.writer(copy_beside=True) as writer:
        keyring = keyring_of(directory, config)
        yield Engine(writer, keyring=keyring, randomness=SystemRandomness(), faults=NoFaults()), database


def fill(engine: Engine, ids: Ids, count: int = MEMBERS, *, points: int = POINTS) -> Sequence[Account]:
    """Open so many members' accounts and give each points."""
    members = [Account(f"member/{ids()}") for _ in range(count)]
    commit_all(engine, (OpenAccount(id=ids(), account=each, request=REQUEST) for each in members))
    commit_all(engine, (IssuePoints(id=ids(), account=each, amount=points, request=REQUEST) for each in members))
    return members


def transfers(members: Sequence[Account], count: int, ids: Ids) -> Iterator[AnyCommand]:
    """Yield transfers between members."""
    for _ in range(count):
        source, destination = ids.rng.sample(members, 2)
        amount = ids.rng.randint(1, 100)
        yield TransferPoints(id=ids(), source=source, destination=destination, amount=amount, request=REQUEST)


def commit(engine: Engine, commands: Sequence[AnyCommand]) -> None:
    """Execute `commands` in one durable commit, or raise."""
    work = BatchWork([BatchItem(each, None) for each in commands], atomic=True)
    (result,), _ = engine.commit([work], datetime.now(UTC))
    if isinstance(result, Exception):
        raise result


def commit_all(engine: Engine, commands: Iterable[AnyCommand]) -> None:
    """Execute `commands` in large commits, or raise."""
    waiting = iter(commands)
    while part := list(islice(waiting, COMMIT)):
        commit(engine, part)
