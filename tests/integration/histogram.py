"""The ping histogram of a page, held against durations that somebody else wrote down."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

from tests.integration.pages import Page

DURATION = "redis_operation_duration_seconds"


def histogram(page: Page, target: str) -> tuple[list[float], list[int]]:
    """Return the upper edges of the buckets in seconds, the last infinite, and how many pings fell into each."""
    found = page.matching(f"{DURATION}_bucket", operation="ping", target=target)
    summed = sorted((float(dict(labels)["le"]), count) for labels, count in found.items())
    counts = [int(after - before) for before, after in pairwise([0.0, *(count for _, count in summed)])]
    return [edge for edge, _ in summed], counts


def sorted_into(seconds: Iterable[float], upper: Sequence[float]) -> list[int]:
    """Return how many durations fall into each bucket."""
    counts = [0] * len(upper)
    for one in seconds:
        counts[bisect_left(upper, one)] += 1
    return counts


def bucket_of_quantile(counts: Sequence[int], quantile: float) -> int:
    """Return the number of the bucket that holds a quantile."""
    rank = quantile * sum(counts)
    return bisect_left(list(accumulate(counts)), rank)
