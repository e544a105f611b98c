"""`audit.entries` and `proof.receipts`: how fast a log is replayed by the rules, and its entries proved."""

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from node.peers.log_source import PackageSource
from node.services.auditing import audit
from node.services.package import export
from protocol.audit.findings import Verdict
from protocol.merkle import HASH_BYTES, inclusion_proof
from protocol.tiles import TileId, TileReader
from scripts.alliance.process import AllianceFailed
from scripts.benchmark.engine import SEED, commit, engine_at, fill, transfers
from scripts.benchmark.figures import ROUNDS, Figure, timed
from scripts.benchmark.places import SQLITE, Place

AUDIT: Final = "audit.entries"
PROOFS: Final = "proof.receipts"
COMMITS: Final = 4
BATCH: Final = 4_000
RECEIPTS: Final = 2_000


def measure(place: Place) -> Iterator[Figure]:
    """Yield both figures, of one log of accounts, issues and transfers."""
    package = place.fresh("package")
    with engine_at(place.fresh("audited"), place.database(SQLITE)) as (engine, database):
        members, rng = fill(engine), random.Random(SEED)
        for _ in range(place.few(COMMITS, quick=1)):
            commit(engine, transfers(members, BATCH, rng))
        size, reader = engine.size, database.reader()
        export(reader, package)

        def fetch(tile: TileId) -> bytes:
            return reader.tile(tile.level, tile.index)[: HASH_BYTES * tile.width]

        def prove(index: int) -> None:
            inclusion_proof(index=index, size=size, read=TileReader(size=size, fetch=fetch).read)

        rounds = [
            timed([partial(prove, rng.randrange(size)) for _ in range(place.few(RECEIPTS, quick=200))], units=1)
            for _ in range(place.few(ROUNDS, quick=1))
        ]
        proofs = place.conditions.figure(PROOFS, rounds, store=SQLITE, durable=False)
    rounds = [timed([partial(_audited, package)], units=size) for _ in range(place.few(ROUNDS, quick=1))]
    yield place.conditions.figure(AUDIT, rounds, store="package", batch=size, durable=False)
    yield proofs


def _audited(package: Path) -> None:
    with PackageSource(package) as source:
        if audit([source]).verdict is not Verdict.HELD:
            raise AllianceFailed("the benchmark's own log does not hold")
