"""`scripts/bench` as it is called: each line is one figure with its conditions."""

import subprocess
import sys

import msgspec
import pytest

from scripts.benchmark.__main__ import BENCHMARKS, parse_arguments
from scripts.benchmark.figures import Figure
from tests.architecture.sources import ROOT


def bench(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "scripts.benchmark", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.integration
def test_each_line_is_a_figure() -> None:
    done = bench("--quick", "--json", "--only", "yardstick", "--only", "audit", "--only", "memory")
    assert done.returncode == 0, done.stderr
    figures = [msgspec.json.decode(line, type=Figure, strict=True) for line in done.stdout.splitlines()]
    names = {each.name for each in figures}
    assert {"yardstick.sqlite", "audit.entries", "proof.receipts", "memory", "memory.workers"} <= names
    assert {each.cores for each in figures if each.name == "audit.entries"} == {1, 2}
    assert all(each.resident_mib and each.ready_ms for each in figures if each.name.startswith("memory"))
    assert all(each.loop_ms > 0 for each in figures)
    assert all(each.per_second > 0 and 0 < each.p50_ms <= each.p99_ms for each in figures)
    assert {each.durable for each in figures if each.name.startswith("yardstick")} == {True}


def test_what_cannot_be_measured_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        parse_arguments(["--only", "everything"])
    assert refused.value.code == 2
    said = capsys.readouterr().err
    assert all(name in said for name in BENCHMARKS)
