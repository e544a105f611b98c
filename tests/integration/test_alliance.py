"""The alliance of three as a person runs it: a whole day that ends well, and processes that never stay behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.alliance.alliance import running_alliance
from scripts.alliance.brands import AURORA, BLUEBIRD, BRANDS
from scripts.alliance.day import CONVERSIONS_MIN, REASONS
from scripts.alliance.process import HOST, find_free_ports
from tests.architecture.sources import ROOT

pytestmark = pytest.mark.integration

ALLIANCE = [sys.executable, "-m", "scripts.alliance"]


def once(*options: str) -> "subprocess.CompletedProcess[str]":
    command = [*ALLIANCE, "--once", "--conversions", str(CONVERSIONS_MIN), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)


def test_a_day_ends_with_nothing_lost(tmp_path: Path) -> None:
    done = once("--json", "--dir", str(tmp_path / "alliance"))
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert sorted(summary["audit"]["held"]) == [brand.ledger for brand in BRANDS]
    assert (summary["audit"]["broken"], summary["audit"]["incomplete"], summary["surprises"]) == ([], [], [])
    assert summary["conversions"] == CONVERSIONS_MIN == summary["completed"] + summary["rejected"]
    assert summary["matched"] == summary["conversions"]
    assert sorted(summary["returned"]) == sorted(REASONS)
    for program in summary["programs"]:
        came = program["opening"] + program["issued"] + program["converted_in"]
        went = program["redeemed"] + program["converted_out"] + program["fees"]
        assert came - went == program["closing"]
    # The same ledgers live another day, which is audited from their first entry on.
    again = once("--json", "--dir", str(tmp_path / "alliance"))
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout.splitlines()[-1])["matched"] == 2 * CONVERSIONS_MIN


def test_too_few_conversions_are_a_wrong_command_line() -> None:
    command = [*ALLIANCE, "--once", "--conversions", str(CONVERSIONS_MIN - 1)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert f"at least {CONVERSIONS_MIN}" in done.stderr


def three_ports_in_a_row() -> int:
    while True:
        base = find_free_ports(1)[0]
        if base < 65_000 and not any(is_listening(base + offset) for offset in range(3)):
            return base


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0


@contextmanager
def started(directory: Path, base: int) -> "Iterator[subprocess.Popen[str]]":
    command = [*ALLIANCE, "--dir", str(directory), "--port-base", str(base)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def read_until(process: "subprocess.Popen[str]", text: str) -> str:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    raise AssertionError("".join(lines))


def all_silent(base: int, *, within: float) -> bool:
    deadline = time.monotonic() + within
    while any(is_listening(base + offset) for offset in range(3)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_it_runs_until_it_is_stopped_and_starts_again(tmp_path: Path) -> None:
    base = three_ports_in_a_row()
    with started(tmp_path, base) as process:
        said = read_until(process, "Ctrl-C stops all three")
        assert said.count("convert member/") == 3
        assert all(is_listening(base + offset) for offset in range(3))
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=90) == 0
    assert all_silent(base, within=0.0)
    with started(tmp_path, base) as process:
        said = read_until(process, "Ctrl-C stops all three")
        assert "become partners" not in said
        process.terminate()
        assert process.wait(timeout=90) == 0
    assert all_silent(base, within=0.0)


def test_it_starts_again_without_a_partner_from_outside_that_runs_no_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_alliance(tmp_path, port_base=None, ephemeral=True):
        pass
    capsys.readouterr()
    with running_alliance(tmp_path, port_base=None, brands=(AURORA, BLUEBIRD)) as alliance:
        assert alliance.nodes[AURORA].is_ready_within(1.0)
    said = capsys.readouterr().err
    assert "Aurora Air goes on without cedar.example/main.1: no answer" in said


def test_no_node_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    base = three_ports_in_a_row()
    with started(tmp_path, base) as process:
        read_until(process, "Ctrl-C stops all three")
        process.kill()
        process.wait()
    assert all_silent(base, within=30.0)


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [*ALLIANCE, "--dir", str(tmp_path), "--port-base", str(port)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert f"port {port} is taken" in done.stderr
    assert "Traceback" not in done.stderr
