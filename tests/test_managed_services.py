"""Managed services and other software: the default collectors publish what exists, and try only once what does not."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from redis_pulse import collectors
from redis_pulse.exposition import render
from redis_pulse.polling import ConfiguredCollector, TargetPoller
from redis_pulse.sample_store import SampleStore
from tests.harness import TargetHarness, metric_value
from tests.managed_services import PROFILES, ProfileServer

POLLS = 4
NAMES = sorted(PROFILES)

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


class PolledService(TargetHarness):
    """A service that is polled several times by the default collectors, through the real client."""

    def __init__(self, server: ProfileServer) -> None:
        super().__init__(server.url)
        self.server = server
        self.store = SampleStore(render, self.clock)
        default = [collector for collector in collectors.load().values() if collector.default]
        parts = [ConfiguredCollector(collector.for_target(), collector.options()) for collector in default]
        self.poller = TargetPoller(
            self.client,
            parts,
            self.store,
            self.target_metrics,
            self.observer,
            ping_error=lambda: self.prober.last_failure,
            clock=self.clock,
        )

    async def poll(self) -> None:
        for _ in range(POLLS):
            await self.poller.poll(self.clock())
            self.clock.advance(15)

    @property
    def text(self) -> str:
        self.clock.advance(-15)  # back to the time of the last poll
        return b"".join(lines for page in self.store.all_fresh() for lines in page.values()).decode()

    def unreadable(self) -> dict[str, float]:
        """Return the number of unreadable parts of replies by collector, without zeros."""
        counts = {
            name: metric_value(self.metrics, "redis_exporter_unreadable_fields_total", collector=name)
            for name in collectors.load()
        }
        return {name: count for name, count in counts.items() if count}


@asynccontextmanager
async def polled(name: str) -> AsyncIterator[PolledService]:
    async with ProfileServer(PROFILES[name]) as server:
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


EXPECTED: dict[str, dict[tuple[str, frozenset[tuple[str, str]]], float]] = {
    "upstash": {
        ("redis_connected_clients", frozenset()): 3,
        ("redis_memory_used_bytes", frozenset()): 52428800,
        ("redis_db_keys", frozenset({("db", "db0")})): 1204,
        ("redis_db_keys_expiring", frozenset({("db", "db0")})): 17,
    },
    "elasticache": {
        ("redis_keyspace_hits_total", frozenset()): 5117,
        ("redis_commands_total", frozenset({("cmd", "get")})): 5148,
        ("redis_errors_total", frozenset({("err", "ERR")})): 4,
        ("redis_cluster_state", frozenset()): 1,
        ("redis_db_avg_ttl_seconds", frozenset({("db", "db0")})): 86399,
    },
    "dragonfly": {
        ("redis_uptime_in_seconds", frozenset()): 11933,
        ("redis_db_keys", frozenset({("db", "db741")})): 55660026,
        ("redis_commands_duration_seconds_total", frozenset({("cmd", "get")})): 0.002331,
        ("redis_slowlog_length", frozenset()): 0,
        ("redis_config_maxmemory", frozenset()): 17091985408,
    },
    "keydb": {
        ("redis_server_threads_total", frozenset()): 2,
        ("redis_cached_keys_total", frozenset()): 12,
        ("redis_slowlog_last_id", frozenset()): 4,
        ("redis_master_link_up", frozenset({("master_host", "10.0.0.3"), ("master_port", "6379")})): 0,
        ("redis_db_keys_cached", frozenset({("db", "db0")})): 12,
    },
}


@pytest.mark.parametrize("name", NAMES)
async def test_existing_values_are_published(name: str) -> None:
    async with polled(name) as service:
        values = series(service.text)
        different = {one: values.get(one) for one, expected in EXPECTED[name].items() if values.get(one) != expected}
        assert not different
