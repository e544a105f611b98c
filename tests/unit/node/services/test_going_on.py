"""The next parcel goes out while the answer to the last one is being written, and nothing is said twice for it."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar, cast

import pytest

from node.engine.work import Work
from node.engine.writer import Busy
from node.services.channel.intake import IntakeWork
from node.services.channel.peer import TAKINGS_MAX
from node.services.channel.remembered import REMEMBERED_SECONDS
from node.store.rows import PartnerUrl
from protocol.conversion import SourceState
from protocol.envelope import Parcel, decode_parcel
from protocol.identifiers import Id
from protocol.messages import kind_in
from tests.support.nodes import RESULT_SECONDS_MAX, Alliance, LocalNode, convert

_T = TypeVar("_T")
Held = list[tuple[IntakeWork, "Future[object]"]]


def holding(node: LocalNode, monkeypatch: pytest.MonkeyPatch) -> tuple[Held, Callable[[], None]]:
    """Let a node's writer take in no parcel until it is let go; return what waits, and what lets it go."""
    submit, held = node.writer.submit, Held()

    def hold(work: Work[_T]) -> "Future[_T]":
        if not isinstance(work, IntakeWork):
            return submit(work)
        future: Future[object] = Future()
        held.append((work, future))
        return cast("Future[_T]", future)

    def let_go() -> None:
        monkeypatch.setattr(node.writer, "submit", submit)
        for work, future in held:
            future.set_result(submit(work).result(RESULT_SECONDS_MAX))

    monkeypatch.setattr(node.writer, "submit", hold)
    return held, let_go


def wait_for(held: Held, count: int) -> None:
    end = time.monotonic() + RESULT_SECONDS_MAX
    while len(held) < count:
        assert time.monotonic() < end, "no answer has come"
        time.sleep(0.01)


def answers(two: Alliance, monkeypatch: pytest.MonkeyPatch) -> list[Parcel]:
    """Return a list that grows by each answer on the network."""
    exchange, seen = two.network.exchange, list[Parcel]()

    def look(url: str, parcel: bytes) -> bytes:
        answer = exchange(url, parcel)
        seen.append(decode_parcel(answer))
        return answer

    for node in two.nodes:
        monkeypatch.setattr(node.exchange, "_transport", type("Seen", (), {"exchange": staticmethod(look)}))
    return seen


def kinds(parcel: Parcel) -> list[str]:
    return [kind_in(body) for body in parcel.bodies]


def check_captured(two: Alliance, conversions: list[Id]) -> None:
    source, _ = two.pair
    assert [source.outgoing(each).state for each in conversions] == [SourceState.CAPTURED] * len(conversions)
    for node in two.nodes:
        assert node.reader.outbox_partners() == []
        node.replay()


def test_the_next_parcel_goes_out_while_the_last_answer_is_written(
    two: Alliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, destination = two.pair
    two.talk()
    seen = answers(two, monkeypatch)
    held, let_go = holding(source, monkeypatch)
    made: list[Id] = []
    with ThreadPoolExecutor(TAKINGS_MAX) as pool:
        try:
            for number in range(TAKINGS_MAX):
                made.append(convert(source, destination, name=f"going on {number}"))
                pool.submit(source.deliver_due)
                wait_for(held, number + 1)
            made.append(convert(source, destination, name="one more"))
            # Two answers wait to be written: the third parcel waits with them, and grows.
            end = time.monotonic() + RESULT_SECONDS_MAX
            while source.exchange.peer(destination.ledger).takings < TAKINGS_MAX:
                assert time.monotonic() < end
                time.sleep(0.01)
            assert source.exchange.due(source.clock.monotonic()) == []
        finally:
            let_go()
    assert [kinds(parcel) for parcel in seen] == [["fulfil"]] * TAKINGS_MAX
    assert len({parcel.header.first_seq for parcel in seen}) == TAKINGS_MAX
    two.talk()
    check_captured(two, made)


def test_an_answer_that_was_lost_is_given_again_at_once(two: Alliance, monkeypatch: pytest.MonkeyPatch) -> None:
    two.talk()
    made = [convert(*two.pair, name="lost")]
    two.network.lost_answers = 1
    two.step()
    seen = answers(two, monkeypatch)
    made.append(convert(*two.pair, name="after it"))
    two.talk(0.5)
    assert kinds(seen[0]) == ["fulfil", "fulfil"]
    check_captured(two, made)


def test_an_answer_that_finds_no_room_is_given_again_after_a_while(
    two: Alliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, destination = two.pair
    two.talk()
    made = [convert(source, destination, name="no room")]
    submit = source.writer.submit

    def full(work: Work[_T]) -> "Future[_T]":
        if isinstance(work, IntakeWork):
            raise Busy("too many requests are waiting to be written")
        return submit(work)

    with monkeypatch.context() as patched:
        patched.setattr(source.writer, "submit", full)
        assert source.deliver_due() == 1
    seen = answers(two, monkeypatch)
    made.append(convert(source, destination, name="after no room"))
    two.talk()
    # The source had the answer and let it fall: it comes again once nothing has moved for a while.
    assert ["fulfil", "fulfil"] in [kinds(parcel) for parcel in seen]
    check_captured(two, made)


def test_an_address_counts_at_once(two: Alliance) -> None:
    source, destination = two.pair
    two.talk()
    source.do(writes=[PartnerUrl(destination.ledger, "https://nobody.example")])
    convert(source, destination)
    two.step()
    assert two.network.requests[-1][0] == "https://nobody.example"


def test_what_another_process_has_written_counts_after_a_while(two: Alliance, monkeypatch: pytest.MonkeyPatch) -> None:
    source, destination = two.pair
    two.talk()
    convert(source, destination)
    two.step()
    moved = {destination.ledger: "https://moved.example"}
    monkeypatch.setattr(source.reader, "partner_urls", lambda: moved)
    convert(source, destination, name="before it is noticed")
    two.step()
    assert "https://moved.example" not in [url for url, _ in two.network.requests]
    two.clock.advance(REMEMBERED_SECONDS)
    convert(source, destination, name="after it is noticed")
    two.step()
    assert "https://moved.example" in [url for url, _ in two.network.requests]
