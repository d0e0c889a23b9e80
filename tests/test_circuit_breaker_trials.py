"""Slow calls, forced states, rejections, and pings as trials of the circuit breaker."""

from typing import Any

import pytest

from redis_pulse.circuit_breaker import Permit, State
from redis_pulse.config import BreakerSettings
from redis_pulse.errors import LoadingError, OperationTimeoutError
from tests.fakes import CountingBreaker, ManualClock
from tests.test_circuit_breaker import acquire, fail, make_breaker, open_breaker

LOADING = LoadingError("LOADING")


def test_slow_calls_open_breaker_by_ratio() -> None:
    clock = ManualClock()
    breaker = make_breaker(clock, slow_call_duration=0.5, slow_call_ratio=0.5, minimum_calls=4)
    for seconds in (0.1, 0.1, 1.0, 1.0):
        assert breaker.state == "closed"
        permit = acquire(breaker)
        clock.advance(seconds)
        permit.success()
    assert breaker.state == "open"


def test_call_is_never_slow_without_limit() -> None:
    clock = ManualClock()
    breaker = make_breaker(clock, minimum_calls=1)
    permit = acquire(breaker)
    clock.advance(1000)
    permit.success()
    assert breaker.state == "closed"


def test_slow_trial_opens_breaker_again() -> None:
    clock = ManualClock()
    breaker = open_breaker(clock, slow_call_duration=0.5)
    clock.advance(breaker.seconds_until_attempt())
    permit = acquire(breaker)
    clock.advance(0.6)
    permit.success()
    assert breaker.state == "open"


def test_slow_calls_older_than_window_are_forgotten() -> None:
    """One call in ten is slow, and half of them may be. Slow calls must not add up until the breaker opens."""
    clock = ManualClock()
    breaker = make_breaker(clock, slow_call_duration=0.1, slow_call_ratio=0.5)
    for number in range(3000):
        permit = acquire(breaker)
        clock.advance(0.2 if number % 10 == 0 else 0.01)
        permit.success()
        clock.advance(1)
        assert breaker.state == "closed", number
        assert 0 <= breaker._window.slow <= breaker._window.calls


def test_breaker_forced_open_rejects_all_calls() -> None:
    clock = ManualClock()
    breaker = make_breaker(clock, force="open")
    clock.advance(1e9)
    assert breaker.acquire() is None
    assert breaker.state == "open"
    assert breaker.seconds_until_attempt() == float("inf")
    assert breaker.seconds_not_closed() == 1e9


def test_breaker_forced_closed_permits_all_calls() -> None:
    breaker = make_breaker(ManualClock(), force="closed")
    fail(breaker, 100)
    assert breaker.state == "closed"
    assert breaker.failures == 100


def test_breaker_forced_open_rejects_all_pings() -> None:
    breaker = make_breaker(ManualClock(), force="open")
    assert breaker.acquire_probe(1e9) is None


def test_rejection_error_is_copy_of_cause() -> None:
    breaker = make_breaker(ManualClock())
    fail(breaker, 4)
    acquire(breaker).failure(OperationTimeoutError("no answer in time"))
    first, second = breaker.rejection_error(), breaker.rejection_error()
    assert (type(first), str(first)) == (OperationTimeoutError, "no answer in time")
    assert first is not second, "each raised exception needs its own traceback"


@pytest.mark.parametrize(
    ("settings", "text"),
    [({"force": "open"}, "forced open"), ({"slow_call_duration": 0.5, "minimum_calls": 1}, "slow")],
)
def test_rejection_without_cause_is_rejected_error(settings: dict[str, Any], text: str) -> None:
    clock = ManualClock()
    breaker = make_breaker(clock, **settings)
    if breaker.state == "closed":
        slow = acquire(breaker)
        clock.advance(1)
        slow.success()
    assert breaker.acquire() is None
    assert breaker.rejection_error().reason == "rejected"
    assert text in str(breaker.rejection_error())


def ping(breaker: CountingBreaker, clock: ManualClock) -> Permit:
    permit = breaker.acquire_probe(clock())
    assert permit is not None
    return permit


def test_open_breaker_permits_one_ping_per_trial_interval() -> None:
    clock = ManualClock()
    breaker = open_breaker(clock)
    permitted = []
    for _ in range(40):
        permitted.append(breaker.acquire_probe(clock()) is not None)
        clock.advance(0.25)
    assert permitted == [True, False, False, False] * 10
    assert breaker.acquire() is not None, "heavy work has a separate open time"


def test_slightly_early_ping_is_permitted() -> None:
    """Due times are sums of floats: 1000.1 + 1.0 is slightly less than 1001.1."""
    breaker = open_breaker(ManualClock())
    assert all(breaker.acquire_probe(1000.1 + number * 0.99999) is not None for number in range(30))


def test_successful_ping_closes_breaker_at_once() -> None:
    clock = ManualClock()
    changes: list[tuple[State, State]] = []
    breaker = CountingBreaker(BreakerSettings(), clock, on_change=lambda *change: changes.append(change))
    fail(breaker, 5)
    ping(breaker, clock).success()
    assert changes == [("closed", "open"), ("open", "closed")]
    acquire(breaker)


def test_failed_trial_ping_keeps_open_time() -> None:
    clock = ManualClock()
    breaker = open_breaker(clock)
    for _ in range(4):
        ping(breaker, clock).failure(LOADING)
        clock.advance(1)
    assert (breaker.state, breaker.seconds_until_attempt()) == ("open", 1)


def test_successful_trial_ping_closes_breaker_during_heavy_trial() -> None:
    """The verdict of the heavy trial belongs to an earlier generation."""
    clock = ManualClock()
    breaker = open_breaker(clock)
    clock.advance(5)
    trial = acquire(breaker)
    ping(breaker, clock).success()
    assert breaker.state == "closed"
    trial.failure(LOADING)
    assert breaker.state == "closed"
    acquire(breaker).success()


def test_trial_ping_counts_after_failed_heavy_trial() -> None:
    clock = ManualClock()
    breaker = open_breaker(clock)
    clock.advance(5)
    trial = ping(breaker, clock)
    fail(breaker)
    assert breaker.state == "open"
    trial.success()
    assert breaker.state == "closed"


def test_trial_ping_of_earlier_outage_is_ignored() -> None:
    clock = ManualClock()
    breaker = open_breaker(clock)
    late = ping(breaker, clock)
    clock.advance(1)
    ping(breaker, clock).success()
    fail(breaker, 5)
    late.success()
    assert breaker.state == "open"


def test_slow_trial_ping_does_not_close_breaker() -> None:
    clock = ManualClock()
    breaker = open_breaker(clock, slow_call_duration=0.5)
    slow = ping(breaker, clock)
    clock.advance(0.6)
    slow.success()
    assert breaker.state == "open"


def test_successful_poll_does_not_close_breaker_while_pings_fail() -> None:
    """A server that loads its dataset replies to INFO and refuses PING. The breaker must not alternate."""
    clock = ManualClock()
    breaker = open_breaker(clock)
    ping(breaker, clock).failure(LOADING)
    clock.advance(5)
    acquire(breaker).success()
    assert breaker.state == "open"
    assert breaker.seconds_until_attempt() >= 5
    assert breaker.rejection_error().reason == "loading"
    ping(breaker, clock).success()
    assert breaker.state == "closed"
