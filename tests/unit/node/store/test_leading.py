"""Who writes, as processes tell each other over the store: a beat, a silence, an end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.store.database import Database
from node.store.errors import StoreBusy, StoreFailed
from node.store.leading import FileLeading, Leader, ServerLeading, leading_of
from tests.support.crashing_node import poll


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    with Database.open(postgres_url) as opened:
        opened.migrate()
        yield opened


def test_a_beat_is_heard_as_long_as_its_term_lasts(database: Database) -> None:
    leading = ServerLeading(database)
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
    leading = ServerLeading(database)
    assert leading.depose() == 0
    writer = database.writer()
    with pytest.raises(StoreBusy):
        database.writer()
    assert leading.beat(term=writer.term, url="http://one")
    assert leading.depose() == 1
    poll(lambda: not leading.beat(term=writer.term, url="http://one") or None, "the server to free the lock")
    assert not leading.beat(term=writer.term, url="http://one")
    with database.writer() as after:
        assert after.term == writer.term + 1
    with pytest.raises(StoreFailed):
        writer.head()
    writer.close()


def test_a_file_of_an_ended_term_names_nobody(tmp_path: Path) -> None:
    with Database.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as database:
        database.migrate()
        leading = leading_of(database, tmp_path)
        assert isinstance(leading, FileLeading)
        assert (leading.leader(), leading.depose()) == (None, 0)
        with database.writer() as writer:
            assert leading.beat(term=writer.term, url="http://one")
            assert leading.leader() == Leader("http://one", 0.0)
        with database.writer() as after:
            assert leading.leader() is None
            assert leading.beat(term=after.term, url="http://two")
            assert leading.leader() == Leader("http://two", 0.0)
            (tmp_path / "writer.json").write_bytes(b"{")
            assert leading.leader() is None
            assert leading.beat(term=after.term, url="http://two")
            assert leading.leader() == Leader("http://two", 0.0)


def test_who_writes_a_file_hears_of_another_whose_lock_is_another_file(tmp_path: Path) -> None:
    with Database.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as database:
        database.migrate()
        leading = leading_of(database, tmp_path)
        with database.writer() as writer:
            assert leading.beat(term=writer.term, url="http://one")
            (tmp_path / "ledger.sqlite.lock").unlink()
            with database.writer() as other:
                assert leading.beat(term=other.term, url="http://two")
                assert not leading.beat(term=writer.term, url="http://one")
                assert leading.leader() == Leader("http://two", 0.0)


def test_a_file_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "writer.json").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "writer.json.new").mkdir()
    with Database.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as database:
        database.migrate()
        with pytest.raises(StoreFailed, match="cannot be read"):
            leading_of(database, tmp_path).leader()
        with database.writer() as writer, pytest.raises(StoreFailed, match="cannot be written"):
            leading_of(database, tmp_path / "full").beat(term=writer.term, url="http://one")
