"""A real Prometheus scrapes the daemon: the scrape is clean, the numbers are true, every alert sees what it should.

The daemon watches a healthy Valkey and an address where nobody listens, so that there is something to be alarmed at.
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
#: What alerts on a server that never answered; the other alerts have nothing to tell here.
OF_THE_DEAD = {"RedisTargetDown", "RedisProbeFailureRateHigh", "RedisCircuitBreakerOpen"}

ALERTS = {
    rule["alert"]: rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
}


class Scene(NamedTuple):
    server: RealServer
    prometheus: Prometheus

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """Evaluate an expression, while the server has something to do: a hit and a miss."""
        self.server.run("GET", "there")
        self.server.run("GET", "nowhere")
        return self.prometheus.query(expression)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
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
        made = Scene(server, prometheus)
        eventually(lambda: made.ask("rate(redis_keyspace_hits_total[15s]) > 0"), "two scrapes that differ")
        yield made


@pytest.mark.parametrize("name", sorted(OF_THE_DEAD))
def test_an_alert_sees_the_dead_target_and_no_other(scene: Scene, name: str) -> None:
    def targets() -> set[str]:
        return {series["metric"]["target"] for series in scene.ask(ALERTS[name])}

    assert eventually(targets, f"{name} sees something") == {"dead"}


def test_alerts_on_the_dead_are_on_their_way_and_no_rule_is_unwell(scene: Scene) -> None:
    """Prometheus itself evaluates the rules; burn rates of windows that have just begun may be seen or not."""

    def waiting() -> bool:
        told = {alert["labels"]["alertname"] for alert in scene.prometheus.ask("alerts")["alerts"]}
        return told >= OF_THE_DEAD

    eventually(waiting, "all alerts are pending")
    told = {
        (alert["labels"]["target"], alert["labels"]["alertname"]) for alert in scene.prometheus.ask("alerts")["alerts"]
    }
    others = {(target, name) for target, name in told if target != "dead"}
    assert all("BudgetBurn" in name for _, name in others), others
    groups = scene.prometheus.ask("rules")["groups"]
    assert [rule["name"] for group in groups for rule in group["rules"] if rule["health"] == "err"] == []


def test_the_scrape_itself_is_clean(scene: Scene) -> None:
    [target] = scene.prometheus.ask("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")


def test_the_numbers_are_true(scene: Scene) -> None:
    up = {series["metric"]["target"]: series["value"][1] for series in scene.ask("redis_up")}
    assert up == {"healthy": "1", "dead": "0"}
    [limit] = scene.ask('redis_memory_max_bytes{target="healthy"}')
    assert float(limit["value"][1]) == 64 * 1024 * 1024
    buckets = 'rate(redis_operation_duration_seconds_bucket{target="healthy", operation="ping"}[15s])'
    p99 = f"histogram_quantile(0.99, sum by (le) ({buckets}))"
    [latency] = eventually(lambda: scene.ask(p99), "pings are timed")
    assert 0 < float(latency["value"][1]) < 0.3
