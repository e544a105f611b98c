"""A store whose log is copied beside its commits loses nothing: killed at any moment, or on a disk that fails."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import pytest

from node.services.fsck.fsck import fsck
from node.store.database import Database
from protocol.audit.findings import Verdict
from tests.support.emptied_store import posted
from tests.support.faulty_disk import STORE, begin

pytestmark = [pytest.mark.integration, pytest.mark.slow]

KILLS: Final = 2
ISSUES: Final = 23
SECONDS_MAX: Final = 120


@contextmanager
def issuing(
    directory: Path, count: int, tracer: tuple[str, ...] = ()
) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """Lend a process that issues points until there are `count`, and what it says of each."""
    command = [*tracer, sys.executable, "-m", "tests.support.emptied_store", str(directory), str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout
        finally:
            process.kill()


def check_that_it_holds(directory: Path) -> None:
    with Database.open(f"sqlite:///{directory / STORE}") as database:
        report = fsck(database)
    assert report.verdict is Verdict.HELD, "\n".join(report.lines())


def test_what_was_acknowledged_before_a_kill_is_there(tmp_path: Path) -> None:
    begin(tmp_path)
    for kill in range(1, KILLS + 1):
        with issuing(tmp_path, sys.maxsize) as (process, said):
            acknowledged = [int(said.readline()) for _ in range(ISSUES + kill)][-1] + 1
            process.kill()
        # What it said after the last line that was read has been acknowledged too.
        assert posted(tmp_path) >= acknowledged
        check_that_it_holds(tmp_path)


# A commit makes some thirty writes: with faults as near to each other none would ever pass.
@pytest.mark.parametrize("faults", ["fdatasync:error=EIO:when=4+5", "pwrite64:error=ENOSPC:when=40+97"])
def test_a_disk_that_fails_now_and_then_delays_commits_and_loses_none(tmp_path: Path, faults: str) -> None:
    if shutil.which("strace") is None:
        assert os.environ.get("CI") != "true", "the tests on CI need strace"
        pytest.skip("no strace is installed (Debian and Ubuntu: apt-get install strace)")
    begin(tmp_path)
    tracer = (
        "strace",
        "-f",
        "-o",
        os.devnull,
        "-e",
        f"trace={faults.split(':', maxsplit=1)[0]}",
        "-e",
        f"inject={faults}",
    )
    with issuing(tmp_path, ISSUES, tracer) as (process, said):
        assert [int(line) for line in said] == list(range(ISSUES))
        assert process.wait(SECONDS_MAX) == 0
    assert posted(tmp_path) == ISSUES
    check_that_it_holds(tmp_path)
