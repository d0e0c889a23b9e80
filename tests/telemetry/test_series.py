"""Series of a target render exactly what the client library's own metrics would render."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, Summary
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from redis_pulse.config import PING_BUCKETS
from redis_pulse.errors import REASONS
from redis_pulse.telemetry import ExporterMetrics, ProbeAccuracyMetrics, TargetMetrics, families
from redis_pulse.telemetry.series import SECONDS_AT_ZERO, seconds_at_zero
from redis_pulse.text_format import family_header
from tests.fakes import ManualClock

BUCKETS = (5e-05, 0.0001, 0.75, 1.0, 2.5)
SECONDS = st.floats(0, 10) | st.sampled_from(BUCKETS)
#: Name, labels and value of one series.
Series = tuple[str, dict[str, str], float]


def target_metrics(name: str = "t", clock: ManualClock | None = None) -> TargetMetrics:
    accuracy = ProbeAccuracyMetrics(CollectorRegistry())
    return TargetMetrics(name, BUCKETS, {"address": "a"}, [], accuracy, clock=clock or ManualClock())


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


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), max_size=60))
def test_any_name_of_target_or_operation_is_never_read_as_a_format(name: str) -> None:
    metrics = target_metrics(name)
    metrics.histogram(families.DURATION, "100%d").observe(0.5)
    metrics.value(families.OPERATIONS, "{}").inc()
    escaped = name.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    lines = metrics.render()
    start = f'redis_operation_duration_seconds_bucket{{target="{escaped}",operation="100%d",le="0.001"}} 0\n'
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


def exemplars(metrics: TargetMetrics) -> dict[str, tuple[dict[str, str], float, float]]:
    """Return the exemplars that the library's OpenMetrics parser finds, by the upper bound of their bucket."""
    family = families.DURATION
    header = family_header(family.name, family.kind, family.help, openmetrics=True)
    page = header + metrics.render(openmetrics=True)[family] + b"# EOF\n"
    [parsed_family] = openmetrics_families(page.decode())
    return {
        one.labels["le"]: (one.exemplar.labels, one.exemplar.value, float(one.exemplar.timestamp))
        for one in parsed_family.samples
        if one.exemplar is not None
    }


def test_exemplar_is_on_its_bucket_and_only_in_openmetrics() -> None:
    metrics = target_metrics("50%")
    pings, connects = (metrics.histogram(families.DURATION, name) for name in ("ping", "cold_connect"))
    for value in (0.0001, 0.8, 9.0):
        pings.observe(value)
    connects.observe(0.8)
    before = metrics.render()[families.DURATION]
    pings.set_exemplar('stall_id="1"', 0.8, 1e9)
    assert exemplars(metrics) == {"1.0": ({"stall_id": "1"}, 0.8, 1e9)}
    pings.set_exemplar('stall_id="2"', 9.0, 1e9 + 1)
    pings.set_exemplar('stall_id="3"', 0.9, 1e9 + 2)
    assert exemplars(metrics) == {"1.0": ({"stall_id": "3"}, 0.9, 1e9 + 2), "+Inf": ({"stall_id": "2"}, 9.0, 1e9 + 1)}
    assert metrics.render()[families.DURATION] == before
    pings.observe(0.8)
    assert len(exemplars(metrics)) == 2


def test_bucket_without_an_observation_gets_no_exemplar() -> None:
    """A stall that ends with a lost connection has no ping with a duration."""
    metrics = target_metrics()
    metrics.histogram(families.DURATION, "ping").set_exemplar('stall_id="1"', 0.8, 1e9)
    assert exemplars(metrics) == {}


def test_counter_from_zero_is_shown_as_zero_first_and_loses_nothing() -> None:
    clock = ManualClock()
    metrics = target_metrics(clock=clock)

    def shown() -> dict[str, float]:
        return {labels["cause"]: value for _, labels, value in parsed(metrics.render()[families.STALLS])}

    metrics.counter_from_zero(families.STALLS, "fork").inc()
    clock.advance(100)  # without a scrape
    assert shown() == {"fork": 0}
    clock.advance(14)
    metrics.counter_from_zero(families.STALLS, "fork").inc()
    assert shown() == {"fork": 0}
    clock.advance(1)
    assert shown() == {"fork": 2}
    metrics.counter_from_zero(families.STALLS, "fork").inc()
    metrics.counter_from_zero(families.STALLS, "disk").inc()
    assert shown() == {"fork": 3, "disk": 0}
    clock.advance(15)
    assert shown() == {"fork": 3, "disk": 1}


def shown_failures(metrics: TargetMetrics) -> dict[tuple[str, str], float]:
    lines = parsed(metrics.render()[families.FAILURES])
    return {(labels["operation"], labels["reason"]): value for _, labels, value in lines}


def test_reason_of_a_rare_operation_begins_with_a_zero_for_each_scraper() -> None:
    """Two scrapers with 15 s and 4 s between their scrapes both read the 0, whichever comes first."""
    for first_page in range(0, 40, 3):
        clock = ManualClock()
        metrics = target_metrics(clock=clock)
        connects = metrics.failures("connect")
        assert shown_failures(metrics) == {}
        connects.inc("refused", 1)
        clock.advance(first_page)
        seen: dict[int, list[float]] = {4: [], 15: []}
        for second in range(61):
            for period, values in seen.items():
                if second % period == 0:
                    values.append(shown_failures(metrics)["connect", "refused"])
            if second == 5:
                connects.inc("refused", 2)
            clock.advance(1)
        for values in seen.values():
            assert values[0] == 0
            assert values[-1] == 3
            assert values == sorted(values)


def test_zero_is_shown_for_as_long_as_the_rarest_known_scraper_needs() -> None:
    assert seconds_at_zero([]) == seconds_at_zero([1.0, 5.0]) == SECONDS_AT_ZERO
    assert seconds_at_zero([5.0, 30.0]) == pytest.approx(33)
    assert seconds_at_zero([600.0]) == 66
    clock, metrics = ManualClock(), ExporterMetrics("x")
    target = metrics.add_target("t", ["ping"], buckets=BUCKETS, address="a", labels={}, clock=clock)
    metrics.scrape_periods = lambda: [5.0, 60.0]
    target.operation("info").failed("timeout")
    shown = []
    for _ in range(15):
        shown.append(shown_failures(target)["info", "timeout"])
        clock.advance(5)
    assert shown == [0] * 14 + [1]


def test_later_failures_of_a_known_reason_are_shown_at_once() -> None:
    clock = ManualClock()
    metrics = target_metrics(clock=clock)
    counts = metrics.failures("info")
    counts.inc("timeout", 1)
    shown_failures(metrics)
    clock.advance(SECONDS_AT_ZERO)
    assert shown_failures(metrics) == {("info", "timeout"): 1}
    counts.inc("timeout", 1)
    counts.inc("auth", 0)
    assert shown_failures(metrics) == {("info", "timeout"): 2}
    counts.inc("auth", 4)
    assert shown_failures(metrics) == {("info", "timeout"): 2, ("info", "auth"): 0}


@given(
    st.lists(
        st.tuples(st.sampled_from(("fail", "page", "wait")), st.sampled_from(REASONS[:3]), st.integers(1, 20)),
        max_size=30,
    )
)
def test_no_failure_is_lost_whenever_pages_are_read(steps: list[tuple[str, str, int]]) -> None:
    """Each reason is shown as 0 at first, never falls, and shows all failures 15 s after its first page."""
    clock = ManualClock()
    metrics = target_metrics(clock=clock)
    counts, counted, pages = metrics.failures("poll"), dict.fromkeys(REASONS[:3], 0), [dict[tuple[str, str], float]()]
    for step, reason, number in steps:
        if step == "fail":
            counts.inc(reason, number)
            counted[reason] += number
        elif step == "wait":
            clock.advance(number)
        else:
            pages.append(shown_failures(metrics))
    pages.append(shown_failures(metrics))
    clock.advance(SECONDS_AT_ZERO)
    pages.append(shown_failures(metrics))
    for before, after in pairwise(pages):
        assert all(after[key] >= value for key, value in before.items())
        assert all(value == 0 for key, value in after.items() if key not in before)
    assert pages[-1] == {("poll", reason): count for reason, count in counted.items() if count}


def test_ping_renders_only_its_own_lines_again() -> None:
    metrics = target_metrics()
    ping, info = metrics.operation("ping"), metrics.operation("info")
    info.succeeded(0.1)
    quiet, version = metrics.render_quiet(), metrics.quiet_version
    ping.total.inc()
    ping.succeeded(0.001)
    ping.failed("reset")
    metrics.breaker_changed("closed", "open")
    assert metrics.quiet_version == version
    assert all(lines is quiet[family] for family, lines in metrics.render_quiet().items())
    assert b'operation="ping"' not in quiet[families.DURATION]
    assert b'operation="info"' not in metrics.render_live()[families.DURATION]
    page = metrics.render()
    assert b'operation="ping",reason="reset"} 1\n' in page[families.FAILURES]
    assert b'operation="info",le="0.1"} 1\n' in page[families.DURATION]
    info.succeeded(0.1)
    assert metrics.quiet_version != version
    assert b'operation="info",le="0.1"} 2\n' in metrics.render()[families.DURATION]


def test_version_of_quiet_lines_changes_when_a_zero_ends() -> None:
    clock = ManualClock()
    metrics = target_metrics(clock=clock)
    metrics.operation("info").failed("timeout")
    assert b'reason="timeout"} 0\n' in metrics.render_quiet()[families.FAILURES]
    version = metrics.quiet_version
    clock.advance(SECONDS_AT_ZERO - 1)
    assert metrics.quiet_version == version
    clock.advance(1)
    assert metrics.quiet_version != version
    assert b'reason="timeout"} 1\n' in metrics.render_quiet()[families.FAILURES]


def test_buckets_of_the_setting_are_those_of_measurements() -> None:
    """Pings, cold connects and the canary measure what a client waits. Runs of collectors have few buckets."""
    metrics = target_metrics()

    def bounds(family: families.MetricFamily, label: str) -> list[float]:
        metrics.histogram(family, label)
        lines = parsed(metrics.render()[family])
        values = [labels["le"] for _, labels, _ in lines if label in labels.values() and "le" in labels]
        return [float(value) for value in values[:-1]]

    for operation in ("ping", "cold_connect", "write", "read"):
        assert bounds(families.DURATION, operation) == list(BUCKETS)
    for operation in ("connect", "info", "slowlog"):
        assert bounds(families.DURATION, operation) == [0.001, 0.01, 0.1, 1.0]
    assert set(families.RARE_BUCKETS) <= set(PING_BUCKETS)
    assert bounds(families.PHASE, "tcp")[0] == 0.00025
