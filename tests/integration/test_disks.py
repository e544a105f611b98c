"""A disk that is really full, and one that is really read-only: a clear error, and nothing acknowledged is lost."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from node.app.directory import STATE_NAME
from node.services.fsck.fsck import fsck
from node.store.database import Database
from node.store.errors import StoreFailed, StoreFull
from node.store.writer import StoreWriter
from node.workers.keep_state import StateFileInvalid, write_state
from protocol.audit.findings import Verdict
from protocol.identifiers import Id
from protocol.ledger.state import ACCOUNTS
from tests.support.documents import uuid
from tests.support.faulty_disk import ANN, STORE, begin, issue

pytestmark = pytest.mark.integration

SIZE: Final = "2200k"
ISSUES_MAX: Final = 500


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a small disk of its own, with a store on it."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        assert os.environ.get("CI") != "true", "the tests on CI may mount"
        pytest.skip("only root may mount a disk")
    try:
        begin(tmp_path)
        yield tmp_path
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def change(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


def name_of(number: int) -> Id:
    return uuid(f"issue {number}")


def issue_for_ever(store: StoreWriter, acknowledged: list[Id]) -> None:
    for number in range(ISSUES_MAX):
        issue(store, name_of(number))
        acknowledged.append(name_of(number))


def fill(disk: Path) -> int:
    """Issue points until the disk is full; return how many were acknowledged."""
    acknowledged: list[Id] = []
    with Database.open(f"sqlite:///{disk / STORE}") as database, database.writer() as store:
        with pytest.raises(StoreFull, match="disk is full"):
            issue_for_ever(store, acknowledged)
        # Everything can still be read, and what cannot be written says so.
        assert fsck(database).verdict is Verdict.HELD
        with pytest.raises(StateFileInvalid, match="No space left"):
            write_state(disk / STATE_NAME, b"note" * 10)
    return len(acknowledged)


def posted(database: Database) -> int:
    record = database.reader().record(ACCOUNTS, ANN)
    assert record is not None
    return record.posted


def test_a_full_disk_is_told_and_what_was_acknowledged_is_there(disk: Path) -> None:
    acknowledged = fill(disk)
    assert acknowledged > 5
    with Database.open(f"sqlite:///{disk / STORE}") as database:
        assert (posted(database), fsck(database).verdict) == (acknowledged, Verdict.HELD)
    change(disk, "size=5m")
    with Database.open(f"sqlite:///{disk / STORE}") as database, database.writer() as store:
        assert not issue(store, name_of(acknowledged))
        assert all(issue(store, name_of(number)) for number in range(acknowledged + 1))
        assert (posted(database), fsck(database).verdict) == (acknowledged + 1, Verdict.HELD)


def test_a_read_only_disk_is_told_and_nothing_is_lost(disk: Path) -> None:
    with Database.open(f"sqlite:///{disk / STORE}") as database, database.writer() as store:
        issue(store, name_of(0))
    change(disk, "ro")
    with (
        Database.open(f"sqlite:///{disk / STORE}") as database,
        pytest.raises(StoreFailed, match=r"unable to open database file|Read-only file system"),
    ):
        database.writer()
    with pytest.raises(StateFileInvalid, match="Read-only file system"):
        write_state(disk / STATE_NAME, b"note")
    change(disk, "rw")
    with Database.open(f"sqlite:///{disk / STORE}") as database, database.writer() as store:
        assert fsck(database).verdict is Verdict.HELD
        assert issue(store, name_of(0))
        assert not issue(store, name_of(1))
