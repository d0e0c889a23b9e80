"""How a bunch of measured values is said in a table: p50, p99 and the largest."""

import math
import statistics


def cuts(values: list[float]) -> tuple[float, float, float]:
    """Return p50, p99 and the largest; not a number when there are fewer than two values."""
    if len(values) < 2:
        return (float("nan"),) * 3
    points = statistics.quantiles(values, n=100, method="inclusive")
    return points[49], points[98], max(values)


def say(three: tuple[float, ...]) -> str:
    """Return ``p50 / p99 / max`` to three digits."""
    return " / ".join("-" if math.isnan(value) else f"{value:.3g}" for value in three)
