"""A parcel that takes several commits: whoever waits for it hears how it ends, whatever happens in between."""

from concurrent.futures import Future
from typing import TypeVar

import pytest

from node.engine.work import Desk, Work
from node.engine.writer import Busy
from node.services.intake import IntakeWork
from node.services.surroundings import Taken
from tests.support.nodes import RESULT_SECONDS_MAX, Alliance, convert

_T = TypeVar("_T")


def test_a_parcel_whose_rest_finds_no_room_is_told_to_whoever_waits(
    two: Alliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, destination = two.pair
    two.talk()
    convert(source, destination)
    parcel, submit = source.exchange.reply(destination.ledger), destination.writer.submit
    asked: list[object] = []

    def only_once(work: Work[_T]) -> "Future[_T]":
        asked.append(work)
        if len(asked) > 1:
            raise Busy("too many requests are waiting to be written")
        return submit(work)

    def half(_self: IntakeWork, _desk: Desk) -> Taken:
        return Taken(applied=1, unfinished=True)

    monkeypatch.setattr(IntakeWork, "run", half)
    monkeypatch.setattr(destination.writer, "submit", only_once)
    sender, taken = destination.exchange.receive(parcel, posted=True)
    with pytest.raises(Busy):
        taken.result(RESULT_SECONDS_MAX)
    assert len(asked) == 2
    assert destination.exchange.peer(sender).posts == 0


def test_a_parcel_that_takes_two_commits_counts_what_both_have_applied(
    two: Alliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, destination = two.pair
    two.talk()
    convert(source, destination)
    steps = iter((Taken(applied=1, unfinished=True), Taken(applied=2)))

    def step(_self: IntakeWork, _desk: Desk) -> Taken:
        return next(steps)

    monkeypatch.setattr(IntakeWork, "run", step)
    _, taken = destination.exchange.receive(source.exchange.reply(destination.ledger), posted=True)
    assert taken.result(RESULT_SECONDS_MAX) == 3
