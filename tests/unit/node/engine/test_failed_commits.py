"""Commits that fail, and commits that fail after they were done: nothing is lost and nothing happens twice."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from node.engine.work import Answer
from node.store import schema
from node.store.columns import METADATA
from node.store.errors import ForkRefused, StoreFailed, StoreFull
from node.store.rows import PutSetting
from protocol.errors import Code, Refusal
from protocol.ledger.state import ACCOUNTS
from tests.support.ledger import holder
from tests.unit.node.engine.conftest import ON_SQLITE, Bench, engine_over
from tests.unit.node.engine.faulty_writer import lost
from tests.unit.node.engine.test_engine import check_log
from tests.unit.node.engine.works import Bug, Stages, issuing, opening, work


def posted(bench: Bench) -> int:
    record = bench.reader.record(ACCOUNTS, holder("ann"))
    assert record is not None
    return record.posted


@ON_SQLITE
@pytest.mark.parametrize("failure", [lost(), StoreFull("the disk is full"), Bug()])
def test_a_commit_that_failed_left_nothing_and_can_be_repeated(bench: Bench, failure: Exception) -> None:
    bench.store.before = failure
    with pytest.raises(type(failure)):
        bench.do(issuing(1), issuing(2))
    assert (bench.engine.size, posted(bench)) == (2, 0)
    answers = bench.do(issuing(1), issuing(2), issuing(3))
    assert [answer.repeated for answer in answers] == [False, False, False]
    assert posted(bench) == 3
    check_log(bench)


def test_a_commit_that_failed_after_it_was_done_is_answered_as_done(bench: Bench) -> None:
    bench.store.after = lost()
    (answer,) = bench.do(issuing(1))
    assert not answer.repeated
    assert (bench.engine.size, posted(bench)) == (3, 1)
    (again,) = bench.do(issuing(1))
    assert again == Answer(answer.sealed, repeated=True)
    bench.do(issuing(2))
    check_log(bench)


def test_a_commit_without_entries_that_failed_after_it_was_done_is_told_as_failed(bench: Bench) -> None:
    bench.store.after = lost()
    with pytest.raises(StoreFailed):
        bench.commit(Stages(PutSetting("colour", "blue")))
    bench.do(issuing(1))
    check_log(bench)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_engine_that_cannot_see_what_became_of_a_commit_looks_again_before_the_next(
    bench: Bench, moment: str
) -> None:
    setattr(bench.store, moment, lost())
    bench.store.head_failure = lost()
    with pytest.raises(StoreFailed):
        bench.do(issuing(1))
    (answer,) = bench.do(issuing(1))
    assert answer.repeated == (moment == "after")
    assert posted(bench) == 1
    bench.do(issuing(2))
    check_log(bench)


@pytest.mark.parametrize(("point", "kept"), [("commit.before", 0), ("commit.after", 1)])
def test_a_fault_around_the_transaction_leaves_all_of_it_or_nothing(bench: Bench, point: str, kept: int) -> None:
    def fail() -> None:
        raise Bug

    bench.faults.arm(point, fail)
    with pytest.raises(Bug):
        bench.do(issuing(1), issuing(2))
    assert posted(bench) == 2 * kept
    bench.do(issuing(1), issuing(2), issuing(3))
    assert posted(bench) == 3
    check_log(bench)


def test_a_writer_whose_term_is_over_commits_nothing(bench: Bench) -> None:
    bench.store._session.run(schema.WRITER_TERMS.update().values(term=99))
    for _ in range(2):
        with pytest.raises(ForkRefused):
            bench.commit(work(issuing(1)))
    assert posted(bench) == 0


@contextmanager
def put_back(bench: Bench) -> Iterator[None]:
    """Put the store back as it was, under the engine's feet; its tables are those of the same term."""
    names = [table.name for table in METADATA.sorted_tables]
    with bench.database.connection() as connection:
        for name in names:
            connection.execute(text(f"CREATE TABLE kept_{name} AS SELECT * FROM {name}"))
        yield
        connection.execute(text("BEGIN"))
        for name in reversed(names):
            connection.execute(text(f"DELETE FROM {name}"))
        for name in names:
            connection.execute(text(f"INSERT INTO {name} SELECT * FROM kept_{name}"))
        connection.execute(text("COMMIT"))


def test_an_older_copy_that_is_put_back_under_an_engine_closes_its_gate(bench: Bench) -> None:
    bench.do(issuing(1))
    with put_back(bench):
        bench.do(issuing(2), opening("bob"), issuing(3, name="bob"))
    with pytest.raises(ForkRefused):
        bench.do(issuing(4))
    for number in (2, 4):
        with pytest.raises(Refusal, match="this process has written 6 entries, and the store has 3") as refused:
            bench.do(issuing(number))
        assert refused.value.code == Code.STORE_BEHIND
    assert bench.engine.gate.seen is not None
    assert bench.engine.gate.seen.size == 6
    assert (bench.engine.size, posted(bench)) == (3, 1)
    check_log(bench)


def test_an_older_copy_that_has_gone_on_otherwise_closes_the_gate(bench: Bench) -> None:
    with put_back(bench):
        bench.do(issuing(1), issuing(2))
    engine_over(bench.store, bench.faults).commit([work(issuing(number)) for number in range(3, 8)], bench.now)
    with pytest.raises(ForkRefused):
        bench.do(issuing(9))
    with pytest.raises(Refusal, match="this process has written another history of 4 entries"):
        bench.do(issuing(9))


def test_a_log_that_another_engine_has_continued_is_not_behind(bench: Bench) -> None:
    engine_over(bench.store, bench.faults).commit([work(issuing(1))], bench.now)
    with pytest.raises(ForkRefused):
        bench.do(issuing(2))
    bench.do(issuing(2))
    assert posted(bench) == 2
    check_log(bench)


def test_a_new_engine_goes_on_where_the_last_commit_ended(bench: Bench) -> None:
    for number in range(3):
        bench.store.before = lost()
        with pytest.raises(StoreFailed):
            bench.do(issuing(f"lost {number}"))
        bench.reopen()
        bench.do(issuing(number))
    assert posted(bench) == 3
    check_log(bench)
