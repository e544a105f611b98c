"""What another thread brings arrives at the loop that waits for it: all at once, each to its own, and nothing twice."""

import asyncio
import threading
import weakref
from concurrent.futures import Future

import pytest

from node.services import arriving
from node.services.arriving import arrival, on_arrival
from node.services.pending import Pending


class Refused(Exception):
    """Stands for a refusal."""


def test_results_and_failures_arrive_where_they_are_awaited() -> None:
    futures: list[Future[int]] = [Future() for _ in range(5)]

    def bring() -> None:
        for number, future in enumerate(futures[:-1]):
            future.set_result(number)
        futures[-1].set_exception(Refused())

    async def wait() -> list[int | BaseException]:
        waiting = [asyncio.ensure_future(arrival(future)) for future in futures]
        await asyncio.sleep(0)
        threading.Thread(target=bring).start()
        return await asyncio.gather(*waiting, return_exceptions=True)

    *results, failure = asyncio.run(wait())
    assert results == [0, 1, 2, 3]
    assert isinstance(failure, Refused)


def test_what_was_there_before_is_not_waited_for() -> None:
    done: Future[str] = Future()
    done.set_result("done")
    assert asyncio.run(arrival(done)) == "done"


def test_all_of_a_commit_wakes_a_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    woken = 0
    wake = arriving._Mailbox._wake

    def count(mailbox: arriving._Mailbox) -> None:
        nonlocal woken
        woken += 1
        wake(mailbox)

    monkeypatch.setattr(arriving._Mailbox, "_wake", count)
    futures: list[Future[int]] = [Future() for _ in range(32)]

    async def wait() -> list[int]:
        waiting = [asyncio.ensure_future(arrival(future)) for future in futures]
        await asyncio.sleep(0)
        # On the loop's own thread: nothing is told before all of it is there.
        for number, future in enumerate(futures):
            future.set_result(number)
        return await asyncio.gather(*waiting)

    assert asyncio.run(wait()) == list(range(32))
    assert woken == 1


def test_who_stops_waiting_undoes_nothing_and_disturbs_nobody() -> None:
    gone: Future[int] = Future()
    stays: Future[int] = Future()

    async def wait() -> int:
        waiting = asyncio.ensure_future(arrival(gone))
        other = asyncio.ensure_future(arrival(stays))
        await asyncio.sleep(0)
        waiting.cancel()
        gone.set_result(1)
        stays.set_result(2)
        assert await other == 2
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return gone.result()

    assert asyncio.run(wait()) == 1


def test_a_loop_that_has_ended_is_told_nothing() -> None:
    late: Future[int] = Future()

    async def leave() -> None:
        waiting = asyncio.ensure_future(arrival(late))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(leave())
    late.set_result(1)
    assert late.result() == 1


def test_one_that_cannot_take_its_result_keeps_it_from_nobody_else() -> None:
    futures: list[Future[int]] = [Future(), Future()]
    taken: list[int] = []
    told: list[object] = []

    def refuse(_done: "Future[int]") -> None:
        raise Refused

    async def wait() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context["exception"]))
        on_arrival(futures[0], refuse)
        on_arrival(futures[1], lambda done: taken.append(done.result()))
        for number, future in enumerate(futures):
            future.set_result(number)
        await asyncio.sleep(0.01)

    asyncio.run(wait())
    assert taken == [1]
    assert [type(each) for each in told] == [Refused]


def test_an_answer_that_was_told_is_kept_by_nothing() -> None:
    future: Future[str] = Future()
    answers: list[str] = []

    async def wait() -> "weakref.ref[Pending[int]]":
        pending = Pending(future, len)
        pending.tell(lambda answer: answers.append(str(answer())))
        future.set_result("four")
        await asyncio.sleep(0.01)
        return weakref.ref(pending)

    assert asyncio.run(wait())() is None
    assert answers == ["4"]
