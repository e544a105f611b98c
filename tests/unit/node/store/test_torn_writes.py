"""A write-ahead log that ends anywhere, or in rubbish: whole commits or none, and what was lost is noticed."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import pytest

from node.app.directory import STATE_NAME
from node.services.fsck.fsck import fsck
from node.store.database import Database
from node.workers.keep_state import read_state, write_state
from protocol.audit.findings import Verdict
from tests.support.faulty_disk import FIRST, SECOND, STORE, begin, go_on, issue

WAL: Final = f"{STORE}-wal"
OFFSETS: Final = 16


@dataclass(frozen=True, slots=True)
class Torn:
    """A store as it lies on disk while its node runs: what the log has after each of two acknowledged commits."""

    directory: Path
    after_first: int
    after_second: int

    def copied(self, to: Path) -> Path:
        """Copy the files; whoever opens the copy finds it as after a crash."""
        to.mkdir()
        for name in (STORE, WAL, STATE_NAME):
            shutil.copy(self.directory / name, to / name)
        return to


@pytest.fixture(scope="module")
def torn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Torn]:
    directory = tmp_path_factory.mktemp("torn")
    begin(directory)
    wal = directory / WAL
    with Database.open(f"sqlite:///{directory / STORE}") as database, database.writer() as store:
        issue(store, FIRST)
        after_first = wal.stat().st_size
        issue(store, SECOND)
        newest = database.reader().latest_checkpoint()
        assert newest is not None
        write_state(directory / STATE_NAME, newest.note)
        after_second = wal.stat().st_size
        frozen = tmp_path_factory.mktemp("frozen")
        yield Torn(Torn(directory, 0, 0).copied(frozen / "files"), after_first, after_second)


def cuts(low: int, high: int) -> list[int]:
    """Return places between two ends of the log: both ends, and some in the middle of everything."""
    random = Random(f"cuts {low} {high}")
    return sorted({low, low + 1, high - 1, *(random.randrange(low, high) for _ in range(OFFSETS))})


@pytest.mark.parametrize("rubbish", [False, True])
def test_what_comes_after_the_last_acknowledged_commit_does_not_matter(
    torn: Torn, tmp_path: Path, rubbish: bool
) -> None:
    """The second commit was being written as the machine died: the first is there, the second is there or is not."""
    for place in cuts(torn.after_first, torn.after_second):
        copy = torn.copied(tmp_path / f"{place}")
        (copy / STATE_NAME).unlink()
        spoil(copy / WAL, place, rubbish=rubbish)
        left = go_on(copy)
        assert left.report.verdict is Verdict.HELD, (place, *left.report.lines())
        assert (left.repeated, left.before) == ((True, False), 1), place


def test_a_whole_log_has_both_commits(torn: Torn, tmp_path: Path) -> None:
    assert torn.after_first < torn.after_second
    left = go_on(torn.copied(tmp_path / "whole"))
    assert (left.report.verdict, left.repeated, left.before) == (Verdict.HELD, (True, True), 2)


def test_rubbish_after_the_end_of_the_log_does_not_matter(torn: Torn, tmp_path: Path) -> None:
    copy = torn.copied(tmp_path / "more")
    with (copy / WAL).open("ab") as wal:
        wal.write(Random("rubbish").randbytes(9_000))
    left = go_on(copy)
    assert (left.report.verdict, left.repeated, left.before) == (Verdict.HELD, (True, True), 2)


@pytest.mark.parametrize("rubbish", [False, True])
def test_a_disk_that_lost_what_it_had_promised_to_keep_is_found_out(torn: Torn, tmp_path: Path, rubbish: bool) -> None:
    """What is left is an older state of the same log, and the state file beside it shows that it is."""
    for place in cuts(0, torn.after_first):
        copy = torn.copied(tmp_path / f"{place}")
        spoil(copy / WAL, place, rubbish=rubbish)
        with Database.open(f"sqlite:///{copy / STORE}") as database:
            alone, beside = fsck(database), fsck(database, state=note_of(copy))
        assert (alone.verdict, beside.verdict) == (Verdict.HELD, Verdict.BROKEN), place
        assert [finding.detail.rpartition(": ")[2] for finding in beside.state] == ["it is an older copy"], place


def note_of(directory: Path) -> bytes:
    note = read_state(directory / STATE_NAME)
    assert note is not None
    return note


def spoil(path: Path, place: int, *, rubbish: bool) -> None:
    """Cut a file off, or overwrite everything from there on."""
    length = path.stat().st_size
    with path.open("r+b") as file:
        if rubbish:
            file.seek(place)
            file.write(Random(place).randbytes(length - place))
        else:
            file.truncate(place)
