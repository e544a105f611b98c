"""How databases are reached: durable, private, one place whatever the working directory."""

import subprocess
import sys
from pathlib import Path
from traceback import format_exception
from typing import cast
from urllib.parse import quote

import psycopg
import pytest

from node.store.database import Database, file_url, whole_url
from node.store.errors import StoreFailed
from node.store.facts import facts_of
from node.store.rows import CommitRecord, PutSetting
from tests.support.postgres import PostgresServer

WRITE = CommitRecord(old_size=0, writes=(PutSetting("a", "b"),))


def test_commits_to_a_file_are_flushed_and_never_block_readers(tmp_path: Path) -> None:
    expected = {"journal_mode": "wal", "synchronous": 2, "fullfsync": 1, "foreign_keys": 1, "busy_timeout": 5000}
    with Database.open(f"sqlite:///{tmp_path / 'store'}") as database:
        database.migrate()
        with database.writer() as writer:
            cursor = writer._session._cursor
            for name, value in expected.items():
                cursor.execute(f"PRAGMA {name}")
                assert cursor.fetchall() == [(value,)]


def test_opened_twice_in_one_process_a_file_is_still_in_use_to_others(tmp_path: Path) -> None:
    path = tmp_path / "store"
    look = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(c.execute('SELECT * FROM settings').fetchall())"
    )

    def seen_elsewhere() -> bytes:
        return subprocess.run([sys.executable, "-c", look, path], check=True, capture_output=True).stdout

    with Database.open(f"sqlite:///{path}") as database:
        database.migrate()
        with database.writer() as writer:
            Database.open(f"sqlite:///{path}").close()
            seen_elsewhere()
            writer.commit(WRITE)
            # Whoever has closed the database has not taken it for its own.
            assert b"('a', 'b')" in seen_elsewhere()


def test_commits_to_a_server_are_flushed_whatever_its_settings(postgres_url: str) -> None:
    # What the URL asks for besides is kept.
    with Database.open(f"{postgres_url}&options={quote('-c synchronous_commit=off -c work_mem=8MB')}") as database:
        database.migrate()
        with database.writer() as writer:
            cursor = writer._session._cursor
            for name, value in {"synchronous_commit": "on", "work_mem": "8MB"}.items():
                cursor.execute(f"SHOW {name}")
                assert cursor.fetchall() == [(value,)]


def test_both_sides_of_a_connection_learn_soon_that_the_other_is_out_of_reach(postgres_url: str) -> None:
    # The test's server has no TCP, where alone these settings count: what each side is told is looked at.
    url = f"{postgres_url}&keepalives_idle=9&options={quote('-c tcp_user_timeout=4000')}"
    with Database.open(url) as database, database.connection() as connection:
        info = cast("psycopg.Connection", connection.connection.driver_connection).info
        told = info.get_parameters()
        assert (told["keepalives_idle"], told["keepalives_count"], told["tcp_user_timeout"]) == ("9", "2", "15000")
        settings = dict(word.split("=") for word in info.options.split() if "=" in word)
    assert settings["tcp_keepalives_idle"] == "5"
    assert settings["tcp_user_timeout"] == "4000", "the URL's comes last"


def test_text_is_kept_whatever_the_environment_would_have_a_client_speak(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with Database.open(postgres_url) as database:
        database.migrate()
        with database.writer() as writer:
            writer.commit(CommitRecord(old_size=0, writes=(PutSetting("a", "Zoë of Łódź"),)))
        assert database.reader().setting("a") == "Zoë of Łódź"


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_cannot_hold_every_text_is_refused(
    postgres_server: PostgresServer, postgres_url: str, encoding: str
) -> None:
    name = f"test_{encoding.lower()}"
    with Database.open(postgres_url) as database, database.connection() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0")
    with Database.open(postgres_server.url(name)) as database, pytest.raises(StoreFailed, match="ENCODING 'UTF8'"):
        database.migrate()
    postgres_server.drop_database(name)


def test_a_pooler_that_drops_what_a_connection_asks_for_is_refused(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Database.open(postgres_url) as database:
        database.migrate()
        assert facts_of(database).unfit is None
    monkeypatch.setattr("node.store.database._POSTGRES_OPTIONS", "")
    with Database.open(postgres_url) as database:
        with pytest.raises(StoreFailed, match="without a pooler"):
            database.writer()
        assert "without a pooler" in str(facts_of(database).unfit)


def test_a_relative_place_is_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Database.open("sqlite:///store") as database:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        database.migrate()
        with database.writer() as writer:
            writer.commit(WRITE)
            assert database.reader().setting("a") == "b"
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:store?uri=true",
        "mysql://host/name",
        "postgresql+asyncpg://host/name",
        "postgresql+psycopg://",
    ],
)
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(StoreFailed):
        Database.open(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://user:begin@secret@127.0.0.1:1/name",
        "postgresql+psycopg://user:begin@x:secret@127.0.0.1:1/name",
        "postgresql+psycopg://user:begin@secret/x?y@127.0.0.1:1/name",
        "postgresql+psycopg://user:begin@x/secret@127.0.0.1:1/name",
    ],
)
def test_no_part_of_a_password_that_is_badly_quoted_is_told(url: str) -> None:
    with pytest.raises(StoreFailed, match="%40") as raised:
        Database.open(url)
    assert "secret" not in "".join(format_exception(raised.value))
    assert whole_url(url) == url


def test_a_database_is_named_without_a_password() -> None:
    with Database.open("postgresql+psycopg://user@127.0.0.1:1/name?password=secret") as opened:
        assert opened.name == "postgresql+psycopg://user@127.0.0.1:1/name"
    with Database.open("postgresql+psycopg://user:first%40one@127.0.0.1:1/name?sslpassword=secret") as opened:
        assert opened.name == "postgresql+psycopg://user:***@127.0.0.1:1/name"
        with pytest.raises(StoreFailed) as raised:
            opened.is_current()
    told = "".join(format_exception(raised.value))
    assert "first@one" not in told
    assert "secret" not in told


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://nobody@/nothing?host={tmp_path}"
    with Database.open(url) as database, pytest.raises(StoreFailed):
        database.is_current()


def test_what_is_stored_keeps_its_type_in_a_dump(database: Database) -> None:
    with database.writer() as writer:
        writer.commit(WRITE)
    with database.snapshot() as snapshot:
        assert list(snapshot.rows("settings")) == [("a", "b")]
        assert list(snapshot.rows("writer_terms")) == [("only", 1)]


def test_a_dump_shows_what_is_no_truth_value(tmp_path: Path) -> None:
    with Database.open(f"sqlite:///{tmp_path / 'store'}") as database:
        database.migrate()
        with database.writer() as writer:
            insert = "INSERT INTO holds VALUES ('h', 'a', 1, 1, NULL, 5, 1, '[]')"
            writer._session._cursor.execute(insert)
        with database.snapshot() as snapshot:
            assert [row[5] for row in snapshot.rows("holds")] == [5]


@pytest.mark.parametrize("name", ["a?b", "a%3Fb", "a b#c", "ü@x:y"])
def test_a_path_of_any_characters_names_its_own_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with Database.open(file_url(tmp_path / name / "store")) as database:
        database.migrate()
    assert (tmp_path / name / "store").stat().st_size
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_url_is_made_whole_where_it_names_a_relative_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert whole_url("sqlite:///store") == f"sqlite:///{tmp_path / 'store'}"
    assert whole_url("sqlite+pysqlite:///a/store?timeout=1") == f"sqlite+pysqlite:///{tmp_path / 'a/store'}?timeout=1"
    for url in ("", "nonsense", "sqlite://", "sqlite:///:memory:", "sqlite:////a", "postgresql+psycopg://u:p@h/name"):
        assert whole_url(url) == url


def test_a_file_that_is_gone_is_not_made_again_and_its_log_is_kept(tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    log = tmp_path / "store.sqlite-wal"
    with Database.open(f"sqlite:///{store}") as database:
        database.migrate()
        store.unlink()
        log.write_bytes(b"commits")
        with pytest.raises(StoreFailed, match="no file"):
            database.writer()
    with pytest.raises(StoreFailed, match="is no file"), Database.open(f"sqlite:///{store}", made=True):
        pass
    assert (store.exists(), log.read_bytes()) == (False, b"commits")
