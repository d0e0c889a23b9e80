"""Tests of the shipped scrape configurations with a real Prometheus: it has every Redis once, with its address."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from redis_pulse.config.sharding import owner
from tests.integration.daemon import ROOT, Daemon
from tests.integration.prometheus import Prometheus, eventually
from tests.integration.servers import RealServer

pytestmark = pytest.mark.integration

SHIPPED = ROOT / "deploy" / "prometheus" / "scrape"
NAMES = ("cart", "sessions", "queue", "search")


def shipped(name: str, *daemons: Daemon) -> list[dict[str, Any]]:
    """Return the jobs of a shipped file. Only hosts and the refresh interval are changed, to 1 s instead of 30 s."""
    text = (SHIPPED / name).read_text(encoding="utf-8").replace("refresh_interval: 30s", "refresh_interval: 1s")
    for number, daemon in enumerate(daemons):
        for host in ("redis-pulse:9121", f"redis-pulse-{number}:9121"):
            text = text.replace(host, f"127.0.0.1:{daemon.port}")
    assert ":9121" not in text
    jobs: list[dict[str, Any]] = yaml.safe_load(text)["scrape_configs"]
    return jobs


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RealServer]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(RealServer(tmp_path_factory.mktemp(name))) for name in NAMES}


def config(servers: dict[str, RealServer]) -> dict[str, Any]:
    return {
        "targets": [
            {"name": name, "url": server.url, "labels": {"team": f"{name}s"}} for name, server in servers.items()
        ]
    }


def up(prometheus: Prometheus) -> list[tuple[str, str, str]]:
    """Return target, instance and job of every ``redis_up`` that is 1."""
    metrics = [series["metric"] for series in prometheus.query("redis_up == 1")]
    return sorted((metric["target"], metric["instance"], metric["job"]) for metric in metrics)


def assert_no_duplicates(prometheus: Prometheus) -> None:
    for expression in (
        "count by (target) (redis_up) > 1",
        "count by (target, db) (redis_db_keys) > 1",
        "count by (instance) (redis_exporter_build_info) > 1",
        'count by (instance) (process_start_time_seconds{job="redis-pulse"}) > 1',
    ):
        assert prometheus.query(expression) == [], expression


def test_one_page_has_every_redis(tmp_path: Path, servers: dict[str, RealServer]) -> None:
    with ExitStack() as stack:
        daemon = stack.enter_context(Daemon(tmp_path / "daemon", config=config(servers)))
        jobs = shipped("page.yaml", daemon)
        prometheus = stack.enter_context(Prometheus(tmp_path / "prometheus", (), jobs=jobs))
        expected = sorted((name, f"127.0.0.1:{daemon.port}", "redis-pulse") for name in NAMES)
        eventually(lambda: up(prometheus) == expected, f"{up(prometheus)} equals {expected}")
        assert_no_duplicates(prometheus)


def test_each_redis_and_the_daemon_are_separate_instances(tmp_path: Path, servers: dict[str, RealServer]) -> None:
    with ExitStack() as stack:
        daemon = stack.enter_context(Daemon(tmp_path / "daemon", config=config(servers)))
        jobs = shipped("each.yaml", daemon)
        prometheus = stack.enter_context(Prometheus(tmp_path / "prometheus", (), jobs=jobs))
        expected = sorted((name, f"127.0.0.1:{server.port}", "redis") for name, server in servers.items())
        eventually(lambda: up(prometheus) == expected, f"{up(prometheus)} equals {expected}")
        eventually(lambda: prometheus.query("redis_exporter_build_info"), "the daemon's own metrics")
        assert_no_duplicates(prometheus)
        assert [series["metric"]["team"] for series in prometheus.query('redis_up{target="cart"}')] == ["carts"]
        assert prometheus.query('redis_up{job="redis-pulse"}') == []
        remaining = {name: server for name, server in servers.items() if name != "queue"}
        daemon.configure(config(remaining))
        daemon.reload()
        eventually(
            lambda: not prometheus.query('redis_up{target="queue"}'), "Prometheus has dropped the removed target"
        )


def test_two_shards_have_every_redis_once(tmp_path: Path, servers: dict[str, RealServer]) -> None:
    with ExitStack() as stack:
        shards = [
            stack.enter_context(Daemon(tmp_path / f"shard{index}", "--shard", f"{index}/2", config=config(servers)))
            for index in range(2)
        ]
        jobs = shipped("shards.yaml", *shards)
        prometheus = stack.enter_context(Prometheus(tmp_path / "prometheus", (), jobs=jobs))
        expected = sorted((name, f"127.0.0.1:{server.port}", "redis") for name, server in servers.items())
        eventually(lambda: up(prometheus) == expected, f"{up(prometheus)} equals {expected}")
        eventually(lambda: len(prometheus.query("redis_exporter_shard_info")) == 2, "both shards publish their number")
        assert_no_duplicates(prometheus)
        for index, shard in enumerate(shards):
            owned = {name for name in NAMES if owner(name, 2) == index}
            assert {group["labels"]["__param_target"] for group in shard.json("/sd")} == owned


def test_shard_does_not_serve_targets_of_another_shard(tmp_path: Path, servers: dict[str, RealServer]) -> None:
    with Daemon(tmp_path / "daemon", "--shard", "0/2", config=config(servers)) as shard:
        for name in NAMES:
            status, _, _ = shard.get(f"/scrape?target={name}")
            assert status == (200 if owner(name, 2) == 0 else 404)
