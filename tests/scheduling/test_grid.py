"""Every moment of a grid is served once, or counted as missed once, whenever somebody comes to take it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.scheduling import Grid, MissedRuns
from tests.fakes import ManualClock

NONE = MissedRuns(0, 0)


def test_a_grid_serves_its_moments_in_order() -> None:
    clock = ManualClock(100)
    grid = Grid(1.0, 100.5, clock)
    assert grid.claim_due() is None
    assert grid.seconds_to_next() == pytest.approx(0.5)
    clock.advance(0.5)
    assert grid.claim_due() == (100.5, NONE)
    assert grid.claim_due() is None
    clock.advance(1.02)
    assert grid.claim_due() == (101.5, NONE)


def test_moments_that_nobody_served_are_counted_once() -> None:
    clock = ManualClock(100)
    grid = Grid(1.0, 100.0, clock)
    assert grid.claim_due() == (100.0, NONE)
    clock.advance(3.4)
    assert grid.claim_due() == (103.0, MissedRuns(2, 0))
    clock.advance(0.7)
    assert grid.claim_due() == (104.0, NONE)


def test_a_wake_up_that_comes_a_little_early_serves_the_moment_it_was_meant_for() -> None:
    clock = ManualClock(100)
    grid = Grid(1.0, 100.0, clock)
    grid.claim_due()
    clock.advance(0.9995)
    assert grid.claim_due() == (101.0, NONE)
    assert grid.seconds_to_next() == pytest.approx(1.0005)


def test_moments_that_fell_into_an_earlier_run_are_told_apart() -> None:
    """A target that keeps a run waiting is no lateness of ours."""
    clock = ManualClock(100)
    grid = Grid(1.0, 100.0, clock)
    grid.claim_due()
    clock.advance(5.2)
    assert grid.claim_due(busy_until=103.5) == (105.0, MissedRuns(late=1, overrun=3))


@given(st.lists(st.floats(0, 10), max_size=60), st.sampled_from([0.1, 1.0, 15.0]))
def test_served_and_missed_together_are_all_moments_that_have_passed(waits: list[float], interval: float) -> None:
    clock = ManualClock(0)
    grid = Grid(interval, 0.0, clock)
    served = missed = 0
    for wait in waits:
        clock.advance(wait)
        if (due := grid.claim_due()) is not None:
            served += 1
            missed += sum(due[1])
            assert due[0] <= clock() + 0.001
    grid.claim_due()
    if waits:
        assert served + missed == math.floor((clock() + 0.001) / interval) + 1
