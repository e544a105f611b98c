"""The clock guard: drift is followed, a jump stops everything until a person has looked."""

import pytest

from node.engine.clock import JUMP_SECONDS_MAX, ClockGuard
from protocol.errors import Code, Refusal
from tests.support.nodes import FakeClock


def test_time_that_passes_is_no_jump_however_long() -> None:
    clock = FakeClock()
    guard = ClockGuard(clock)
    clock.advance(90 * 86_400)
    assert guard.read() == clock.now()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_jump_up_to_the_bound_is_followed(sign: int) -> None:
    clock = FakeClock()
    guard = ClockGuard(clock)
    for _ in range(3):
        clock.jump(sign * JUMP_SECONDS_MAX)
        clock.advance(1)
        assert guard.read() == clock.now()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_greater_jump_stops_the_clock_until_it_is_confirmed(sign: int) -> None:
    clock = FakeClock()
    guard = ClockGuard(clock)
    clock.jump(sign * (JUMP_SECONDS_MAX + 0.000001))
    for _ in range(2):
        with pytest.raises(Refusal) as caught:
            guard.read()
        assert caught.value.code == Code.CLOCK
    assert guard.stopped
    guard.confirm()
    assert not guard.stopped
    assert guard.read() == clock.now()


def test_a_clock_that_jumps_back_by_itself_waits_for_a_person_too() -> None:
    clock = FakeClock()
    guard = ClockGuard(clock)
    clock.jump(86_400)
    with pytest.raises(Refusal):
        guard.read()
    clock.jump(-86_400)
    with pytest.raises(Refusal):
        guard.read()
