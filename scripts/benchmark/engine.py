"""`engine.transfers`: transfers between members in process, through the product's own tables, lots and history."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID

from node.app.directory import create_node_directory, database_url
from node.app.open import keyring_of
from node.app.system import SystemRandomness
from node.config import load_config
from node.engine.engine import Engine
from node.ports import NoFaults
from node.services.points import BatchItem, BatchWork
from node.store.database import Database
from protocol.encoding import digest_of
from protocol.identifiers import Account, Id
from protocol.ledger.commands import AnyCommand, IssuePoints, OpenAccount, TransferPoints
from scripts.alliance.brands import AURORA, CURRENCY
from scripts.benchmark.figures import ROUNDS, Figure, timed
from scripts.benchmark.places import Place

NAME: Final = "engine.transfers"
BATCHES: Final = ((1, 300), (100, 40), (1_000, 10), (8_000, 3))
"""Transfers a commit, and how many commits a round has."""

MEMBERS: Final = 8_000
POINTS: Final = 1_000_000
REQUEST: Final = digest_of("benchmark", b"")
SEED: Final = 1
TRANSFERS_SEED: Final = 2
"""Another one than that of the members: ids that are drawn a second time are repeats, which cost next to nothing."""


def measure(place: Place) -> Iterator[Figure]:
    """Yield the figures of every store and batch."""
    for store in place.stores:
        with engine_at(place.fresh("engine"), place.database(store)) as (engine, _):
            members = fill(engine)
            rng = random.Random(TRANSFERS_SEED)
            for batch, commits in BATCHES:
                rounds = [
                    timed(
                        [partial(commit, engine, transfers(members, batch, rng)) for _ in range(commits)],
                        units=batch,
                    )
                    for _ in range(place.few(ROUNDS, quick=1))
                ]
                yield place.conditions.figure(NAME, rounds, store=store, batch=batch)


@contextmanager
def engine_at(directory: Path, url: str) -> Iterator[tuple[Engine, Database]]:
    """Lend the engine of a new node in `directory`, and its store."""
    create_node_directory(
        directory,
        ledger=AURORA.ledger,
        points=AURORA.points,
        points_name=AURORA.points_name,
        url="http://127.0.0.1:1",
        currencies=(CURRENCY,),
        settings={"database_url": url} if url else None,
    )
    config = load_config(directory)
    with Database.open(database_url(directory, config)) as database, database.writer() as writer:
        keyring = keyring_of(directory, config)
        yield Engine(writer, keyring=keyring, randomness=SystemRandomness(), faults=NoFaults()), database


def fill(engine: Engine) -> Sequence[Account]:
    """Open members' accounts and give each points."""
    rng = random.Random(SEED)
    members = [Account(f"member/{_id(rng)}") for _ in range(MEMBERS)]
    commit(engine, [OpenAccount(id=_id(rng), account=each, request=REQUEST) for each in members])
    commit(engine, [IssuePoints(id=_id(rng), account=each, amount=POINTS, request=REQUEST) for each in members])
    return members


def transfers(members: Sequence[Account], count: int, rng: random.Random) -> list[AnyCommand]:
    """Return transfers between members drawn by `rng`."""
    made: list[AnyCommand] = []
    for _ in range(count):
        source, destination = rng.sample(members, 2)
        amount = rng.randint(1, 100)
        made.append(TransferPoints(id=_id(rng), source=source, destination=destination, amount=amount, request=REQUEST))
    return made


def commit(engine: Engine, commands: Sequence[AnyCommand]) -> None:
    """Execute `commands` in one durable commit, or raise."""
    work = BatchWork([BatchItem(each, None) for each in commands], atomic=True)
    (result,), _ = engine.commit([work], datetime.now(UTC))
    if isinstance(result, Exception):
        raise result


def _id(rng: random.Random) -> Id:
    return Id(str(UUID(int=rng.getrandbits(128), version=4)))
