"""The migrations lead to the tables that the code knows, on both databases, once and wholly."""

import json

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.pool import NullPool

from node.store.columns import CLASS, METADATA, TableClass
from node.store.database import Database
from node.store.errors import StoreBusy, StoreFailed, StoreNewer
from node.store.migrating import migration_config, newest, version_of


def shape_of(connection: Connection) -> str:
    """Return all that the database says about its tables; text that two equal sets of tables share."""
    inspector = inspect(connection)
    found: dict[str, object] = {}
    for name in sorted(inspector.get_table_names()):
        if name != "alembic_version":
            found[name] = {
                "columns": inspector.get_columns(name),
                "key": inspector.get_pk_constraint(name),
                "foreign": inspector.get_foreign_keys(name),
                "unique": sorted(inspector.get_unique_constraints(name), key=str),
                "check": sorted(inspector.get_check_constraints(name), key=str),
                "indexes": sorted(inspector.get_indexes(name), key=str),
                "options": inspector.get_table_options(name),
            }
    return json.dumps(found, default=str, indent=1)


def test_migrations_lead_to_the_tables_of_the_code(database_url: str) -> None:
    with Database.open(database_url) as database:
        database.migrate()
    engine = create_engine(database_url, poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, METADATA) == []
        migrated = shape_of(connection)
    with engine.begin() as connection:
        METADATA.drop_all(connection)
        METADATA.create_all(connection)
    with engine.connect() as connection:
        assert shape_of(connection) == migrated


def test_sqlite_tables_are_those_of_the_code_to_the_letter(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("letters")
    with Database.open(f"sqlite:///{folder / 'migrated'}") as database:
        database.migrate()
    found = []
    for name in ("migrated", "created"):
        engine = create_engine(f"sqlite:///{folder / name}", poolclass=NullPool)
        with engine.begin() as connection:
            METADATA.create_all(connection)
            rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
            # A table that a migration made anew has its name in quotes.
            said = {row.name: row.sql.replace(f'TABLE "{row.name}"', f"TABLE {row.name}") for row in rows}
            found.append({name: set(sql.replace(", \n", "\n").split("\n")) for name, sql in said.items()})
    assert set(found[0]) - set(found[1]) == {"alembic_version"}
    assert {name: found[0][name] for name in found[1]} == found[1]


def test_a_store_is_brought_up_to_date_once(database_url: str) -> None:
    with Database.open(database_url) as database:
        assert not database.is_current()
        database.migrate()
        assert database.is_current()
        database.migrate()
        with database.writer():
            # Nothing is to be done, so nobody has to wait for the writer.
            database.migrate()


def test_the_newest_version_is_the_head_of_all(database_url: str) -> None:
    assert [newest()] == ScriptDirectory.from_config(migration_config()).get_heads()
    with Database.open(database_url) as database:
        database.migrate()
        with database.connection() as connection:
            assert version_of(connection) == newest()


def test_tables_are_never_changed_under_a_writer(database: Database, database_url: str) -> None:
    engine = create_engine(database_url, poolclass=NullPool)
    with database.writer():
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM alembic_version"))
        with pytest.raises(StoreBusy):
            database.migrate()


def test_a_migration_that_fails_leaves_nothing(database_url: str) -> None:
    engine = create_engine(database_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE settings (name TEXT)"))
    with Database.open(database_url) as database:
        with pytest.raises(StoreFailed):
            database.migrate()
        assert not database.is_current()
    with engine.connect() as connection:
        assert set(inspect(connection).get_table_names()) <= {"settings", "alembic_version"}


def test_tables_of_a_newer_version_are_refused_by_a_name_of_their_own(database: Database) -> None:
    with database.connection() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for use in (database.migrate, database.is_current, database.writer):
        with pytest.raises(StoreNewer, match="9999"):
            use()
    with database.locked():
        pass


def test_no_writer_is_had_of_tables_that_changed_after_they_were_looked_at(database: Database) -> None:
    database.migrate()
    with database.connection() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0018'"))
    with pytest.raises(StoreFailed, match="up to date"):
        database.writer()
    with database.locked():
        pass


def test_every_table_has_a_class() -> None:
    assert {table.info[CLASS] for table in METADATA.tables.values()} == set(TableClass)


_BEFORE_NUMBERS = (
    """INSERT INTO accounts (account, status, posted, held, conversions, opened_seq, active_on, imported_seq) VALUES
    ('member/b', 'open', 7, 0, 0, 1, NULL, NULL), ('member/a', 'frozen', 5, 1, 0, 2, '2026-03-01', 2)""",
    """INSERT INTO lots (account, seq, part, origin, earned_on, expires_on, remaining, clock, spendable_on) VALUES
    ('member/a', 3, 1, 'own', '2026-03-01', '2026-12-31', 5, NULL, '2026-03-02'),
    ('member/b', 3, 0, 'own', '2026-03-01', NULL, 7, 'fixed', NULL)""",
    "INSERT INTO history (account, seq) VALUES ('member/a', 2), ('member/a', 3), ('member/b', 1), ('member/b', 3)",
)


def test_accounts_lots_and_histories_are_kept_when_accounts_get_numbers(database_url: str) -> None:
    engine = create_engine(database_url, poolclass=NullPool)
    config = migration_config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0014")
        for statement in _BEFORE_NUMBERS:
            connection.execute(text(statement))
    with Database.open(database_url) as database:
        database.migrate()
        with database.snapshot() as dump:
            assert list(dump.rows("accounts")) == [
                ("member/b", "open", 7, 0, 0, 1, None, None),
                ("member/a", "frozen", 5, 1, 0, 2, "2026-03-01", 2),
            ]
            assert list(dump.rows("lots")) == [
                (1, 3, 0, "own", "2026-03-01", None, 7, "fixed", None),
                (2, 3, 1, "own", "2026-03-01", "2026-12-31", 5, None, "2026-03-02"),
            ]
            assert list(dump.rows("history")) == [(1, 1), (1, 3), (2, 2), (2, 3)]
    with engine.connect() as connection:
        assert not [name for name in inspect(connection).get_table_names() if name.startswith("old_")]
