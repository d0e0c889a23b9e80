"""Every moment of every callback is served once or skipped once, however late the event loop is."""

import asyncio
import math
import weakref
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.scheduling import MissedRuns, Scheduler
from tests.fakes import ManualClock


class ManualTimer:
    """One timer of a ``ManualLoop``."""

    def __init__(self, when: float, call: Callable[[], None]) -> None:
        self.when = when
        self.call = call
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class ManualLoop:
    """The timers of an event loop on a clock that a test advances."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.timers: list[ManualTimer] = []
        self.timers_set = 0

    def call_later(self, delay: float, call: Callable[..., None], *args: Any) -> ManualTimer:
        self.timers_set += 1
        timer = ManualTimer(self.clock() + delay, lambda: call(*args))
        self.timers.append(timer)
        return timer

    def run_due_timers(self) -> None:
        """Run the timers that are due, in order, except those that one of them cancels."""
        due = sorted((timer for timer in self.timers if timer.when <= self.clock()), key=lambda timer: timer.when)
        self.timers = [timer for timer in self.timers if timer.when > self.clock()]
        for timer in due:
            if not timer.is_cancelled:
                timer.call()


class CallbackHarness:
    """Callbacks of a scheduler on a manual clock, and the moments that each of them received."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = ManualClock(100.0)
        self.loop = ManualLoop(self.clock)
        monkeypatch.setattr(asyncio, "get_running_loop", lambda: self.loop)
        self.missed: list[tuple[str, MissedRuns]] = []
        self.errors: list[str] = []
        self.lags: list[float] = []
        self.scheduler = Scheduler(
            self.clock,
            on_missed=lambda kind, missed: self.missed.append((kind, missed)),
            on_error=lambda kind, error: self.errors.append(f"{kind}: {error}"),
            on_lag=self.lags.append,
        )
        self.served: dict[str, list[float]] = {}
        self.skipped: dict[str, list[tuple[int, float]]] = {}

    def add(self, key: str, interval: float = 1.0) -> float:
        """Add a callback, and return its first moment."""
        self.served[key], self.skipped[key] = [], []
        self.scheduler.add_callback(
            interval, "probe", key, self.served[key].append,
            lambda count, newest: self.skipped[key].append((count, newest)),
        )  # fmt: skip
        return self.scheduler._callbacks["probe", key].grid.next_unclaimed

    def advance(self, seconds: float) -> None:
        """Let time pass, then run the loop once: it is late by at most so much."""
        self.clock.advance(seconds)
        self.loop.run_due_timers()

    def advance_to(self, moment: float) -> None:
        self.advance(moment - self.clock())


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> CallbackHarness:
    return CallbackHarness(monkeypatch)


def test_callback_is_called_at_every_moment_of_its_phase(harness: CallbackHarness) -> None:
    firsts = {"a": harness.add("a"), "b": harness.add("b")}
    for _ in range(3000):  # a fourth moment would follow at once in a phase near 0
        harness.advance(0.001)
    for key, first in firsts.items():
        assert 100.0 <= first < 101.0
        assert harness.served[key] == pytest.approx([first, first + 1, first + 2])
    assert harness.loop.timers_set <= 8, "at most one timer for each moment"
    assert not harness.missed


def test_each_delay_of_the_loop_is_reported(harness: CallbackHarness) -> None:
    """A monitor with a tick each second would not notice delays between its ticks."""
    first = harness.add("a", 0.1)
    harness.advance_to(first)
    for _ in range(4):
        harness.advance(0.45)  # stopped
        harness.advance(0.05)
    assert harness.lags == pytest.approx([0.35] * 4)


def test_short_delay_is_not_reported(harness: CallbackHarness) -> None:
    harness.advance_to(harness.add("a") + 0.009)
    assert len(harness.served["a"]) == 1
    assert not harness.lags


def test_moment_that_passed_before_it_was_added_is_no_delay_of_the_loop(harness: CallbackHarness) -> None:
    first = harness.add("a")
    callback = harness.scheduler._callbacks["probe", "a"]
    callback.pause()
    harness.advance_to(first + 0.6)  # another process served its moments, and stopped
    harness.lags.clear()
    callback.resume(first)
    harness.advance(0.0)
    assert harness.served["a"] == [first]
    assert not harness.lags


def test_moment_served_within_an_interval_is_late_and_not_skipped(harness: CallbackHarness) -> None:
    first = harness.add("a")
    harness.advance_to(first)
    harness.advance(1.9)
    assert harness.served["a"] == pytest.approx([first, first + 1])
    assert not harness.skipped["a"]


def test_moments_late_by_an_interval_are_skipped_and_counted(harness: CallbackHarness) -> None:
    """The loop stopped for five seconds. Five PINGs at once would measure nothing."""
    first = harness.add("a")
    harness.advance_to(first)
    harness.advance(5.5)
    assert harness.served["a"] == pytest.approx([first, first + 5])
    assert harness.skipped["a"] == [(4, pytest.approx(first + 4))]
    assert harness.missed == [("probe", MissedRuns(4, 0))]


def test_moments_do_not_drift_when_the_loop_is_always_late(harness: CallbackHarness) -> None:
    first = harness.add("a", 0.1)
    for number in range(1000):
        harness.advance_to(first + number * 0.1 + 0.09)
    assert harness.served["a"] == pytest.approx([first + number * 0.1 for number in range(1000)], abs=1e-9)
    assert not harness.missed


def test_timer_that_fires_too_early_waits_for_its_moment(harness: CallbackHarness) -> None:
    first = harness.add("a")
    timer = harness.loop.timers.pop()
    harness.clock.advance(first - harness.clock() - 0.001)
    timer.call()
    assert not harness.served["a"]
    harness.advance_to(first)
    assert harness.served["a"] == [first]


def test_moments_before_the_callback_was_added_do_not_count(harness: CallbackHarness) -> None:
    harness.advance(2.5)
    first = harness.add("late")
    assert 102.5 <= first < 103.5
    harness.advance_to(first)
    assert harness.served["late"] == pytest.approx([first])
    assert not harness.skipped["late"]


def test_removed_callback_is_not_called_although_it_is_due(harness: CallbackHarness) -> None:
    first = harness.add("a")
    harness.clock.advance(first - harness.clock() + 0.1)
    harness.scheduler.remove("probe", "a")
    harness.advance(5)
    assert harness.served["a"] == []
    assert harness.loop.timers == [], "nothing is left to be called"


def test_callback_can_remove_itself_and_another_that_is_due(harness: CallbackHarness) -> None:
    calls: list[float] = []

    def remove_both(due: float) -> None:
        calls.append(due)
        harness.scheduler.remove("probe", "self")
        harness.scheduler.remove("probe", "other")

    harness.scheduler.add_callback(1.0, "probe", "self", remove_both, lambda *_: None)
    first = harness.scheduler._callbacks["probe", "self"].grid.origin
    other = harness.add("other")
    while other < first:  # it must be due after the one that removes it
        harness.scheduler.remove("probe", "other")
        other = harness.add("other")
    harness.clock.advance(1.0)
    harness.loop.run_due_timers()
    harness.advance(5)
    assert calls == [first]
    assert harness.served["other"] == []


def test_removed_callback_keeps_nothing_alive(harness: CallbackHarness) -> None:
    """The garbage collector looks for removed targets only once, right after the change."""

    class Target:
        def on_due(self, _due: float) -> None: ...

        def on_skipped(self, _count: int, _newest: float) -> None: ...

    target = Target()
    removed = weakref.ref(target)
    harness.scheduler.add_callback(3600, "probe", "t", target.on_due, target.on_skipped)
    harness.scheduler.remove("probe", "t")
    del target
    assert removed() is None


def test_exception_of_a_callback_is_reported_and_harms_no_other(harness: CallbackHarness) -> None:
    def fail(*_: float) -> None:
        raise RuntimeError("a fault")

    harness.scheduler.add_callback(1.0, "probe", "bad", fail, fail)
    harness.add("good")
    harness.advance(1.0)
    harness.advance(1.0)
    assert harness.errors == ["probe: a fault"] * 2
    assert len(harness.served["good"]) == 2
    harness.advance(3.0)
    assert harness.errors == ["probe: a fault"] * 4, "its call for skipped moments fails, and the next one comes"
    assert len(harness.served["good"]) == 3


def test_fault_in_the_error_hook_does_not_stop_the_callbacks(harness: CallbackHarness) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault")

    scheduler = Scheduler(harness.clock, on_missed=fail, on_error=fail, on_lag=lambda _: None)
    dues: list[float] = []
    scheduler.add_callback(1.0, "probe", "bad", fail, fail)
    scheduler.add_callback(1.0, "probe", "good", dues.append, lambda *_: None)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            harness.advance(1.0)
        harness.advance(0.0)
    assert len(dues) == 3


def test_callbacks_that_take_longer_than_their_interval_let_the_loop_run(harness: CallbackHarness) -> None:
    """Else the loop would never read its sockets again."""
    dues: list[float] = []

    def work(due: float) -> None:
        dues.append(due)
        harness.clock.advance(0.15)

    harness.scheduler.add_callback(0.1, "probe", "slow", work, lambda *_: None)
    for number in range(5):
        harness.advance(0.1)
        assert len(dues) == number + 1


def test_successor_is_called_at_the_same_moments(harness: CallbackHarness) -> None:
    first = harness.add("a")
    harness.advance_to(first)
    before = harness.served["a"]
    harness.add("a")
    harness.advance(1.0)
    assert (before, harness.served["a"]) == ([first], pytest.approx([first + 1]))
    assert harness.loop.timers_set == 3, "the timer that was set goes on"


def test_successor_with_another_interval_has_moments_of_its_own(harness: CallbackHarness) -> None:
    harness.add("a")
    before = harness.served["a"]
    first = harness.add("a", 0.3)
    harness.advance_to(first)
    harness.advance(0.3)
    harness.advance(0.7)
    assert before == []
    assert harness.served["a"] == pytest.approx([first, first + 0.3, first + 0.9])
    assert harness.skipped["a"] == [(1, pytest.approx(first + 0.6))]


def test_phases_of_many_callbacks_are_unique_and_evenly_spread(harness: CallbackHarness) -> None:
    """Also when they are added at different times."""
    moments = []
    for number in range(1000):
        moments.append(harness.add(str(number)) % 1.0)
        harness.clock.advance(0.0123)
    moments.sort()
    gaps = [after - before for before, after in pairwise([*moments, moments[0] + 1])]
    assert 0.0003 < min(gaps) <= max(gaps) < 0.003


@given(
    waits=st.lists(st.floats(0, 3), max_size=40),
    interval=st.sampled_from([0.01, 0.1, 1.0]),
    added_at=st.floats(0, 3),
)
def test_served_and_skipped_moments_are_all_that_passed(waits: list[float], interval: float, added_at: float) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        harness = CallbackHarness(monkeypatch)
        harness.clock.advance(added_at)
        first = harness.add("a", interval)
        for wait in waits:
            harness.advance(wait)
        numbers = [round((due - first) / interval) for due in harness.served["a"]]
        for count, newest in harness.skipped["a"]:
            last = round((newest - first) / interval)
            numbers += range(last - count + 1, last + 1)
        # A timer may serve the last moment a microsecond early, or just miss it by rounding.
        passed = math.floor((harness.clock() - first + 1.001e-6) / interval) + 1
        assert passed - 1 <= len(numbers) <= passed
        assert sorted(numbers) == list(range(len(numbers))), "one was forgotten, or counted twice"
        assert sum(count for count, _ in harness.skipped["a"]) == sum(missed.late for _, missed in harness.missed)


def test_paused_callback_continues_at_the_moment_that_it_is_given(harness: CallbackHarness) -> None:
    first = harness.add("a")
    harness.advance_to(first)
    callback = harness.scheduler._callbacks["probe", "a"]
    callback.pause()
    for _ in range(3):
        harness.advance(1.0)
    assert harness.served["a"] == [first]
    callback.resume(first + 4.0)  # another process has served three moments
    harness.advance(1.0)
    assert harness.served["a"] == [first, first + 4.0]
    assert not harness.skipped["a"]
    assert not harness.missed


def test_moments_that_passed_before_a_pause_ends_are_skipped(harness: CallbackHarness) -> None:
    first = harness.add("a")
    harness.advance_to(first)
    callback = harness.scheduler._callbacks["probe", "a"]
    callback.pause()
    harness.advance(3.5)
    callback.resume(first + 1.0)  # nothing is known of the last three
    harness.advance(0.0)
    assert harness.served["a"] == [first, first + 3.0]
    assert harness.skipped["a"] == [(2, first + 2.0)]


def test_callback_that_resumes_at_once_is_served_once(harness: CallbackHarness) -> None:
    first = harness.add("a")
    harness.advance_to(first)
    callback = harness.scheduler._callbacks["probe", "a"]
    callback.pause()
    callback.resume(first + 1.0)
    callback.resume(first + 1.0)
    harness.advance(1.0)
    assert harness.served["a"] == [first, first + 1.0]


def test_new_owner_of_a_paused_callback_gets_the_moments_after_the_pause(harness: CallbackHarness) -> None:
    first = harness.add("a")
    harness.advance_to(first)
    callback = harness.scheduler._callbacks["probe", "a"]
    callback.pause()
    before = harness.served["a"]
    harness.add("a")
    harness.advance(1.0)
    assert harness.served["a"] == []
    callback.resume(first + 2.0)
    harness.advance(1.0)
    assert (before, harness.served["a"]) == ([first], [first + 2.0])


def test_removed_callback_does_not_resume(harness: CallbackHarness) -> None:
    first = harness.add("a")
    harness.advance_to(first)
    callback = harness.scheduler._callbacks["probe", "a"]
    callback.pause()
    harness.scheduler.remove("probe", "a")
    callback.resume(first + 1.0)
    harness.advance(2.0)
    assert harness.served["a"] == [first]
