"""Metrics of the daemon, and of all targets together: complete, described, and dropped with their target."""

import pytest

from redis_pulse.telemetry import ExporterMetrics, describe_all, families, sample_names
from tests.harness import all_samples, metric_value


def two_targets() -> ExporterMetrics:
    metrics = ExporterMetrics("1.2.3")
    for name in ("a", "b"):
        metrics.add_target(name, ["ping"], buckets=(0.1, 1.0), address=f"{name}:1", labels={"team": "web"})
    return metrics


def names_of_series(metrics: ExporterMetrics, target: str) -> set[str]:
    return {sample.name for sample in all_samples(metrics) if sample.labels.get("target") == target}


def test_removed_target_loses_all_its_series_and_no_others() -> None:
    metrics = two_targets()
    a = metrics.add_target("a", ["ping"], buckets=(0.1, 1.0), address="a:1", labels={})
    a.record_collector("info", success=True, supported=True, denied=False, seconds=0.1, unreadable=1)
    a.breaker_changed("closed", "open")
    before = names_of_series(metrics, "b")
    metrics.remove_target("a")
    metrics.remove_target("never there")
    assert names_of_series(metrics, "a") == set()
    assert names_of_series(metrics, "b") == before
    assert metric_value(metrics, "redis_exporter_targets") == 1


def test_labels_of_a_target_appear_on_its_info_series_only() -> None:
    metrics = two_targets()
    assert metric_value(metrics, "redis_target_info", target="a", address="a:1", team="web") == 1
    assert metric_value(metrics, "redis_up", team="web") == 0


def test_lines_are_rendered_again_only_after_a_value_changed() -> None:
    metrics = two_targets()
    list(metrics.render_targets())
    (a, b) = metrics.render_targets()
    metrics._targets["a"].operation("ping").failed("refused")
    (a_after, b_after) = metrics.render_targets()
    assert a_after[families.FAILURES] != a[families.FAILURES]
    assert a_after[families.DURATION] is a[families.DURATION]
    assert b_after[families.FAILURES] is b[families.FAILURES]


def test_target_can_have_its_own_buckets() -> None:
    metrics = two_targets()
    metrics.add_target("c", ["ping"], buckets=(0.5,), address="c", labels={}).operation("ping").succeeded(0.4)
    bounds = {
        sample.labels["le"]
        for sample in all_samples(metrics)
        if sample.labels.get("target") == "c" and "le" in sample.labels
    }
    assert bounds == {"0.5", "+Inf"}


def test_every_family_is_described_with_its_labels() -> None:
    described_by_name = {family.name: family for family in describe_all()}
    assert described_by_name["redis_operations_total"].labels == ("target", "operation")
    assert described_by_name["redis_sample_age_seconds"].labels == ("target", "collector")
    assert all(family.help for family in describe_all())
    assert "redis_operation_duration_seconds_bucket" in sample_names()


def test_build_info_has_the_labels_that_existing_dashboards_use() -> None:
    metrics = ExporterMetrics("1.2.3")
    labels = {"version": "1.2.3", "commit_sha": "", "build_date": "", "golang_version": ""}
    assert metric_value(metrics, "redis_exporter_build_info", **labels) == 1
    assert metric_value(metrics, "redis_target_scrape_request_errors_total") == 0


@pytest.mark.parametrize("collectors", [1, 600])
def test_ages_of_all_collectors_are_rendered_for_one_target_and_for_all(collectors: int) -> None:
    """They are rendered in steps; a later step must not replace an earlier one."""
    metrics = two_targets()
    names = tuple(f"collector-{number}" for number in range(collectors))
    metrics.sample_times = lambda target: (
        (name, names, [1.5] * collectors, [1795380000.25] * collectors) for name in ([target] if target else "ab")
    )
    for family, value in ((families.SAMPLE_AGE, "1.500"), (families.SAMPLE_TIMESTAMP, "1795380000.250")):
        lines = metrics.render_target("a")[family].decode().splitlines()
        expected = [f'{family.name}{{target="a",collector="{name}"}} {value}' for name in names]
        assert lines == expected
        steps = [part[family] for part in metrics.render_targets() if family in part]
        assert b"".join(steps).decode().splitlines() == [*expected, *(line.replace('"a"', '"b"') for line in expected)]
