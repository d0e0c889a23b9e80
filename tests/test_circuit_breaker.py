"""The breaker, one rule a test; tests/test_circuit_breaker_machine.py looks for sequences that nobody thought of."""

from collections.abc import Callable, Iterator
from itertools import pairwise, repeat
from typing import Any

import pytest

from redis_pulse.backoff import Backoff
from redis_pulse.circuit_breaker import STATES, CircuitBreaker, Permit, State
from redis_pulse.config import BreakerSettings
from redis_pulse.errors import LoadingError, OperationTimeoutError
from tests.fakes import ManualClock

LOADING = LoadingError("LOADING")


def breaker(clock: ManualClock, jitter: Iterator[float] | None = None, **settings: Any) -> CircuitBreaker:
    draws = jitter or repeat(0.0)
    return CircuitBreaker(
        BreakerSettings.model_validate(settings), clock, on_change=lambda *_: None, jitter=lambda: next(draws)
    )


def allowed(tried: CircuitBreaker) -> Permit:
    permit = tried.acquire()
    assert permit is not None
    return permit


def fail(tried: CircuitBreaker, times: int = 1) -> None:
    for _ in range(times):
        allowed(tried).failure(LOADING)


def fail_permit(permit: Permit) -> None:
    permit.failure(LOADING)


def opened(clock: ManualClock, **settings: Any) -> CircuitBreaker:
    tried = breaker(clock, **settings)
    fail(tried, 5)
    assert tried.state == "open"
    return tried


def test_it_starts_closed_and_lets_everything_through() -> None:
    tried = breaker(ManualClock())
    for _ in range(100):
        allowed(tried).success()
    assert (tried.state, tried.permitted, tried.rejected) == ("closed", 100, 0)
    assert tried.seconds_until_attempt() == tried.seconds_not_closed() == 0


def test_failures_in_a_row_open_it() -> None:
    tried = breaker(ManualClock())
    fail(tried, 4)
    assert tried.state == "closed"
    fail(tried)
    assert tried.state == "open"


def test_a_success_between_ends_the_row() -> None:
    tried = breaker(ManualClock())
    fail(tried, 4)
    allowed(tried).success()
    fail(tried, 4)
    assert tried.state == "closed"


def test_a_cancelled_call_neither_ends_the_row_nor_adds_to_it() -> None:
    tried = breaker(ManualClock())
    fail(tried, 4)
    allowed(tried).release()
    assert tried.state == "closed"
    fail(tried)
    assert tried.state == "open"


def test_every_second_call_failing_opens_it_by_the_ratio() -> None:
    """A target that never fails five times in a row can still be broken."""
    tried = breaker(ManualClock())
    for _ in range(10):
        assert tried.state == "closed"
        fail(tried)
        allowed(tried).success()
    assert tried.state == "closed", "only a failure opens"
    fail(tried)
    assert tried.state == "open"


def test_the_ratio_needs_its_least_number_of_calls() -> None:
    tried = breaker(ManualClock(), failure_threshold=100)
    fail(tried, 19)
    assert tried.state == "closed"
    fail(tried)
    assert tried.state == "open"


def test_the_ratio_forgets_what_is_older_than_its_window() -> None:
    clock = ManualClock()
    tried = breaker(clock, failure_threshold=100)
    fail(tried, 19)
    clock.advance(61)
    fail(tried, 19)
    assert tried.state == "closed"


def test_the_ratio_still_knows_what_is_younger_than_its_window() -> None:
    clock = ManualClock()
    tried = breaker(clock, failure_threshold=100)
    fail(tried, 19)
    clock.advance(54)
    fail(tried)
    assert tried.state == "open"


def test_a_hundred_calls_a_second_cost_no_memory() -> None:
    """The window is a ring of fixed size, however long and fast the calls come."""
    clock = ManualClock()
    tried = breaker(clock)
    for _ in range(20_000):
        allowed(tried).success()
        clock.advance(0.01)
    assert len(tried._window._parts) == 12
    assert 5_500 <= tried._window.calls <= 6_000


def test_an_open_breaker_touches_nothing_until_its_time_is_over() -> None:
    clock = ManualClock()
    tried = opened(clock)
    assert tried.seconds_until_attempt() == 5
    clock.advance(4.9)
    assert tried.acquire() is None
    assert tried.seconds_until_attempt() == pytest.approx(0.1)
    clock.advance(0.2)
    assert tried.seconds_until_attempt() == 0
    assert (tried.state, tried.rejected) == ("open", 1), "time alone changes nothing: a call does"
    allowed(tried)
    assert tried.state == "half_open"


def test_half_open_lets_one_trial_through_at_a_time() -> None:
    clock = ManualClock()
    tried = opened(clock)
    clock.advance(5)
    trial = allowed(tried)
    assert tried.acquire() is None
    clock.advance(3600)
    assert tried.acquire() is None, "the trial has no verdict yet"
    trial.success()
    assert tried.state == "closed"
    allowed(tried)


def test_a_cancelled_trial_gives_its_permit_back() -> None:
    clock = ManualClock()
    tried = opened(clock)
    clock.advance(5)
    allowed(tried).release()
    assert tried.state == "half_open"
    allowed(tried).success()
    assert tried.state == "closed"


def test_a_failed_trial_opens_it_again_for_longer() -> None:
    """The bound doubles up to open_interval_max; the jitter draws between open_interval and the bound."""
    clock = ManualClock()
    tried = breaker(clock, repeat(0.999999))
    fail(tried, 5)
    times = []
    for _ in range(6):
        times.append(tried.seconds_until_attempt())
        clock.advance(times[-1])
        fail(tried)
    assert times == pytest.approx([5, 10, 20, 40, 60, 60], rel=1e-4)


def test_jitter_never_shortens_the_open_time_below_its_first_length() -> None:
    clock = ManualClock()
    tried = breaker(clock, iter([0.0, 0.0, 0.5]))
    fail(tried, 5)
    times = []
    for _ in range(2):
        clock.advance(tried.seconds_until_attempt())
        fail(tried)
        times.append(tried.seconds_until_attempt())
    assert times == [5, 12.5]


def test_a_short_recovery_does_not_forget_how_bad_it_was() -> None:
    """A flapping target is asked ever less often, although each trial succeeds."""
    clock = ManualClock()
    tried = breaker(clock, repeat(0.999999))
    times = []
    for _ in range(3):
        fail(tried, 5)
        times.append(tried.seconds_until_attempt())
        clock.advance(times[-1])
        allowed(tried).success()
        clock.advance(times[-1] - 0.1)
    assert times == pytest.approx([5, 10, 20], rel=1e-4)


def test_a_stable_close_starts_again_with_the_first_open_time() -> None:
    clock = ManualClock()
    tried = breaker(clock, repeat(0.999999))
    fail(tried, 5)
    clock.advance(5)
    fail(tried)
    clock.advance(10)
    allowed(tried).success()
    clock.advance(10)
    fail(tried, 5)
    assert tried.seconds_until_attempt() == 5


def test_closing_forgets_the_failures_of_before() -> None:
    clock = ManualClock()
    tried = opened(clock, minimum_calls=5)
    clock.advance(5)
    allowed(tried).success()
    fail(tried, 4)
    assert tried.state == "closed"


@pytest.mark.parametrize("verdict", [Permit.success, fail_permit, Permit.release])
def test_a_verdict_from_before_the_opening_changes_nothing_while_open(verdict: Callable[[Permit], None]) -> None:
    clock = ManualClock()
    tried = breaker(clock)
    late = allowed(tried)
    fail(tried, 5)
    clock.advance(2)
    verdict(late)
    assert (tried.state, tried.seconds_until_attempt()) == ("open", 3)


@pytest.mark.parametrize("verdict", [Permit.success, fail_permit, Permit.release])
def test_a_verdict_from_before_the_opening_is_not_taken_for_the_trials(verdict: Callable[[Permit], None]) -> None:
    clock = ManualClock()
    tried = breaker(clock)
    late = allowed(tried)
    fail(tried, 5)
    clock.advance(5)
    trial = allowed(tried)
    verdict(late)
    assert tried.state == "half_open"
    assert tried.acquire() is None, "the trial is still out"
    trial.success()
    assert tried.state == "closed"


def test_failures_from_before_the_opening_do_not_open_it_again() -> None:
    """Ten pings on the wire when the server hangs: their timeouts come in after a quick recovery."""
    clock = ManualClock()
    tried = breaker(clock)
    late = [allowed(tried) for _ in range(10)]
    fail(tried, 5)
    clock.advance(5)
    allowed(tried).success()
    for permit in late:
        permit.failure(LOADING)
    assert tried.state == "closed"
    assert (tried.failures, tried.successes, tried.outstanding) == (15, 1, 0), "they are counted all the same"


def test_a_permits_second_verdict_is_ignored() -> None:
    clock = ManualClock()
    tried = opened(clock)
    clock.advance(5)
    trial = allowed(tried)
    trial.failure(LOADING)
    trial.success()
    trial.release()
    assert (tried.state, tried.failures, tried.successes, tried.releases) == ("open", 6, 0, 0)


def test_time_not_closed_counts_open_and_half_open_and_only_grows() -> None:
    clock = ManualClock()
    tried = opened(clock)
    clock.advance(7)
    trial = allowed(tried)
    clock.advance(1)
    assert tried.seconds_not_closed() == 8
    trial.success()
    clock.advance(100)
    assert tried.seconds_not_closed() == 8
    fail(tried, 5)
    clock.advance(2)
    assert tried.seconds_not_closed() == 10


def test_every_change_is_told_once_and_in_order() -> None:
    told: list[tuple[State, State]] = []
    clock = ManualClock()
    tried = CircuitBreaker(
        BreakerSettings(), clock, jitter=lambda: 0.0, on_change=lambda old, new: told.append((old, new))
    )
    fail(tried, 5)
    clock.advance(5)
    fail(tried)
    clock.advance(5)
    allowed(tried).success()
    states = [told[0][0], *(new for _, new in told)]
    assert states == ["closed", "open", "half_open", "open", "half_open", "closed"]
    assert all(before[1] == after[0] for before, after in pairwise(told))
    assert {state for change in told for state in change} == set(STATES)


def test_a_listener_that_fails_leaves_the_breaker_whole() -> None:
    """The trial's permit must not be lost in a listener's error: nothing would ever close the breaker again."""
    clock = ManualClock()
    broken = [True]

    def listener(old: State, new: State) -> None:
        if broken:
            raise RuntimeError(f"{old} {new}")

    tried = CircuitBreaker(BreakerSettings(failure_threshold=1), clock, on_change=listener)
    with pytest.raises(RuntimeError, match="closed open"):
        fail(tried)
    clock.advance(5)
    with pytest.raises(RuntimeError, match="open half_open"):
        tried.acquire()
    broken.clear()
    allowed(tried).success()
    assert (tried.state, tried.permitted, tried.rejected) == ("closed", 2, 0)


def test_a_listener_sees_the_new_state_complete() -> None:
    seen: list[tuple[State, float]] = []
    tried = CircuitBreaker(
        BreakerSettings(), ManualClock(), on_change=lambda *_: seen.append((tried.state, tried.seconds_until_attempt()))
    )
    fail(tried, 5)
    assert seen == [("open", 5)]


def test_the_longest_open_time_may_be_shorter_than_the_first() -> None:
    """Odd settings, but no reason to wait a negative time."""
    clock = ManualClock()
    tried = opened(clock, open_interval=5, open_interval_max=5)
    clock.advance(5)
    fail(tried)
    assert tried.seconds_until_attempt() == 5


def test_backoff_doubles_its_bound_up_to_the_cap_and_starts_again() -> None:
    waits = Backoff(0.5, 4, jitter=lambda: 0.5)
    assert [waits.next() for _ in range(5)] == [0.25, 0.5, 1, 2, 2]
    waits.reset()
    assert waits.next() == 0.25


def test_backoff_jitters_over_the_whole_bound() -> None:
    """A thousand connections that broke together must not come back together."""
    draws = iter([0.0, 0.999])
    waits = Backoff(8, 8, jitter=lambda: next(draws))
    assert [waits.next(), waits.next()] == [0, pytest.approx(7.992)]
    assert 0 <= Backoff(1, 60).next() < 1


def test_calls_that_succeed_too_slowly_open_it_by_their_ratio() -> None:
    clock = ManualClock()
    tried = breaker(clock, slow_call_duration=0.5, slow_call_ratio=0.5, minimum_calls=4)
    for seconds in (0.1, 0.1, 1.0, 1.0):
        assert tried.state == "closed"
        permit = allowed(tried)
        clock.advance(seconds)
        permit.success()
    assert tried.state == "open"


def test_without_a_limit_no_call_is_slow() -> None:
    clock = ManualClock()
    tried = breaker(clock, minimum_calls=1)
    permit = allowed(tried)
    clock.advance(1000)
    permit.success()
    assert tried.state == "closed"


def test_a_slow_trial_opens_it_again() -> None:
    clock = ManualClock()
    tried = opened(clock, slow_call_duration=0.5)
    clock.advance(tried.seconds_until_attempt())
    permit = allowed(tried)
    clock.advance(0.6)
    permit.success()
    assert tried.state == "open"


def test_forced_open_it_rejects_for_ever() -> None:
    clock = ManualClock()
    tried = breaker(clock, force="open")
    clock.advance(1e9)
    assert tried.acquire() is None
    assert tried.state == "open"
    assert tried.seconds_until_attempt() == float("inf")
    assert tried.seconds_not_closed() == 1e9


def test_forced_closed_it_counts_and_lets_everything_through() -> None:
    tried = breaker(ManualClock(), force="closed")
    fail(tried, 100)
    assert tried.state == "closed"
    assert tried.failures == 100


def test_slow_calls_are_forgotten_with_their_window() -> None:
    """One call in ten is slow, half of them may be: slow calls once added up until the breaker opened."""
    clock = ManualClock()
    tried = breaker(clock, slow_call_duration=0.1, slow_call_ratio=0.5)
    for number in range(3000):
        permit = allowed(tried)
        clock.advance(0.2 if number % 10 == 0 else 0.01)
        permit.success()
        clock.advance(1)
        assert tried.state == "closed", number
        assert 0 <= tried._window.slow <= tried._window.calls


def ping(tried: CircuitBreaker, clock: ManualClock) -> Permit:
    permit = tried.acquire_probe(clock())
    assert permit is not None
    return permit


def test_while_it_is_open_one_ping_per_trial_interval_is_permitted() -> None:
    clock = ManualClock()
    tried = opened(clock)
    permitted = []
    for _ in range(40):
        permitted.append(tried.acquire_probe(clock()) is not None)
        clock.advance(0.25)
    assert permitted == [True, False, False, False] * 10
    assert tried.acquire() is not None, "heavy work has an open time of its own"


def test_due_times_that_are_a_little_early_do_not_cost_every_second_trial() -> None:
    """Sums of floats: 1000.1 + 1.0 is less than 1001.1 by a hair."""
    tried = opened(ManualClock())
    assert all(tried.acquire_probe(1000.1 + number * 0.99999) is not None for number in range(30))


def test_a_ping_that_is_answered_closes_it_at_once() -> None:
    clock = ManualClock()
    told: list[tuple[State, State]] = []
    tried = CircuitBreaker(BreakerSettings(), clock, on_change=lambda *change: told.append(change))
    fail(tried, 5)
    ping(tried, clock).success()
    assert told == [("closed", "open"), ("open", "closed")]
    allowed(tried)


def test_a_trial_ping_that_fails_leaves_the_open_time_of_heavy_work_alone() -> None:
    clock = ManualClock()
    tried = opened(clock)
    for _ in range(4):
        ping(tried, clock).failure(LOADING)
        clock.advance(1)
    assert (tried.state, tried.seconds_until_attempt()) == ("open", 1)


def test_a_trial_ping_that_is_answered_closes_it_under_a_heavy_trial() -> None:
    """The heavy trial's verdict belongs to a period that is over."""
    clock = ManualClock()
    tried = opened(clock)
    clock.advance(5)
    trial = allowed(tried)
    ping(tried, clock).success()
    assert tried.state == "closed"
    trial.failure(LOADING)
    assert tried.state == "closed"
    allowed(tried).success()


def test_a_trial_ping_counts_though_a_heavy_trial_failed_meanwhile() -> None:
    clock = ManualClock()
    tried = opened(clock)
    clock.advance(5)
    trial = ping(tried, clock)
    fail(tried)
    assert tried.state == "open"
    trial.success()
    assert tried.state == "closed"


def test_a_trial_ping_of_an_earlier_outage_closes_nothing() -> None:
    clock = ManualClock()
    tried = opened(clock)
    late = ping(tried, clock)
    clock.advance(1)
    ping(tried, clock).success()
    fail(tried, 5)
    late.success()
    assert tried.state == "open"


def test_a_slow_trial_ping_does_not_close_it() -> None:
    clock = ManualClock()
    tried = opened(clock, slow_call_duration=0.5)
    slow = ping(tried, clock)
    clock.advance(0.6)
    slow.success()
    assert tried.state == "open"


def test_it_knows_the_error_that_opened_it() -> None:
    tried = breaker(ManualClock())
    fail(tried, 4)
    allowed(tried).failure(OperationTimeoutError("no answer in time"))
    first, second = tried.rejection_error(), tried.rejection_error()
    assert (type(first), str(first)) == (OperationTimeoutError, "no answer in time")
    assert first is not second, "an exception is raised once: it carries its traceback"


@pytest.mark.parametrize(
    ("settings", "text"),
    [({"force": "open"}, "forced open"), ({"slow_call_duration": 0.5, "minimum_calls": 1}, "slow")],
)
def test_without_a_first_error_a_call_is_rejected(settings: dict[str, Any], text: str) -> None:
    clock = ManualClock()
    tried = breaker(clock, **settings)
    if tried.state == "closed":
        slow = allowed(tried)
        clock.advance(1)
        slow.success()
    assert tried.acquire() is None
    assert tried.rejection_error().reason == "rejected"
    assert text in str(tried.rejection_error())


def test_forced_open_it_permits_no_ping_either() -> None:
    tried = breaker(ManualClock(), force="open")
    assert tried.acquire_probe(1e9) is None


def test_a_poll_that_succeeds_does_not_close_it_while_pings_fail() -> None:
    """A server that loads its dataset answers INFO, and denies PING: the breaker went open and closed all the time."""
    clock = ManualClock()
    tried = opened(clock)
    ping(tried, clock).failure(LOADING)
    clock.advance(5)
    allowed(tried).success()
    assert tried.state == "open"
    assert tried.seconds_until_attempt() >= 5
    assert tried.rejection_error().reason == "loading"
    ping(tried, clock).success()
    assert tried.state == "closed"
