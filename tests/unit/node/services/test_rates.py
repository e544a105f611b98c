"""Token buckets: a minute's requests at once, then steadily; and no more of them than memory has room for."""

import pytest

from node.config import RATED, STRANGER
from node.services.access.credentials import Caller, CallerRole
from node.services.access.rates import BUCKETS_MAX, PER_MINUTE, RateLimited, RateLimiter
from tests.support.nodes import FakeClock

BACKEND = Caller("0a1b2c3d", CallerRole.BACKEND)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def limiter(clock: FakeClock) -> RateLimiter:
    return RateLimiter(clock, per_minute={CallerRole.BACKEND: 60}, stranger_per_minute=3)


def passed(limiter: RateLimiter, caller: Caller, tries: int) -> int:
    done = 0
    for _ in range(tries):
        try:
            limiter.count(caller)
            done += 1
        except RateLimited:
            pass
    return done


def test_a_minutes_requests_may_come_at_once_and_then_steadily(clock: FakeClock, limiter: RateLimiter) -> None:
    assert passed(limiter, BACKEND, 100) == 60
    clock.advance(5)
    assert passed(limiter, BACKEND, 100) == 5
    clock.advance(3_600)
    assert passed(limiter, BACKEND, 100) == 60


def test_it_is_told_when_to_come_back(clock: FakeClock, limiter: RateLimiter) -> None:
    slow = Caller("4e5f6071", CallerRole.BACKEND, per_minute=4)
    assert passed(limiter, slow, 9) == 4
    with pytest.raises(RateLimited) as caught:
        limiter.count(slow)
    assert (caught.value.code, caught.value.per_minute, caught.value.retry_after) == ("rate_limited", 4, 15)
    clock.advance(14.9)
    assert passed(limiter, slow, 1) == 0
    clock.advance(0.2)
    assert passed(limiter, slow, 1) == 1


def test_each_credential_has_its_own(limiter: RateLimiter) -> None:
    assert passed(limiter, BACKEND, 60) == 60
    assert passed(limiter, Caller("4e5f6071", CallerRole.BACKEND), 60) == 60
    assert passed(limiter, Caller(BACKEND.id, CallerRole.AUDITOR), 60) == 60


def test_an_address_that_guesses_is_held_up(clock: FakeClock, limiter: RateLimiter) -> None:
    for _ in range(3):
        limiter.check_stranger("192.0.2.1")
        limiter.count_stranger("192.0.2.1")
    for refused in (limiter.check_stranger, limiter.count_stranger):
        with pytest.raises(RateLimited):
            refused("192.0.2.1")
    limiter.check_stranger("192.0.2.2")
    clock.advance(20)
    limiter.check_stranger("192.0.2.1")


def test_asking_under_many_names_takes_no_more_memory(limiter: RateLimiter) -> None:
    for number in range(BUCKETS_MAX + 100):
        limiter.count_stranger(f"address {number}")
    assert len(limiter._buckets) == BUCKETS_MAX
    limiter.check_stranger("address 0")


def test_every_role_has_a_rate_and_can_be_given_another() -> None:
    assert set(PER_MINUTE) == set(CallerRole)
    assert set(RATED) == {role.value for role in CallerRole} | {STRANGER}
