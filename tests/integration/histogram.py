"""Compare the ping histogram of a page with durations that were measured elsewhere."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

from tests.integration.pages import Page

DURATION = "redis_operation_duration_seconds"


def histogram(page: Page, target: str) -> tuple[list[float], list[int]]:
    """Return the upper bounds of the buckets in seconds, the last infinite, and the number of pings in each bucket."""
    samples = page.matching(f"{DURATION}_bucket", operation="ping", target=target)
    cumulative = sorted((float(dict(labels)["le"]), count) for labels, count in samples.items())
    counts = [int(after - before) for before, after in pairwise([0.0, *(count for _, count in cumulative)])]
    return [bound for bound, _ in cumulative], counts


def count_by_bucket(seconds: Iterable[float], upper_bounds: Sequence[float]) -> list[int]:
    """Return the number of durations in each bucket."""
    counts = [0] * len(upper_bounds)
    for duration in seconds:
        counts[bisect_left(upper_bounds, duration)] += 1
    return counts


def bucket_of_quantile(counts: Sequence[int], quantile: float) -> int:
    """Return the index of the bucket that has a quantile."""
    rank = quantile * sum(counts)
    return bisect_left(list(accumulate(counts)), rank)
