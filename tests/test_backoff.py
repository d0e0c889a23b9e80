"""Delays between attempts grow with full jitter up to a cap."""

import pytest

from redis_pulse.backoff import Backoff


def test_bound_doubles_up_to_cap() -> None:
    backoff = Backoff(1.0, 5.0, jitter=lambda: 1.0)
    assert [backoff.next() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


@pytest.mark.parametrize(("jitter", "delays"), [(0.0, [0.5, 0.5, 0.5]), (0.5, [0.75, 1.25, 2.25])])
def test_jitter_selects_delay_between_floor_and_bound(jitter: float, delays: list[float]) -> None:
    backoff = Backoff(1.0, 8.0, floor=0.5, jitter=lambda: jitter)
    assert [backoff.next() for _ in range(3)] == delays


def test_reset_returns_to_base() -> None:
    backoff = Backoff(1.0, 8.0, jitter=lambda: 1.0)
    backoff.next()
    backoff.next()
    backoff.reset()
    assert backoff.next() == 1.0


def test_cap_below_base_does_not_lower_base() -> None:
    backoff = Backoff(2.0, 1.0, jitter=lambda: 1.0)
    assert [backoff.next() for _ in range(2)] == [2.0, 2.0]


def test_jitter_covers_whole_range() -> None:
    """A thousand connections that were lost together must not reconnect together."""
    draws = iter([0.0, 0.999])
    delays = Backoff(8, 8, jitter=lambda: next(draws))
    assert [delays.next(), delays.next()] == [0, pytest.approx(7.992)]
    assert 0 <= Backoff(1, 60).next() < 1
