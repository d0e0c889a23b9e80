"""Metrics of one target: complete from the start, one outcome per run, and continued when the target moves."""

import asyncio

import pytest

from redis_pulse.errors import (
    REASONS,
    ConnectionRefusedByTargetError,
    OperationTimeoutError,
    SkippedError,
)
from redis_pulse.telemetry import ExporterMetrics, OperationMetrics, TargetMetrics, families
from redis_pulse.telemetry.series import SECONDS_AT_ZERO
from tests.fakes import ManualClock
from tests.harness import all_samples, end_first_zeros, metric_value

DURATION = "redis_operation_duration_seconds"


def one_target(*operations: str, clock: ManualClock | None = None) -> tuple[ExporterMetrics, TargetMetrics]:
    metrics = ExporterMetrics("x")
    now = clock or ManualClock()
    return metrics, metrics.add_target("a", operations, buckets=(0.1, 1.0), address="a", labels={}, clock=now)


def test_every_reason_of_the_pings_starts_at_zero() -> None:
    """A rate over a counter that appears only with its first failure misses that failure."""
    metrics, _ = one_target("ping", "connect")
    counts = {
        sample.labels["reason"]: sample.value
        for sample in all_samples(metrics)
        if sample.name == "redis_operation_failures_total" and sample.labels["target"] == "a"
    }
    assert counts == dict.fromkeys(REASONS, 0.0)


def test_counters_of_rare_events_have_no_series_before_the_first() -> None:
    clock = ManualClock()
    metrics, target = one_target("ping", clock=clock)
    rare = ("operation_retries_total", "exporter_unreadable_fields_total", "exporter_overflowed_values_total")

    def values() -> dict[str, float]:
        names = {f"redis_{name}" for name in (*rare, "collector_denied")}
        return {one.name: one.value for one in all_samples(metrics) if one.name in names}

    target.operation("info").succeeded(0.1)
    target.record_collector("info", success=True, supported=True, denied=False, seconds=0.1)
    assert values() == {}
    target.operation("info").retries.inc()
    target.record_collector("info", success=True, supported=True, denied=True, seconds=0.1, unreadable=2, overflow=3)
    assert values() == {**{f"redis_{name}": 0 for name in rare}, "redis_collector_denied": 1}
    clock.advance(SECONDS_AT_ZERO)
    target.record_collector("info", success=True, supported=True, denied=False, seconds=0.1)
    assert list(values().values()) == [1, 0, 2, 3]


def test_success_is_observed_and_timeout_is_observed_at_its_deadline() -> None:
    metrics, target = one_target()
    ping = target.operation("ping")
    ping.succeeded(0.05)
    ping.failed("timeout", 1.0)
    ping.failed("refused")
    assert metric_value(metrics, f"{DURATION}_count") == 2
    assert metric_value(metrics, f"{DURATION}_sum") == 1.05
    assert metric_value(metrics, f"{DURATION}_bucket", le="0.1") == 1
    assert metric_value(metrics, "redis_operation_failures_total", reason="refused") == 1


@pytest.mark.parametrize(
    ("error", "reason", "observed"),
    [
        (None, None, 0.25),
        (OperationTimeoutError("no answer in time"), "timeout", 1.0),
        (OperationTimeoutError("no answer in time").untried(), "timeout", None),
        (ConnectionRefusedByTargetError("refused"), "refused", None),
        (SkippedError("too many connects at once"), "skipped", None),
        (asyncio.CancelledError(), "other", None),
        (KeyError("a fault of the exporter"), "other", None),
    ],
)
def test_run_is_counted_once_with_exactly_one_outcome(
    error: BaseException | None, reason: str | None, observed: float | None
) -> None:
    clock = ManualClock()
    metrics, target = one_target("canary", clock=clock)

    def run(operation: OperationMetrics) -> None:
        with operation.run(clock, timeout=1.0):
            clock.advance(0.25)
            if error is not None:
                raise error

    if error is None:
        run(target.operation("canary"))
    else:
        with pytest.raises(type(error)):
            run(target.operation("canary"))
    end_first_zeros(metrics, clock)
    assert metric_value(metrics, "redis_operations_total", operation="canary") == 1
    failures = {
        sample.labels["reason"]
        for sample in all_samples(metrics)
        if sample.name == "redis_operation_failures_total" and sample.value
    }
    assert failures == ({reason} if reason else set())
    assert metric_value(metrics, f"{DURATION}_count", operation="canary") == (observed is not None)
    assert metric_value(metrics, f"{DURATION}_sum", operation="canary") == (observed or 0)


def test_missed_runs_are_counted_as_skipped_and_as_timeouts() -> None:
    clock = ManualClock()
    metrics, target = one_target("poll", clock=clock)
    target.operation("poll").missed(late=1, overrun=2)
    end_first_zeros(metrics, clock)
    assert metric_value(metrics, "redis_operations_total", operation="poll") == 3
    assert metric_value(metrics, "redis_operation_failures_total", operation="poll", reason="skipped") == 1
    assert metric_value(metrics, "redis_operation_failures_total", operation="poll", reason="timeout") == 2
    assert metric_value(metrics, f"{DURATION}_count", operation="poll") == 0


def test_one_breaker_state_is_1_and_open_time_is_read_when_scraped() -> None:
    metrics, target = one_target()
    assert metric_value(metrics, "redis_circuit_breaker_state", state="closed") == 1
    target.breaker_changed("closed", "open")
    target.open_seconds = lambda: 7.5
    states = {state: metric_value(metrics, "redis_circuit_breaker_state", state=state) for state in ("closed", "open")}
    assert states == {"closed": 0, "open": 1}
    transitions = metric_value(metrics, "redis_circuit_breaker_transitions_total", from_state="closed", to_state="open")
    assert transitions == 1
    assert metric_value(metrics, "redis_circuit_breaker_open_seconds_total", target="a") == 7.5


def test_polls_are_counted_and_timed_under_the_established_names() -> None:
    metrics, target = one_target()
    assert metric_value(metrics, "redis_exporter_scrapes_total", target="a") == 0
    assert metric_value(metrics, "redis_exporter_scrape_duration_seconds_count", target="a") == 0
    target.record_poll(0.25)
    target.record_poll(0.5)
    assert metric_value(metrics, "redis_exporter_scrapes_total", target="a") == 2
    assert metric_value(metrics, "redis_exporter_scrape_duration_seconds_sum", target="a") == 0.75
    assert metric_value(metrics, "redis_exporter_scrape_duration_seconds_count", target="a") == 2
    assert metric_value(metrics, "redis_exporter_last_scrape_duration_seconds", target="a") == 0.5


def test_error_of_the_newest_poll_is_one_series_with_a_known_reason() -> None:
    metrics, target = one_target()

    def errors() -> dict[str, float]:
        name = "redis_exporter_last_scrape_error"
        return {sample.labels["err"]: sample.value for sample in all_samples(metrics) if sample.name == name}

    assert errors() == {}
    target.record_poll(0.1, "timeout")
    assert errors() == {"timeout": 1}
    target.record_poll(0.1)
    assert errors() == {"": 0}


def test_newest_duration_appears_with_the_first_run_and_includes_timeouts() -> None:
    """A gauge of 0 before the first ping would show the best possible latency."""
    metrics, target = one_target("ping", "connect", "info")
    ping, connect = (f"redis_exporter_last_scrape_{name}_time_seconds" for name in ("ping", "connect"))
    assert not {ping, connect} & {sample.name for sample in all_samples(metrics)}
    target.operation("ping").succeeded(0.002)
    target.operation("connect").succeeded(0.003)
    target.operation("info").succeeded(0.004)
    assert metric_value(metrics, ping, target="a") == 0.002
    assert metric_value(metrics, connect, target="a") == 0.003
    target.operation("ping").failed("refused")
    assert metric_value(metrics, ping, target="a") == 0.002
    target.operation("ping").failed("timeout", 1.0)
    assert metric_value(metrics, ping, target="a") == 1


def used_target() -> tuple[ExporterMetrics, TargetMetrics]:
    metrics = ExporterMetrics("x")
    target = metrics.add_target("t", ["ping", "connect"], buckets=(0.1, 1.0), address="one:1", labels={})
    for name in ("ping", "info", "slowlog"):
        operation = target.operation(name)
        operation.total.inc(2)
        operation.succeeded(0.5)
        operation.failed("reset")
        target.value(families.SUCCESS, name).set(1)
    return metrics, target


def test_moved_target_keeps_its_counts_and_drops_obsolete_series() -> None:
    metrics, target = used_target()
    target.value(families.CERTIFICATE).set(1e9)
    target.address_changed({"address": "two:2"}, (0.1, 1.0), {"ping", "connect", "info"})
    page = b"".join(target.render().values()).decode()
    assert 'redis_operations_total{target="t",operation="ping"} 2' in page
    assert 'redis_operation_duration_seconds_bucket{target="t",operation="info",le="1.0"} 1' in page
    assert 'address="two:2"' in page
    for obsolete in ("slowlog", "certificate"):
        assert obsolete not in page
    target.operation("slowlog").total.inc()
    assert metric_value(metrics, "redis_operations_total", operation="slowlog") == 1


def test_new_buckets_restart_histograms_but_no_counters() -> None:
    """An operation that was obtained before the change observes in the new histogram too."""
    metrics, target = used_target()
    ping = target.operation("ping")
    target.address_changed({"address": "one:1"}, (0.25, 2.0), {"ping", "connect", "info", "slowlog"})
    ping.succeeded(0.5)
    ping.total.inc()
    buckets = [one.labels for one in all_samples(metrics) if one.name == f"{DURATION}_bucket"]
    assert {one["le"] for one in buckets if one["operation"] == "ping"} == {"0.25", "2.0", "+Inf"}
    assert metric_value(metrics, f"{DURATION}_bucket", operation="info", le="1.0") == 1
    assert metric_value(metrics, f"{DURATION}_bucket", operation="ping", le="2.0") == 1
    assert metric_value(metrics, "redis_operations_total", operation="ping") == 3
    assert metric_value(metrics, "redis_operation_failures_total", operation="ping", reason="reset") == 1


def test_callback_that_fails_costs_its_own_line_and_is_counted() -> None:
    metrics, target = used_target()
    metrics.add_target("other", ["ping"], buckets=(1.0,), address="b", labels={})

    def fault() -> float:
        raise RuntimeError("a fault")

    target.callbacks[families.BREAKER_NEXT, ""] = fault
    target.callbacks[families.IN_FLIGHT, "ping"] = lambda: 3
    assert metric_value(metrics, "redis_operations_in_flight", target="t") == 3
    assert metric_value(metrics, "redis_operations_total", target="other") == 0
    assert {one.labels.get("target") for one in all_samples(metrics)} >= {"t", "other"}
    assert metric_value(metrics, "redis_exporter_render_errors_total") >= 1


@pytest.mark.parametrize(
    ("family", "label"), [(families.REPLICATION_DELAY, "replica"), (families.LONGEST, "operation")]
)
def test_two_callbacks_of_one_family_are_both_rendered(family: families.MetricFamily, label: str) -> None:
    metrics, target = used_target()
    target.callbacks[family, "first"] = lambda: 1.5
    target.callbacks[family, "second"] = lambda: 2.5
    values = {sample.labels[label]: sample.value for sample in all_samples(metrics) if sample.name == family.name}
    assert values == {"first": 1.5, "second": 2.5}
