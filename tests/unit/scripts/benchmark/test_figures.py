"""How figures are taken: medians of rounds, percentiles of calls, calls that are due at a pace."""

import time
from pathlib import Path

import pytest

from scripts.benchmark.callers import Caller, at_a_pace, at_once
from scripts.benchmark.figures import Conditions, Round, conditions_at, percentile, timed

CONDITIONS = Conditions(cores=2, fdatasync_us=100.0)


@pytest.mark.parametrize(
    ("percent", "expected"),
    [(50, 5.0), (99, 10.0), (90, 9.0), (91, 10.0), (10, 1.0), (1, 1.0), (100, 10.0)],
)
def test_a_percentile_is_the_nearest_rank(percent: int, expected: float) -> None:
    assert percentile([float(each) for each in range(10, 0, -1)], percent) == expected
    assert percentile([7.0], percent) == 7.0


def test_a_figure_is_that_of_the_median_round() -> None:
    rounds = [
        Round(units=100, seconds=1.0, calls=(0.001,) * 100),
        Round(units=100, seconds=4.0, calls=(0.004,) * 100),
        Round(units=100, seconds=2.0, calls=(0.002,) * 99 + (0.009,)),
    ]
    found = CONDITIONS.figure("what", rounds, store="sqlite", batch=1, callers=3, offered=60)
    assert (found.per_second, found.p50_ms, found.p99_ms) == (50.0, 2.0, 2.0)
    assert (found.name, found.store, found.batch, found.callers, found.offered) == ("what", "sqlite", 1, 3, 60)
    assert (found.cores, found.durable, found.fdatasync_us) == (2, True, 100.0)
    assert found.loop_ms > 0


def test_units_are_counted_and_every_call_is_made_once() -> None:
    made: list[int] = []
    found = timed([lambda number=number: made.append(number) for number in range(5)], units=8)  # type: ignore[misc]
    assert (made, found.units, len(found.calls)) == (list(range(5)), 40, 5)
    assert 0 < sum(found.calls) <= found.seconds
    assert found.per_second == 40 / found.seconds


def test_callers_share_the_calls_and_each_has_its_number() -> None:
    callers = [Caller("http://127.0.0.1:1", "token") for _ in range(3)]
    made: list[tuple[int, int]] = []

    def call(caller: Caller, number: int) -> None:
        made.append((callers.index(caller), number))

    assert at_once(callers, call, each=4).units == 12
    assert sorted(made) == [(number // 4, number) for number in range(12)]
    made.clear()
    paced = at_a_pace(callers, call, count=7, per_second=1_000)
    assert sorted(number for _, number in made) == list(range(7))
    assert (paced.units, len(paced.calls)) == (7, 7)


def test_what_is_late_counts_from_when_it_was_due() -> None:
    (caller,) = [Caller("http://127.0.0.1:1", "token")]
    found = at_a_pace([caller], lambda _caller, _number: time.sleep(0.02), count=5, per_second=1_000)
    # Each is due a millisecond after the one before, and takes twenty.
    assert list(found.calls) == sorted(found.calls)
    assert found.calls[-1] > 0.09


def test_the_disk_is_measured_and_left_clean(tmp_path: Path) -> None:
    found = conditions_at(tmp_path)
    assert found.cores >= 1
    assert found.fdatasync_us > 0
    assert list(tmp_path.iterdir()) == []
