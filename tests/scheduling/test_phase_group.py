"""Every moment of every member of a cohort is served or skipped, once, whenever we are woken."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.scheduling import MissedRuns, PhaseGroup
from redis_pulse.scheduling.phase_group import WAKE_LEAD, phases
from tests.fakes import ManualClock


class HandLoop:
    """The timers of a loop on a clock turned by hand."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.timers: list[tuple[float, int, Callable[[], None]]] = []
        self.set = 0

    def call_later(self, delay: float, call: Callable[..., None], *args: Any) -> None:
        self.set += 1
        self.timers.append((self.clock() + delay, self.set, lambda: call(*args)))

    def turn(self) -> None:
        """Call everything that is due, in order."""
        due = sorted(timer for timer in self.timers if timer[0] <= self.clock())
        self.timers = [timer for timer in self.timers if timer[0] > self.clock()]
        for _, _, call in due:
            call()


class Watching:
    """A cohort on a clock turned by hand, and what became of the moments of its members."""

    def __init__(self, interval: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = ManualClock(100.0)
        self.loop = HandLoop(self.clock)
        monkeypatch.setattr(asyncio, "get_running_loop", lambda: self.loop)
        self.missed: list[tuple[str, MissedRuns]] = []
        self.errors: list[str] = []
        self.cohort = PhaseGroup(
            "probe",
            interval,
            100.0,
            self.clock,
            on_missed=lambda kind, missed: self.missed.append((kind, missed)),
            on_error=lambda kind, error: self.errors.append(f"{kind}: {error}"),
        )
        self.served: dict[str, list[float]] = {}
        self.skipped: dict[str, list[tuple[int, float]]] = {}

    def join(self, key: str, offset: float) -> None:
        self.served[key], self.skipped[key] = [], []
        self.cohort.add(
            key, offset, self.served[key].append, lambda count, newest: self.skipped[key].append((count, newest))
        )

    def wake(self) -> None:
        """Do what APScheduler does, at this moment; the coroutine never waits."""
        with pytest.raises(StopIteration):
            self.cohort.fire().send(None)

    def later(self, seconds: float, *, wake: bool = True) -> None:
        self.clock.advance(seconds)
        self.loop.turn()
        if wake:
            self.wake()
            self.loop.turn()


@pytest.fixture
def watching(monkeypatch: pytest.MonkeyPatch) -> Watching:
    return Watching(1.0, monkeypatch)


def test_each_member_is_served_at_the_moment_of_its_own_phase(watching: Watching) -> None:
    watching.join("a", 0.010)
    watching.join("b", 0.035)
    for _ in range(250):
        watching.later(0.01)
    assert watching.served["a"] == pytest.approx([100.010, 101.010, 102.010])
    assert watching.served["b"] == pytest.approx([100.035, 101.035, 102.035])
    assert watching.loop.set == 6, "a timer a slot, no more"
    assert not watching.missed


def test_a_wake_up_that_is_late_but_before_the_slot_costs_nothing(watching: Watching) -> None:
    watching.join("a", 0.01)
    watching.later(0.02, wake=False)
    watching.later(1 - 0.02 - 0.03)  # the cohort was due 20 ms ago
    watching.later(0.04, wake=False)
    assert watching.served["a"] == pytest.approx([100.01, 101.01])


def test_what_is_late_by_less_than_an_interval_is_served_late(watching: Watching) -> None:
    watching.join("a", 0.0)
    watching.later(0.0, wake=False)
    watching.later(1.9)
    assert watching.served["a"] == pytest.approx([100.0, 101.0])
    assert not watching.skipped["a"]


def test_what_is_late_by_more_is_skipped_and_counted(watching: Watching) -> None:
    """A stop of five seconds: nobody wants five PINGs at once for it."""
    watching.join("a", 0.0)
    watching.later(0.0)
    watching.later(5.5)
    assert watching.served["a"] == pytest.approx([100.0, 105.0])
    assert watching.skipped["a"] == [(4, pytest.approx(104.0))]
    assert watching.missed == [("probe", MissedRuns(4, 0))]


def test_a_timer_that_fires_an_interval_late_skips_its_moment(watching: Watching) -> None:
    """The loop was stopped between the wake-up and the slot."""
    watching.join("a", 0.04)
    watching.later(0.96)
    watching.later(3.0, wake=False)
    assert watching.served["a"] == pytest.approx([100.04])
    assert watching.skipped["a"] == [(1, pytest.approx(101.04))]


def test_a_moment_before_somebody_joined_is_none_of_his(watching: Watching) -> None:
    watching.later(2.5)
    watching.join("late", 0.02)
    watching.later(0.6)
    assert watching.served["late"] == pytest.approx([103.02])
    assert not watching.skipped["late"]


def test_somebody_who_joins_just_before_his_moment_is_served_in_this_turn(watching: Watching) -> None:
    """Though the cohort has been woken for it already."""
    watching.later(0.96)
    watching.join("just", 0.03)
    watching.later(0.08, wake=False)
    assert watching.served["just"] == pytest.approx([101.03])


def test_somebody_who_left_is_served_no_more_although_his_timer_is_set(watching: Watching) -> None:
    watching.join("a", 0.03)
    watching.cohort.remove("a")
    watching.later(0.5)
    assert watching.served["a"] == []
    assert len(watching.cohort) == 0


def test_the_fault_of_one_is_told_and_does_not_touch_the_others(watching: Watching) -> None:
    def fault(_due: float) -> None:
        raise RuntimeError("a fault")

    watching.cohort.add("bad", 0.0, fault, lambda *_: None)
    watching.join("good", 0.0)
    watching.later(0.0)
    watching.later(1.0)
    assert watching.errors == ["probe: a fault"] * 2
    assert len(watching.served["good"]) == 2


@given(
    waits=st.lists(st.floats(0, 3), max_size=40),
    interval=st.sampled_from([0.01, 0.1, 1.0]),
    offset=st.floats(0, 0.9),
)
def test_served_and_skipped_together_are_all_moments_that_have_passed(
    waits: list[float], interval: float, offset: float
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        watching = Watching(interval, monkeypatch)
        offset *= interval
        watching.join("a", offset)
        for wait in waits:
            watching.later(wait)
        watching.later(interval)  # whatever was planned is over now
        numbers = [round((due - 100.0 - offset) / interval) for due in watching.served["a"]]
        for count, newest in watching.skipped["a"]:
            last = round((newest - 100.0 - offset) / interval)
            numbers += range(last - count + 1, last + 1)
        passed = int((watching.clock() - 100.0 - offset) / interval)
        # The first ones may lie before the first wake-up, and the last one on the edge, by rounding.
        first = min(numbers, default=passed)
        assert first <= int(WAKE_LEAD / interval) + 1
        assert sorted(numbers) == list(range(first, first + len(numbers))), "one was forgotten, or counted twice"
        assert passed - 1 <= first + len(numbers) - 1 <= passed + 1
        assert sum(count for count, _ in watching.skipped["a"]) == sum(missed.late for _, missed in watching.missed)


@pytest.mark.parametrize(("interval", "count"), [(0.01, 1), (0.1, 2), (1.0, 20), (15.0, 20)])
def test_firings_are_few_whatever_the_interval(interval: float, count: int) -> None:
    assert phases(interval) == count
    assert phases(interval) / interval <= max(20, 1 / interval)
