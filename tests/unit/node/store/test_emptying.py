"""SQLite's log is copied beside commits: it stays short, whoever reads, and whatever fails."""

import sqlite3
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from node.store import emptying
from node.store.database import Database
from node.store.emptying import LogEmptier, log_pages
from node.store.rows import CommitRecord, PutSetting
from node.store.writer import StoreWriter
from tests.support.crashing_node import poll

PAGES: Final = 20
THREAD: Final = "log-emptier"
NAMES: Final = [f"setting {number}" for number in range(16)]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def database(place: Path) -> Iterator[Database]:
    with Database.open(f"sqlite:///{place}") as opened:
        opened.migrate()
        yield opened


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the log copied when it is a few commits long."""
    monkeypatch.setattr(emptying, "COPIED_PAGES", PAGES)
    monkeypatch.setattr(emptying, "_RETRY_PAGES", PAGES)


def write(writer: StoreWriter, number: int) -> bool:
    """Commit some rows; return that nothing is found yet."""
    writer.commit(CommitRecord(old_size=0, writes=tuple(PutSetting(name, f"{number}") for name in NAMES)))
    return False


def log_of(place: Path) -> Path:
    return place.with_name(f"{place.name}-wal")


def salt(place: Path) -> bytes:
    """Return what the log is told from its own former states by."""
    return log_of(place).read_bytes()[16:24]


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == THREAD]


def write_until_begun_anew(writer: StoreWriter, place: Path) -> int:
    """Commit until the log is begun anew; return how often that took."""
    before, numbers = salt(place), count(1)

    def begun() -> int | None:
        number = next(numbers)
        write(writer, number)
        return number if salt(place) != before else None

    return poll(begun, "a log that is begun anew")


def test_the_log_has_as_many_pages_as_sqlite_says(place: Path) -> None:
    with sqlite3.connect(place, isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        assert log_pages(log_of(place)) == 0
        connection.execute("CREATE TABLE numbers (number INTEGER)")
        for number in range(40):
            connection.execute("INSERT INTO numbers VALUES (?)", (number,))
        before = log_pages(log_of(place))
        assert connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone() == (0, before, before)
        # The log begins anew before its former frames, which stay.
        connection.execute("INSERT INTO numbers VALUES (0)")
        assert log_pages(log_of(place)) == 1 < before
    connection.close()


@pytest.mark.parametrize("content", [None, b"", b"x" * 31, b"\0" * 32, b"\0" * 5_000, b"\xff" * 5_000])
def test_a_log_that_is_none_has_no_pages(place: Path, content: bytes | None) -> None:
    if content is not None:
        place.write_bytes(content)
    assert log_pages(place) == 0


@pytest.mark.usefixtures("impatient")
def test_a_log_is_copied_beside_commits_and_begun_anew(database: Database, place: Path) -> None:
    with database.writer(copy_beside=True) as writer:
        write(writer, 0)
        for _ in range(3):
            assert write_until_begun_anew(writer, place) < emptying.BACKSTOP_PAGES / PAGES
        assert threads() == [THREAD]
    assert threads() == []


@pytest.mark.usefixtures("impatient")
def test_a_reader_keeps_its_state_while_the_log_grows(database: Database, place: Path) -> None:
    with database.writer(copy_beside=True) as writer:
        write(writer, 0)
        with database.snapshot() as snapshot:
            before = list(snapshot.rows("settings"))
            for number in range(1, 5 * PAGES):
                write(writer, number)
            assert list(snapshot.rows("settings")) == before
            # Nothing that the reader does not see is copied over what it reads.
            assert log_pages(log_of(place)) > 4 * PAGES
        write_until_begun_anew(writer, place)


@pytest.mark.usefixtures("impatient")
def test_commits_go_on_where_nothing_can_be_copied(
    database: Database, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = threading.Event()

    def fail(_: LogEmptier) -> tuple[int, int]:
        tried.set()
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(LogEmptier, "_checkpoint", fail)
    with database.writer(copy_beside=True) as writer:
        writer._session._cursor.execute(f"PRAGMA wal_autocheckpoint = {3 * PAGES}")
        poll(lambda: write(writer, 0) or tried.is_set() or None, "the thread to try")
        # SQLite copies the log inside a commit, as it does where there is no thread.
        write_until_begun_anew(writer, place)
        assert threads() == [THREAD]
    assert threads() == []


def test_a_writer_has_no_thread_unless_it_is_told(database: Database) -> None:
    with database.writer() as writer:
        write(writer, 0)
        assert threads() == []


def test_a_store_is_one_file_when_it_is_closed(database: Database, place: Path) -> None:
    with database.writer(copy_beside=True) as writer:
        write(writer, 7)
    database.close()
    assert not log_of(place).exists()
    with database.writer(copy_beside=True), database.snapshot() as snapshot:
        assert list(snapshot.rows("settings")) == sorted((name, "7") for name in NAMES)


def test_a_server_is_given_no_thread(postgres_url: str) -> None:
    with Database.open(postgres_url) as database:
        database.migrate()
        with database.writer(copy_beside=True) as writer:
            write(writer, 0)
            assert threads() == []
