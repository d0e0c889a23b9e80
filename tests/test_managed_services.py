"""Managed services and other software: the default set gives what there is, and asks once for what is not."""

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


class Polled(TargetHarness):
    """A double that was polled several times with the default set, through the real client."""

    def __init__(self, server: ProfileServer) -> None:
        super().__init__(server.url)
        self.server = server
        self.store = SampleStore(render, self.clock)
        every = [collector for collector in collectors.load().values() if collector.default]
        parts = [ConfiguredCollector(collector.for_target(), collector.options()) for collector in every]
        self.sampler = TargetPoller(
            self.client,
            parts,
            self.store,
            self.of_target,
            self.heard,
            trouble=lambda: self.prober.last_failure,
            clock=self.clock,
        )

    async def poll(self) -> None:
        for _ in range(POLLS):
            await self.sampler.poll(self.clock())
            self.clock.advance(15)

    @property
    def text(self) -> str:
        self.clock.advance(-15)  # the time of the last poll
        return b"".join(lines for page in self.store.all_fresh() for lines in page.values()).decode()

    def unreadable(self) -> dict[str, float]:
        """Return how many parts of replies could not be read, by collector, where there were any."""
        counted = {
            name: metric_value(self.instruments, "redis_exporter_unreadable_fields_total", collector=name)
            for name in collectors.load()
        }
        return {name: count for name, count in counted.items() if count}


@asynccontextmanager
async def polled(name: str) -> AsyncIterator[Polled]:
    async with ProfileServer(PROFILES[name]) as server:
        watched = Polled(server)
        try:
            await watched.poll()
            yield watched
        finally:
            await watched.close()


def series(text: str) -> Series:
    """Return what stands on a page, without the label of the target."""
    return {
        (sample.name, frozenset(sample.labels.items() - {("target", "t")})): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize("name", NAMES)
async def test_no_collector_fails(name: str) -> None:
    async with polled(name) as watched:
        ended = Counter(ending for _, ending in watched.heard.runs)
        known = {"ok", "unsupported: other"}
        assert all(end in known or end.startswith("denied: ") for end in ended), watched.heard.runs
        assert ("info", "ok") in watched.heard.runs


@pytest.mark.parametrize("name", NAMES)
async def test_what_is_not_there_is_asked_once(name: str) -> None:
    async with polled(name) as watched:
        more = {command: times for command, times in Counter(watched.server.refused).items() if times > 1}
        assert not more, "asked again and again"


@pytest.mark.parametrize("name", NAMES)
async def test_odd_lines_are_no_storm_of_unreadable_parts(name: str) -> None:
    async with polled(name) as watched:
        assert sum(watched.unreadable().values()) <= POLLS, watched.unreadable()


WHAT_THERE_IS: dict[str, dict[tuple[str, frozenset[tuple[str, str]]], float]] = {
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
async def test_what_there_is_is_given(name: str) -> None:
    async with polled(name) as watched:
        found = series(watched.text)
        missing = {one: expected for one, expected in WHAT_THERE_IS[name].items() if found.get(one) != expected}
        assert not missing, {one: found.get(one) for one in missing}
