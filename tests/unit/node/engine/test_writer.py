"""The writer's thread: what waits is committed together, everyone is answered, nothing stops it but `close`."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait

import pytest

from node.engine import work as work_module
from node.engine import writer as writer_module
from node.engine.engine import Committed
from node.engine.work import Answer, Desk
from node.engine.writer import Busy, Stopped, WriterQueue
from node.store.errors import StoreFailed
from protocol.errors import Code, Refusal
from protocol.ledger.view import Need, Overlay
from tests.support.nodes import FakeClock
from tests.unit.node.engine.conftest import ON_SQLITE, Bench
from tests.unit.node.engine.faulty_writer import lost
from tests.unit.node.engine.works import Bug, HalfDone, issuing, work

SECONDS_MAX = 60
pytestmark = ON_SQLITE


class Blocking:
    """Keeps the writer busy until it is let go."""

    def __init__(self) -> None:
        self.running = threading.Event()
        self.go = threading.Event()

    def needs(self, _view: Overlay) -> Iterator[Need]:
        return iter(())

    def run(self, _desk: Desk) -> None:
        self.running.set()
        assert self.go.wait(SECONDS_MAX)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def queue(bench: Bench, clock: FakeClock) -> Iterator[WriterQueue]:
    queue = WriterQueue(bench.engine, clock)
    queue.start()
    yield queue
    queue.close()


def block(queue: WriterQueue) -> Blocking:
    blocking = Blocking()
    queue.submit(blocking)
    assert blocking.running.wait(SECONDS_MAX)
    return blocking


def submit(queue: WriterQueue, *numbers: int) -> "list[Future[list[Answer]]]":
    return [queue.submit(work(issuing(number))) for number in numbers]


def test_what_waits_during_a_commit_goes_into_the_next_one_together(bench: Bench, queue: WriterQueue) -> None:
    blocking = block(queue)
    futures = submit(queue, *range(50))
    blocking.go.set()
    seqs = [future.result(SECONDS_MAX)[0].sealed.entry.seq for future in futures]
    assert seqs == list(range(2, 52))
    stored = bench.reader.latest_checkpoint()
    assert stored is not None
    assert (stored.number, stored.size) == (2, 52)


def test_a_commit_takes_no_more_than_its_bound(
    bench: Bench, queue: WriterQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "COMMIT_WORKS_MAX", 3)
    blocking = block(queue)
    futures = submit(queue, *range(7))
    blocking.go.set()
    wait(futures, SECONDS_MAX)
    stored = bench.reader.latest_checkpoint()
    assert stored is not None
    assert (stored.number, stored.size) == (4, 9)


def test_a_result_is_given_when_it_is_durable_and_not_before(bench: Bench, queue: WriterQueue) -> None:
    seen = []
    future = queue.submit(work(issuing(1)))
    future.add_done_callback(lambda _: seen.append(bench.reader.entry(2)))
    entry = future.result(SECONDS_MAX)[0].sealed
    queue.close()
    assert seen == [entry.data]


def test_a_bug_is_told_to_its_caller_alone(queue: WriterQueue) -> None:
    blocking = block(queue)
    bad, good = queue.submit(HalfDone(Bug(), issuing(1))), queue.submit(work(issuing(2)))
    blocking.go.set()
    with pytest.raises(Bug):
        bad.result(SECONDS_MAX)
    assert good.result(SECONDS_MAX)


def test_a_full_queue_is_busy(bench: Bench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "QUEUE_WORKS_MAX", 2)
    queue = WriterQueue(bench.engine, clock)
    queue.start()
    blocking = block(queue)
    futures = submit(queue, 1, 2)
    with pytest.raises(Busy):
        submit(queue, 3)
    blocking.go.set()
    wait(futures, SECONDS_MAX)
    assert submit(queue, 3)[0].result(SECONDS_MAX)
    queue.close()


class Foremost(Blocking, work_module.Foremost):
    """What a partner has sent, say."""


def test_orders_that_fill_the_queue_hold_up_no_partner(
    bench: Bench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "QUEUE_WORKS_MAX", 2)
    monkeypatch.setattr(writer_module, "COMMIT_WORKS_MAX", 2)
    queue = WriterQueue(bench.engine, clock)
    queue.start()
    blocking = block(queue)
    orders = submit(queue, 1, 2)
    assert not queue.has_room(1)
    with pytest.raises(Busy):
        submit(queue, 3)
    envelope = Foremost()
    taken = queue.submit(envelope)
    assert queue.waiting == 3
    blocking.go.set()
    # It runs in the very next commit, and one of the orders with it.
    assert envelope.running.wait(SECONDS_MAX)
    assert queue.waiting == 1
    assert not any(order.done() for order in orders)
    envelope.go.set()
    taken.result(SECONDS_MAX)
    assert [order.result(SECONDS_MAX)[0].sealed.entry.seq for order in orders] == [2, 3]
    queue.close()


def test_close_finishes_what_is_queued(bench: Bench, queue: WriterQueue) -> None:
    blocking = block(queue)
    futures = submit(queue, *range(20))
    closing = threading.Thread(target=queue.close)
    closing.start()
    blocking.go.set()
    closing.join(SECONDS_MAX)
    assert all(future.done() for future in futures)
    assert bench.engine.size == 22
    queue.close()
    with pytest.raises(Stopped):
        submit(queue, 99)


def test_a_queue_that_never_ran_can_be_closed(bench: Bench, clock: FakeClock) -> None:
    queue = WriterQueue(bench.engine, clock)
    queue.close()
    with pytest.raises(Stopped):
        submit(queue, 1)


def test_no_work_is_lost_between_submit_and_close(bench: Bench, clock: FakeClock) -> None:
    queue = WriterQueue(bench.engine, clock)
    queue.start()
    futures: list[Future[list[Answer]]] = []
    started = threading.Event()

    def keep_submitting() -> None:
        for number in range(10_000):
            try:
                futures.extend(submit(queue, number))
            except (Busy, Stopped):
                return
            started.set()

    threads = [threading.Thread(target=keep_submitting) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert started.wait(SECONDS_MAX)
    queue.close()
    for thread in threads:
        thread.join(SECONDS_MAX)
    assert all(future.done() for future in futures)


def test_a_caller_who_has_gone_away_is_not_served_and_stops_nobody(bench: Bench, queue: WriterQueue) -> None:
    blocking = block(queue)
    gone, stays = submit(queue, 1, 2)
    assert gone.cancel()
    blocking.go.set()
    assert stays.result(SECONDS_MAX)
    assert bench.engine.size == 3


def test_a_work_under_way_cannot_be_cancelled(queue: WriterQueue) -> None:
    blocking = Blocking()
    future = queue.submit(blocking)
    assert blocking.running.wait(SECONDS_MAX)
    assert not future.cancel()
    blocking.go.set()
    assert future.result(SECONDS_MAX) is None


def test_a_failed_commit_is_told_to_everyone_and_the_thread_goes_on(bench: Bench, queue: WriterQueue) -> None:
    blocking = block(queue)
    bench.store.before = lost()
    futures = submit(queue, 1, 2)
    blocking.go.set()
    for future in futures:
        with pytest.raises(StoreFailed):
            future.result(SECONDS_MAX)
    assert isinstance(queue.failure, StoreFailed)
    queue.submit(work()).result(SECONDS_MAX)
    assert isinstance(queue.failure, StoreFailed), "a commit of nothing shows nothing"
    answers = [future.result(SECONDS_MAX)[0] for future in submit(queue, 1, 2)]
    assert [answer.repeated for answer in answers] == [False, False]
    assert queue.failure is None
    assert bench.engine.size == 4


def test_listeners_hear_of_each_commit_even_after_one_has_failed(queue: WriterQueue) -> None:
    heard: list[Committed] = []
    both = threading.Barrier(2)

    def fail(_: Committed) -> None:
        raise Bug

    def hear(committed: Committed) -> None:
        heard.append(committed)
        both.wait(SECONDS_MAX)

    queue.listen(fail)
    queue.listen(hear)
    for number in (1, 2):
        submit(queue, number)
        both.wait(SECONDS_MAX)
    assert [committed.size for committed in heard] == [3, 4]
    assert [len(committed.sealed) for committed in heard] == [1, 1]


def test_a_jump_of_the_clock_refuses_every_work_until_it_is_confirmed(
    bench: Bench, queue: WriterQueue, clock: FakeClock
) -> None:
    clock.jump(601)
    for number in (1, 2):
        with pytest.raises(Refusal) as caught:
            submit(queue, number)[0].result(SECONDS_MAX)
        assert caught.value.code == Code.CLOCK
    assert queue.clock_stopped
    assert bench.engine.size == 2
    queue.confirm_clock()
    assert submit(queue, 1)[0].result(SECONDS_MAX)
    assert not queue.clock_stopped
