"""An application with two members, a partner and an agreement, on each database: shared by the tests of a module.

Beside it those of a test's own, on SQLite.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.api import Api, agree, api_of, link_ann, meet, open_accounts
from tests.support.postgres import PostgresServer


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    directory = tmp_path_factory.mktemp("node") / "aurora"
    if request.param == "sqlite":
        with api_of(directory) as opened:
            prepare(opened)
            yield opened
        return
    server = request.getfixturevalue("postgres_server")
    assert isinstance(server, PostgresServer)
    name = server.create_database()
    with api_of(directory, server.url(name)) as opened:
        prepare(opened)
        yield opened
    server.drop_database(name)


def prepare(api: Api) -> None:
    open_accounts(api)
    meet(api)
    agree(api)
    link_ann(api)


@pytest.fixture
def met(tmp_path: Path) -> Iterator[Api]:
    """Yield a node of the test's own, with two members and a partner."""
    with api_of(tmp_path / "aurora") as opened:
        open_accounts(opened)
        meet(opened)
        yield opened


@pytest.fixture
def linked(met: Api) -> Api:
    """Return a node of the test's own, with an agreement and a link as well."""
    agree(met)
    link_ann(met)
    return met
