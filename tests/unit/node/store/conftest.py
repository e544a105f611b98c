"""A migrated, empty store on each database, and its writer."""

from collections.abc import Iterator

import pytest

from node.store.database import Database
from node.store.writer import StoreWriter


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database.open(database_url) as opened:
        opened.migrate()
        yield opened


@pytest.fixture
def writer(database: Database) -> Iterator[StoreWriter]:
    with database.writer() as opened:
        yield opened
