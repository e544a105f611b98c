"""Two real nodes killed ten times amid a thousand conversions, on either store: nothing is lost, doubled or in doubt.

`scripts/storm` does the same from any seed.
"""

from pathlib import Path
from typing import Final

import pytest

from scripts.alliance.brands import Brand
from scripts.kills.plan import PAIR
from scripts.kills.run import run
from tests.support.postgres import PostgresServer

pytestmark = [pytest.mark.integration, pytest.mark.slow]

CONVERSIONS: Final = 1_000
KILLS: Final = 10


@pytest.fixture
def database_urls(request: pytest.FixtureRequest, store: str) -> dict[Brand, str]:
    """Return an empty database for each node, or none where each makes a file of its own."""
    if store == "sqlite":
        return {}
    server = request.getfixturevalue("postgres_server")
    assert isinstance(server, PostgresServer)
    return {brand: server.url(server.create_database()) for brand in PAIR}


@pytest.mark.parametrize(("store", "seed"), [("sqlite", 4), ("postgresql", 5)])
def test_nothing_is_lost_when_nodes_are_killed(
    tmp_path: Path, database_urls: dict[Brand, str], store: str, seed: int
) -> None:
    summary = run(seed, tmp_path / "storm", database_urls, conversions=CONVERSIONS, kills=KILLS)
    assert summary.faults == ()
    assert summary.store == store
    assert summary.completed + sum(summary.returned.values()) == CONVERSIONS == summary.repeated
    assert summary.statements > 0
    assert {kill.victim for kill in summary.kills} == {brand.title for brand in PAIR}
    assert len(summary.kills) == KILLS
    # A storm that kills idle nodes would show nothing.
    assert sum(kill.open > 0 for kill in summary.kills) > KILLS // 2


@pytest.mark.parametrize(("store", "seed"), [("sqlite", 12), ("postgresql", 14)])
def test_nothing_is_lost_when_nodes_of_several_processes_are_killed(
    tmp_path: Path, database_urls: dict[Brand, str], store: str, seed: int
) -> None:
    summary = run(seed, tmp_path / "storm", database_urls, conversions=200, kills=4, workers=2)
    assert summary.faults == ()
    assert summary.store == store
    assert summary.completed + sum(summary.returned.values()) == 200 == summary.repeated
    assert sum(kill.open > 0 for kill in summary.kills) > 2
