"""One command of LATENCY HISTOGRAM to plain numbers; what they mean is the collector's business."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from redis_pulse.parse.info import parse_pairs
from redis_pulse.parse.reply import as_integer, as_list, as_text


class LatencyHistograms(NamedTuple):
    """How long the calls of one command took, or of several put together."""

    #: upper edge in µs → how many calls ended in that bucket
    buckets: Mapping[int, int]
    calls: int
    #: µs that all calls took together, None where the server does not say
    usec: int | None


def parse_latencies(said: Any, stats: str = "") -> LatencyHistograms | None:
    """Read ``[calls, 3, histogram_usec, [33, 2, 66, 3]]``, whose counts are cumulative; None when it makes no sense.

    ``stats`` is what INFO says of the command, ``calls=3,usec=97,…``: the sum stands there.
    """
    items = as_list(said) or []
    parts = dict(zip(map(as_text, items[::2]), items[1::2], strict=False))
    calls = as_integer(parts.get("calls"))
    numbers = [as_integer(item) for item in as_list(parts.get("histogram_usec")) or []]
    buckets = _buckets(numbers[::2], numbers[1::2])
    if calls is None or buckets is None or calls < sum(buckets.values()):
        return None
    usec = parse_pairs(stats).get("usec", "")
    return LatencyHistograms(
        buckets, calls, int(usec) if usec.isdecimal() and usec.isascii() and len(usec) < 20 else None
    )


def merge_histograms(several: Sequence[LatencyHistograms]) -> LatencyHistograms:
    """Put several commands together; there is no sum when one has none."""
    buckets: Counter[int] = Counter()
    for one in several:
        buckets.update(one.buckets)
    sums = [one.usec for one in several if one.usec is not None]
    return LatencyHistograms(
        buckets, sum(one.calls for one in several), sum(sums) if len(sums) == len(several) else None
    )


def _buckets(edges: Sequence[int | None], counts: Sequence[int | None]) -> dict[int, int] | None:
    """Return how many calls each bucket has by itself; None unless edges rise and counts do not fall."""
    if len(edges) != len(counts):
        return None
    buckets: dict[int, int] = {}
    last = -1
    below = 0
    for edge, count in zip(edges, counts, strict=True):
        if edge is None or count is None or edge <= last or count < below:
            return None
        buckets[edge] = count - below
        last, below = edge, count
    return buckets
