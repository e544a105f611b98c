"""Every call by which a commit reaches the disk fails, or is the last that the process makes (case 29).

strace makes them fail, one in each run; what has been acknowledged is there afterwards, once, in a store that holds.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NoReturn

import pytest

from protocol.audit.findings import Verdict
from tests.support.faulty_disk import CALLS, FIRST, SECOND, Disks, Fault, Run, TracingRefused, begin, disks, go_on

pytestmark = [pytest.mark.integration, pytest.mark.slow]

STRIDE: Final = 5
BOTH: Final = frozenset({FIRST, SECOND})


@pytest.fixture(scope="module")
def lent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disks]:
    if shutil.which("strace") is None:
        give_up("no strace is installed (Debian and Ubuntu: apt-get install strace)")
    begun = tmp_path_factory.mktemp("disks") / "begun"
    begun.mkdir()
    begin(begun)
    with disks(begun) as found:
        yield found


@pytest.fixture(scope="module")
def whole(lent: Disks, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run in which nothing fails."""
    try:
        return lent.run(tmp_path_factory.mktemp("whole") / "run")
    except TracingRefused as error:
        give_up(str(error))


def give_up(why: str) -> NoReturn:
    assert os.environ.get("CI") != "true", f"the tests on CI need strace: {why}"
    pytest.skip(why)


def check_what_is_left(place: Path, run: Run) -> None:
    """Hold that the store is sound, that all that was acknowledged is there, and that the rest can be done again."""
    left = go_on(place)
    assert left.report.verdict is Verdict.HELD, "\n".join(left.report.lines())
    there = {name for name, done in zip((FIRST, SECOND), left.repeated, strict=True) if done}
    assert run.acknowledged <= there
    assert (left.before, left.after) == (len(there), 2)


def test_a_run_makes_every_kind_of_call(whole: Run) -> None:
    assert (whole.acknowledged, whole.kept_state, whole.ended) == (BOTH, True, True)
    assert set(whole.calls) == set(CALLS)
    assert whole.calls["pwrite64"] > 20
    assert whole.calls["fdatasync"] > 3


@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_fails_once_costs_nothing(lent: Disks, whole: Run, tmp_path: Path, call: str) -> None:
    for number in range(1, whole.calls[call] + 1):
        fault = Fault(call, number)
        run = lent.run(tmp_path / str(number), fault)
        # It is told and tried again, or was of no matter; either way everything is done in the end.
        assert (run.acknowledged, run.kept_state, run.ended, run.told) == (BOTH, True, True, ""), fault
        check_what_is_left(tmp_path / str(number), run)


@pytest.mark.parametrize("call", CALLS)
def test_a_process_that_is_killed_at_any_call_loses_nothing(lent: Disks, whole: Run, tmp_path: Path, call: str) -> None:
    acknowledged = set()
    for number in range(1, whole.calls[call] + 1):
        fault = Fault(call, number, error=None)
        run = lent.run(tmp_path / str(number), fault)
        assert not run.ended, fault
        acknowledged.add(len(run.acknowledged))
        check_what_is_left(tmp_path / str(number), run)
    assert call not in {"pwrite64", "fdatasync"} or acknowledged == {0, 1, 2}


@pytest.mark.parametrize("error", ["ENOSPC", "EROFS", "EIO"])
def test_a_disk_that_can_be_written_no_more_loses_nothing(lent: Disks, whole: Run, tmp_path: Path, error: str) -> None:
    acknowledged = set()
    for number in range(1, whole.calls["pwrite64"] + 1, STRIDE):
        run = lent.run(tmp_path / str(number), Fault("pwrite64", number, error=error, lasting=True))
        acknowledged.add(len(run.acknowledged))
        check_what_is_left(tmp_path / str(number), run)
    assert acknowledged == {0, 1, 2}
