"""Entry times strictly increase, whatever the wall clock does."""

from datetime import datetime

import pytest

from node.engine.times import EntryTimes
from tests.support.documents import NOW


@pytest.mark.parametrize(
    ("last", "first"),
    [
        pytest.param("", "2026-03-01T12:00:00.000000Z", id="an empty log"),
        pytest.param("2026-03-01T11:59:59.999999Z", "2026-03-01T12:00:00.000000Z", id="a clock that runs"),
        pytest.param("2026-03-01T12:00:00.000000Z", "2026-03-01T12:00:00.000001Z", id="a clock that stands"),
        pytest.param("2026-03-01T23:59:59.999999Z", "2026-03-02T00:00:00.000000Z", id="a clock that went back"),
    ],
)
def test_the_first_time_is_the_wall_time_or_just_after_the_last_entry(last: str, first: str) -> None:
    times = EntryTimes(now=datetime.fromisoformat(NOW), last=last)
    assert times.peek() == first


def test_a_zone_is_only_a_way_of_writing() -> None:
    times = EntryTimes(now=datetime.fromisoformat("2026-03-02T01:00:00+13:00"), last="")
    assert times.peek() == NOW


def test_each_entry_takes_its_own_microsecond() -> None:
    times = EntryTimes(now=datetime.fromisoformat(NOW), last="")
    taken = []
    for _ in range(3):
        taken.append(times.peek())
        times.advance()
    assert taken == [f"2026-03-01T12:00:00.00000{number}Z" for number in range(3)]


def test_what_must_be_later_than_a_time_of_the_past_takes_the_wall_time() -> None:
    times = EntryTimes(now=datetime.fromisoformat(NOW), last="")
    times.pass_by("2026-03-01T11:59:59.999999Z")
    assert times.peek() == NOW


def test_what_follows_a_time_ahead_goes_on_from_there() -> None:
    times = EntryTimes(now=datetime.fromisoformat(NOW), last="")
    times.pass_by("2026-03-01T12:05:00.999998Z")
    assert times.peek() == "2026-03-01T12:05:00.999999Z"
    times.advance()
    assert times.peek() == "2026-03-01T12:05:01.000000Z"
