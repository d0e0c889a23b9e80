"""The declared and the discovered targets of this shard are monitored."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from time import monotonic

import pytest

from redis_pulse.collectors import load
from redis_pulse.config import (
    FileSourceSettings,
    LoadedConfig,
    SentinelSettings,
    Settings,
    Shard,
    SourceSettings,
    TargetSettings,
)
from redis_pulse.config.sharding import owner
from redis_pulse.daemon.target_manager import TargetManager
from redis_pulse.daemon.target_sync import TargetSync
from redis_pulse.discovery import DiscoveryError, SourceContext, TargetSource
from redis_pulse.exposition import render_steps
from redis_pulse.sample_store import SampleStore
from redis_pulse.scheduling import Scheduler
from redis_pulse.telemetry import ExporterMetrics
from tests.harness import eventually, metric_value, target_settings


class FakeSource:
    """A source that returns ``found``, or raises it."""

    found: Sequence[TargetSettings] | Exception = ()

    def __init__(self, settings: SourceSettings, context: SourceContext) -> None:
        self.settings = settings
        self.context = context

    async def refresh(self) -> Sequence[TargetSettings]:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    async def aclose(self) -> None:
        return


class SyncHarness:
    """A ``TargetSync`` with all_targets it needs."""

    def __init__(self, shard: Shard | None = None) -> None:
        self.metrics = ExporterMetrics("x")
        self.scheduler = Scheduler(
            monotonic, on_missed=lambda *_: None, on_error=lambda *_: None, on_lag=lambda _: None
        )
        self.store = SampleStore(render_steps, monotonic)
        self.targets = TargetManager(load(), self.store, self.metrics, self.scheduler, clock=monotonic)
        self.sync = TargetSync(self.targets, self.metrics, self.scheduler, clock=monotonic, shard=shard)
        self.sources: dict[str, FakeSource] = {}

    def make(self, settings: SourceSettings, context: SourceContext) -> TargetSource:
        source = self.sources[settings.name] = FakeSource(settings, context)
        return source

    @property
    def names(self) -> list[str]:
        return [monitored.target.name for monitored in self.targets]


@pytest.fixture
async def harness(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SyncHarness]:
    harness = SyncHarness()
    monkeypatch.setattr("redis_pulse.discovery.manager.make_source", harness.make)
    harness.scheduler.start()
    yield harness
    await harness.scheduler.stop(1)
    await harness.sync.stop()
    await harness.targets.stop()


def loaded(*declared: TargetSettings, sources: Sequence[str] = (), interval: float = 60) -> LoadedConfig:
    source_settings = [
        SourceSettings(
            "file", name, FileSourceSettings(path=name, interval=interval), target_settings("redis://to-be-found")
        )
        for name in sources
    ]
    return LoadedConfig(Settings(), declared, sources=tuple(source_settings))


def target(name: str, port: int) -> TargetSettings:
    return target_settings(f"redis://127.0.0.1:{port}", name=name)


async def test_declared_targets_come_at_once_and_others_after_their_source(
    harness: SyncHarness,
) -> None:
    await harness.sync.apply(loaded(target("own", 1), sources=["a"]))
    harness.sources["a"].found = [target("x", 2)]
    assert harness.names == ["own"]
    await eventually(lambda: harness.names == ["own", "x"])
    assert harness.sync.settled


async def test_each_target_has_the_place_that_names_it(harness: SyncHarness) -> None:
    config = loaded(target("own", 1), sources=["a"])
    await harness.sync.apply(replace(config, declared_in={"own": "redis-pulse.yaml: targets[0]"}))
    harness.sources["a"].found = [target("x", 2)]
    await eventually(lambda: harness.names == ["own", "x"])
    places = [harness.sync.declared_in(name) for name in ("own", "x", "gone")]
    assert places == ["redis-pulse.yaml: targets[0]", "source a (file)", ""]


async def test_source_can_request_an_early_refresh(harness: SyncHarness) -> None:
    await harness.sync.apply(loaded(sources=["a"]))
    await eventually(lambda: harness.sync.settled)
    harness.sources["a"].found = [target("x", 2)]
    harness.sources["a"].context.request_refresh()
    await eventually(lambda: harness.names == ["x"])


async def test_reload_without_a_source_removes_only_its_targets(harness: SyncHarness) -> None:
    await harness.sync.apply(loaded(target("own", 1), sources=["a"]))
    harness.sources["a"].found = [target("x", 2)]
    await eventually(lambda: harness.names == ["own", "x"])
    own = harness.targets.get("own")
    await harness.sync.apply(loaded(target("own", 1)))
    assert harness.names == ["own"]
    assert harness.targets.get("own") is own


async def test_discovered_targets_stay_when_their_source_fails(harness: SyncHarness) -> None:
    await harness.sync.apply(loaded(sources=["a"], interval=0.1))
    harness.sources["a"].found = [target("x", 2)]
    await eventually(lambda: harness.names == ["x"])
    harness.sources["a"].found = DiscoveryError("gone")
    failures = "redis_exporter_discovery_failures_total"
    await eventually(lambda: metric_value(harness.metrics, failures, kind="file", source="a") >= 2)
    assert harness.names == ["x"]


async def test_source_can_read_the_probe_status_of_a_target(harness: SyncHarness) -> None:
    await harness.sync.apply(loaded(target("own", 1), sources=["a"]))
    probe_status = harness.sources["a"].context.probe_status
    status = probe_status("own")
    assert status is not None
    assert (status.address, status.up, status.role) == ("127.0.0.1:1", False, "")
    assert probe_status("unknown") is None


async def test_shard_monitors_its_part_of_declared_and_discovered_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    all_targets = [target(f"t{number}", number + 1) for number in range(8)]
    for index in range(2):
        harness = SyncHarness(Shard(index, 2))
        monkeypatch.setattr("redis_pulse.discovery.manager.make_source", harness.make)
        harness.scheduler.start()
        await harness.sync.apply(loaded(*all_targets[:4], sources=["a"]))
        harness.sources["a"].found = all_targets[4:]
        mine = [each.name for each in all_targets if owner(each.name, 2) == index]
        await eventually(lambda harness=harness, mine=mine: harness.names == mine)  # type: ignore[misc]
        assert 0 < len(mine) < 8
        assert harness.sources["a"].context.is_owner is (owner("a", 2) == index)
        assert metric_value(harness.metrics, "redis_exporter_shard_info", shard=str(index), shards="2") == 1
        await harness.scheduler.stop(1)
        await harness.sync.stop()
        await harness.targets.stop()


async def test_sentinel_set_is_not_divided_between_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards may number the replicas differently, because the numbers depend on what a shard has seen."""
    labels = {"sentinel": "queue"}
    found = [target_settings(f"redis://127.0.0.1:{n + 1}", name=f"queue/replica-{n}", labels=labels) for n in range(8)]
    others = [target_settings(f"redis://127.0.0.1:{n + 20}", name=f"own/{n}", labels=labels) for n in range(8)]
    options = SentinelSettings(hosts=("127.0.0.1:26379",))
    seeds = (target_settings("redis://127.0.0.1:26379"),)
    queue = SourceSettings("sentinel", "queue", options, target_settings("redis://to-be-found"), seeds=seeds)
    for index in range(2):
        harness = SyncHarness(Shard(index, 2))
        monkeypatch.setattr("redis_pulse.discovery.manager.make_source", harness.make)
        harness.scheduler.start()
        await harness.sync.apply(LoadedConfig(Settings(), tuple(others), sources=(queue,)))
        harness.sources["queue"].found = found
        mine = owner("queue", 2) == index
        assert harness.sources["queue"].context.is_owner is mine
        own = [other.name for other in others if owner(other.name, 2) == index]
        assert 0 < len(own) < 8  # the label alone does not make a set
        wanted = own + [replica.name for replica in found if mine]
        await eventually(lambda h=harness, w=wanted: h.sync.settled and h.names == w)  # type: ignore[misc]
        await harness.scheduler.stop(1)
        await harness.sync.stop()
        await harness.targets.stop()


async def test_source_that_cannot_be_closed_affects_no_other(harness: SyncHarness) -> None:
    """Its targets are removed, another source is added, and everything can be stopped."""
    await harness.sync.apply(loaded(sources=["a"]))
    harness.sources["a"].found = [target("x", 2)]
    harness.sources["a"].context.request_refresh()
    await eventually(lambda: harness.names == ["x"])

    async def fault() -> None:
        raise RuntimeError("it cannot be closed")

    harness.sources["a"].aclose = fault  # type: ignore[method-assign]
    await harness.sync.apply(loaded(target("own", 1), sources=["b"]))
    assert harness.names == ["own"]
    harness.sources["b"].found = [target("y", 3)]
    harness.sources["b"].context.request_refresh()
    await eventually(lambda: harness.names == ["own", "y"])


async def test_bug_in_a_requested_refresh_is_counted_and_logged(
    harness: SyncHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """No caller waits for this refresh, so the exception would be lost."""
    await harness.sync.apply(loaded(sources=["a"]))
    await eventually(lambda: harness.sync.settled)

    async def fault(_targets: object) -> None:
        raise RuntimeError("a bug")

    harness.targets.apply = fault  # type: ignore[method-assign,assignment]
    harness.sources["a"].found = [target("x", 2)]
    harness.sources["a"].context.request_refresh()
    failures = "redis_exporter_discovery_failures_total"
    await eventually(lambda: metric_value(harness.metrics, failures, kind="file", source="a") == 1)
    assert "RuntimeError" in caplog.text
