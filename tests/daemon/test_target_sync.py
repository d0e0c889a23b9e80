"""What is declared and what is found makes the fleet, as far as it is ours."""

from collections.abc import AsyncIterator, Sequence
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
from redis_pulse.discovery.manager import MAKERS
from redis_pulse.exposition import render
from redis_pulse.sample_store import SampleStore
from redis_pulse.scheduling import Scheduler
from redis_pulse.telemetry import ExporterMetrics
from tests.harness import eventually, metric_value, target_settings


class Told:
    """A source that names what it is told to."""

    answer: Sequence[TargetSettings] | Exception = ()

    def __init__(self, settings: SourceSettings, around: SourceContext) -> None:
        self.settings = settings
        self.around = around

    async def refresh(self) -> Sequence[TargetSettings]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def aclose(self) -> None:
        return


class Running:
    def __init__(self, shard: Shard | None = None) -> None:
        self.instruments = ExporterMetrics("x")
        self.schedule = Scheduler(monotonic, on_missed=lambda *_: None, on_error=lambda *_: None)
        self.store = SampleStore(render, monotonic)
        self.fleet = TargetManager(load(), self.store, self.instruments, self.schedule, clock=monotonic)
        self.finding = TargetSync(self.fleet, self.instruments, self.schedule, clock=monotonic, shard=shard)
        self.sources: dict[str, Told] = {}

    def make(self, settings: SourceSettings, around: SourceContext) -> TargetSource:
        made = self.sources[settings.name] = Told(settings, around)
        return made

    @property
    def names(self) -> list[str]:
        return [watch.target.name for watch in self.fleet]


@pytest.fixture
async def running(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    running = Running()
    monkeypatch.setitem(MAKERS, "file", running.make)
    running.schedule.start()
    yield running
    await running.schedule.stop(1)
    await running.finding.stop()
    await running.fleet.stop()


def loaded(*declared: TargetSettings, sources: Sequence[str] = (), interval: float = 60) -> LoadedConfig:
    found = [
        SourceSettings(
            "file", name, FileSourceSettings(path=name, interval=interval), target_settings("redis://to-be-found")
        )
        for name in sources
    ]
    return LoadedConfig(Settings(), declared, sources=tuple(found))


def target(name: str, port: int) -> TargetSettings:
    return target_settings(f"redis://127.0.0.1:{port}", name=name)


async def test_declared_targets_are_there_at_once_and_found_ones_as_soon_as_their_source_answered(
    running: Running,
) -> None:
    await running.finding.apply(loaded(target("own", 1), sources=["a"]))
    running.sources["a"].answer = [target("x", 2)]
    assert running.names == ["own"]
    await eventually(lambda: running.names == ["own", "x"])
    assert running.finding.settled


async def test_a_source_that_has_reason_to_is_asked_before_its_time(running: Running) -> None:
    await running.finding.apply(loaded(sources=["a"]))
    await eventually(lambda: running.finding.settled)
    running.sources["a"].answer = [target("x", 2)]
    running.sources["a"].around.request_refresh()
    await eventually(lambda: running.names == ["x"])


async def test_a_reload_without_a_source_takes_its_targets_along_and_leaves_the_others(running: Running) -> None:
    await running.finding.apply(loaded(target("own", 1), sources=["a"]))
    running.sources["a"].answer = [target("x", 2)]
    await eventually(lambda: running.names == ["own", "x"])
    own = running.fleet.get("own")
    await running.finding.apply(loaded(target("own", 1)))
    assert running.names == ["own"]
    assert running.fleet.get("own") is own


async def test_found_targets_stay_when_their_source_fails(running: Running) -> None:
    await running.finding.apply(loaded(sources=["a"], interval=0.1))
    running.sources["a"].answer = [target("x", 2)]
    await eventually(lambda: running.names == ["x"])
    running.sources["a"].answer = DiscoveryError("gone")
    failures = "redis_exporter_discovery_failures_total"
    await eventually(lambda: metric_value(running.instruments, failures, kind="file", source="a") >= 2)
    assert running.names == ["x"]


async def test_a_source_can_ask_how_a_watched_target_does(running: Running) -> None:
    await running.finding.apply(loaded(target("own", 1), sources=["a"]))
    feeling = running.sources["a"].around.probe_status
    known = feeling("own")
    assert known is not None
    assert (known.address, known.up, known.role) == ("127.0.0.1:1", False, "")
    assert feeling("nobody") is None


async def test_a_shard_watches_its_own_part_of_declared_and_found_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = [target(f"t{number}", number + 1) for number in range(8)]
    for index in range(2):
        running = Running(Shard(index, 2))
        monkeypatch.setitem(MAKERS, "file", running.make)
        running.schedule.start()
        await running.finding.apply(loaded(*everything[:4], sources=["a"]))
        running.sources["a"].answer = everything[4:]
        mine = [one.name for one in everything if owner(one.name, 2) == index]
        await eventually(lambda running=running, mine=mine: running.names == mine)  # type: ignore[misc]
        assert 0 < len(mine) < 8
        assert running.sources["a"].around.is_owner is (owner("a", 2) == index)
        assert metric_value(running.instruments, "redis_exporter_shard_info", shard=str(index), shards="2") == 1
        await running.schedule.stop(1)
        await running.finding.stop()
        await running.fleet.stop()


async def test_a_sentinel_set_is_not_divided_between_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which replica is the second depends on what a shard has met so far, so two shards may not agree about it."""
    whose = {"sentinel": "queue"}
    found = [target_settings(f"redis://127.0.0.1:{n + 1}", name=f"queue/replica-{n}", labels=whose) for n in range(8)]
    others = [target_settings(f"redis://127.0.0.1:{n + 20}", name=f"own/{n}", labels=whose) for n in range(8)]
    options = SentinelSettings(hosts=("127.0.0.1:26379",))
    queue = SourceSettings("sentinel", "queue", options, target_settings("redis://to-be-found"))
    for index in range(2):
        running = Running(Shard(index, 2))
        monkeypatch.setitem(MAKERS, "sentinel", running.make)
        running.schedule.start()
        await running.finding.apply(LoadedConfig(Settings(), tuple(others), sources=(queue,)))
        running.sources["queue"].answer = found
        mine = owner("queue", 2) == index
        assert running.sources["queue"].around.is_owner is mine
        own = [one.name for one in others if owner(one.name, 2) == index]
        assert 0 < len(own) < 8  # a label alone makes no set
        wanted = own + [one.name for one in found if mine]
        await eventually(lambda r=running, w=wanted: r.finding.settled and r.names == w)  # type: ignore[misc]
        await running.schedule.stop(1)
        await running.finding.stop()
        await running.fleet.stop()


async def test_a_source_that_cannot_be_closed_harms_nobody(running: Running) -> None:
    """Its targets go, another source comes, and everything can be stopped."""
    await running.finding.apply(loaded(sources=["a"]))
    running.sources["a"].answer = [target("x", 2)]
    running.sources["a"].around.request_refresh()
    await eventually(lambda: running.names == ["x"])

    async def fault() -> None:
        raise RuntimeError("it cannot be closed")

    running.sources["a"].aclose = fault  # type: ignore[method-assign]
    await running.finding.apply(loaded(target("own", 1), sources=["b"]))
    assert running.names == ["own"]
    running.sources["b"].answer = [target("y", 3)]
    running.sources["b"].around.request_refresh()
    await eventually(lambda: running.names == ["own", "y"])


async def test_a_fault_in_a_refresh_that_was_hinted_at_is_counted_and_logged(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody waits for it, so nobody else would see it."""
    await running.finding.apply(loaded(sources=["a"]))
    await eventually(lambda: running.finding.settled)

    async def fault(_targets: object) -> None:
        raise RuntimeError("a fault of ours")

    running.fleet.apply = fault  # type: ignore[method-assign,assignment]
    running.sources["a"].answer = [target("x", 2)]
    running.sources["a"].around.request_refresh()
    failures = "redis_exporter_discovery_failures_total"
    await eventually(lambda: metric_value(running.instruments, failures, kind="file", source="a") == 1)
    assert "RuntimeError" in caplog.text
