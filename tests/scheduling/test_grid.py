"""Every moment of a grid is claimed once or counted as missed once, at whatever times it is claimed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.scheduling import Grid, MissedRuns
from tests.fakes import ManualClock

NOTHING_MISSED = MissedRuns(0, 0)


def test_moments_are_claimed_in_order() -> None:
    clock = ManualClock(100)
    grid = Grid(1.0, 100.5, clock)
    assert grid.claim_due() is None
    assert grid.seconds_to_next() == pytest.approx(0.5)
    clock.advance(0.5)
    assert grid.claim_due() == (100.5, NOTHING_MISSED)
    assert grid.claim_due() is None
    clock.advance(1.02)
    assert grid.claim_due() == (101.5, NOTHING_MISSED)


def test_missed_moments_are_counted_once() -> None:
    clock = ManualClock(100)
    grid = Grid(1.0, 100.0, clock)
    assert grid.claim_due() == (100.0, NOTHING_MISSED)
    clock.advance(3.4)
    assert grid.claim_due() == (103.0, MissedRuns(2, 0))
    clock.advance(0.7)
    assert grid.claim_due() == (104.0, NOTHING_MISSED)


def test_early_wake_up_claims_the_moment_it_was_meant_for() -> None:
    clock = ManualClock(100)
    grid = Grid(1.0, 100.0, clock)
    grid.claim_due()
    clock.advance(0.9995)
    assert grid.claim_due() == (101.0, NOTHING_MISSED)
    assert grid.seconds_to_next() == pytest.approx(1.0005)


def test_wake_up_earlier_than_allowed_claims_nothing() -> None:
    clock = ManualClock(100)
    grid = Grid(1.0, 100.0, clock, max_early=1e-6)
    grid.claim_due()
    clock.advance(0.9995)
    assert grid.claim_due() is None


def test_next_unclaimed_moment_may_have_passed() -> None:
    clock = ManualClock(100)
    grid = Grid(1.0, 100.5, clock)
    assert grid.next_unclaimed == 100.5
    clock.advance(0.5)
    grid.claim_due()
    clock.advance(3)
    assert grid.next_unclaimed == 101.5


def test_moments_during_an_earlier_run_count_as_overrun() -> None:
    """A target that keeps a run waiting does not make the exporter late."""
    clock = ManualClock(100)
    grid = Grid(1.0, 100.0, clock)
    grid.claim_due()
    clock.advance(5.2)
    assert grid.claim_due(busy_until=103.5) == (105.0, MissedRuns(late=1, overrun=3))


@given(st.lists(st.floats(0, 10), max_size=60), st.sampled_from([0.1, 1.0, 15.0]))
def test_claimed_and_missed_moments_are_all_that_passed(waits: list[float], interval: float) -> None:
    clock = ManualClock(0)
    grid = Grid(interval, 0.0, clock)
    claimed = missed = 0
    for wait in waits:
        clock.advance(wait)
        if (due := grid.claim_due()) is not None:
            claimed += 1
            missed += sum(due[1])
            assert due[0] <= clock() + 0.001
    grid.claim_due()
    if waits:
        assert claimed + missed == math.floor((clock() + 0.001) / interval) + 1
