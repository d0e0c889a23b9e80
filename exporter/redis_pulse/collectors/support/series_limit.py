"""Limits the series of every family of one target, whatever its collector yields.

Collectors have limits of their own, which are lower and choose well what is shown. This one holds for all of them, so
that no collector can be forgotten.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from itertools import islice
from time import perf_counter

from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, Sample
from redis_pulse.slices import ITEMS_PER_SLICE, MAX_SLICE, sliced

#: Samples of one family of one target. The largest option of a collector, ``max_distinct``, allows half of it.
MAX_SAMPLES = 20_000
#: Items of an iterator, which computes them now, between two looks at the clock. A hostile setting takes 0.2 ms.
COMPUTED_ITEMS = 20


async def limited_items(
    items: Iterable[CollectorItem], clock: Callable[[], float] = perf_counter
) -> list[CollectorItem]:
    """Return what ``limited_series`` yields. It is quick for the usual number of items."""
    found: list[CollectorItem] = []
    iterator, size = iter(items), ITEMS_PER_SLICE if isinstance(items, list | tuple) else COMPUTED_ITEMS
    began = clock()
    while True:
        part = list(islice(iterator, size))
        found += part
        if len(part) < size:
            break
        if size == ITEMS_PER_SLICE or clock() - began >= MAX_SLICE:
            await asyncio.sleep(0)
            began = clock()
    if len(found) <= MAX_SAMPLES:
        return found
    return [item async for item in limited_series(found)]


async def limited_series(items: Iterable[CollectorItem]) -> AsyncIterator[CollectorItem]:
    """Yield the items, without the samples beyond the limit, and how many label sets were left out.

    The samples of one histogram are kept or left out together. Between two slices of items other tasks may run.
    """
    counts: Counter[MetricSpec] = Counter()
    newest: dict[MetricSpec, tuple[tuple[str, ...], bool]] = {}
    dropped: Counter[MetricSpec] = Counter()
    async for item in sliced(items):
        if not isinstance(item, Sample) or not item.labels:
            yield item
            continue
        metric = item.metric
        labels, is_kept = newest.get(metric, (None, True))
        if labels != item.labels:
            is_kept = counts[metric] < MAX_SAMPLES
            newest[metric] = item.labels, is_kept
            dropped[metric] += not is_kept
        if is_kept:
            counts[metric] += 1
            yield item
    for metric, values in dropped.items():
        if values:
            yield OverflowCount(metric.location, values)
