"""The databases that all other tests stand on: fresh, apart, and as durable as in production."""

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import NullPool

from tests.support import postgres
from tests.support.postgres import PostgresServer, ServerUnavailableError, find_binaries


@pytest.mark.parametrize("_run", [1, 2])
def test_a_database_is_empty_and_can_be_written(database_url: str, _run: int) -> None:
    engine = create_engine(database_url, poolclass=NullPool)
    assert inspect(engine).get_table_names() == []
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE tally (notches BIGINT)"))
        connection.execute(text("INSERT INTO tally VALUES (9007199254740993)"))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT notches FROM tally")).scalar_one() == 9007199254740993


def test_postgres_databases_are_apart_and_durable(postgres_server: PostgresServer) -> None:
    first, second = postgres_server.create_database(), postgres_server.create_database()
    assert first != second
    engine = create_engine(postgres_server.url(first), poolclass=NullPool)
    connection = engine.connect()
    settings = [connection.execute(text(f"SHOW {name}")).scalar_one() for name in ("fsync", "synchronous_commit")]
    assert settings == ["on", "on"]
    # A connection that a failed test left open does not keep its database from being dropped.
    postgres_server.drop_database(first)
    connection.invalidate()
    connection.close()
    postgres_server.drop_database(second)


def test_a_missing_server_is_said_in_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    nowhere = tmp_path_factory.mktemp("nowhere")
    monkeypatch.setenv("PATH", str(nowhere))
    monkeypatch.setattr(postgres, "DEBIAN_PLACE", nowhere)
    with pytest.raises(ServerUnavailableError, match="no PostgreSQL server is installed"):
        find_binaries()
