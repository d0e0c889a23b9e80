"""Rules for all sources: a failed source keeps its targets, and each target is used once and only where allowed."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from redis_pulse.client import ConnectLimiter
from redis_pulse.config import (
    ClusterSettings,
    DiscoverySettings,
    DnsSourceSettings,
    FileSourceSettings,
    HttpSourceSettings,
    SentinelSettings,
    SourceSettings,
    TargetSettings,
    parse_url,
)
from redis_pulse.config.discovery_models import Kind, SourceOptions
from redis_pulse.discovery import DiscoveryError, DiscoveryManager, Reject, SourceContext, TargetSource
from redis_pulse.discovery.manager import make_source
from redis_pulse.telemetry import DiscoveryMetrics
from tests.discovery.context import RecordingContext
from tests.fakes import ManualClock
from tests.harness import target_settings

LEFT_OUT = "redis_exporter_discovery_left_out_targets"


class ScriptedSource:
    """A source with a result that the test sets."""

    def __init__(self, settings: SourceSettings, context: SourceContext) -> None:
        self.settings = settings
        self.context = context
        self.result: Sequence[TargetSettings] | Exception = ()
        self.refreshes = 0
        self.closed = False
        #: a refresh waits until this event is set
        self.gate = asyncio.Event()
        self.gate.set()

    async def refresh(self) -> Sequence[TargetSettings]:
        self.refreshes += 1
        await self.gate.wait()
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    async def aclose(self) -> None:
        self.closed = True


class ManagerSetup:
    """A ``DiscoveryManager`` with scripted sources."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = DiscoveryMetrics(self.registry)
        self.sources: dict[str, ScriptedSource] = {}
        self.changes = 0
        self.wall_time = 1000.0
        self.clock = ManualClock()
        self.manager = DiscoveryManager(
            self.metrics,
            self._make_context,
            on_change=self._count_change,
            wall_clock=lambda: self.wall_time,
            clock=self.clock,
        )

    async def _count_change(self) -> None:
        self.changes += 1

    def _make_context(
        self, settings: SourceSettings, request_refresh: Callable[[], None], reject: Reject
    ) -> SourceContext:
        del settings
        return SourceContext(
            self.metrics,
            ManualClock(),
            ConnectLimiter(),
            request_refresh=request_refresh,
            reject=reject,
            probe_status=lambda _name: None,
        )

    def make_source(self, settings: SourceSettings, context: SourceContext) -> TargetSource:
        source = self.sources[settings.name] = ScriptedSource(settings, context)
        return source

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, {"kind": "file", **labels})

    def names(self, *declared: TargetSettings) -> list[str]:
        return [target.name for target in self.manager.targets(declared)]


@pytest.fixture
def setup(monkeypatch: pytest.MonkeyPatch) -> ManagerSetup:
    setup = ManagerSetup()
    monkeypatch.setattr("redis_pulse.discovery.manager.make_source", setup.make_source)
    return setup


def source(name: str, **options: object) -> SourceSettings:
    return SourceSettings(
        "file", name, FileSourceSettings(path=name, **options), target_settings("redis://placeholder")
    )


def target(name: str, url: str) -> TargetSettings:
    return target_settings(url, name=name)


@pytest.mark.parametrize(
    ("kind", "options", "class_name"),
    [
        ("file", FileSourceSettings(path="x.yaml"), "FileSource"),
        ("http", HttpSourceSettings(url="http://inventory"), "HttpSource"),
        ("dns", DnsSourceSettings(name="redis.test"), "DnsSource"),
        ("cluster", ClusterSettings(), "ClusterSource"),
        ("sentinel", SentinelSettings(hosts=("10.0.0.1:26379",)), "SentinelSource"),
    ],
)
async def test_make_source_returns_the_class_of_each_kind(kind: Kind, options: SourceOptions, class_name: str) -> None:
    server = target_settings("redis://10.0.0.1")
    source = make_source(SourceSettings(kind, "x", options, server, seeds=(server,)), RecordingContext().build())
    assert type(source).__name__ == class_name


async def test_targets_of_a_source_follow_the_declared_ones(setup: ManagerSetup) -> None:
    await setup.manager.apply([source("a")], DiscoverySettings())
    assert not setup.manager.settled
    setup.sources["a"].result = [target("x", "10.0.0.1"), target("y", "10.0.0.2")]
    await setup.manager.refresh("file a")
    assert setup.manager.settled
    assert setup.changes == 1
    assert setup.names(target("own", "10.0.0.9")) == ["own", "x", "y"]
    assert setup.value("redis_exporter_discovery_targets", source="a") == 2
    assert setup.value("redis_exporter_discovery_changes_total", source="a", change="added") == 2
    assert setup.value("redis_exporter_discovery_last_success_timestamp_seconds", source="a") == 1000


async def test_unchanged_result_is_no_change(setup: ManagerSetup) -> None:
    await setup.manager.apply([source("a")], DiscoverySettings())
    setup.sources["a"].result = [target("x", "10.0.0.1")]
    await setup.manager.refresh("file a")
    await setup.manager.refresh("file a")
    assert setup.changes == 1


@pytest.mark.parametrize("error", [DiscoveryError("no such file"), OSError("not there"), KeyError("a bug")])
async def test_failed_source_keeps_its_targets_and_is_counted(setup: ManagerSetup, error: Exception) -> None:
    await setup.manager.apply([source("a")], DiscoverySettings())
    setup.sources["a"].result = [target("x", "10.0.0.1")]
    await setup.manager.refresh("file a")
    setup.wall_time = 2000.0
    setup.sources["a"].result = error
    await setup.manager.refresh("file a")
    assert setup.names() == ["x"]
    assert setup.value("redis_exporter_discovery_failures_total", source="a") == 1
    assert setup.value("redis_exporter_discovery_refreshes_total", source="a") == 2
    assert setup.value("redis_exporter_discovery_last_success_timestamp_seconds", source="a") == 1000


async def test_source_that_never_worked_is_settled_without_a_success_time(setup: ManagerSetup) -> None:
    await setup.manager.apply([source("a")], DiscoverySettings())
    setup.sources["a"].result = DiscoveryError("no such file")
    await setup.manager.refresh("file a")
    assert setup.manager.settled
    assert setup.value("redis_exporter_discovery_last_success_timestamp_seconds", source="a") is None


async def test_first_target_of_a_server_or_a_name_stays(setup: ManagerSetup) -> None:
    await setup.manager.apply([source("a"), source("b")], DiscoverySettings())
    setup.sources["a"].result = [target("x", "10.0.0.1"), target("own", "10.0.0.5")]
    setup.sources["b"].result = [target("y", "10.0.0.1"), target("z", "10.0.0.3")]
    await setup.manager.refresh("file a")
    await setup.manager.refresh("file b")
    assert setup.names(target("own", "10.0.0.9")) == ["own", "x", "z"]
    assert setup.value("redis_exporter_discovery_refused_total", source="b", reason="known") == 1


async def test_target_outside_the_allow_list_is_rejected(setup: ManagerSetup) -> None:
    await setup.manager.apply([source("a")], DiscoverySettings(allow=("10.0.0.0/8",)))
    setup.sources["a"].result = [target("x", "10.0.0.1"), target("y", "192.168.0.1")]
    await setup.manager.refresh("file a")
    assert setup.names() == ["x"]
    assert setup.value("redis_exporter_discovery_refused_total", source="a", reason="not_allowed") == 1


async def test_shorter_allow_list_applies_at_once(setup: ManagerSetup) -> None:
    await setup.manager.apply([source("a")], DiscoverySettings())
    setup.sources["a"].result = [target("x", "10.0.0.1"), target("y", "192.168.0.1")]
    await setup.manager.refresh("file a")
    await setup.manager.apply([source("a")], DiscoverySettings(allow=("10.0.0.0/8",)))
    assert setup.names() == ["x"]


async def test_unchanged_source_uses_the_new_allow_list(setup: ManagerSetup) -> None:
    followed = replace(source("a"), seeds=(target_settings("redis://192.168.0.2"),))
    await setup.manager.apply([followed], DiscoverySettings())
    context = setup.sources["a"].context
    assert context.is_allowed(parse_url("192.168.0.1").endpoint)
    await setup.manager.apply([followed], DiscoverySettings(allow=("10.0.0.0/8",)))
    assert not context.is_allowed(parse_url("192.168.0.1").endpoint)
    assert context.is_allowed(parse_url("10.0.0.1").endpoint)


async def test_replaced_source_receives_the_known_targets(setup: ManagerSetup) -> None:
    """Its seeds may no longer exist, while the servers that it found still do."""
    await setup.manager.apply([source("a")], DiscoverySettings())
    assert setup.sources["a"].context.known_targets() == ()
    setup.sources["a"].result = [target("x", "10.0.0.1")]
    await setup.manager.refresh("file a")
    await setup.manager.apply([source("a", interval=60)], DiscoverySettings())
    assert [one.name for one in setup.sources["a"].context.known_targets()] == ["x"]


async def test_targets_above_the_limit_are_rejected(setup: ManagerSetup) -> None:
    await setup.manager.apply([source("a")], DiscoverySettings(max_targets=1))
    setup.sources["a"].result = [target("x", "10.0.0.1"), target("y", "10.0.0.2")]
    await setup.manager.refresh("file a")
    assert setup.names() == ["x"]
    assert setup.value("redis_exporter_discovery_refused_total", source="a", reason="too_many") == 1


async def test_limit_holds_for_all_sources_together(setup: ManagerSetup) -> None:
    await setup.manager.apply([source("a"), source("b")], DiscoverySettings(max_targets=3))
    setup.sources["a"].result = [target("a1", "10.0.0.1"), target("a2", "10.0.0.2")]
    setup.sources["b"].result = [target("b1", "10.0.0.3"), target("b2", "10.0.0.4"), target("b3", "10.0.0.5")]
    await setup.manager.refresh("file a")
    await setup.manager.refresh("file b")
    assert setup.names(target("own", "10.0.0.9")) == ["own", "a1", "a2", "b1"]
    assert setup.value(LEFT_OUT, source="a") == 0
    assert setup.value(LEFT_OUT, source="b") == 2


async def test_left_out_targets_are_counted_until_there_is_room(setup: ManagerSetup) -> None:
    await setup.manager.apply([source("a")], DiscoverySettings(max_targets=1))
    assert setup.value(LEFT_OUT, source="a") == 0
    setup.sources["a"].result = [target("x", "10.0.0.1"), target("y", "10.0.0.2")]
    await setup.manager.refresh("file a")
    assert (setup.names(), setup.value(LEFT_OUT, source="a")) == (["x"], 1)
    setup.sources["a"].result = [target("x", "10.0.0.1")]
    await setup.manager.refresh("file a")
    assert setup.changes == 2, "the number of targets that are left out has changed"
    assert (setup.names(), setup.value(LEFT_OUT, source="a")) == (["x"], 0)


async def test_announced_targets_are_added_little_by_little(
    setup: ManagerSetup, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Attack M5: one cluster node announced 3000 others, and the next second all of them were watched."""
    monkeypatch.setattr("redis_pulse.discovery.manager.MAX_NEW_TARGETS", 2)
    seed = target_settings("redis://10.0.0.1")
    settings = SourceSettings("cluster", "c", ClusterSettings(), seed, seeds=(seed,))
    await setup.manager.apply([settings], DiscoverySettings(allow=("10.0.0.0/8",)))
    setup.sources["c"].result = [target(f"n{number}", f"10.0.0.{number}") for number in range(9)]
    seen = []
    for _ in range(4):
        await setup.manager.refresh("cluster c")
        watched = len(setup.names())
        seen.append((watched, setup.registry.get_sample_value(LEFT_OUT, {"kind": "cluster", "source": "c"})))
    assert seen == [(2, 7), (4, 5), (8, 1), (9, 0)]
    assert "n2: more new targets than one refresh may add" in caplog.text


async def test_file_may_add_all_its_targets_at_once(setup: ManagerSetup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redis_pulse.discovery.manager.MAX_NEW_TARGETS", 2)
    await setup.manager.apply([source("a")], DiscoverySettings())
    setup.sources["a"].result = [target(f"n{number}", f"10.0.0.{number}") for number in range(9)]
    await setup.manager.refresh("file a")
    assert len(setup.names()) == 9


async def test_refused_targets_of_a_refresh_have_one_log_line(
    setup: ManagerSetup, caplog: pytest.LogCaptureFixture
) -> None:
    """Attack H3: 400 000 refused targets wrote 84 MB of log."""
    await setup.manager.apply([source("a")], DiscoverySettings(allow=("10.0.0.0/8",)))
    for refresh in range(3):
        setup.sources["a"].result = [
            target(f"{refresh} {number}", f"192.168.{refresh}.{number}") for number in range(200)
        ]
        await setup.manager.refresh("file a")
    lines: list[Any] = [record.msg for record in caplog.records if record.levelname == "WARNING"]
    assert len(lines) == 1, "the next line of the same reason waits a minute"
    assert lines[0]["count"] == 200
    assert lines[0]["what"].count("192.168.0.") == 3
    assert setup.value("redis_exporter_discovery_refused_total", source="a", reason="not_allowed") == 600


async def test_announced_server_far_from_the_seeds_is_refused(setup: ManagerSetup) -> None:
    """The manager refuses it, also if the source forgets to ask."""
    seed = target_settings("redis://10.0.0.1")
    settings = SourceSettings("cluster", "cart", ClusterSettings(), seed, seeds=(seed,))
    await setup.manager.apply([settings], DiscoverySettings())
    setup.sources["cart"].result = [target("x", "10.9.9.9"), target("y", "192.168.0.1"), target("z", "203.0.113.7")]
    await setup.manager.refresh("cluster cart")
    assert setup.names() == ["x"]
    labels = {"kind": "cluster", "source": "cart", "reason": "not_allowed"}
    assert setup.registry.get_sample_value("redis_exporter_discovery_refused_total", labels) == 2


async def test_reload_keeps_an_unchanged_source_and_replaces_others(setup: ManagerSetup) -> None:
    await setup.manager.apply([source("a"), source("b")], DiscoverySettings())
    for name in "ab":
        setup.sources[name].result = [target(f"of-{name}", f"10.0.0.{ord(name)}")]
        await setup.manager.refresh(f"file {name}")
    kept, removed = setup.sources["a"], setup.sources["b"]
    started, ended = await setup.manager.apply([source("a"), source("c")], DiscoverySettings())
    assert ([one.name for one in started], ended) == (["c"], ["file b"])
    assert setup.sources["a"] is kept
    assert (kept.closed, removed.closed) == (False, True)
    assert setup.names() == ["of-a"]
    assert setup.value("redis_exporter_discovery_targets", source="b") is None


@pytest.mark.parametrize("result", [[target("x", "10.0.0.1")], DiscoveryError("closed"), KeyError("a bug")])
async def test_source_removed_during_its_refresh_leaves_nothing(
    setup: ManagerSetup, result: Sequence[TargetSettings] | Exception
) -> None:
    await setup.manager.apply([source("a")], DiscoverySettings())
    scripted = setup.sources["a"]
    scripted.result = result
    scripted.gate.clear()
    refresh = asyncio.create_task(setup.manager.refresh("file a"))
    await asyncio.sleep(0)
    await setup.manager.apply([], DiscoverySettings())
    scripted.gate.set()
    await refresh
    assert setup.names() == []
    assert [sample for family in setup.registry.collect() for sample in family.samples] == []


async def test_changed_source_keeps_its_targets_until_its_refresh(setup: ManagerSetup) -> None:
    await setup.manager.apply([source("a")], DiscoverySettings())
    setup.sources["a"].result = [target("x", "10.0.0.1")]
    await setup.manager.refresh("file a")
    await setup.manager.apply([source("a", interval=60)], DiscoverySettings())
    assert setup.names() == ["x"]
    await setup.manager.refresh("file a")
    assert setup.names() == []


async def test_requests_during_a_refresh_cause_one_more_afterwards(setup: ManagerSetup) -> None:
    await setup.manager.apply([source("a")], DiscoverySettings())
    scripted = setup.sources["a"]
    scripted.gate.clear()
    first = asyncio.create_task(setup.manager.refresh("file a"))
    await asyncio.sleep(0)
    for _ in range(5):
        scripted.context.request_refresh()
    await asyncio.sleep(0)
    assert scripted.refreshes == 1
    scripted.gate.set()
    await first
    assert scripted.refreshes == 2


async def test_stop_closes_every_source(setup: ManagerSetup) -> None:
    await setup.manager.apply([source("a")], DiscoverySettings())
    await setup.manager.stop()
    assert setup.sources["a"].closed


async def test_changed_source_keeps_its_targets_while_the_old_one_closes(setup: ManagerSetup) -> None:
    """Otherwise they vanish for a moment. If another source changes then, their counters start again at 0."""
    await setup.manager.apply([source("a")], DiscoverySettings())
    old = setup.sources["a"]
    old.result = [target("x", "10.0.0.1")]
    await setup.manager.refresh("file a")
    names: list[list[str]] = []

    async def aclose() -> None:
        names.append(setup.names())

    old.aclose = aclose  # type: ignore[method-assign]
    await setup.manager.apply([source("a", interval=60)], DiscoverySettings())
    assert names == [["x"]]
