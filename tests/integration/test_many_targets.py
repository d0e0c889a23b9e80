"""The page of many targets is made of compressed blocks. A real Prometheus and curl read all of it."""

import asyncio
import shutil
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from redis_pulse.exposition import render_steps
from redis_pulse.exposition.page_builder import PageBuilder
from redis_pulse.metric import gauge, histogram
from redis_pulse.sample_store import SampleStore
from redis_pulse.telemetry import ExporterMetrics
from tests.harness import put
from tests.integration.prometheus import Prometheus, eventually
from tests.web.fakes import FakeDaemon, served

pytestmark = [pytest.mark.integration, pytest.mark.slow]

TARGETS = 200
KEYS = gauge("Keyspace", "keys", "db_keys", "Keys of a database.", labels=("db",))
TIMES = histogram("Latency", "times", "times_seconds", "Times of a command.", labels=("cmd",))


class Daemon(FakeDaemon):
    """Serves a real page of two hundred targets, of which most are in groups."""

    def __init__(self) -> None:
        super().__init__()
        store, metrics = SampleStore(render_steps, time.monotonic), ExporterMetrics("x")
        metrics.sample_times = store.times
        self.builder = PageBuilder(store, metrics, [KEYS, TIMES])
        for number in range(TARGETS):
            name = f"t{number}"
            target = metrics.add_target(name, ["ping", "info"], buckets=(0.1,), address=f"{name}:1", labels={})
            target.operation("ping").succeeded(0.01)
            times = TIMES.distribution([("0.1", 3)], 0.5, 3 + number, "get")
            put(store, name, "info", [KEYS.sample(number, "db0"), KEYS.sample(1, "db1"), *times], 600)

    async def metrics(self, *, openmetrics: bool, gzip: bool) -> Any:
        return await self.builder.full(openmetrics=openmetrics, gzip=gzip)


async def test_prometheus_and_curl_read_all_blocks(tmp_path: Path) -> None:
    daemon = Daemon()
    async with served(daemon) as server:
        await asyncio.to_thread(_scraped_by_prometheus, tmp_path / "prometheus", server.port)
        assert len(daemon.builder._groups) == 3
        curl = shutil.which("curl")
        if curl is not None:  # it reads only one member of gzip
            command = [curl, "-sS", "--compressed", f"http://127.0.0.1:{server.port}/metrics"]
            run = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True, timeout=30)
            assert run.stdout.count(b"\nredis_db_keys{") == 2 * TARGETS


def _scraped_by_prometheus(folder: Path, port: int) -> None:
    with Prometheus(folder, port) as prometheus:
        for query, wanted in (
            ("count(redis_db_keys)", TARGETS * 2),
            ("sum(redis_db_keys{db='db0'})", sum(range(TARGETS))),
            ("count(redis_times_seconds_bucket{le='0.1'})", TARGETS),
            ("count(redis_sample_timestamp_seconds)", TARGETS),
            ("count(redis_sample_age_seconds < 600)", TARGETS),
            ("sum(redis_operation_duration_seconds_count{operation='ping'})", TARGETS),
        ):
            eventually(partial(_has_value, prometheus, query, wanted), query)
        [target] = prometheus.get("targets")["activeTargets"]
        assert (target["health"], target["lastError"]) == ("up", "")


def _has_value(prometheus: Prometheus, query: str, wanted: float) -> bool:
    return _value(prometheus, query) == wanted


def _value(prometheus: Prometheus, query: str) -> float:
    result = prometheus.query(query)
    return float(result[0]["value"][1]) if result else 0.0
