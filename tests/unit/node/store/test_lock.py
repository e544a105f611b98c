"""One writer at a time, over all processes; the next one takes over where the last one stopped."""

import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from node.store.database import Database
from node.store.errors import ForkRefused, StoreBusy, StoreFailed
from node.store.rows import CommitRecord, PutSetting
from node.store.writer import StoreWriter

HOLDER = """
import sys
from node.store.database import Database
with Database.open(sys.argv[1]) as database, database.writer():
    print("held", flush=True)
    sys.stdin.read()
"""
WRITE = CommitRecord(old_size=0, writes=(PutSetting("a", "b"),))


def test_a_second_writer_is_told_that_the_store_is_busy(database: Database, database_url: str) -> None:
    with database.writer() as writer:
        with pytest.raises(StoreBusy):
            database.writer()
        with Database.open(database_url) as other, pytest.raises(StoreBusy):
            other.writer()
        writer.commit(WRITE)
    with database.writer() as writer:
        writer.commit(WRITE)


def test_a_writer_of_another_process_counts_and_its_death_frees_the_store(
    database: Database, database_url: str
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, database_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(StoreBusy):
            database.writer()
        child.kill()
    with taken_over(database) as writer:
        writer.commit(WRITE)


def taken_over(database: Database) -> StoreWriter:
    """Return the writer, which PostgreSQL gives a moment after it has noticed a client's death."""
    for _ in range(2_000):
        try:
            return database.writer()
        except StoreBusy:
            time.sleep(0.01)
    return database.writer()


def test_a_writer_whose_term_is_over_cannot_commit(database: Database, writer: StoreWriter, database_url: str) -> None:
    engine = create_engine(database_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("UPDATE writer_terms SET term = term + 1"))
    with pytest.raises(ForkRefused):
        writer.commit(WRITE)
    assert database.reader().settings() == {}


def test_terms_only_rise(database: Database) -> None:
    terms = []
    for _ in range(3):
        with database.writer(), database.snapshot() as snapshot:
            terms += [row[1] for row in snapshot.rows("writer_terms")]
    assert terms == [1, 2, 3]


def test_a_store_without_tables_gives_no_writer_and_no_lock(database_url: str) -> None:
    with Database.open(database_url) as database:
        with pytest.raises(StoreFailed):
            database.writer()
        database.migrate()
        database.writer().close()


def test_a_lost_connection_stays_lost(database: Database, postgres_url: str) -> None:
    with Database.open(postgres_url) as store:
        store.migrate()
        writer = store.writer()
        engine = create_engine(postgres_url, poolclass=NullPool)
        with engine.begin() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        for _ in range(2):
            with pytest.raises(StoreFailed):
                writer.commit(WRITE)
        with store.writer() as successor:
            successor.commit(WRITE)
        writer.close()
        assert store.reader().settings() == {"a": "b"}


def test_a_writer_that_has_nothing_to_write_keeps_its_connection(postgres_url: str) -> None:
    engine = create_engine(postgres_url, poolclass=NullPool)
    with engine.begin() as connection:
        name = connection.scalar(text("SELECT current_database()"))
        connection.execute(text(f"ALTER DATABASE {name} SET idle_session_timeout = '200ms'"))
    with Database.open(postgres_url) as store:
        store.migrate()
        with store.writer() as writer:
            time.sleep(0.5)
            writer.commit(WRITE)


def test_a_large_store_has_the_time_it_takes_whatever_others_are_given(postgres_url: str) -> None:
    engine = create_engine(postgres_url, poolclass=NullPool)
    with engine.begin() as connection:
        name = connection.scalar(text("SELECT current_database()"))
        connection.execute(text(f"ALTER DATABASE {name} SET statement_timeout = '5ms'"))
        connection.execute(text(f"ALTER DATABASE {name} SET idle_in_transaction_session_timeout = '50ms'"))
    with Database.open(postgres_url) as store:
        store.migrate()
        with store.snapshot() as snapshot:
            time.sleep(0.2)
            assert list(snapshot.rows("settings")) == []


def test_a_role_without_a_schema_is_not_told_that_somebody_writes(postgres_url: str) -> None:
    with (
        Database.open(f"{postgres_url}&options={quote('-c search_path=nowhere')}") as store,
        pytest.raises(StoreFailed, match="search_path") as refused,
    ):
        store.migrate()
    assert refused.value.code == "store_failed"


def test_a_link_to_the_file_of_a_writer_is_the_same_store(tmp_path: Path) -> None:
    with Database.open(f"sqlite:///{tmp_path / 'store'}") as database:
        database.migrate()
        (tmp_path / "link").symlink_to(tmp_path / "store")
        with database.writer(), Database.open(f"sqlite:///{tmp_path / 'link'}") as other, pytest.raises(StoreBusy):
            other.writer()
