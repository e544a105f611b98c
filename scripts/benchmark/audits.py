"""`audit.entries` and `proof.receipts`: how fast a day's log is replayed by the rules, and its entries proved."""

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from node.cli.directory import open_store
from node.peers.log_source import PackageSource
from node.services.audits.auditing import audit
from node.services.logs.package import export
from protocol.audit.findings import Verdict
from protocol.merkle import HASH_BYTES, inclusion_proof
from protocol.tiles import TileId, TileReader
from scripts.alliance.process import AllianceFailed
from scripts.benchmark.day import played_day
from scripts.benchmark.figures import ROUNDS, Figure, Round, timed
from scripts.benchmark.places import SQLITE, Place

AUDIT: Final = "audit.entries"
PROOFS: Final = "proof.receipts"
QUICK_ENTRIES: Final = 2_000
RECEIPTS: Final = 2_000
SEED: Final = 1


def measure(place: Place) -> Iterator[Figure]:
    """Yield the figures of one log: its audit by one process and by two, and proofs of its entries."""
    package = place.fresh("package")
    directory = played_day(place, entries=place.few(place.entries, quick=QUICK_ENTRIES))
    with open_store(directory) as database:
        reader = database.reader()
        size = export(reader, package).size
        rng = random.Random(SEED)

        def fetch(tile: TileId) -> bytes:
            return reader.tile(tile.level, tile.index)[: HASH_BYTES * tile.width]

        def prove(index: int) -> None:
            inclusion_proof(index=index, size=size, read=TileReader(size=size, fetch=fetch).read)

        proofs = [
            timed([partial(prove, rng.randrange(size)) for _ in range(place.few(RECEIPTS, quick=200))], units=1)
            for _ in range(place.few(ROUNDS, quick=1))
        ]
    rounds: dict[int, list[Round]] = {1: [], 2: []}
    for _ in range(place.few(ROUNDS, quick=1)):
        # In turns, so that the machine's other work shows in both alike.
        for cores, taken in rounds.items():
            taken.append(timed([partial(_audited, package, cores)], units=size))
    for cores, taken in rounds.items():
        yield place.conditions.figure(AUDIT, taken, store="package", batch=size, cores=cores, durable=False)
    yield place.conditions.figure(PROOFS, proofs, store=SQLITE, durable=False)


def _audited(package: Path, jobs: int) -> None:
    with PackageSource(package) as source:
        if audit([source], jobs=jobs).verdict is not Verdict.HELD:
            raise AllianceFailed("the benchmark's own log does not hold")
