"""Measured values as text for a table: p50, p99 and maximum."""

import math
import statistics


def cuts(values: list[float]) -> tuple[float, float, float]:
    """Return p50, p99 and the maximum, or NaN for fewer than two values."""
    if len(values) < 2:
        return (float("nan"),) * 3
    points = statistics.quantiles(values, n=100, method="inclusive")
    return points[49], points[98], max(values)


def format_quantiles(values: tuple[float, ...]) -> str:
    """Return ``p50 / p99 / max`` to three digits."""
    return " / ".join("-" if math.isnan(value) else f"{value:.3g}" for value in values)
