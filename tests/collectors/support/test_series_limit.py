"""No family has more series or longer lines than the limit. The tables of metrics decide what is tested."""

import asyncio
from collections.abc import Iterator

import pytest

from redis_pulse import collectors
from redis_pulse.collectors.support.series_limit import MAX_SAMPLES, limited_items, limited_series
from redis_pulse.exposition import render
from redis_pulse.metric import MetricSpec, OverflowCount, Sample, UnreadableField, gauge, histogram
from redis_pulse.telemetry import describe_all
from redis_pulse.text_format import MAX_LINE_BYTES
from tests.fakes import ManualClock

LABELLED = [metric for one in collectors.load().values() for metric in one.metrics if metric.labels]
#: Labels of the exporter's own families whose values come from a closed list in the code.
CLOSED = {
    *("operation", "reason", "phase", "clock", "state", "from_state", "to_state", "cause", "collector", "err", "kind"),
    *("path", "code", "step", "generation", "version", "commit_sha", "build_date", "golang_version", "why", "quantile"),
    *("implementation", "major", "minor", "patchlevel", "result", "role", "change"),
}
#: Labels of these families whose values an operator, an inventory or a server chooses, and what limits their number.
LIMITED = {
    "target": "discovery.max_targets and the configuration",
    "address": "one for each target",
    "scraper": "MAX_SCRAPERS of scheduling.scrapers",
    "replica": "one for each target",
    "master": "MAX_MASTERS of discovery.sentinel.replies",
    "sentinel": "the members of a Sentinel set",
    "shard": "the configuration",
    "shards": "the configuration",
    "source": "the configuration",
    "cluster": "the configuration",
    "sentinel_set": "the configuration",
}


@pytest.mark.parametrize("metric", LABELLED, ids=lambda metric: metric.full_name)
async def test_every_family_with_labels_keeps_both_limits(metric: MetricSpec) -> None:
    """The values are as long as a reply allows, and need an escape for every character."""
    long = '"' * 5000
    labels = [(f"{number}{long}",) * len(metric.labels) for number in (1, 2)]
    lines = render("t" * 200, [Sample(metric, one, 1.2345678901234567e300) for one in labels])
    assert len(lines[metric].splitlines()) == 2
    assert max(map(len, lines[metric].splitlines())) <= MAX_LINE_BYTES


async def test_samples_beyond_the_limit_are_left_out_and_counted() -> None:
    metric = gauge("A", "b", "things", "Things.", labels=("name",))
    samples = [metric.sample(1.0, str(number)) for number in range(MAX_SAMPLES + 7)]
    items = [item async for item in limited_series([UnreadableField("x"), *samples])]
    assert items == [UnreadableField("x"), *samples[:MAX_SAMPLES], OverflowCount("A/b", 7)]


async def test_histogram_is_kept_or_left_out_as_a_whole() -> None:
    metric = histogram("A", "b", "times", "Times.", labels=("name",))
    points = [(str(edge), float(edge)) for edge in range(30)]
    samples = [one for name in range(1000) for one in metric.distribution(points, 1.0, 30.0, str(name))]
    kept = [item async for item in limited_series(samples)]
    names = [one.labels for one in kept if isinstance(one, Sample)]
    assert all(names.count(name) == 33 for name in set(names[:33] + names[-33:]))
    assert kept[-1] == OverflowCount("A/b", 1000 - len(set(names)))


def test_every_label_of_our_own_families_has_a_limit() -> None:
    """A new label must be listed above: with its closed list, or with what limits its values."""
    labels = {label for family in describe_all() for label in family.labels}
    assert labels - CLOSED - LIMITED.keys() == set()


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, 0), (0.0001, 4)])
async def test_other_tasks_run_between_items_that_take_long(seconds: float, expected: int) -> None:
    """Items that an iterator computes may take long. A list has been computed already."""
    turns: list[int] = []

    async def count_turns() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    items = [LABELLED[0].sample(1, *(str(number) for _ in LABELLED[0].labels)) for number in range(90)]
    clock = ManualClock()

    def computed() -> Iterator[Sample]:
        for item in items:
            clock.advance(seconds)
            yield item

    counting = asyncio.create_task(count_turns())
    assert await limited_items(items, clock) == items
    assert not turns
    assert await limited_items(computed(), clock) == items
    assert len(turns) == expected
    counting.cancel()
