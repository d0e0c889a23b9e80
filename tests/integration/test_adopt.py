"""A real Prometheus names servers that no configuration has: by the job of redis_exporter, and by other jobs."""

import http.client
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.daemon import ROOT, Daemon
from tests.integration.prometheus import Prometheus, eventually
from tests.integration.servers import RealServer

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SCRAPE = ROOT / "deploy" / "prometheus" / "scrape"
ADOPT = {"scrape": {"adopt": {"allow": ["127.0.0.0/8"], "forget_after": "10s"}}}


def jobs(name: str, port: int, targets: list[str]) -> list[dict[str, Any]]:
    """Return the jobs of a file under deploy/, with our daemon and these targets instead of what it finds."""
    found: list[dict[str, Any]] = yaml.safe_load((SCRAPE / name).read_text())["scrape_configs"]
    for job in found:
        job.pop("kubernetes_sd_configs", None)
        for rule in job.get("relabel_configs", ()):
            if rule.get("target_label") == "__address__":
                rule["replacement"] = f"127.0.0.1:{port}"
        of_targets = job.get("metrics_path") == "/scrape"
        labels = {
            "__meta_kubernetes_pod_container_port_name": "redis",
            "__meta_kubernetes_pod_phase": "Running",
            "__meta_kubernetes_namespace": "shop",
            "__meta_kubernetes_pod_name": "cart-0",
        }
        own = {"targets": [f"127.0.0.1:{port}"]}
        job["static_configs"] = [{"targets": targets, "labels": labels} if of_targets else own]
        job |= {"scrape_interval": "2s", "scrape_timeout": "2s"}
    return found


@pytest.mark.parametrize(("file", "scheme"), [("adopt.yaml", "redis://"), ("kubernetes-pods.yaml", "")])
def test_jobs_of_prometheus_get_every_server_from_the_first_scrape_on(
    file: str,
    scheme: str,
    start_server: Callable[..., RealServer],
    start_daemon: Callable[..., Daemon],
    tmp_path: Path,
) -> None:
    servers = [start_server("redis"), start_server("valkey")]
    daemon = start_daemon(config=ADOPT)
    instances = [f"{scheme}127.0.0.1:{server.port}" for server in servers]
    with Prometheus(tmp_path / "prometheus", (), jobs=jobs(file, daemon.port, instances)) as prometheus:
        eventually(lambda: len(prometheus.query("redis_up == 1")) >= 2, "both servers", 40)
        up = prometheus.query("redis_up == 1")
        assert sorted(series["metric"]["instance"] for series in up) == sorted(instances)
        # Each server is in one job only, and no scrape had a page without the ping or without INFO.
        assert len(prometheus.query("redis_up")) == 2
        assert len(prometheus.query("redis_memory_used_bytes")) == 2
        assert not prometheus.query("min_over_time(redis_up[1m]) < 1")
        adopted = eventually(lambda: prometheus.query("redis_exporter_adopted_targets == 2"), "the own metrics", 40)
        assert len(adopted) == 1
        if file == "kubernetes-pods.yaml":
            assert {series["metric"]["pod"] for series in up} == {"cart-0"}
    eventually(lambda: daemon.page().value("redis_exporter_adopted_targets") == 0, "the targets are forgotten", 40)


def test_page_of_an_adopted_target_is_not_on_the_common_page(
    start_server: Callable[..., RealServer], start_daemon: Callable[..., Daemon]
) -> None:
    server, daemon = start_server(), start_daemon(config=ADOPT)
    status, _, text = daemon.get(f"/scrape?target=127.0.0.1:{server.port}")
    assert status == 200
    assert "redis_connected_clients{" in text
    assert f"127.0.0.1:{server.port}" not in daemon.get("/metrics")[2]
    assert f"127.0.0.1:{server.port}" in daemon.get("/")[2]
    assert daemon.json("/sd") == []
    assert daemon.get("/-/ready")[0] == 200


@pytest.mark.parametrize(
    ("target", "status"),
    [
        *(("192.0.2.1:6379", 403), ("redis://:hunter2@127.0.0.1:6379", 400), ("127.0.0.1:6379?password=hunter2", 400)),
        *(("169.254.169.254:80", 403), ("unix:///run/redis.sock", 403), ("http://127.0.0.1:80/", 400)),
        *(("[::ffff:10.0.0.1]:6379", 403), ("0:6379", 403), ("0x0a000001:6379", 403)),
    ],
)
def test_outsider_reaches_no_server_beyond_the_list(
    target: str, status: int, start_daemon: Callable[..., Daemon]
) -> None:
    daemon = start_daemon(config=ADOPT)
    got, _, text = daemon.get(f"/scrape?target={target}")
    assert got == status
    assert "hunter2" not in text + daemon.log
    assert daemon.page().value("redis_exporter_adopted_targets") == 0


def test_many_first_scrapes_in_the_same_second(
    start_server: Callable[..., RealServer], start_daemon: Callable[..., Daemon]
) -> None:
    """All of them get their first measurements, and the limit is exact."""
    hosts = [[f"127.0.{number}.{last}" for last in range(1, 16)] for number in range(1, 9)]
    servers = [start_server("redis", bind=f"127.0.0.1 {' '.join(addresses)}") for addresses in hosts]
    addresses = [f"{host}:{server.port}" for server, own in zip(servers, hosts, strict=True) for host in own]
    slow = {"probe": {"interval": "1s"}, "poll": {"interval": "15s"}}
    daemon = start_daemon(config={"scrape": {"adopt": {"allow": ["127.0.0.0/8"], "max": 100}}, **slow})
    results: list[tuple[int, str]] = []

    def scrape(address: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60)
        connection.request(
            "GET", f"/scrape?target={address}", headers={"X-Prometheus-Scrape-Timeout-Seconds": "50.000000"}
        )
        response = connection.getresponse()
        results.append((response.status, response.read().decode()))
        connection.close()

    threads = [threading.Thread(target=scrape, args=(address,)) for address in addresses]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 90
    for thread in threads:
        thread.join(max(0.1, deadline - time.monotonic()))
    good = [text for status, text in results if status == 200]
    assert len(good) == 100
    assert all("redis_up{" in text and "redis_memory_used_bytes{" in text for text in good)
    assert sorted({status for status, _ in results}) == [200, 503]
    page = daemon.page()
    assert page.value("redis_exporter_adopted_targets") == 100
    assert page.value("redis_exporter_adopt_refused_total", reason="too_many") == 20
