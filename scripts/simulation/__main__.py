"""Simulate three nodes from seeds: python -m scripts.simulation --seeds N [--start S] [--mutation NAME] [...]."""

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec

from node.cli.unread import while_read
from scripts.command import positive
from scripts.simulation.campaign import Totals, run_seeds, shortest
from scripts.simulation.invariants import Invariant
from scripts.simulation.mutations import MUTATIONS, mutated
from scripts.simulation.run import STEPS, Outcome, Settings, Simulation

CLEAN: Final = 0
VIOLATED: Final = 1
USAGE: Final = 2
_SEEDS: Final = 100
_TELL_SECONDS: Final = 10.0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/simulate",
        description="Run the shipped services of three nodes over a fake clock, network and store, from seeds.",
        epilog=f"mutations: {', '.join(MUTATIONS)}",
    )
    parser.add_argument("--seeds", type=positive, default=_SEEDS, help=f"how many seeds (default: {_SEEDS})")
    parser.add_argument("--start", type=int, default=1, help="the first seed (default: 1)")
    parser.add_argument("--steps", type=positive, default=STEPS, help=f"steps of a seed (default: {STEPS})")
    parser.add_argument("--mutation", metavar="NAME", help="replace one function of the shipped code by a wrong one")
    parser.add_argument("--only", type=_numbers, metavar="N,N,...", help="of the first seed, these steps alone")
    parser.add_argument("--jobs", type=positive, default=1, help="processes to share the seeds among (default: 1)")
    parser.add_argument("--json", action="store_true", help="print one line of JSON instead of words")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print what came of it, and return the exit status: 0 clean, 1 violated, 2 usage."""
    options = parse_arguments(arguments)
    if options.mutation is not None and options.mutation not in MUTATIONS:
        print(
            f"scripts/simulate: there is no mutation {options.mutation}; there are {', '.join(MUTATIONS)}",
            file=sys.stderr,
        )
        return USAGE
    ignored = MUTATIONS[options.mutation].ignored if options.mutation else frozenset[Invariant]()
    settings = Settings(steps=options.steps, ignored=ignored)
    return while_read(partial(_run if options.only is None else _replay, options, settings))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in text.split(",") if each)


def _replay(options: argparse.Namespace, settings: Settings) -> int:
    with mutated(options.mutation):
        outcome = Simulation(options.start, settings, only=options.only).run()
    print("\n".join(outcome.lines))
    print(outcome.violation or "clean")
    return VIOLATED if outcome.violation else CLEAN


def _run(options: argparse.Namespace, settings: Settings) -> int:
    totals, began, told = Totals(), time.monotonic(), time.monotonic()
    seeds = range(options.start, options.start + options.seeds)
    for outcome in run_seeds(seeds, settings=settings, mutation=options.mutation, jobs=options.jobs):
        totals.add(outcome)
        if outcome.violation is not None:
            best = shortest(outcome, settings=settings, mutation=options.mutation)
            print(_violation_json(options, outcome, best) if options.json else _violation_text(options, outcome, best))
            return VIOLATED
        if time.monotonic() - told > _TELL_SECONDS:
            told = time.monotonic()
            print(f"  {totals.seeds:,} of {options.seeds:,} seeds, {told - began:.0f} s", file=sys.stderr, flush=True)
    _tell_totals(options, totals, time.monotonic() - began)
    return CLEAN


def _violation_json(options: argparse.Namespace, outcome: Outcome, best: Outcome) -> str:
    assert best.violation is not None
    found = {
        "clean": False,
        "seed": outcome.seed,
        "steps": options.steps,
        "invariant": best.violation.invariant,
        "detail": best.violation.detail,
        "only": best.taken,
        "trace": best.lines,
    }
    return msgspec.json.encode(found).decode()


def _violation_text(options: argparse.Namespace, outcome: Outcome, best: Outcome) -> str:
    only = ",".join(map(str, best.taken))
    lines = [
        f"seed {outcome.seed} violates {outcome.violation} (step {len(outcome.taken)} of {options.steps})",
        f"the shortest trace found, {len(best.taken)} steps:",
        *(f"  {line}" for line in best.lines),
        f"  {best.violation}",
        f"again: scripts/simulate {_options(options, outcome.seed)} --only {only}",
    ]
    return "\n".join(lines)


def _options(options: argparse.Namespace, seed: int) -> str:
    mutation = f" --mutation {options.mutation}" if options.mutation else ""
    return f"--start {seed} --steps {options.steps}{mutation}"


def _tell_totals(options: argparse.Namespace, totals: Totals, seconds: float) -> None:
    if options.json:
        found = {
            "clean": True,
            "start": options.start,
            "seeds": totals.seeds,
            "steps": totals.steps,
            "seconds": round(seconds, 3),
            "entries": totals.entries,
            "conversions": totals.conversions,
            "faults": totals.faults,
        }
        print(msgspec.json.encode(found).decode())
        return
    conversions = ", ".join(f"{count:,} {state}" for state, count in sorted(totals.conversions.items()))
    print(f"{totals.seeds:,} seeds from {options.start}, {totals.steps:,} steps, {seconds:.1f} s: all invariants held")
    print(f"{totals.entries:,} entries; conversions: {conversions}")
    for fault, count in totals.faults.most_common():
        print(f"{count:>12,}  {fault}")


if __name__ == "__main__":
    sys.exit(main())
