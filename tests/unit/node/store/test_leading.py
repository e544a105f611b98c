"""Who writes, as processes tell each other over the store: a beat, a silence, an end."""

from collections.abc import Iterator

import pytest

from node.store.database import Database
from node.store.errors import StoreBusy, StoreFailed
from node.store.leading import Leading


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    with Database.open(postgres_url) as opened:
        opened.migrate()
        yield opened


def test_a_beat_is_heard_as_long_as_its_term_lasts(database: Database) -> None:
    leading = Leading(database)
    assert leading.leader() is None
    with database.writer() as writer:
        assert leading.beat(term=writer.term, url="http://one")
        leader = leading.leader()
        assert leader is not None
        assert leader.url == "http://one"
        assert 0 <= leader.silent_seconds < 60
    assert not leading.beat(term=writer.term, url="http://one")
    with database.writer() as after:
        assert after.term == writer.term + 1
        assert leading.leader() is None
        assert not leading.beat(term=writer.term, url="http://one")
        assert leading.beat(term=after.term, url="http://two")
        assert not leading.beat(term=after.term + 1, url="http://three")
        found = leading.leader()
        assert found is not None
        assert found.url == "http://two"


def test_a_writer_that_is_deposed_writes_nothing_and_another_one_can(database: Database) -> None:
    leading = Leading(database)
    assert leading.depose() == 0
    writer = database.writer()
    with pytest.raises(StoreBusy):
        database.writer()
    assert leading.beat(term=writer.term, url="http://one")
    assert leading.depose() == 1
    assert not leading.beat(term=writer.term, url="http://one")
    with database.writer() as after:
        assert after.term == writer.term + 1
    with pytest.raises(StoreFailed):
        writer.head()
    writer.close()
