"""The log of a store that fails stays one that a person reads, and that fits on the disk."""

import pytest
from structlog.testing import capture_logs

from node.engine.failing import FailingCommits
from node.engine.writer import WriterQueue
from node.store.errors import StoreFailed, StoreFull
from tests.support.nodes import FakeClock
from tests.unit.node.engine.conftest import ON_SQLITE, Bench
from tests.unit.node.engine.faulty_writer import lost
from tests.unit.node.engine.works import issuing, work

SECONDS_MAX = 60


def test_a_store_that_is_away_takes_a_line_at_first_one_now_and_then_and_one_at_the_end() -> None:
    clock = FakeClock()
    failing = FailingCommits(clock)
    with capture_logs() as lines:
        for _ in range(400):
            failing.failed(StoreFailed("away"), works=3)
            clock.advance(1 / 16)
        failing.over()
        failing.over()
    assert [(line["event"], line.get("commits"), line.get("failed")) for line in lines] == [
        ("commit_failed", 1, None),
        ("commit_failed", 160, None),
        ("commit_failed", 160, None),
        ("commits_again", None, 400),
    ]
    assert lines[-1]["seconds"] == pytest.approx(25.0)


def test_a_new_way_to_fail_is_said_at_once_and_one_that_comes_and_goes_now_and_then() -> None:
    clock = FakeClock()
    failing = FailingCommits(clock)
    with capture_logs() as lines:
        for _ in range(1_000):
            failing.failed(StoreFailed("away"), works=1)
            failing.failed(StoreFull("full"), works=1)
            failing.over()
            clock.advance(0.02)
        failing.end()
        failing.end()
    assert [line["event"] for line in lines] == [
        *("commit_failed", "commit_failed", "commits_again"),
        *("commit_failed", "commit_failed", "commits_again"),
        "commits_ended",
    ]
    assert sum(line.get("failed", 0) for line in lines) == 2_000


@ON_SQLITE
def test_the_writer_says_what_has_failed_and_that_it_is_over(bench: Bench) -> None:
    queue = WriterQueue(bench.engine, FakeClock())
    queue.start()
    with capture_logs() as lines:
        for number in range(5):
            bench.store.before = lost()
            with pytest.raises(StoreFailed):
                queue.submit(work(issuing(number))).result(SECONDS_MAX)
        queue.submit(work(issuing(1))).result(SECONDS_MAX)
        bench.store.before = lost()
        with pytest.raises(StoreFailed):
            queue.submit(work(issuing(2))).result(SECONDS_MAX)
        queue.close()
    told = [(line["event"], line.get("failed")) for line in lines]
    assert told == [("commit_failed", None), ("commits_again", 5), ("commits_ended", 1)]
