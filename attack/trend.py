"""Whether a quantity grows: the slope of a regression line, with its standard error. Pure functions."""

import math
from collections.abc import Sequence
from typing import NamedTuple

#: A slope counts if it is so many standard errors above 0.
MIN_ERRORS = 3.0
#: Samples of so many seconds are averaged to one point. Neighbouring samples resemble each other.
BLOCK = 15.0


class Trend(NamedTuple):
    """A regression line: its slope per hour, the standard error of the slope, and the mean of the values."""

    slope: float
    error: float
    mean: float
    hours: float

    @property
    def growth(self) -> float:
        """The growth during the measured time that is certain: the slope minus ``MIN_ERRORS`` standard errors."""
        return max(0.0, self.slope - MIN_ERRORS * self.error) * self.hours

    def is_flat(self, tolerance: float) -> bool:
        """Return whether the certain growth is within the tolerance."""
        return self.growth <= tolerance


def blocks(times: Sequence[float], values: Sequence[float], seconds: float = BLOCK) -> tuple[list[float], list[float]]:
    """Return the means of the times and values of each block."""
    groups: dict[int, list[tuple[float, float]]] = {}
    for at, value in zip(times, values, strict=True):
        groups.setdefault(int((at - times[0]) // seconds), []).append((at, value))
    means = [
        (sum(at for at, _ in one) / len(one), sum(value for _, value in one) / len(one)) for one in groups.values()
    ]
    return [at for at, _ in means], [value for _, value in means]


def trend(times: Sequence[float], values: Sequence[float]) -> Trend:
    """Return the regression line of values at times in seconds. Raises ValueError if there are fewer than 3."""
    count = len(times)
    if count < 3:
        raise ValueError(f"a trend needs 3 points, not {count}")
    hours = [at / 3600 for at in times]
    middle, mean = sum(hours) / count, sum(values) / count
    spread = sum((at - middle) ** 2 for at in hours)
    slope = sum((at - middle) * (value - mean) for at, value in zip(hours, values, strict=True)) / spread
    residuals = sum((value - mean - slope * (at - middle)) ** 2 for at, value in zip(hours, values, strict=True))
    error = math.sqrt(residuals / (count - 2) / spread)
    return Trend(slope, error, mean, hours[-1] - hours[0])
