"""A growth is found beside noise, and noise alone is no growth."""

import random

import pytest

from attack.trend import blocks, trend


def _noisy(slope_per_hour: float, *, seed: int = 1, noise: float = 1.0) -> tuple[list[float], list[float]]:
    source = random.Random(seed)
    times = [second * 2.5 for second in range(1440)]
    return times, [100 + slope_per_hour * at / 3600 + source.gauss(0, noise) for at in times]


def test_slope_of_a_line_is_exact() -> None:
    line = trend([0, 1800, 3600], [5, 6, 7])
    assert line.slope == pytest.approx(2)
    assert line.error == pytest.approx(0)
    assert line.growth == pytest.approx(2)
    assert line.mean == 6


@pytest.mark.parametrize("seed", range(10))
def test_noise_is_flat(seed: int) -> None:
    line = trend(*blocks(*_noisy(0, seed=seed)))
    assert abs(line.slope) < 4 * line.error
    assert line.is_flat(0.5)


def test_leak_beside_noise_is_found() -> None:
    line = trend(*blocks(*_noisy(10)))
    assert line.slope == pytest.approx(10, abs=3 * line.error)
    assert not line.is_flat(4)
    assert line.is_flat(12)


def test_shrinking_is_no_growth() -> None:
    assert trend(*blocks(*_noisy(-10))).growth == 0


def test_samples_are_averaged_in_blocks() -> None:
    assert blocks([100, 110, 131, 140], [1, 3, 5, 7], 30) == ([105, 135.5], [2, 6])


def test_two_points_are_no_trend() -> None:
    with pytest.raises(ValueError, match="needs 3 points"):
        trend([0, 1], [0, 1])
