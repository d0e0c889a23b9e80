from redis_pulse.collectors.support.scan import scan_metrics


def test_each_collector_has_its_own_scan_metrics() -> None:
    """A metric belongs to one collector, so collectors cannot share them."""
    metrics = scan_metrics("keys")
    assert [metric.name for metric in metrics] == [
        "keys_scan_progress_ratio",
        "keys_scan_duration_seconds",
        "keys_scan_age_seconds",
    ]
    assert {metric.labels for metric in metrics} == {("db", "pattern")}
    assert not {metric.name for metric in metrics} & {metric.name for metric in scan_metrics("streams")}
