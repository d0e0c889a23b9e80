from redis_pulse.collectors.support.scan import scan_metrics


def test_each_collector_has_rows_of_its_own() -> None:
    """A metric belongs to one collector, so they cannot share them."""
    rows = scan_metrics("keys")
    assert [row.name for row in rows] == [
        "keys_scan_progress_ratio",
        "keys_scan_duration_seconds",
        "keys_scan_age_seconds",
    ]
    assert {row.labels for row in rows} == {("db", "pattern")}
    assert not {row.name for row in rows} & {row.name for row in scan_metrics("streams")}
