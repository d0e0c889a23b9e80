"""Managed services and other software: the default collectors publish what exists, and try only once what does not.

The page of each service is committed in ``tests/golden/managed/``; ``GOLDEN_WRITE=1`` writes them.
"""

import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from redis_pulse import collectors
from redis_pulse.exposition import render_steps
from redis_pulse.exposition.rendering import with_headers
from redis_pulse.metric import MetricSpec
from redis_pulse.polling import ConfiguredCollector, TargetPoller
from redis_pulse.sample_store import SampleStore
from redis_pulse.slices import SharedTurns
from tests import replay
from tests.harness import TargetHarness, metric_value
from tests.managed_services import DOUBLES, SERVICES, DoubleServer

GOLDEN = Path(__file__).parent / "golden" / "managed"
POLLS = 4
NAMES = sorted(DOUBLES)

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


class PolledService(TargetHarness):
    """A service that is polled several times by the default collectors, through the real client."""

    def __init__(self, server: DoubleServer) -> None:
        super().__init__(server.url)
        self.server = server
        self.store = SampleStore(render_steps, self.clock)
        default = [collector for collector in collectors.load().values() if collector.default]
        parts = [ConfiguredCollector(replay.freeze(collector), collector.options()) for collector in default]
        self.poller = TargetPoller(
            self.client,
            parts,
            self.store,
            self.target_metrics,
            self.observer,
            ping_error=lambda: self.prober.last_failure,
            turns=SharedTurns(),
            clock=self.clock,
        )
        # The double listens on the local host, and not at the address of the service.
        self.poller.server.host, self.poller.server.login_service = server.double.host, server.double.login_service

    async def poll(self) -> None:
        for _ in range(POLLS):
            await self.poller.poll(self.clock())
            self.clock.advance(15)

    @property
    def text(self) -> str:
        self.clock.advance(-15)  # back to the time of the last poll
        return b"".join(lines for page in self.store.all_fresh() for lines in page.values()).decode()

    def page(self) -> str:
        """Return the page of the server metrics, in their usual order."""
        self.clock.advance(-15)
        lines: dict[MetricSpec, bytes] = {}
        for page in self.store.all_fresh():
            for metric, series in page.items():
                lines[metric] = lines.get(metric, b"") + series
        metrics = (metric for collector in collectors.load().values() for metric in collector.metrics)
        families = (headers[False] + lines.pop(metric) for metric, headers in with_headers(metrics) if metric in lines)
        return b"".join(families).decode()

    def unreadable(self) -> dict[str, float]:
        """Return the number of unreadable parts of replies by collector, without zeros."""
        counts = {
            name: metric_value(self.metrics, "redis_exporter_unreadable_fields_total", collector=name)
            for name in collectors.load()
        }
        return {name: count for name, count in counts.items() if count}


@asynccontextmanager
async def polled(name: str) -> AsyncIterator[PolledService]:
    async with DoubleServer(DOUBLES[name]) as server:
        service = PolledService(server)
        try:
            await service.poll()
            yield service
        finally:
            await service.close()


def series(text: str) -> Series:
    """Return the values on a page by series, without the label of the target."""
    return {
        (sample.name, frozenset(sample.labels.items() - {("target", "t")})): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize("name", NAMES)
async def test_no_collector_fails(name: str) -> None:
    async with polled(name) as service:
        results = {result for _, result in service.observer.runs}
        expected = {"ok", "unsupported: other"}
        assert all(result in expected or result.startswith("denied: ") for result in results), service.observer.runs
        assert ("info", "ok") in service.observer.runs


@pytest.mark.parametrize("name", NAMES)
async def test_missing_command_is_sent_once(name: str) -> None:
    async with polled(name) as service:
        repeated = {command: times for command, times in Counter(service.server.refused).items() if times > 1}
        assert not repeated, "sent several times"


@pytest.mark.parametrize("name", NAMES)
async def test_unusual_lines_make_few_unreadable_parts(name: str) -> None:
    async with polled(name) as service:
        assert sum(service.unreadable().values()) <= POLLS, service.unreadable()


@pytest.mark.parametrize("name", sorted(SERVICES))
async def test_page_of_a_service_equals_the_golden_page(name: str) -> None:
    async with polled(name) as service:
        now = service.page()
    golden = GOLDEN / f"{name}.prom"
    if os.environ.get("GOLDEN_WRITE"):
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(now, encoding="utf-8")
    assert now == golden.read_text(encoding="utf-8")


def test_each_golden_page_has_a_service() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.prom")) == sorted(SERVICES)


@pytest.mark.parametrize("name", NAMES)
async def test_software_and_service_are_published(name: str) -> None:
    double = DOUBLES[name]
    async with polled(name) as service:
        [labels] = [dict(labels) for metric, labels in series(service.text) if metric == "redis_server_info"]
    assert (labels["software"], labels["managed_service"]) == (double.software, double.service)


@pytest.mark.parametrize("name", NAMES)
async def test_refusals_on_purpose_are_no_denials(name: str) -> None:
    """A denial would be an alert that no operator can end."""
    async with polled(name) as service:
        denied = [run for run in service.observer.runs if run[1].startswith("denied")]
    assert denied == []


EXPECTED: dict[str, dict[tuple[str, frozenset[tuple[str, str]]], float]] = {
    "upstash": {
        ("redis_connected_clients", frozenset()): 2,
        ("redis_memory_used_bytes", frozenset()): 20480,
        ("redis_db_keys", frozenset({("db", "db0")})): 31,
        ("redis_upstash_data_size_bytes", frozenset()): 18211,
    },
    "elasticache": {("redis_cluster_state", frozenset()): 1},
    "redis-enterprise": {("redis_config_maxmemory", frozenset()): 0},
    "elasticache-serverless": {
        ("redis_commands_processed_total", frozenset()): 1000,
        ("redis_answering_nodes", frozenset()): 2,
        ("redis_cluster_state", frozenset()): 1,
    },
    "azure-cache": {
        ("redis_azure_server_load_ratio", frozenset()): 0.075,
        ("redis_azure_received_bytes_per_second", frozenset()): 6490,
        ("redis_azure_oom_messages_total", frozenset()): 3,
    },
    "memorystore": {
        ("redis_commands_total", frozenset({("cmd", "get")})): 5148,
        ("redis_errors_total", frozenset({("err", "ERR")})): 4,
        ("redis_db_avg_ttl_seconds", frozenset({("db", "db0")})): 86399,
    },
    "kvrocks": {
        ("redis_kvrocks_disk_capacity_bytes", frozenset()): 1073741824,
        ("redis_slowlog_length", frozenset()): 0,
    },
    "garnet": {
        ("redis_keyspace_hits_total", frozenset()): 4007,
        ("redis_memory_used_rss_bytes", frozenset()): 91238400,
    },
    "tile38": {("redis_tile38_num_objects_total", frozenset()): 1833},
    "dragonfly": {
        ("redis_uptime_in_seconds", frozenset()): 86461,
        ("redis_db_keys", frozenset({("db", "db0")})): 1833,
        ("redis_commands_duration_seconds_total", frozenset({("cmd", "GET")})): 0.040112,
        ("redis_slowlog_length", frozenset()): 0,
        ("redis_config_maxmemory", frozenset()): 1073741824,
        ("redis_dragonfly_oom_rejections_total", frozenset()): 2,
    },
    "keydb": {
        ("redis_server_threads_total", frozenset()): 2,
        ("redis_slowlog_last_id", frozenset()): 4,
        ("redis_master_link_up", frozenset({("master_host", "10.0.0.9"), ("master_port", "6379")})): 0,
        ("redis_db_keys_cached", frozenset({("db", "db0")})): 57,
    },
}


@pytest.mark.parametrize("name", sorted(EXPECTED))
async def test_existing_values_are_published(name: str) -> None:
    async with polled(name) as service:
        values = series(service.text)
        different = {one: values.get(one) for one, expected in EXPECTED[name].items() if values.get(one) != expected}
        assert not different
