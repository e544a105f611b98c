"""Kill two nodes at random moments of many conversions, from a seed: python -m scripts.kills [--seed N] [...]."""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from scripts.alliance.brands import Brand
from scripts.alliance.process import AllianceFailed
from scripts.command import exit_status, positive
from scripts.kills.plan import ORDERS_MIN, PAIR
from scripts.kills.report import lines_of
from scripts.kills.run import run

CONVERSIONS: Final = 1_000
KILLS: Final = 10
SEED: Final = 1


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/storm",
        description="Kill two real nodes at random moments while members convert in both directions; then hold that "
        "every order is decided, every answer kept, both ledgers sound, and each the other's half.",
    )
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite", help="what the nodes keep to")
    parser.add_argument("--seed", type=int, default=SEED, help=f"what the storm follows from (default: {SEED})")
    parser.add_argument("--storms", type=positive, default=1, help="how many storms, each from the next seed")
    parser.add_argument("--conversions", type=positive, default=CONVERSIONS, help=f"(default: {CONVERSIONS})")
    parser.add_argument("--kills", type=positive, default=KILLS, help=f"(default: {KILLS})")
    parser.add_argument("--workers", type=positive, default=1, help="how many processes each node has (default: 1)")
    parser.add_argument("--dir", type=Path, help="where the nodes keep their files (default: temporary)")
    parser.add_argument("--json", action="store_true", help="end each storm with one line of JSON")
    options = parser.parse_args(arguments)
    if options.conversions < ORDERS_MIN * (options.kills + 1):
        parser.error(f"{options.kills} kills need at least {ORDERS_MIN * (options.kills + 1)} conversions")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the storms, and return the exit status: 0 if everything held in all of them."""
    options = parse_arguments(arguments)
    seeds = range(options.seed, options.seed + options.storms)
    return exit_status("scripts/storm", lambda: max([_storm(options, seed) for seed in seeds]))


def _storm(options: argparse.Namespace, seed: int) -> int:
    with ExitStack() as stack:
        place = options.dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="storm-")))
        urls = stack.enter_context(databases(options.store))
        directory = place.resolve() / f"seed-{seed}"
        summary = run(
            seed, directory, urls, conversions=options.conversions, kills=options.kills, workers=options.workers
        )
    for line in lines_of(summary):
        print(line, file=sys.stderr if options.json else sys.stdout)
    if options.json:
        print(msgspec.json.encode(summary).decode(), flush=True)
    return 0 if summary.is_good else 1


@contextmanager
def databases(store: str) -> Iterator[Mapping[Brand, str]]:
    """Lend a database for each node on a throwaway PostgreSQL server, or nothing: SQLite needs no more."""
    if store == "sqlite":
        yield {}
        return
    # The server that the tests use; without it, SQLite needs none of the tests' own parts.
    from tests.support.postgres import ServerUnavailableError, running_server  # noqa: PLC0415 - see above

    with ExitStack() as stack:
        try:
            server = stack.enter_context(running_server())
        except ServerUnavailableError as error:
            raise AllianceFailed(str(error)) from error
        yield {brand: server.url(server.create_database()) for brand in PAIR}


if __name__ == "__main__":
    sys.exit(main())
