"""The committed matrix matches the expected alerts in the code, and a written table can be parsed."""

from tests.alerts import report
from tests.alerts.expected import EXPECTED, NAMES, AlertsByLocation
from tests.alerts.matrix import MatrixResult, Stall


def complete_result(delay: float = 4.2) -> MatrixResult:
    """Return the result of a run in which exactly the expected alerts fired, ``delay`` seconds after the faults."""
    injected = 100.0
    fired = {
        location: dict.fromkeys(names, injected + delay)
        for row in EXPECTED.values()
        for location, names in row.fires.items()
    }
    return MatrixResult(
        faults=set(EXPECTED),
        fired_before={},
        fired=fired,
        inhibitions={},
        fired_after_healing={},
        resolved_after=1.0,
        still_firing=set(),
        texts=set(),
        injected=dict.fromkeys(EXPECTED, injected),
        healed=injected + 60,
        stalls=[
            Stall(location, injected + delay, 0.2, min(causes))
            for row in EXPECTED.values()
            for location, causes in row.causes.items()
        ],
    )


def expected_rows() -> dict[str, tuple[AlertsByLocation, AlertsByLocation]]:
    return {fault: (row.fires, row.inhibited) for fault, row in EXPECTED.items()}


def test_committed_table_matches_the_code() -> None:
    committed = report.parse_table(report.PAGE.read_text(encoding="utf-8"))
    alerts = {fault: (row.fires, row.inhibited) for fault, row in committed.items()}
    assert alerts == expected_rows(), "run `make alerts`, and commit the files that it writes"
    for fault, row in committed.items():
        assert set(row.causes) == set(EXPECTED[fault].causes), fault
        for location, cause in row.causes.items():
            assert cause in EXPECTED[fault].causes[location] | {"unknown"}, fault


def test_written_table_can_be_parsed() -> None:
    text = report.render_table(complete_result())
    parsed = report.parse_table(text)
    assert {fault: (row.fires, row.inhibited) for fault, row in parsed.items()} == expected_rows()
    assert parsed["hung (SIGSTOP)"].causes == {"hung": "not_running"}
    assert "`RedisTargetDown` 4" in text


def test_cause_with_most_seconds_is_named_and_short_stalls_elsewhere_are_not() -> None:
    result = complete_result()
    begun = result.injected["hung (SIGSTOP)"] + 1
    result.stalls += [Stall("hung", begun, 0.15, "disk"), Stall("hung", begun, 0.15, "disk")]
    result.stalls += [Stall("hung", begun - 9, 9.0, "fork"), Stall("hung", result.healed + 1, 9.0, "fork")]
    assert result.causes("hung (SIGSTOP)") == {"hung": "disk"}
    result.stalls += [Stall("killed", begun, 0.9, "fork")]
    assert result.causes("killed") == {}
    result.stalls += [Stall("killed", begun, 1.1, "disk")]
    assert result.causes("killed") == {"killed": "disk"}


def test_fault_without_alerts_has_none_in_its_row() -> None:
    assert "| latency +5 ms, SLO edge at 100 ms | `latency-5ms` | none | none | - |" in report.render_table(
        complete_result()
    )


def test_every_expected_alert_exists() -> None:
    for row in EXPECTED.values():
        for location, names in row.fires.items():
            assert {name.partition("/")[0] for name in names} <= set(NAMES)
            assert row.inhibited.get(location, set()) <= names


def test_nearly_every_alert_is_raised_by_some_fault() -> None:
    """Only promtool tests the others.

    They need a whole core, or a server that fails repeatedly. Others need an exporter that follows a cluster, a
    Sentinel set or a source of targets. One needs a Valkey 9.1 with TLS, which no wheel has.
    """
    raised = {name.partition("/")[0] for row in EXPECTED.values() for names in row.fires.values() for name in names}
    assert set(NAMES) - raised == {
        "RedisMainThreadSaturated",
        "RedisCircuitBreakerFlapping",
        "RedisClusterNodesDisagree",
        "RedisClusterNodesFailing",
        "RedisClusterShardWithoutReplica",
        "RedisDiscoveryFailing",
        "RedisDiscoveryTruncated",
        "RedisSentinelsDisagree",
        "RedisServerCertificateExpiring",
    }
