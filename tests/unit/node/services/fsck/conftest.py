"""Two stores, each on both databases: one after a lively day of two nodes, one after a settled window."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.documents import AURORA
from tests.support.nodes import database_path
from tests.support.stores import DamagedStore, make_settled_store, make_stores


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where two stores lie: one after a lively day of two nodes, one after a settled window."""
    place = tmp_path_factory.mktemp("stores")
    make_stores(place)
    make_settled_store(place / "settled.sqlite")
    return place


@pytest.fixture(scope="package", params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Return what makes an empty database, and returns its URL."""
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path_factory.mktemp('copy') / 'store.sqlite'}"
    server = request.getfixturevalue("postgres_server")
    return lambda: str(server.url(server.create_database()))


@pytest.fixture(scope="package")
def store(folder: Path, new_url: Callable[[], str]) -> Iterator[DamagedStore]:
    """Yield a copy of the store after a lively day, which every test leaves as it found it."""
    copy = DamagedStore(database_path(folder, AURORA), new_url())
    yield copy
    copy.close()


@pytest.fixture(scope="package")
def settled(folder: Path, new_url: Callable[[], str]) -> Iterator[DamagedStore]:
    """Yield a copy of the store after a settled window, for the tables that the lively day leaves empty."""
    copy = DamagedStore(folder / "settled.sqlite", new_url())
    yield copy
    copy.close()
