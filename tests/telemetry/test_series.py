"""The cells say what the client library's own metrics would say."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, Summary
from prometheus_client.parser import text_string_to_metric_families

from redis_pulse.errors import REASONS
from redis_pulse.telemetry import TargetMetrics, families

EDGES = (5e-05, 0.0001, 0.75, 1.0, 2.5)
SECONDS = st.floats(0, 10) | st.sampled_from(EDGES)


def target(name: str = "t") -> TargetMetrics:
    return TargetMetrics(name, EDGES, {"address": "a"}, [])


Series = tuple[str, dict[str, str], float]


def theirs_of(registry: CollectorRegistry) -> list[Series]:
    """Read what the library holds, without creation times."""
    samples = [sample for family in registry.collect() for sample in family.samples]
    return [(one.name, dict(one.labels), one.value) for one in samples if not one.name.endswith("_created")]


def ours_of(lines: bytes) -> list[Series]:
    """Read our lines by the library's parser."""
    samples = [sample for family in text_string_to_metric_families(lines.decode()) for sample in family.samples]
    return [(one.name, dict(one.labels), one.value) for one in samples]


@given(st.lists(SECONDS))
def test_a_histogram_is_that_of_the_library(values: list[float]) -> None:
    registry, ours, family = CollectorRegistry(), target(), families.DURATION
    theirs = Histogram(family.name, family.help, family.labels, buckets=EDGES, registry=registry).labels("t", "ping")
    cell = ours.value(family, "ping")
    for value in values:
        theirs.observe(value)
        cell.observe(value)
    assert ours_of(ours.render()[family]) == theirs_of(registry)


@given(st.lists(SECONDS))
def test_a_summary_is_that_of_the_library(values: list[float]) -> None:
    registry, ours, family = CollectorRegistry(), target(), families.SCRAPE_SECONDS
    theirs = Summary(family.name, family.help, family.labels, registry=registry).labels("t")
    cell = ours.value(family)
    for value in values:
        theirs.observe(value)
        cell.observe(value)
    assert ours_of(ours.render()[family]) == theirs_of(registry)


@given(st.lists(st.tuples(st.sampled_from(REASONS), st.integers(1, 5))))
def test_failures_are_counters_of_the_library(failures: list[tuple[str, int]]) -> None:
    registry, ours, family = CollectorRegistry(), target(), families.FAILURES
    theirs = Counter(family.name, family.help, family.labels, registry=registry)
    for reason in REASONS:
        theirs.labels("t", "ping", reason)
    cells = ours.failures("ping")
    for reason, count in failures:
        theirs.labels("t", "ping", reason).inc(count)
        cells.inc(reason, count)
    assert ours_of(ours.render()[family]) == theirs_of(registry)


def test_two_targets_share_what_is_the_same_in_their_lines_and_no_number() -> None:
    one, other = target("one"), target("other")
    one.failures("ping").inc("timeout", 1)
    other.failures("ping")
    assert b'{target="one",operation="ping",reason="timeout"} 1\n' in one.render()[families.FAILURES]
    assert b'{target="other",operation="ping",reason="timeout"} 0\n' in other.render()[families.FAILURES]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_name_of_a_target_or_an_operation_is_a_label_and_never_a_format(name: str) -> None:
    ours = target(name)
    ours.value(families.DURATION, "100%d").observe(0.5)
    ours.value(families.OPERATIONS, "{}").inc()
    escaped = name.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    lines = ours.render()
    start = f'redis_operation_duration_seconds_bucket{{target="{escaped}",operation="100%d",le="5e-05"}} 0\n'
    assert lines[families.DURATION].decode().startswith(start)
    assert lines[families.OPERATIONS].decode() == f'redis_operations_total{{target="{escaped}",operation="{{}}"}} 1\n'


def test_a_bucket_holds_its_edge() -> None:
    ours = target()
    cell = ours.value(families.DURATION, "ping")
    for edge in EDGES:
        cell.observe(edge)
    buckets = ours.render()[families.DURATION].splitlines()[: len(EDGES) + 1]
    counts = [int(line.rsplit(b" ", 1)[1]) for line in buckets]
    assert counts == [1, 2, 3, 4, 5, 5]
    assert all(low <= high for low, high in pairwise(counts))


def test_a_gauge_is_no_histogram() -> None:
    ours = target()
    with pytest.raises(TypeError, match="histogram"):
        ours.up.observe(1.0)
