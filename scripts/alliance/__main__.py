"""Start three brands on this machine, or play one day of theirs: python -m scripts.alliance [--once] [...]."""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final

import msgspec

from node.app.key_files import public_key
from node.client import read_token
from node.peers.log_source import HttpSource
from node.services.audits.auditing import audit
from node.services.logs.publication import PUBLISHED_WITHIN_SECONDS
from protocol.audit.log import Progress
from protocol.audit.report import Report
from protocol.keys import Role
from protocol.note import Verifier
from scripts.alliance.alliance import AUDITOR, Alliance, running_alliance
from scripts.alliance.brands import BRANDS
from scripts.alliance.day import CONVERSIONS_MIN, Day, outcome_of, play
from scripts.alliance.process import ROOT
from scripts.alliance.progress import say, seconds
from scripts.alliance.report import report_lines, summarise
from scripts.alliance.welcome import prepare_members, welcome_lines
from scripts.command import INTERRUPTED, exit_status

DIRECTORY: Final = ROOT / ".alliance"
CONVERSIONS: Final = 120
SEED: Final = 2026


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/run",
        description="Run an alliance of three brands on this machine: Aurora Air, Bluebird Hotels, Cedar Grocers.",
    )
    parser.add_argument("--dir", type=Path, help=f"where the nodes keep their files (default: {DIRECTORY.name}/)")
    parser.add_argument("--port-base", type=int, help="first of three ports (default: 7101)")
    parser.add_argument("--once", action="store_true", help="play a day, audit all three, report and end")
    parser.add_argument("--json", action="store_true", help="with --once: end with one line of JSON")
    parser.add_argument("--seed", type=int, default=SEED, help="what the day follows from")
    parser.add_argument("--conversions", type=_conversions, default=CONVERSIONS, help="conversions of the day")
    return parser.parse_args(arguments)


def _conversions(text: str) -> int:
    number = int(text)
    if number < CONVERSIONS_MIN:
        raise argparse.ArgumentTypeError(f"a day has at least {CONVERSIONS_MIN} conversions")
    return number


_TOLD: Final[list[int]] = []
"""The signals that came. What one raises is lost where it comes amid something that passes over what is raised."""

LOOK_SECONDS: Final = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, and return the exit status."""
    options = parse_arguments(arguments)
    _stop_on_signals()
    return exit_status("scripts/run", partial(_started, options))


def _started(options: argparse.Namespace) -> int:
    try:
        return _play_day(options) if options.once else _run(options)
    except KeyboardInterrupt:
        say("stopped")
        return 0 if not options.once else INTERRUPTED


def _stop_on_signals() -> None:
    # Whoever asks this process to end, the nodes are stopped on the way out.
    def interrupt(number: int, _frame: FrameType | None) -> None:
        _TOLD.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def _run(options: argparse.Namespace) -> int:
    directory: Path = (options.dir or DIRECTORY).resolve()
    with running_alliance(directory, port_base=options.port_base) as alliance:
        members = prepare_members(alliance)
        for line in welcome_lines(alliance, members):
            print(line, flush=True)
        watch(alliance)
    return 0


def watch(alliance: Alliance) -> None:
    """Stay until a signal comes; raise `AllianceFailed` if a node ends by itself."""
    while not _TOLD:
        time.sleep(LOOK_SECONDS)
        for node in alliance.nodes.values():
            node.check_alive()


def _play_day(options: argparse.Namespace) -> int:
    with ExitStack() as stack:
        directory: Path = options.dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="alliance-")))
        ephemeral = options.port_base is None
        alliance = stack.enter_context(
            running_alliance(directory.resolve(), port_base=options.port_base, ephemeral=ephemeral)
        )
        clients = {brand: stack.enter_context(alliance.client(brand)) for brand in BRANDS}
        # A day in the life of ledgers that have lived before is another day, and its requests need other ids.
        checkpoints = [clients[brand].get("/checkpoint").data.split(b"\n")[1].decode() for brand in BRANDS]
        day = Day(alliance, clients, random.Random("/".join([str(options.seed), *checkpoints])))
        play(day, conversions=options.conversions)
        outcome = outcome_of(day)
        say("auditing all three ledgers over HTTP")
        report = audit_alliance(alliance)
        summary = summarise(report, outcome, refused=dict(day.refused), seconds=seconds())
        # For a program that reads the last line, the report is progress.
        for line in report_lines(summary, report):
            print(line, file=sys.stderr if options.json else sys.stdout)
    if options.json:
        print(msgspec.json.encode(summary).decode())
    return 0 if summary.is_good else 1


def audit_alliance(alliance: Alliance, progress: Progress | None = None) -> Report:
    """Return the audit of all three ledgers over HTTP, as an auditor makes it who was told each ledger's key."""
    # A checkpoint is published at most once a second, and partners have seen the last one already.
    time.sleep(PUBLISHED_WITHIN_SECONDS)
    nodes = [alliance.nodes[brand] for brand in BRANDS]
    vkeys = [Verifier(node.brand.ledger, public_key(node.directory, Role.LOG)) for node in nodes]
    with ExitStack() as stack:
        sources = [stack.enter_context(HttpSource(node.url, read_token(node.token_file(AUDITOR)))) for node in nodes]
        return audit(sources, vkeys=vkeys, progress=progress)


if __name__ == "__main__":
    sys.exit(main())
