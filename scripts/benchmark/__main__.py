"""Measure, and print a table or one JSON object a figure: python -m scripts.benchmark [--quick] [--json] [...]."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from node.app.memory import settle
from scripts.alliance.process import AllianceFailed
from scripts.alliance.progress import say
from scripts.benchmark import audits, conversions, engine, expiry, large, over_http, overload, yardsticks
from scripts.benchmark.figures import Figure, conditions_at
from scripts.benchmark.places import ENTRIES, LOTS, MEMBERS, START_ENTRIES, Place, Server
from scripts.command import exit_status

BENCHMARKS: Final[Mapping[str, Callable[[Place], Iterator[Figure]]]] = {
    "yardstick": yardsticks.measure,
    engine.NAME: engine.measure,
    over_http.TRANSFERS: over_http.measure_transfers,
    conversions.NAME: conversions.measure,
    overload.NAME: overload.measure,
    "audit": audits.measure,
    expiry.NAME: expiry.measure,
    large.START: large.measure_start,
    large.MEMORY: large.measure_memory,
}
_COLUMNS: Final = ("what", "store", "batch", "callers", "offered", "per second", "p50 ms", "p99 ms", "loop ms")


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure what a node does in a second, everything durable, beside plain databases in the same run.",
        epilog="The machine's other work shows in every figure: compare within one run.",
    )
    parser.add_argument("--quick", action="store_true", help="one short round of each: rough figures in a minute")
    parser.add_argument("--json", action="store_true", help="print one JSON object a figure instead of a table")
    parser.add_argument(
        "--only", action="append", choices=sorted(BENCHMARKS), help="measure this alone; may be repeated"
    )
    parser.add_argument("--lots", type=int, default=LOTS, help="how many lots expire (default: %(default)s)")
    parser.add_argument("--entries", type=int, default=ENTRIES, help="how many are audited (default: %(default)s)")
    parser.add_argument(
        "--start-entries", type=int, default=START_ENTRIES, help="how many are there at a start (default: %(default)s)"
    )
    parser.add_argument(
        "--members", type=int, default=MEMBERS, help="how many a large ledger has (default: %(default)s)"
    )
    parser.add_argument("--dir", type=Path, help="where to keep the data: the disk that is measured")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for, and return the exit status."""
    options = parse_arguments(arguments)
    return exit_status("scripts/bench", partial(_run, options))


def _run(options: argparse.Namespace) -> int:
    try:
        with ExitStack() as stack:
            base = options.dir.resolve() if options.dir else None
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=base)))
            server = _server(stack)
            settle()
            place = Place(
                folder=folder,
                server=server,
                conditions=conditions_at(folder),
                quick=options.quick,
                lots=options.lots,
                entries=options.entries,
                entries_at_start=options.start_entries,
                members=options.members,
            )
            _measure(place, options.only or list(BENCHMARKS), as_json=options.json)
    except BrokenPipeError:
        raise  # Whether anybody reads the figures is seen to by `exit_status`.
    except OSError as error:
        raise AllianceFailed(str(error)) from error
    return 0


def _measure(place: Place, names: Sequence[str], *, as_json: bool) -> None:
    if not as_json:
        found = place.conditions
        print(f"{found.cores} cores, {found.fdatasync_us:,.0f} µs for a flush of the disk; everything durable")
        print(_row(_COLUMNS))
    for name in names:
        say(f"measuring {name}")
        for figure in BENCHMARKS[name](place):
            print(msgspec.json.encode(figure).decode() if as_json else _row(_cells(figure)), flush=True)


def _cells(figure: Figure) -> tuple[str, ...]:
    offered = "" if figure.offered is None else f"{figure.offered:,}"
    return (
        figure.name, figure.store, f"{figure.batch:,}", str(figure.callers), offered, f"{figure.per_second:,.0f}",
        f"{figure.p50_ms:,.2f}", f"{figure.p99_ms:,.2f}", f"{figure.loop_ms:.1f}",
    )  # fmt: skip


def _row(cells: Sequence[str]) -> str:
    name, store, *numbers = cells
    return f"{name:<20}{store:<12}" + "".join(f"{number:>12}" for number in numbers)


def _server(stack: ExitStack) -> Server | None:
    """Return a throwaway PostgreSQL server, or None where none can be had."""
    # The server that the tests use; SQLite's figures need none of the tests' own parts.
    from tests.support.postgres import ServerUnavailableError, running_server  # noqa: PLC0415 - see above

    try:
        return stack.enter_context(running_server())
    except ServerUnavailableError as error:
        say(f"SQLite alone is measured: {error}")
        return None


if __name__ == "__main__":
    sys.exit(main())
