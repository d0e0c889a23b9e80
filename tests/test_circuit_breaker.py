"""The states of the circuit breaker, one rule per test. test_circuit_breaker_machine.py tests random sequences."""

from collections.abc import Callable, Iterator
from itertools import pairwise, repeat
from typing import Any

import pytest

from redis_pulse.circuit_breaker import STATES, Permit, State
from redis_pulse.config import BreakerSettings
from redis_pulse.errors import LoadingError
from tests.fakes import CountingBreaker, ManualClock

LOADING = LoadingError("LOADING")


def make_breaker(clock: ManualClock, jitter: Iterator[float] | None = None, **settings: Any) -> CountingBreaker:
    draws = jitter or repeat(0.0)
    return CountingBreaker(
        BreakerSettings.model_validate(settings), clock, on_change=lambda *_: None, jitter=lambda: next(draws)
    )


def acquire(breaker: CountingBreaker) -> Permit:
    permit = breaker.acquire()
    assert permit is not None
    return permit


def fail(breaker: CountingBreaker, times: int = 1) -> None:
    for _ in range(times):
        acquire(breaker).failure(LOADING)


def open_breaker(clock: ManualClock, **settings: Any) -> CountingBreaker:
    breaker = make_breaker(clock, **settings)
    fail(breaker, 5)
    assert breaker.state == "open"
    return breaker


def fail_permit(permit: Permit) -> None:
    permit.failure(LOADING)


def test_new_breaker_is_closed_and_permits_all_calls() -> None:
    breaker = make_breaker(ManualClock())
    for _ in range(100):
        acquire(breaker).success()
    assert (breaker.state, breaker.permitted, breaker.rejected) == ("closed", 100, 0)
    assert breaker.seconds_until_attempt() == breaker.seconds_not_closed() == 0


def test_consecutive_failures_open_breaker() -> None:
    breaker = make_breaker(ManualClock())
    fail(breaker, 4)
    assert breaker.state == "closed"
    fail(breaker)
    assert breaker.state == "open"


def test_success_resets_consecutive_failures() -> None:
    breaker = make_breaker(ManualClock())
    fail(breaker, 4)
    acquire(breaker).success()
    fail(breaker, 4)
    assert breaker.state == "closed"


def test_cancelled_call_keeps_consecutive_failures() -> None:
    breaker = make_breaker(ManualClock())
    fail(breaker, 4)
    acquire(breaker).release()
    assert breaker.state == "closed"
    fail(breaker)
    assert breaker.state == "open"


def test_failure_of_every_second_call_opens_breaker() -> None:
    """A target that never has five consecutive failures can still be broken."""
    breaker = make_breaker(ManualClock())
    for _ in range(10):
        assert breaker.state == "closed"
        fail(breaker)
        acquire(breaker).success()
    assert breaker.state == "closed", "only a failure opens the breaker"
    fail(breaker)
    assert breaker.state == "open"


def test_failure_ratio_needs_minimum_calls() -> None:
    breaker = make_breaker(ManualClock(), failure_threshold=100)
    fail(breaker, 19)
    assert breaker.state == "closed"
    fail(breaker)
    assert breaker.state == "open"


def test_failures_older_than_window_are_forgotten() -> None:
    clock = ManualClock()
    breaker = make_breaker(clock, failure_threshold=100)
    fail(breaker, 19)
    clock.advance(61)
    fail(breaker, 19)
    assert breaker.state == "closed"


def test_failures_within_window_are_counted() -> None:
    clock = ManualClock()
    breaker = make_breaker(clock, failure_threshold=100)
    fail(breaker, 19)
    clock.advance(54)
    fail(breaker)
    assert breaker.state == "open"


def test_window_has_fixed_size_under_many_calls() -> None:
    """The window is a ring of fixed size."""
    clock = ManualClock()
    breaker = make_breaker(clock)
    for _ in range(20_000):
        acquire(breaker).success()
        clock.advance(0.01)
    assert len(breaker._window._parts) == 12
    assert 5_500 <= breaker._window.calls <= 6_000


def test_open_breaker_permits_nothing_until_open_time_ends() -> None:
    clock = ManualClock()
    breaker = open_breaker(clock)
    assert breaker.seconds_until_attempt() == 5
    clock.advance(4.9)
    assert breaker.acquire() is None
    assert breaker.seconds_until_attempt() == pytest.approx(0.1)
    clock.advance(0.2)
    assert breaker.seconds_until_attempt() == 0
    assert (breaker.state, breaker.rejected) == ("open", 1), "a call changes the state, time alone does not"
    acquire(breaker)
    assert breaker.state == "half_open"


def test_half_open_breaker_permits_one_trial_at_a_time() -> None:
    clock = ManualClock()
    breaker = open_breaker(clock)
    clock.advance(5)
    trial = acquire(breaker)
    assert breaker.acquire() is None
    clock.advance(3600)
    assert breaker.acquire() is None, "the trial has no verdict yet"
    trial.success()
    assert breaker.state == "closed"
    acquire(breaker)


def test_cancelled_trial_allows_another_trial() -> None:
    clock = ManualClock()
    breaker = open_breaker(clock)
    clock.advance(5)
    acquire(breaker).release()
    assert breaker.state == "half_open"
    acquire(breaker).success()
    assert breaker.state == "closed"


def test_failed_trial_opens_breaker_for_longer() -> None:
    """The bound doubles up to ``open_interval_max``. The jitter draws between ``open_interval`` and the bound."""
    clock = ManualClock()
    breaker = make_breaker(clock, repeat(0.999999))
    fail(breaker, 5)
    times = []
    for _ in range(6):
        times.append(breaker.seconds_until_attempt())
        clock.advance(times[-1])
        fail(breaker)
    assert times == pytest.approx([5, 10, 20, 40, 60, 60], rel=1e-4)


def test_jitter_never_shortens_first_open_time() -> None:
    clock = ManualClock()
    breaker = make_breaker(clock, iter([0.0, 0.0, 0.5]))
    fail(breaker, 5)
    times = []
    for _ in range(2):
        clock.advance(breaker.seconds_until_attempt())
        fail(breaker)
        times.append(breaker.seconds_until_attempt())
    assert times == [5, 12.5]


def test_short_recovery_keeps_open_time_growing() -> None:
    """A flapping target receives fewer and fewer calls, although each trial succeeds."""
    clock = ManualClock()
    breaker = make_breaker(clock, repeat(0.999999))
    times = []
    for _ in range(3):
        fail(breaker, 5)
        times.append(breaker.seconds_until_attempt())
        clock.advance(times[-1])
        acquire(breaker).success()
        clock.advance(times[-1] - 0.1)
    assert times == pytest.approx([5, 10, 20], rel=1e-4)


def test_stable_close_resets_open_time() -> None:
    clock = ManualClock()
    breaker = make_breaker(clock, repeat(0.999999))
    fail(breaker, 5)
    clock.advance(5)
    fail(breaker)
    clock.advance(10)
    acquire(breaker).success()
    clock.advance(10)
    fail(breaker, 5)
    assert breaker.seconds_until_attempt() == 5


def test_close_forgets_earlier_failures() -> None:
    clock = ManualClock()
    breaker = open_breaker(clock, minimum_calls=5)
    clock.advance(5)
    acquire(breaker).success()
    fail(breaker, 4)
    assert breaker.state == "closed"


def test_equal_open_intervals_keep_open_time_constant() -> None:
    """``open_interval_max`` may equal ``open_interval``. The breaker must not wait a negative time then."""
    clock = ManualClock()
    breaker = open_breaker(clock, open_interval=5, open_interval_max=5)
    clock.advance(5)
    fail(breaker)
    assert breaker.seconds_until_attempt() == 5


@pytest.mark.parametrize("verdict", [Permit.success, fail_permit, Permit.release])
def test_late_verdict_is_ignored_while_open(verdict: Callable[[Permit], None]) -> None:
    clock = ManualClock()
    breaker = make_breaker(clock)
    late = acquire(breaker)
    fail(breaker, 5)
    clock.advance(2)
    verdict(late)
    assert (breaker.state, breaker.seconds_until_attempt()) == ("open", 3)


@pytest.mark.parametrize("verdict", [Permit.success, fail_permit, Permit.release])
def test_late_verdict_is_not_verdict_of_trial(verdict: Callable[[Permit], None]) -> None:
    clock = ManualClock()
    breaker = make_breaker(clock)
    late = acquire(breaker)
    fail(breaker, 5)
    clock.advance(5)
    trial = acquire(breaker)
    verdict(late)
    assert breaker.state == "half_open"
    assert breaker.acquire() is None, "the trial still has no verdict"
    trial.success()
    assert breaker.state == "closed"


def test_late_failures_do_not_open_closed_breaker() -> None:
    """When the server hangs, ten calls may be in flight. Their timeouts arrive after a quick recovery."""
    clock = ManualClock()
    breaker = make_breaker(clock)
    late = [acquire(breaker) for _ in range(10)]
    fail(breaker, 5)
    clock.advance(5)
    acquire(breaker).success()
    for permit in late:
        permit.failure(LOADING)
    assert breaker.state == "closed"
    assert (breaker.failures, breaker.successes, breaker.outstanding) == (15, 1, 0), "late verdicts are counted too"


def test_second_verdict_of_permit_is_ignored() -> None:
    clock = ManualClock()
    breaker = open_breaker(clock)
    clock.advance(5)
    trial = acquire(breaker)
    trial.failure(LOADING)
    trial.success()
    trial.release()
    assert (breaker.state, breaker.failures, breaker.successes, breaker.releases) == ("open", 6, 0, 0)


def test_seconds_not_closed_count_open_and_half_open() -> None:
    clock = ManualClock()
    breaker = open_breaker(clock)
    clock.advance(7)
    trial = acquire(breaker)
    clock.advance(1)
    assert breaker.seconds_not_closed() == 8
    trial.success()
    clock.advance(100)
    assert breaker.seconds_not_closed() == 8
    fail(breaker, 5)
    clock.advance(2)
    assert breaker.seconds_not_closed() == 10


def test_every_change_is_reported_once_and_in_order() -> None:
    changes: list[tuple[State, State]] = []
    clock = ManualClock()
    breaker = CountingBreaker(
        BreakerSettings(), clock, jitter=lambda: 0.0, on_change=lambda old, new: changes.append((old, new))
    )
    fail(breaker, 5)
    clock.advance(5)
    fail(breaker)
    clock.advance(5)
    acquire(breaker).success()
    states = [changes[0][0], *(new for _, new in changes)]
    assert states == ["closed", "open", "half_open", "open", "half_open", "closed"]
    assert all(before[1] == after[0] for before, after in pairwise(changes))
    assert {state for change in changes for state in change} == set(STATES)


def test_failing_listener_leaves_breaker_consistent() -> None:
    """Otherwise the permit of the trial could be lost, and the breaker would never close."""
    clock = ManualClock()
    failing = [True]

    def listener(old: State, new: State) -> None:
        if failing:
            raise RuntimeError(f"{old} {new}")

    breaker = CountingBreaker(BreakerSettings(failure_threshold=1), clock, on_change=listener)
    with pytest.raises(RuntimeError, match="closed open"):
        fail(breaker)
    clock.advance(5)
    with pytest.raises(RuntimeError, match="open half_open"):
        breaker.acquire()
    failing.clear()
    acquire(breaker).success()
    assert (breaker.state, breaker.permitted, breaker.rejected) == ("closed", 2, 0)


def test_listener_sees_complete_new_state() -> None:
    seen: list[tuple[State, float]] = []
    breaker: CountingBreaker = CountingBreaker(
        BreakerSettings(),
        ManualClock(),
        on_change=lambda *_: seen.append((breaker.state, breaker.seconds_until_attempt())),
    )
    fail(breaker, 5)
    assert seen == [("open", 5)]
