"""Series of a target render exactly what the client library's own metrics would render."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, Summary
from prometheus_client.parser import text_string_to_metric_families

from redis_pulse.errors import REASONS
from redis_pulse.telemetry import ProbeAccuracyMetrics, TargetMetrics, families

BUCKETS = (5e-05, 0.0001, 0.75, 1.0, 2.5)
SECONDS = st.floats(0, 10) | st.sampled_from(BUCKETS)
#: Name, labels and value of one series.
Series = tuple[str, dict[str, str], float]


def target_metrics(name: str = "t") -> TargetMetrics:
    return TargetMetrics(name, BUCKETS, {"address": "a"}, [], ProbeAccuracyMetrics(CollectorRegistry()))


def series_of_library(registry: CollectorRegistry) -> list[Series]:
    """Return the series in a registry, without creation times."""
    samples = [sample for family in registry.collect() for sample in family.samples]
    return [(one.name, dict(one.labels), one.value) for one in samples if not one.name.endswith("_created")]


def parsed(lines: bytes) -> list[Series]:
    """Return the series that the library's parser finds in lines."""
    samples = [sample for family in text_string_to_metric_families(lines.decode()) for sample in family.samples]
    return [(one.name, dict(one.labels), one.value) for one in samples]


@given(st.lists(SECONDS))
def test_histogram_is_rendered_as_by_the_library(values: list[float]) -> None:
    registry, metrics, family = CollectorRegistry(), target_metrics(), families.DURATION
    expected = Histogram(family.name, family.help, family.labels, buckets=BUCKETS, registry=registry)
    histogram = metrics.histogram(family, "ping")
    child = expected.labels("t", "ping")
    for value in values:
        child.observe(value)
        histogram.observe(value)
    assert parsed(metrics.render()[family]) == series_of_library(registry)


@given(st.lists(SECONDS))
def test_summary_is_rendered_as_by_the_library(values: list[float]) -> None:
    registry, metrics, family = CollectorRegistry(), target_metrics(), families.SCRAPE_SECONDS
    child = Summary(family.name, family.help, family.labels, registry=registry).labels("t")
    summary = metrics.histogram(family)
    for value in values:
        child.observe(value)
        summary.observe(value)
    assert parsed(metrics.render()[family]) == series_of_library(registry)


@given(st.lists(st.tuples(st.sampled_from(REASONS), st.integers(1, 5))))
def test_failures_are_rendered_as_counters_of_the_library(failures: list[tuple[str, int]]) -> None:
    registry, metrics, family = CollectorRegistry(), target_metrics(), families.FAILURES
    expected = Counter(family.name, family.help, family.labels, registry=registry)
    for reason in REASONS:
        expected.labels("t", "ping", reason)
    counts = metrics.failures("ping")
    for reason, count in failures:
        expected.labels("t", "ping", reason).inc(count)
        counts.inc(reason, count)
    assert parsed(metrics.render()[family]) == series_of_library(registry)


def test_targets_share_templates_but_no_numbers() -> None:
    one, other = target_metrics("one"), target_metrics("other")
    one.failures("ping").inc("timeout", 1)
    other.failures("ping")
    assert b'{target="one",operation="ping",reason="timeout"} 1\n' in one.render()[families.FAILURES]
    assert b'{target="other",operation="ping",reason="timeout"} 0\n' in other.render()[families.FAILURES]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_name_of_target_or_operation_is_never_read_as_a_format(name: str) -> None:
    metrics = target_metrics(name)
    metrics.histogram(families.DURATION, "100%d").observe(0.5)
    metrics.value(families.OPERATIONS, "{}").inc()
    escaped = name.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    lines = metrics.render()
    start = f'redis_operation_duration_seconds_bucket{{target="{escaped}",operation="100%d",le="5e-05"}} 0\n'
    assert lines[families.DURATION].decode().startswith(start)
    assert lines[families.OPERATIONS].decode() == f'redis_operations_total{{target="{escaped}",operation="{{}}"}} 1\n'


def test_bucket_includes_its_upper_bound() -> None:
    metrics = target_metrics()
    histogram = metrics.histogram(families.DURATION, "ping")
    for bound in BUCKETS:
        histogram.observe(bound)
    buckets = metrics.render()[families.DURATION].splitlines()[: len(BUCKETS) + 1]
    counts = [int(line.rsplit(b" ", 1)[1]) for line in buckets]
    assert counts == [1, 2, 3, 4, 5, 5]
    assert all(low <= high for low, high in pairwise(counts))


def test_gauge_is_not_available_as_histogram_nor_the_reverse() -> None:
    metrics = target_metrics()
    with pytest.raises(TypeError, match="redis_up is a gauge"):
        metrics.histogram(families.UP)
    with pytest.raises(TypeError, match="redis_operation_duration_seconds is a histogram"):
        metrics.value(families.DURATION, "ping")
