"""Tests of complete pages of real servers, read by the parsers of prometheus_client."""

import gzip
import http.client
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from tests.integration.daemon import Daemon
from tests.integration.pages import Page
from tests.integration.servers import RealServer

pytestmark = pytest.mark.integration

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def daemon(start_server: Callable[..., RealServer], start_daemon: Callable[..., Daemon]) -> Daemon:
    """A daemon that monitors a Valkey server, a Redis server and one that does not run."""
    servers = {"valkey": start_server("valkey"), "redis": start_server("redis"), "away": start_server(listen=False)}
    targets = [{"name": name, "url": server.url} for name, server in servers.items()]
    daemon = start_daemon(config={"targets": targets})
    for name in ("valkey", "redis"):
        daemon.wait_until_up(name)
        daemon.wait_for(has_samples_of(name))
    return daemon


def has_samples_of(name: str) -> Callable[[Page], bool]:
    return lambda page: page.value("redis_uptime_in_seconds", target=name) is not None


def assert_complete(families: Any) -> None:
    """Assert that each family and each series occurs once, with a help text, and that all targets are there."""
    seen: set[Any] = set()
    names: set[str] = set()
    for family in families:
        assert family.name not in names, f"{family.name} has two headers"
        names.add(family.name)
        assert family.documentation, family.name
        for sample in family.samples:
            series = (sample.name, frozenset(sample.labels.items()))
            assert series not in seen, f"the page has this series twice: {series}"
            seen.add(series)
    targets = {dict(labels).get("target") for _, labels in seen} - {None}
    assert targets == {"valkey", "redis", "away"}
    assert {"redis_up", "redis_memory_used_bytes"} <= names


def test_text_page_is_complete(daemon: Daemon) -> None:
    status, headers, text = daemon.get("/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=")
    assert_complete(read_text(text))


def test_openmetrics_page_is_complete(daemon: Daemon) -> None:
    _, headers, text = daemon.get("/metrics", headers={"Accept": OPENMETRICS})
    assert headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    assert_complete(read_openmetrics(text))
    assert 'redis_latency_percentiles_usec{target="valkey",cmd="ping",quantile="99"}' in text


def test_compressed_page_is_complete(daemon: Daemon) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=10)
    try:
        connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
        response = connection.getresponse()
        assert response.getheader("Content-Encoding") == "gzip"
        assert_complete(read_text(gzip.decompress(response.read()).decode()))
    finally:
        connection.close()


def test_other_pages_agree_with_the_metrics(daemon: Daemon) -> None:
    health = daemon.json("/health")
    page = daemon.page()
    assert page.up("valkey") == page.up("redis") == 1
    assert page.up("away") == 0
    assert "connected" in str(health)
    assert daemon.json("/redis/ping?target=valkey")["message"] == "pong"
    assert daemon.json("/redis/ping?target=away")["status"] == "error"
    stats = daemon.json("/redis/stats?target=redis")
    assert stats["connected_clients"] == page.value("redis_connected_clients", target="redis")
    assert daemon.get("/redis/ping?target=nobody")[0] == 404
    assert daemon.get("/")[0] == 200
    assert daemon.get("/metrics", method="HEAD")[2] == ""
