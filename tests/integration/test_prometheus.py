"""Tests with a real Prometheus that scrapes the daemon: scrapes, values, alerts.

The daemon monitors a healthy Valkey and an address where no server listens, so some alerts are active.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import pytest
import yaml

from tests.integration.daemon import ROOT, Daemon
from tests.integration.prometheus import Prometheus, eventually
from tests.integration.servers import RealServer, free_port

pytestmark = pytest.mark.integration

RECORDING, RULES = (ROOT / "deploy" / "prometheus" / f"{name}.yaml" for name in ("recording", "alerts"))
#: Alerts for a server that never replied. The other alerts are not active here.
DEAD_SERVER_ALERTS = {"RedisTargetDown", "RedisProbeFailureRateHigh", "RedisCircuitBreakerOpen"}

ALERTS = {
    rule["alert"]: rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
}


class MonitoredServer(NamedTuple):
    server: RealServer
    prometheus: Prometheus

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Evaluate an expression, after a hit and a miss on the server."""
        self.server.run("GET", "there")
        self.server.run("GET", "nowhere")
        return self.prometheus.query(expression)


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MonitoredServer]:
    folder = tmp_path_factory.mktemp("prometheus")
    with ExitStack() as stack:
        server = stack.enter_context(RealServer(folder / "valkey", maxmemory="64mb"))
        server.run("SET", "there", "1")
        targets = [
            {"name": "healthy", "url": server.url},
            {"name": "dead", "url": f"redis://127.0.0.1:{free_port()}"},
        ]
        daemon = stack.enter_context(Daemon(folder / "daemon", config={"targets": targets}))
        prometheus = stack.enter_context(Prometheus(folder / "prometheus", daemon.port, RECORDING, RULES))
        monitored = MonitoredServer(server, prometheus)
        eventually(lambda: monitored.query("rate(redis_keyspace_hits_total[15s]) > 0"), "two scrapes that differ")
        yield monitored


@pytest.mark.parametrize("name", sorted(DEAD_SERVER_ALERTS))
def test_alert_fires_for_the_dead_target_only(monitored: MonitoredServer, name: str) -> None:
    def targets() -> set[str]:
        return {series["metric"]["target"] for series in monitored.query(ALERTS[name])}

    assert eventually(targets, f"{name} is active") == {"dead"}


def test_alerts_for_the_dead_target_are_pending_and_rules_are_healthy(monitored: MonitoredServer) -> None:
    """Prometheus evaluates the rules. Burn-rate alerts may be active or not: their windows have just begun."""

    def active() -> set[tuple[str, str]]:
        alerts = [alert["labels"] for alert in monitored.prometheus.get("alerts")["alerts"]]
        return {(labels["target"], labels["alertname"]) for labels in alerts}

    eventually(lambda: {name for _, name in active()} >= DEAD_SERVER_ALERTS, "all alerts are pending")
    others = {(target, name) for target, name in active() if target != "dead"}
    assert all("BudgetBurn" in name for _, name in others), others
    groups = monitored.prometheus.get("rules")["groups"]
    assert [rule["name"] for group in groups for rule in group["rules"] if rule["health"] == "err"] == []


def test_scrape_has_no_error(monitored: MonitoredServer) -> None:
    [target] = monitored.prometheus.get("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")


def test_values_are_right(monitored: MonitoredServer) -> None:
    up = {series["metric"]["target"]: series["value"][1] for series in monitored.query("redis_up")}
    assert up == {"healthy": "1", "dead": "0"}
    [limit] = monitored.query('redis_memory_max_bytes{target="healthy"}')
    assert float(limit["value"][1]) == 64 * 1024 * 1024
    buckets = 'rate(redis_operation_duration_seconds_bucket{target="healthy", operation="ping"}[15s])'
    p99 = f"histogram_quantile(0.99, sum by (le) ({buckets}))"
    [latency] = eventually(lambda: monitored.query(p99), "pings are timed")
    assert 0 < float(latency["value"][1]) < 0.3
