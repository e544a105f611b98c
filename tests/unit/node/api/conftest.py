"""An application on each database, with two members, a partner and an agreement; shared by the tests of a module."""

from collections.abc import Iterator

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
