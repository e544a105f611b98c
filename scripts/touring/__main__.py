"""Play the tour: python -m scripts.touring [--rows N] [--dir DIR] [--json]."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from protocol.audit.findings import Verdict
from scripts.alliance.__main__ import audit_alliance
from scripts.command import exit_status
from scripts.touring import acts
from scripts.touring.stage import Stage, TourFailed, set_stage

ROWS: Final = 10_000


class Played(msgspec.Struct, frozen=True):
    """What the tour came to."""

    good: bool
    said: tuple[str, ...]


def play(stage: Stage, *, rows: int) -> None:
    """Play all acts, then audit; raise `TourFailed` where something is not as it should be."""
    people = acts.import_balances(stage, rows=rows)
    acts.link(stage)
    acts.convert(stage, people)
    acts.verify_receipt(stage, people)
    acts.transfer(stage, people)
    acts.appeal(stage, people)
    acts.erase(stage, people)
    acts.end_partner(stage)
    report = audit_alliance(stage.alliance)
    if report.verdict is not Verdict.HELD:
        raise TourFailed("\n".join(["the audit does not hold", *report.lines()]))
    stage.tell("all three ledgers audited over HTTP: held")


def main(arguments: Sequence[str] | None = None) -> int:
    """Play, and return the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/tour", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help=f"balances to import (default: {ROWS})")
    parser.add_argument("--dir", type=Path, help="where the nodes keep their files (default: a folder that goes)")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args(arguments)
    return exit_status("scripts/tour", partial(_tour, options))


def _tour(options: argparse.Namespace) -> int:
    with ExitStack() as stack:
        directory: Path = options.dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tour-")))
        stage = stack.enter_context(set_stage(directory.resolve()))
        play(stage, rows=options.rows)
        for line in stage.said:
            print(line, file=sys.stderr if options.json else sys.stdout)
        if options.json:
            print(msgspec.json.encode(Played(good=True, said=tuple(stage.said))).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
