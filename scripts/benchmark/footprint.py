"""What a transfer and a conversion leave behind: bytes in the store by class of table, processor time, flushes.

    python -m scripts.benchmark.footprint [--transfers N] [--conversions N] [--store NAME] [--json]

Bytes are how much larger a store has become, indexes and free room in pages included. Flushes are counted while the
work is done once more, so that counting costs the other figures nothing.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from node.app.memory import settle
from node.client import new_id
from node.store.database import Database
from protocol.errors import TallystickError
from protocol.identifiers import Account, Id, Ledger
from protocol.ledger.commands import AnyCommand
from scripts.alliance.alliance import Alliance, running_alliance
from scripts.alliance.brands import AURORA, BLUEBIRD, Brand, rate
from scripts.alliance.process import AllianceFailed
from scripts.alliance.progress import say
from scripts.benchmark.engine import SEED, TRANSFERS_SEED, commit, engine_at, fill, transfers
from scripts.benchmark.members import Ids, linked_people
from scripts.benchmark.nodes import new_node
from scripts.benchmark.places import POSTGRESQL, SQLITE
from scripts.benchmark.stores import CLASSES, DATABASE, SqliteStore, Store, growth, postgresql_store

BATCHES: Final = (1, 100, 1_000)
CALLERS: Final = (1, 32)
PEOPLE: Final = 32
POINTS: Final = 100_000_000
_COUNTED_COMMITS: Final = 10
_COUNTED_CONVERSIONS: Final = 64
_WAIT_SECONDS: Final = 30
_ENTRIES_MAX: Final = 1_000
_MICROSECONDS: Final = 1_000_000
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_COLUMNS: Final = ("what", "store", "at once", *CLASSES, "bytes", "of an entry", "CPU us", "flushes")


class Footprint(msgspec.Struct, frozen=True, kw_only=True):
    """What one unit costs one ledger, with so many `at_once`; `of_an_entry` are bytes in the log's own encoding.

    `cpu_us` is the node's processor time, a database server's not counted; `flushes` is null where nobody can count.
    """

    what: str
    store: str
    at_once: int
    classes: dict[str, float]
    total: float
    of_an_entry: float
    cpu_us: float
    flushes: float | None

    def cells(self) -> tuple[str, ...]:
        """Return the row that a person reads."""
        sizes = (f"{self.classes[name]:,.0f}" for name in CLASSES)
        flushes = "" if self.flushes is None else f"{self.flushes:,.3f}"
        numbers = (f"{self.total:,.0f}", f"{self.of_an_entry:,.0f}", f"{self.cpu_us:,.0f}", flushes)
        return (self.what, self.store, f"{self.at_once:,}", *sizes, *numbers)


class _Counted:
    """One ledger from here on: how its store has grown, and what its log has got."""

    def __init__(self, store: Store, database: Database) -> None:
        self._store = store
        self._database = database
        self._sizes = store.sizes()
        self._begin = database.reader().counts().entries

    def footprint(
        self, what: str, name: str, *, at_once: int, units: int, cpu_seconds: float, flushes: float | None
    ) -> Footprint:
        """Return what each of `units` has cost."""
        grown = {kind: size / units for kind, size in growth(self._sizes, self._store.sizes()).items()}
        entries = self._database.reader().entries(self._begin, _ENTRIES_MAX)
        return Footprint(
            what=what,
            store=name,
            at_once=at_once,
            classes={kind: round(size, 1) for kind, size in grown.items()},
            total=round(sum(grown.values()), 1),
            of_an_entry=round(sum(map(len, entries)) / len(entries), 1),
            cpu_us=round(cpu_seconds / units * _MICROSECONDS, 1),
            flushes=flushes,
        )


# --- Transfers, in process.


def measure_transfers(folder: Path, name: str, *, count: int, at_once: Sequence[int]) -> Iterator[Footprint]:
    """Yield what a transfer leaves behind, by how many of them a commit has."""
    with ExitStack() as stack:
        url, remote = ("", None) if name == SQLITE else postgresql_store(stack)
        engine, database = stack.enter_context(engine_at(new_node(folder, url).directory))
        store = remote or SqliteStore(folder / DATABASE, os.getpid())
        members, ids = fill(engine, Ids(SEED)), Ids(TRANSFERS_SEED)
        settle()

        def commit_all(waiting: Sequence[Sequence[AnyCommand]]) -> None:
            for each in waiting:
                commit(engine, each)

        for batch in at_once or BATCHES:
            commits = max(count // batch, 2)
            waiting = [list(transfers(members, batch, ids)) for _ in range(commits + _COUNTED_COMMITS)]
            counted, began = _Counted(store, database), time.process_time()
            commit_all(waiting[:commits])
            spent, units = time.process_time() - began, commits * batch
            found = counted.footprint("transfer", name, at_once=batch, units=units, cpu_seconds=spent, flushes=None)
            flushed = store.flushes(partial(commit_all, waiting[commits:]))
            yield msgspec.structs.replace(found, flushes=_each(flushed, _COUNTED_COMMITS * batch))


def _each(flushed: int | None, units: int) -> float | None:
    return None if flushed is None else round(flushed / units, 4)


# --- Conversions, between two processes.


class _Orders:
    """Members of aurora's who convert to bluebird, `callers` at once."""

    def __init__(self, alliance: Alliance) -> None:
        self._alliance = alliance
        self._people = linked_people(alliance, Ids(SEED), PEOPLE, points=POINTS)

    def make(self, count: int, *, callers: int) -> None:
        """Order `count` conversions, and return when both ledgers have each."""
        orders = [(new_id(), self._people[number % PEOPLE].account(AURORA)) for number in range(count)]
        with ThreadPoolExecutor(callers) as pool:
            for _ in pool.map(self._convert, [orders[place::callers] for place in range(callers)]):
                pass

    def _convert(self, orders: Sequence[tuple[str, str]]) -> None:
        with self._alliance.client(AURORA) as client:
            for conversion, account in orders:
                step = rate(AURORA, BLUEBIRD).source_step
                client.convert(Account(account), Ledger(BLUEBIRD.ledger), step, request_id=Id(conversion))
                state = client.conversion(Id(conversion), wait_seconds=_WAIT_SECONDS).state
                if state != "completed":
                    raise AllianceFailed(f"a conversion that was measured is {state}")


def measure_conversions(folder: Path, name: str, *, count: int, at_once: Sequence[int]) -> Iterator[Footprint]:
    """Yield what a conversion leaves behind at its source and at its destination, by how many are ordered at once."""
    brands = (AURORA, BLUEBIRD)
    with ExitStack() as stack:
        remote = {brand: postgresql_store(stack) for brand in brands} if name == POSTGRESQL else {}
        urls = {brand: url for brand, (url, _) in remote.items()}
        alliance = stack.enter_context(
            running_alliance(folder, port_base=None, ephemeral=True, brands=brands, database_urls=urls)
        )
        stores: Mapping[Brand, Store] = {
            brand: remote[brand][1] if remote else SqliteStore(node.directory / DATABASE, node.pid)
            for brand, node in alliance.nodes.items()
        }
        databases = {
            brand: stack.enter_context(Database.open(urls.get(brand) or f"sqlite:///{node.directory / DATABASE}"))
            for brand, node in alliance.nodes.items()
        }
        orders = _Orders(alliance)
        for callers in at_once or CALLERS:
            orders.make(callers, callers=callers)
            counted = {brand: _Counted(stores[brand], databases[brand]) for brand in brands}
            began = {brand: _cpu_seconds(alliance, brand) for brand in brands}
            orders.make(count, callers=callers)
            spent = {brand: _cpu_seconds(alliance, brand) - began[brand] for brand in brands}
            found = {
                brand: counted[brand].footprint(
                    f"conversion, {side}", name, at_once=callers, units=count, cpu_seconds=spent[brand], flushes=None
                )
                for brand, side in zip(brands, ("source", "destination"), strict=True)
            }
            for brand, footprint in found.items():
                flushed = stores[brand].flushes(partial(orders.make, _COUNTED_CONVERSIONS, callers=callers))
                yield msgspec.structs.replace(footprint, flushes=_each(flushed, _COUNTED_CONVERSIONS))


def _cpu_seconds(alliance: Alliance, brand: Brand) -> float:
    """Return the processor time that a node's process has taken (proc(5): fields 14 and 15, in ticks)."""
    stat = Path(f"/proc/{alliance.nodes[brand].pid}/stat").read_text(encoding="ascii")
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / _TICKS


# --- The command.


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.benchmark.footprint", description=(__doc__ or "")[:88])
    parser.add_argument("--transfers", type=int, default=20_000, help="how many, of each batch (%(default)s)")
    parser.add_argument("--conversions", type=int, default=1_000, help="how many, of each number at once (%(default)s)")
    parser.add_argument("--store", choices=(SQLITE, POSTGRESQL), action="append", help="this one alone")
    parser.add_argument("--at-once", type=int, action="append", default=[], help="so many at once alone")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    options = parser.parse_args(arguments)
    measures: tuple[tuple[Callable[..., Iterator[Footprint]], int], ...] = (
        (measure_transfers, options.transfers),
        (measure_conversions, options.conversions),
    )
    try:
        if not options.json:
            print(_row(_COLUMNS))
        for name in options.store or (SQLITE, POSTGRESQL):
            for measure, count in measures:
                with tempfile.TemporaryDirectory(prefix="footprint-") as folder:
                    for found in (
                        measure(Path(folder) / "nodes", name, count=count, at_once=options.at_once) if count else ()
                    ):
                        print(msgspec.json.encode(found).decode() if options.json else _row(found.cells()), flush=True)
    except (AllianceFailed, OSError, TallystickError) as error:
        say(f"python -m scripts.benchmark.footprint: {error}")
        return 1
    return 0


def _row(cells: Sequence[str]) -> str:
    what, *others = cells
    return f"{what:<26}" + "".join(f"{cell:>13}" for cell in others)


if __name__ == "__main__":
    sys.exit(main())
