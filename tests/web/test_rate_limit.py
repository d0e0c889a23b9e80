"""The rate limit: a token bucket for each address."""

from redis_pulse.config import RateLimitConfig
from redis_pulse.web.rate_limit import MAX_ADDRESSES, RateLimiter
from tests.fakes import ManualClock

CONFIG = RateLimitConfig(interval=1.0, burst=3)


def test_burst_is_served_and_then_one_request_an_interval() -> None:
    clock = ManualClock()
    limiter = RateLimiter(clock)
    assert [limiter.permits("a", CONFIG) for _ in range(5)] == [True] * 3 + [False] * 2
    clock.advance(1.0)
    assert [limiter.permits("a", CONFIG) for _ in range(2)] == [True, False]
    clock.advance(100.0)
    assert [limiter.permits("a", CONFIG) for _ in range(4)] == [True] * 3 + [False]


def test_address_that_floods_does_not_affect_another_one() -> None:
    limiter = RateLimiter(ManualClock())
    while limiter.permits("attacker", CONFIG):
        pass
    assert limiter.permits("prometheus", CONFIG)


def test_interval_of_zero_is_no_limit() -> None:
    limiter = RateLimiter(ManualClock())
    assert all(limiter.permits("a", RateLimitConfig()) for _ in range(1000))


def test_number_of_remembered_addresses_is_limited() -> None:
    limiter = RateLimiter(ManualClock())
    for number in range(MAX_ADDRESSES + 100):
        limiter.permits(str(number), CONFIG)
    assert len(limiter._buckets) == MAX_ADDRESSES
