"""Replay a year of real purchases through real nodes: python -m scripts.purchases [--limit BASKETS] [...]."""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from protocol.audit.findings import Verdict
from protocol.audit.report import Report
from scripts.alliance.__main__ import audit_alliance
from scripts.alliance.alliance import running_alliance
from scripts.alliance.brands import AURORA, BLUEBIRD, CEDAR, Brand
from scripts.alliance.report import AuditSummary, audit_summary
from scripts.command import exit_status, positive
from scripts.purchases.baskets import load_purchases, points_of_households
from scripts.purchases.recount import Recount, recount
from scripts.purchases.replay import Advance, Replayed, balances_at_cedar, replay


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The replay in one object: `differences` names each total that is not the recount's."""

    baskets: int
    lines: int
    households: int
    points: int
    transactions: int
    transactions_per_second: int
    conversions: int
    conversions_per_second: int
    audit: AuditSummary
    differences: tuple[str, ...]
    seconds: float

    @property
    def is_good(self) -> bool:
        """Return whether everything held and every total is the recount's."""
        return self.audit.verdict is Verdict.HELD and not self.differences


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/replay_purchases",
        description="Replay a year of real purchases as a grocer's points, convert some, audit, and count again.",
    )
    parser.add_argument("--limit", type=positive, help="only the first so many baskets of the year (155,848)")
    parser.add_argument("--dir", type=Path, help="where the nodes keep their files (default: temporary)")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, and return the exit status."""
    options = parse_arguments(arguments)
    return exit_status("scripts/replay_purchases", partial(_replay, options))


def _replay(options: argparse.Namespace) -> int:
    summary = run(options.dir, options.limit)
    for line in lines_of(summary):
        print(line, file=sys.stderr if options.json else sys.stdout)
    if options.json:
        print(msgspec.json.encode(summary).decode())
    return 0 if summary.is_good else 1


def run(directory: Path | None, limit: int | None) -> Summary:
    """Replay the first `limit` baskets, or all, and return how the ledgers compare with the recount."""
    started = time.monotonic()
    console = Console(stderr=True)
    console.print("reading the year's purchases")
    purchases = load_purchases(limit)
    points = points_of_households(purchases.baskets)
    with ExitStack() as stack:
        place = directory or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="purchases-")))
        alliance = stack.enter_context(running_alliance(place.resolve(), port_base=None, ephemeral=True))
        with _progress(console) as progress:
            replayed = replay(alliance, purchases.baskets, points, track=partial(_track, progress))
            report = audit_alliance(alliance, _AuditBars(progress).show)
        console.print("counting again from the data")
        expected = recount(limit)
        differences = tuple(compare(report, replayed, expected, balances=balances_at_cedar(alliance)))
    return Summary(
        baskets=expected.baskets,
        lines=expected.lines,
        households=expected.households,
        points=expected.points,
        transactions=replayed.transactions,
        transactions_per_second=_rate(replayed.transactions, replayed.transaction_seconds),
        conversions=replayed.conversions,
        conversions_per_second=_rate(replayed.conversions, replayed.conversion_seconds),
        audit=audit_summary(report),
        differences=differences,
        seconds=round(time.monotonic() - started, 1),
    )


def compare(report: Report, replayed: Replayed, expected: Recount, *, balances: tuple[int, ...]) -> Iterator[str]:
    """Yield each total of the audited ledgers that is not what the recount says."""
    pairs = [
        ("transactions", replayed.transactions, expected.earning_baskets),
        ("conversions", _completed(report), expected.conversions),
        ("points issued by Cedar", _flow(report, CEDAR, "issued"), expected.points),
        (
            "points converted out of Cedar",
            _flow(report, CEDAR, "converted_out"),
            expected.sent_to_aurora + expected.sent_to_bluebird,
        ),
        ("points left at Cedar", _flow(report, CEDAR, "closing"), sum(expected.left)),
        ("points converted into Aurora", _flow(report, AURORA, "converted_in"), expected.credited_by_aurora),
        ("points converted into Bluebird", _flow(report, BLUEBIRD, "converted_in"), expected.credited_by_bluebird),
    ]
    yield from (
        f"{what}: the ledgers say {ours:,}, the data {theirs:,}" for what, ours, theirs in pairs if ours != theirs
    )
    if balances != expected.left:
        yield "the households' balances are not those that the data leads to"


def _flow(report: Report, brand: Brand, name: str) -> int:
    figures = next(log.figures for log in report.logs if log.ledger == brand.ledger)
    return 0 if figures is None else int(getattr(figures.roll_forward, name))


def _completed(report: Report) -> int:
    return sum(each.completed for pair in report.pairs for each in pair.directions)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description:>12}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console)


def _track(progress: Progress, what: str, total: int) -> Advance:
    task = progress.add_task(what, total=total)
    return lambda count: progress.advance(task, count)


class _AuditBars:
    """One line of progress for each log that is replayed."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def show(self, label: str, done: int, size: int) -> None:
        """Show how far the log called `label` is."""
        if label not in self._tasks:
            self._tasks[label] = self._progress.add_task(f"audit {len(self._tasks) + 1} of 3", total=size)
        self._progress.update(self._tasks[label], completed=done)


def _rate(count: int, seconds: float) -> int:
    return round(count / seconds) if seconds else 0


def lines_of(summary: Summary) -> Iterator[str]:
    """Yield the summary as a person reads it."""
    yield f"{summary.baskets:,} baskets with {summary.lines:,} lines of {summary.households:,} households"
    yield f"{summary.points:,} points in {summary.transactions:,} transactions"
    yield f"{summary.transactions_per_second:,} transactions per second"
    yield f"{summary.conversions:,} conversions to two partners, {summary.conversions_per_second:,} per second"
    yield f"audit: {len(summary.audit.held)} ledgers held"
    yield from (f"BROKEN: {name}" for name in summary.audit.broken)
    yield from (f"INCOMPLETE: {name}" for name in summary.audit.incomplete)
    yield from (f"DIFFERENT: {difference}" for difference in summary.differences)
    if not summary.differences:
        yield "every total equals a second count straight from the data"


if __name__ == "__main__":
    sys.exit(main())
