"""Waits between attempts grow with full jitter up to a cap."""

import pytest

from redis_pulse.backoff import Backoff


def test_the_bound_doubles_up_to_the_cap() -> None:
    backoff = Backoff(1.0, 5.0, jitter=lambda: 1.0)
    assert [backoff.next() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


@pytest.mark.parametrize(("jitter", "waits"), [(0.0, [0.5, 0.5, 0.5]), (0.5, [0.75, 1.25, 2.25])])
def test_jitter_chooses_between_floor_and_bound(jitter: float, waits: list[float]) -> None:
    backoff = Backoff(1.0, 8.0, floor=0.5, jitter=lambda: jitter)
    assert [backoff.next() for _ in range(3)] == waits


def test_reset_returns_to_the_base() -> None:
    backoff = Backoff(1.0, 8.0, jitter=lambda: 1.0)
    backoff.next()
    backoff.next()
    backoff.reset()
    assert backoff.next() == 1.0


def test_a_cap_below_the_base_does_not_lower_it() -> None:
    backoff = Backoff(2.0, 1.0, jitter=lambda: 1.0)
    assert [backoff.next() for _ in range(2)] == [2.0, 2.0]
