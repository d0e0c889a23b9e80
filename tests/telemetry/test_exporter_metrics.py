"""Our own counters: complete from the start, gone with their target, described for the documentation."""

from redis_pulse.errors import REASONS
from redis_pulse.telemetry import ExporterMetrics, TargetMetrics, describe_all, families, sample_names
from tests.harness import all_samples, metric_value


def watched() -> ExporterMetrics:
    instruments = ExporterMetrics("1.2.3")
    for name in ("a", "b"):
        instruments.add_target(name, ["ping"], buckets=(0.1, 1.0), address=f"{name}:1", labels={"team": "web"})
    return instruments


def series(instruments: ExporterMetrics, target: str) -> set[str]:
    return {sample.name for sample in all_samples(instruments) if sample.labels.get("target") == target}


def test_every_reason_is_there_from_the_start_as_zero() -> None:
    """A rate over a counter that appears only with its first failure misses that failure."""
    instruments = watched()
    seen = {
        sample.labels["reason"]: sample.value
        for sample in all_samples(instruments)
        if sample.name == "redis_operation_failures_total" and sample.labels["target"] == "a"
    }
    assert seen == dict.fromkeys(REASONS, 0.0)


def test_a_success_is_observed_and_a_timeout_is_observed_at_its_deadline() -> None:
    instruments = ExporterMetrics("x")
    ping = instruments.add_target("a", [], buckets=(0.1, 1.0), address="a", labels={}).operation("ping")
    ping.succeeded(0.05)
    ping.failed("timeout", 1.0)
    ping.failed("refused")
    name = "redis_operation_duration_seconds"
    assert metric_value(instruments, f"{name}_count") == 2
    assert metric_value(instruments, f"{name}_sum") == 1.05
    assert metric_value(instruments, f"{name}_bucket", le="0.1") == 1
    assert metric_value(instruments, "redis_operation_failures_total", reason="refused") == 1


def test_a_target_can_have_buckets_of_its_own() -> None:
    instruments = watched()
    instruments.add_target("c", ["ping"], buckets=(0.5,), address="c", labels={}).operation("ping").succeeded(0.4)
    edges = {
        sample.labels["le"]
        for sample in all_samples(instruments)
        if sample.labels.get("target") == "c" and "le" in sample.labels
    }
    assert edges == {"0.5", "+Inf"}


def test_lines_are_rendered_anew_only_when_a_value_has_changed() -> None:
    instruments = watched()
    (a, b) = instruments.render_targets()
    instruments._targets["a"].operation("ping").failed("refused")
    (a_after, b_after) = instruments.render_targets()
    assert a_after[families.FAILURES] != a[families.FAILURES]
    assert a_after[families.DURATION] is a[families.DURATION]
    assert b_after[families.FAILURES] is b[families.FAILURES]


def test_a_target_that_goes_takes_every_series_along() -> None:
    instruments = watched()
    of_a = instruments.add_target("a", ["ping"], buckets=(0.1, 1.0), address="a:1", labels={})
    of_a.record_collector("info", success=True, supported=True, denied=False, seconds=0.1, unreadable=1)
    of_a.breaker_changed("closed", "open")
    before = series(instruments, "b")
    instruments.remove_target("a")
    instruments.remove_target("never there")
    assert series(instruments, "a") == set()
    assert series(instruments, "b") == before
    assert metric_value(instruments, "redis_exporter_targets") == 1


def test_the_breaker_state_is_one_hot_and_its_open_time_is_read_when_scraped() -> None:
    instruments = ExporterMetrics("x")
    of_a = instruments.add_target("a", [], buckets=(1.0,), address="a", labels={})
    assert metric_value(instruments, "redis_circuit_breaker_state", state="closed") == 1
    of_a.breaker_changed("closed", "open")
    of_a.open_seconds = lambda: 7.5
    states = {
        state: metric_value(instruments, "redis_circuit_breaker_state", state=state) for state in ("closed", "open")
    }
    assert states == {"closed": 0, "open": 1}
    assert (
        metric_value(instruments, "redis_circuit_breaker_transitions_total", from_state="closed", to_state="open") == 1
    )
    assert metric_value(instruments, "redis_circuit_breaker_open_seconds_total", target="a") == 7.5


def test_the_labels_of_a_target_stand_on_its_info_series_only() -> None:
    instruments = watched()
    assert metric_value(instruments, "redis_target_info", target="a", address="a:1", team="web") == 1
    assert metric_value(instruments, "redis_up", team="web") == 0


def test_every_family_is_described_with_its_labels() -> None:
    described_by_name = {family.name: family for family in describe_all()}
    assert described_by_name["redis_operations_total"].labels == ("target", "operation")
    assert described_by_name["redis_sample_age_seconds"].labels == ("target", "collector")
    assert all(family.help for family in describe_all())
    assert "redis_operation_duration_seconds_bucket" in sample_names()


def test_polls_are_counted_and_timed_under_the_established_names() -> None:
    instruments = ExporterMetrics("x")
    of_a = instruments.add_target("a", [], buckets=(1.0,), address="a", labels={})
    assert metric_value(instruments, "redis_exporter_scrapes_total", target="a") == 0
    assert metric_value(instruments, "redis_exporter_scrape_duration_seconds_count", target="a") == 0
    of_a.record_poll(0.25)
    of_a.record_poll(0.5)
    assert metric_value(instruments, "redis_exporter_scrapes_total", target="a") == 2
    assert metric_value(instruments, "redis_exporter_scrape_duration_seconds_sum", target="a") == 0.75
    assert metric_value(instruments, "redis_exporter_scrape_duration_seconds_count", target="a") == 2
    assert metric_value(instruments, "redis_exporter_last_scrape_duration_seconds", target="a") == 0.5


def test_the_error_of_the_newest_poll_is_one_series_with_a_reason_of_the_closed_list() -> None:
    instruments = ExporterMetrics("x")
    of_a = instruments.add_target("a", [], buckets=(1.0,), address="a", labels={})

    def errors() -> dict[str, float]:
        name = "redis_exporter_last_scrape_error"
        return {sample.labels["err"]: sample.value for sample in all_samples(instruments) if sample.name == name}

    assert errors() == {}
    of_a.record_poll(0.1, "timeout")
    assert errors() == {"timeout": 1}
    of_a.record_poll(0.1)
    assert errors() == {"": 0}


def test_the_newest_ping_and_connect_are_there_once_there_was_one_and_keep_a_timeout_at_its_deadline() -> None:
    """A gauge that says 0 before the first ping would show the best of all latencies."""
    instruments = ExporterMetrics("x")
    of_a = instruments.add_target("a", ["ping", "connect", "info"], buckets=(1.0,), address="a", labels={})
    ping, connect = (f"redis_exporter_last_scrape_{name}_time_seconds" for name in ("ping", "connect"))
    assert not {ping, connect} & {sample.name for sample in all_samples(instruments)}
    of_a.operation("ping").succeeded(0.002)
    of_a.operation("connect").succeeded(0.003)
    of_a.operation("info").succeeded(0.004)
    assert (metric_value(instruments, ping, target="a"), metric_value(instruments, connect, target="a")) == (
        0.002,
        0.003,
    )
    of_a.operation("ping").failed("refused")
    assert metric_value(instruments, ping, target="a") == 0.002
    of_a.operation("ping").failed("timeout", 1.0)
    assert metric_value(instruments, ping, target="a") == 1


def test_the_build_has_the_labels_that_dashboards_know() -> None:
    instruments = ExporterMetrics("1.2.3")
    labels = {"version": "1.2.3", "commit_sha": "", "build_date": "", "golang_version": ""}
    assert metric_value(instruments, "redis_exporter_build_info", **labels) == 1
    assert metric_value(instruments, "redis_target_scrape_request_errors_total") == 0


def watched_target() -> tuple[ExporterMetrics, TargetMetrics]:
    instruments = ExporterMetrics("x")
    target = instruments.add_target("t", ["ping", "connect"], buckets=(0.1, 1.0), address="one:1", labels={})
    for name in ("ping", "info", "slowlog"):
        operation = target.operation(name)
        operation.total.inc(2)
        operation.succeeded(0.5)
        operation.failed("reset")
        target.value(families.SUCCESS, name).set(1)
    return instruments, target


def test_a_target_that_moves_keeps_what_it_counted_and_drops_what_it_has_no_more() -> None:
    instruments, target = watched_target()
    target.value(families.CERTIFICATE).set(1e9)
    target.address_changed({"address": "two:2"}, (0.1, 1.0), {"ping", "connect", "info"})
    page = b"".join(target.render().values()).decode()
    assert 'redis_operations_total{target="t",operation="ping"} 2' in page
    assert 'redis_operation_duration_seconds_bucket{target="t",operation="info",le="1.0"} 1' in page
    assert 'address="two:2"' in page
    for gone in ("slowlog", "certificate"):
        assert gone not in page
    target.operation("slowlog").total.inc()
    assert metric_value(instruments, "redis_operations_total", operation="slowlog") == 1


def test_other_buckets_begin_only_the_histograms_anew_also_for_who_holds_an_operation() -> None:
    instruments, target = watched_target()
    held = target.operation("ping")
    target.address_changed({"address": "one:1"}, (0.25, 2.0), {"ping", "connect", "info", "slowlog"})
    held.succeeded(0.5)
    held.total.inc()
    duration = "redis_operation_duration_seconds_bucket"
    edges = {one.labels["le"] for one in all_samples(instruments) if one.name == duration}
    assert edges == {"0.25", "2.0", "+Inf"}
    assert metric_value(instruments, duration, operation="ping", le="2.0") == 1
    assert metric_value(instruments, "redis_operations_total", operation="ping") == 3
    assert metric_value(instruments, "redis_operation_failures_total", operation="ping", reason="reset") == 1


def test_a_value_that_cannot_be_read_costs_its_own_line_and_is_counted() -> None:
    instruments, target = watched_target()
    instruments.add_target("other", ["ping"], buckets=(1.0,), address="b", labels={})

    def fault() -> float:
        raise RuntimeError("a fault")

    target.callbacks[families.BREAKER_NEXT, ""] = fault
    target.callbacks[families.IN_FLIGHT, "ping"] = lambda: 3
    assert metric_value(instruments, "redis_operations_in_flight", target="t") == 3
    assert metric_value(instruments, "redis_operations_total", target="other") == 0
    assert {one.labels.get("target") for one in all_samples(instruments)} >= {"t", "other"}
    assert metric_value(instruments, "redis_exporter_render_errors_total") >= 1


def test_two_values_of_one_family_that_are_read_for_a_page_both_stand_on_it() -> None:
    instruments, target = watched_target()
    target.callbacks[families.REPLICATION_DELAY, "a"] = lambda: 1
    target.callbacks[families.REPLICATION_DELAY, "b"] = lambda: 2
    assert metric_value(instruments, "redis_replication_delay_seconds", replica="a") == 1
    assert metric_value(instruments, "redis_replication_delay_seconds", replica="b") == 2


def test_two_values_of_one_family_that_are_read_when_a_page_is_made_are_both_there() -> None:
    instruments = watched()
    a = instruments.add_target("c", ["ping"], buckets=(1.0,), address="c:1", labels={})
    a.callbacks[families.LONGEST, "ping"] = lambda: 1.5
    a.callbacks[families.LONGEST, "canary_read"] = lambda: 2.5
    found = {
        sample.labels["operation"]: sample.value
        for sample in all_samples(instruments)
        if sample.name == families.LONGEST.name and sample.labels["target"] == "c"
    }
    assert found == {"ping": 1.5, "canary_read": 2.5}
