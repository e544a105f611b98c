"""The ways in which databases fail are told apart by stable codes."""

import sqlite3
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from node.store.database import Database
from node.store.errors import (
    ForkRefused,
    StoreBusy,
    StoreCorrupt,
    StoreFailed,
    StoreFull,
    StoreNewer,
    StoreReadOnly,
    ValueUnstorable,
    store_error,
    translated,
)
from node.store.rows import CommitRecord, PutMetadata, PutSetting, ReceivedBody, ReceivedEnvelope
from node.store.writer import StoreWriter
from tests.support.documents import BLUEBIRD, EPOCH_NONCE, digest

LARGE = CommitRecord(old_size=0, writes=(PutMetadata(digest("m"), b"", bytes(2_000_000)),))
SMALL = CommitRecord(old_size=0, writes=(PutSetting("a", "b"),))


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Database:
    database = Database.open(f"sqlite:///{tmp_path / 'store.sqlite3'}")
    database.migrate()
    return database


def pragma(writer: StoreWriter, words: str) -> None:
    writer._session._cursor.execute(f"PRAGMA {words}")


def test_codes_are_stable() -> None:
    kinds = (StoreFailed, StoreBusy, ForkRefused, StoreFull, StoreReadOnly, StoreCorrupt, StoreNewer, ValueUnstorable)
    assert [kind.code for kind in kinds] == [
        "store_failed",
        "store_busy",
        "fork_refused",
        "store_full",
        "store_read_only",
        "store_corrupt",
        "store_newer",
        "value_unstorable",
    ]


def test_a_full_disk_is_told_and_outlived(sqlite_store: Database) -> None:
    with sqlite_store, sqlite_store.writer() as writer:
        pragma(writer, "max_page_count = 100")
        with pytest.raises(StoreFull):
            writer.commit(LARGE)
        assert sqlite_store.reader().metadata(digest("m")) is None
        pragma(writer, "max_page_count = 100000")
        writer.commit(LARGE)


def test_a_store_that_cannot_be_written_is_told(sqlite_store: Database) -> None:
    with sqlite_store, sqlite_store.writer() as writer:
        pragma(writer, "query_only = ON")
        with pytest.raises(StoreReadOnly):
            writer.commit(SMALL)


def test_a_server_that_cannot_be_written_is_told(postgres_url: str) -> None:
    with Database.open(postgres_url) as database:
        database.migrate()
        with database.writer() as writer:
            writer._session._cursor.execute("SET default_transaction_read_only = on")
            with pytest.raises(StoreReadOnly):
                writer.commit(SMALL)


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    path.write_bytes(b"not a database" * 500)
    with Database.open(f"sqlite:///{path}") as database, pytest.raises(StoreCorrupt):
        database.is_current()


def test_a_file_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed):
        Database.open(f"sqlite:///{tmp_path / 'nowhere' / 'store.sqlite3'}")


def test_a_lock_that_cannot_be_made_is_told(sqlite_store: Database, tmp_path: Path) -> None:
    with sqlite_store:
        (tmp_path / "store.sqlite3.lock").unlink()
        (tmp_path / "store.sqlite3.lock").mkdir()
        with pytest.raises(StoreFailed):
            sqlite_store.writer()


def test_a_row_that_cannot_be_read_is_told(database: Database, writer: StoreWriter) -> None:
    body = ReceivedBody(
        partner=BLUEBIRD.ledger,
        digest=digest("body"),
        kind="fulfil",
        conversion=None,
        body=b"",
        epoch=1,
        epoch_nonce=EPOCH_NONCE,
        frame_seq=0,
        path=(),
    )
    writer.commit(CommitRecord(old_size=0, writes=(ReceivedEnvelope(BLUEBIRD.ledger, b""), body)))
    assert database.reader().message_received(digest("body")) is not None
    for path in ("[", "[1]", "{}"):
        writer._session._cursor.execute(f"UPDATE messages_received SET path = '{path}'")
        with pytest.raises(StoreCorrupt):
            database.reader().message_received(digest("body"))


def test_rows_that_were_not_all_written_are_told(writer: StoreWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer._session._words, "upsert", lambda *_: 0)
    with pytest.raises(StoreFailed, match=r"(0|-1) of 1 rows"):
        writer.commit(SMALL)


def test_nobody_else_may_read_a_new_file(sqlite_store: Database, tmp_path: Path) -> None:
    with sqlite_store, sqlite_store.writer() as writer:
        writer.commit(SMALL)
        rights = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert len(rights) == 4
    assert set(rights.values()) == {0o600}


def test_a_store_held_by_another_program_is_busy(sqlite_store: Database, tmp_path: Path) -> None:
    with sqlite_store, sqlite_store.writer() as writer:
        other = sqlite3.connect(tmp_path / "store.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        pragma(writer, "busy_timeout = 1")
        with pytest.raises(StoreBusy):
            writer.commit(SMALL)
        other.execute("ROLLBACK")
        other.close()
        writer.commit(SMALL)


def sqlite_error(code: int) -> sqlite3.OperationalError:
    """Return an error as SQLite's driver raises it, with the extended `code`."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (sqlite_error(sqlite3.SQLITE_IOERR_SHMSIZE), StoreFull),
        (sqlite_error(sqlite3.SQLITE_IOERR_READ), StoreFailed),
        (sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT), StoreBusy),
        (psycopg.errors.DiskFull("full"), StoreFull),
        (psycopg.errors.ReadOnlySqlTransaction("standby"), StoreReadOnly),
        (psycopg.errors.IndexCorrupted("broken"), StoreCorrupt),
        (psycopg.errors.LockNotAvailable("locked"), StoreBusy),
        (psycopg.errors.NumericValueOutOfRange("large"), ValueUnstorable),
        (psycopg.DataError("NUL"), ValueUnstorable),
        (psycopg.OperationalError("gone"), StoreFailed),
        (sqlite3.OperationalError("gone"), StoreFailed),
        (OperationalError("SELECT", {}, psycopg.errors.DiskFull("full")), StoreFull),
    ],
)
def test_errors_of_drivers_are_told_apart(error: Exception, kind: type[StoreFailed]) -> None:
    assert type(store_error(error)) is kind
    with pytest.raises(kind), translated():
        raise error


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), translated():
        raise KeyError
