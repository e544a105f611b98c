"""The simulator: clean over a share of its seeds, the same each time, and quick to see a rule that is missing."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from node.engine.desk import CommitDesk
from protocol.appeal_entries import AppealEntry
from protocol.approval_entries import ApprovalEntry
from protocol.entries import AnyEntry
from protocol.import_entries import ImportEntry
from protocol.key_entries import KeyEntry
from protocol.member_entries import AccountErased, LinkRevoked
from protocol.point_entries import PointsExpired, PointsReversed
from protocol.program_entries import ProgramEntry
from protocol.recovery_entries import RecoveryWaived
from protocol.run_off_entries import PartnerEnded
from scripts.simulation import __main__ as command
from scripts.simulation.campaign import run_seed, shortest
from scripts.simulation.invariants import Invariant, Violation
from scripts.simulation.mutations import MUTATIONS, mutated
from scripts.simulation.run import Outcome, Settings, Simulation

ROOT = Path(__file__).resolve().parents[2]
SEEDS = 80
GROUP = 5
MUTATED_SEEDS_MAX = 300
MET_WITHIN_SEEDS = 100
QUICK = Settings(steps=120)
ONCE_FAILED = {
    2995: "a partner that is reached by files was waited for although it had nothing to give back",
    5486: "a partner that answered early was never told of the next log",
    6058: "a window was closed earlier than the one in front of it, which a clock ahead had closed",
    8071: "a partner gave two answers to one HELLO, put back in between",
    15025: "a successor spoke on in the epoch before one whose commit had failed and was kept, and noted nothing of it",
}
OF_ONE_PROGRAM = {
    *get_args(AppealEntry), *get_args(ApprovalEntry), *get_args(ImportEntry), *get_args(ProgramEntry),
    AccountErased, LinkRevoked, PartnerEnded, PointsExpired, PointsReversed,
}  # fmt: skip
"""Kinds of entries by which a program lives by itself, or parts: the simulated nodes do nothing of it."""

NOT_SIMULATED = {RecoveryWaived, *get_args(KeyEntry), *OF_ONE_PROGRAM}
"""Kinds of entries that few seeds have, and those that nobody here makes: keys and suspensions, and a program's own."""


def failure(outcome: Outcome) -> str:
    """Return what there is to know about a seed that failed."""
    trace = "\n".join(outcome.lines)
    return f"seed {outcome.seed}, {len(outcome.taken)} steps: {outcome.violation}\n{trace}"


def caught(mutation: str, settings: Settings) -> Outcome:
    """Return the first seed that shows the mutation."""
    for seed in range(1, MUTATED_SEEDS_MAX + 1):
        outcome = run_seed(seed, settings=settings, mutation=mutation)
        if outcome.violation is not None:
            return outcome
    pytest.fail(f"{mutation} survived {MUTATED_SEEDS_MAX} seeds")


@pytest.mark.parametrize("start", range(1, SEEDS + 1, GROUP))
def test_no_seed_violates_an_invariant(start: int) -> None:
    for seed in range(start, start + GROUP):
        outcome = run_seed(seed, settings=Settings())
        assert outcome.violation is None, failure(outcome)
        assert len(outcome.taken) == Settings().steps


@pytest.mark.parametrize("seed", ONCE_FAILED)
def test_what_a_seed_has_found_stays_repaired(seed: int) -> None:
    outcome = run_seed(seed, settings=Settings())
    assert outcome.violation is None, ONCE_FAILED[seed] + "\n" + failure(outcome)


def test_everything_happens_under_every_kind_of_fault() -> None:
    faults = {
        "altered file", "clock step", "crash", "crash at commit.after", "crash at commit.before",
        "crash at intake.before", "crash at send.after", "crash at send.before", "failed but kept", "failed commit",
        "half file", "late answer", "late request", "lie", "lost answer", "lost request", "meanwhile",
        "misdirected file", "other order", "partition", "repeated", "replay", "restore", "start without answers",
        "succession",
    }  # fmt: skip
    kinds = {kind.__name__ for kind in set(get_args(AnyEntry)) - NOT_SIMULATED}
    wanted = faults | {"captured", "released", "forced_owed", "forced_cleared"} | kinds
    for seed in range(101, 101 + MET_WITHIN_SEEDS):
        simulation = Simulation(seed, Settings())
        outcome = simulation.run()
        entries = [sealed.entry for place in simulation.places for sealed in place.disk.state.entries]
        wanted -= {*outcome.faults, *outcome.conversions, *(type(entry).__name__ for entry in entries)}
        if not wanted:
            return
    assert wanted == set()


def test_a_tail_is_brought_back_from_a_replica_and_words_are_waived_somewhere() -> None:
    wanted = {"tail brought back", "words waived"}
    for seed in range(1, 1 + MUTATED_SEEDS_MAX):
        simulation = Simulation(seed, Settings())
        if simulation.life.restores:
            outcome = simulation.run()
            assert outcome.violation is None, failure(outcome)
            wanted -= outcome.faults.keys()
        if not wanted:
            return
    assert wanted == set()


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_missing_rule_is_seen_in_what_it_leads_to(mutation: str) -> None:
    outcome = caught(mutation, Settings(ignored=MUTATIONS[mutation].ignored))
    assert outcome.violation is not None
    assert outcome.violation.invariant is MUTATIONS[mutation].shows, failure(outcome)


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mutation_is_gone_afterwards(mutation: str) -> None:
    one = MUTATIONS[mutation]
    before = getattr(one.owner, one.name)
    with mutated(mutation):
        assert getattr(one.owner, one.name) is not before
    assert getattr(one.owner, one.name) is before


def test_a_seed_leads_to_one_trace() -> None:
    first, second = (Simulation(7, QUICK).run() for _ in range(2))
    assert first.digest == second.digest
    assert first.lines == second.lines
    assert first.digest != Simulation(8, QUICK).run().digest


def test_a_trace_does_not_depend_on_the_process() -> None:
    script = "from scripts.simulation.run import *; print(Simulation(7, Settings(steps=120)).run().digest)"
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(ROOT)}
    other = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == Simulation(7, QUICK).run().digest


def test_a_trace_is_shortened_and_can_be_run_again(capsys: pytest.CaptureFixture[str]) -> None:
    mutation = "hold-route-releases"
    settings = Settings(ignored=MUTATIONS[mutation].ignored)
    found = caught(mutation, settings)
    best = shortest(found, settings=settings, mutation=mutation)
    assert len(best.taken) < len(found.taken)
    only = ",".join(map(str, best.taken))
    assert command.main(["--start", str(best.seed), "--mutation", mutation, "--only", only]) == command.VIOLATED
    assert str(best.violation) in capsys.readouterr().out
    assert command.main(["--start", str(best.seed), "--only", only]) == command.CLEAN


def test_the_command_counts_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--seeds", "2", "--start", "3", "--steps", "40", "--json"]) == command.CLEAN
    told = json.loads(capsys.readouterr().out)
    assert (told["clean"], told["start"], told["seeds"], told["steps"]) == (True, 3, 2, 80)
    assert command.main(["--seeds", "2", "--start", "3", "--steps", "40"]) == command.CLEAN
    assert "2 seeds from 3, 80 steps" in capsys.readouterr().out


def test_the_command_tells_seed_invariant_and_trace(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--mutation", "hold-route-releases", "--json"]) == command.VIOLATED
    told = json.loads(capsys.readouterr().out)
    assert (told["clean"], told["invariant"]) == (False, "hold-moved")
    assert command.main(["--mutation", "hold-route-releases"]) == command.VIOLATED
    out = capsys.readouterr().out
    assert f"seed {told['seed']} violates hold-moved" in out
    assert all(line in out for line in told["trace"])


def test_a_mutation_that_there_is_not_is_a_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--mutation", "no-such-rule"]) == command.USAGE
    assert "there is no mutation no-such-rule" in capsys.readouterr().err


def test_several_processes_find_what_one_does(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--seeds", "12", "--steps", "20", "--json"]
    several = subprocess.run(
        [sys.executable, "-m", "scripts.simulation", *options, "--jobs", "2"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert command.main(options) == command.CLEAN
    one, two = ({**json.loads(output), "seconds": 0} for output in (capsys.readouterr().out, several.stdout))
    assert one == two


def test_what_a_service_calls_a_bug_ends_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    def execute(self: CommitDesk, command: object) -> None:
        raise KeyError(str(command)[:1])

    begun = Simulation(1, QUICK)
    monkeypatch.setattr(CommitDesk, "execute", execute)
    outcome = begun.run()
    assert isinstance(outcome.violation, Violation)
    assert outcome.violation.invariant is Invariant.BUG
