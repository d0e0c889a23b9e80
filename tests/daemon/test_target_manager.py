"""Targets are added, removed and changed while the daemon runs. Unchanged targets are not disturbed."""

import asyncio
import sys
from time import monotonic

import pytest

from redis_pulse.collectors import load
from redis_pulse.config import TargetSettings
from redis_pulse.daemon.target_manager import difference
from redis_pulse.probe.accounting import ProbeAccounting
from redis_pulse.server_info import Server
from tests.daemon.conftest import ManagerHarness, target
from tests.fakes import FakeServer
from tests.harness import all_samples, eventually, metric_value


def test_unchanged_target_is_neither_removed_nor_added() -> None:
    running = {name: target(name) for name in ("a", "b", "c")}
    moved = target("b", "redis://127.0.0.1:2")
    change = difference(running, [target("a"), moved, target("d")])
    assert change.removed == ("b", "c")
    assert change.added == (moved, target("d"))


async def test_added_target_is_polled_at_once_and_probed(manager: ManagerHarness, server: FakeServer) -> None:
    await manager.targets.apply([target("a", server.url, probe={"interval": 0.05, "timeout": 1})])
    await eventually(lambda: manager.up("a") == 1 and manager.store.age("a", "info") is not None)
    assert [monitored.target.name for monitored in manager.targets] == ["a"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has TCP_INFO")
async def test_every_poll_reads_what_the_kernel_knows(manager: ManagerHarness, server: FakeServer) -> None:
    """The ping connection stays open for days, so one reading at its start says nothing about now."""
    often = {"interval": 0.05, "timeout": 1}
    poll, stalls = {"interval": 0.1, "timeout": 0.1}, {"enabled": False}  # an enquiry has its own connection
    await manager.targets.apply([target("a", server.url, probe=often, poll=poll, stalls=stalls)])
    await eventually(lambda: manager.up("a") == 1)
    [monitored] = manager.targets
    first, connection = monitored.prober.tcp_info, monitored.prober.connection
    assert first is not None
    await eventually(lambda: monitored.prober.tcp_info is not first)
    assert monitored.prober.connection is connection


async def test_removed_target_has_no_series_and_no_connections(manager: ManagerHarness, server: FakeServer) -> None:
    await manager.targets.apply([target("a", server.url, probe={"interval": 0.05, "timeout": 1})])
    await eventually(lambda: manager.up("a") == 1 and manager.store.age("a", "info") is not None)
    await manager.targets.apply([])
    assert metric_value(manager.metrics, "redis_operations_total", target="a") == 0
    assert manager.store.age("a", "info") is None
    await eventually(lambda: server.connected == 0)


async def test_runs_of_removed_and_moved_targets_store_nothing(manager: ManagerHarness, server: FakeServer) -> None:
    """Such a run may swallow its cancellation, and go on."""
    await manager.targets.apply([target("moved"), target("removed", server.url)])
    before = list(manager.targets)
    await manager.targets.apply([target("moved", server.url, poll={"interval": 600, "timeout": 5})])
    await eventually(lambda: manager.store.age("moved", "info") is not None)
    manager.store.forget("moved")
    for monitored in before:
        with pytest.raises(asyncio.CancelledError):
            await monitored.poller.poll(0.0)
        assert manager.store.age(monitored.target.name, "info") is None


async def test_objective_of_a_target_is_published_from_the_start(manager: ManagerHarness, server: FakeServer) -> None:
    """Alert rules compare each target with its own objective."""
    other = target("b", server.url, slo={"latency": 0.01, "objective": 0.99})
    await manager.targets.apply([target("a", server.url), other])
    objectives = [metric_value(manager.metrics, "redis_slo_objective_ratio", target=name) for name in ("a", "b")]
    assert objectives == [0.999, 0.99]


async def test_unchanged_target_keeps_its_connections(manager: ManagerHarness, server: FakeServer) -> None:
    kept = target("kept", server.url, probe={"interval": 0.05, "timeout": 1})
    await manager.targets.apply([kept, target("other")])
    await eventually(lambda: manager.up("kept") == 1)
    (before, _) = manager.targets
    accepted = server.accepted
    await manager.targets.apply([target("new"), target("kept", server.url, probe={"interval": 0.05, "timeout": 1})])
    (_, after) = manager.targets
    assert after is before
    assert [monitored.target.name for monitored in manager.targets] == ["new", "kept"]
    assert server.accepted == accepted


def bucket_edges(manager: ManagerHarness, name: str) -> set[str]:
    labels = {"target": name, "operation": "ping"}
    return {
        sample.labels["le"]
        for sample in all_samples(manager.metrics)
        if sample.name == "redis_operation_duration_seconds_bucket" and labels.items() <= sample.labels.items()
    }


async def test_changed_buckets_start_a_new_histogram_and_others_go_on(
    manager: ManagerHarness, server: FakeServer
) -> None:
    """Counts cannot be moved to other bucket edges. An unchanged target keeps its counts."""

    def with_buckets(name: str, *buckets: float) -> TargetSettings:
        return target(name, server.url, probe={"interval": 0.05, "buckets": buckets}, slo={"latency": buckets[-1]})

    def count(name: str) -> float:
        return metric_value(manager.metrics, "redis_operation_duration_seconds_count", target=name, operation="ping")

    await manager.targets.apply([with_buckets("kept", 0.01, 1.0), with_buckets("changed", 0.01, 1.0)])
    await eventually(lambda: count("kept") >= 3 and count("changed") >= 10)
    kept = count("kept")
    await manager.targets.apply([with_buckets("kept", 0.01, 1.0), with_buckets("changed", 0.25, 2.0)])
    assert count("kept") >= kept
    assert bucket_edges(manager, "kept") == {"0.01", "1.0", "+Inf"}
    assert bucket_edges(manager, "changed") == {"0.25", "2.0", "+Inf"}
    assert count("changed") < 10, "it started again"
    total = metric_value(manager.metrics, "redis_operations_total", target="changed", operation="ping")
    assert total >= 10, "counters have no buckets, so they go on"
    await eventually(lambda: count("changed") >= 2)


def operations(manager: ManagerHarness) -> set[str]:
    return {
        sample.labels["operation"] for sample in all_samples(manager.metrics) if sample.name == "redis_operations_total"
    }


@pytest.mark.parametrize("collectors", [None, {"slowlog": {}}])
async def test_target_has_the_configured_collectors_that_its_server_supports(
    manager: ManagerHarness, collectors: dict[str, dict[str, object]] | None
) -> None:
    """A server that is not a Sentinel has no series of the Sentinel collector."""
    await manager.targets.apply([target("a", collectors=collectors)])
    assert operations(manager) == {"ping", "connect"}
    supported = {name for name, collector in load().items() if collector.default and collector.applies(Server())}
    expected = supported if collectors is None else set(collectors)
    await eventually(lambda: operations(manager) == {"ping", "connect", *expected})
    assert "sentinel" not in operations(manager)


async def test_moved_target_keeps_its_counters(manager: ManagerHarness, server: FakeServer) -> None:
    probe = {"interval": 0.05, "timeout": 1}
    async with FakeServer() as other:
        await manager.targets.apply([target("a", server.url, probe=probe)])
        await eventually(lambda: metric_value(manager.metrics, "redis_operations_total", operation="ping") >= 3)
        before = metric_value(manager.metrics, "redis_operations_total", operation="ping")
        await manager.targets.apply([target("a", other.url, probe=probe)])
        assert metric_value(manager.metrics, "redis_operations_total", operation="ping") >= before
        await eventually(lambda: metric_value(manager.metrics, "redis_operations_total", operation="ping") > before + 2)
        infos = [
            sample.labels["address"] for sample in all_samples(manager.metrics) if sample.name == "redis_target_info"
        ]
        assert infos == [other.url.removeprefix("redis://")]
        await manager.targets.apply([])  # nothing may connect again when the server stops


async def test_moved_target_has_a_closed_breaker_and_keeps_its_open_seconds(
    manager: ManagerHarness, server: FakeServer
) -> None:
    probe, breaker = {"interval": 0.05, "timeout": 1}, {"failure_threshold": 2, "open_interval": 60}
    opened = "redis_circuit_breaker_open_seconds_total"
    await manager.targets.apply([target("a", probe=probe, breaker={**breaker, "open_interval_max": 60})])
    await eventually(lambda: metric_value(manager.metrics, "redis_circuit_breaker_state", state="open") == 1)
    await eventually(lambda: metric_value(manager.metrics, opened) > 0)
    before = metric_value(manager.metrics, opened)
    await manager.targets.apply([target("a", server.url, probe=probe, breaker={**breaker, "open_interval_max": 60})])
    await eventually(lambda: manager.up("a") == 1)
    assert metric_value(manager.metrics, "redis_circuit_breaker_state", state="open") == 0
    assert metric_value(manager.metrics, "redis_circuit_breaker_state", state="closed") == 1
    assert metric_value(manager.metrics, opened) >= before


async def test_target_with_changed_settings_keeps_its_counters(manager: ManagerHarness, server: FakeServer) -> None:
    await manager.targets.apply([target("a", server.url, probe={"interval": 0.05, "timeout": 1})])
    await eventually(lambda: manager.pings >= 3 and manager.store.age("a", "info") is not None)
    before = manager.pings
    await manager.targets.apply([target("a", server.url, probe={"interval": 60, "timeout": 1})])
    assert manager.pings >= before
    assert manager.up("a") == 1
    assert manager.store.age("a", "info") is not None, "it is the same server"


async def test_collectors_that_are_no_longer_configured_leave_no_series(
    manager: ManagerHarness, server: FakeServer
) -> None:
    only_info: dict[str, object] = {"info": {}}
    both: dict[str, object] = {"info": {}, "slowlog": {}}
    canary = {"enabled": True, "interval": 0.05}
    await manager.targets.apply([target("a", server.url, collectors=both, canary=canary)])
    await eventually(lambda: {"info", "slowlog", "write", "read"} <= operations(manager))
    await manager.targets.apply([target("a", server.url, collectors=only_info)])
    await eventually(lambda: operations(manager) == {"ping", "connect", "info"})
    page = all_samples(manager.metrics)
    assert not [sample for sample in page if {"slowlog", "write"} & set(sample.labels.values())]
    assert manager.store.age("a", "slowlog") is None


async def test_changed_labels_change_nothing_else(manager: ManagerHarness, server: FakeServer) -> None:
    # After a slow ping, the enquiry into its cause would send INFO too.
    quiet = {"probe": {"interval": 0.05, "timeout": 1}, "stalls": {"enabled": False}}
    await manager.targets.apply([target("a", server.url, **quiet, labels={"team": "one"})])
    (before,) = manager.targets
    await eventually(lambda: manager.up("a") == 1 and before.poller.polled)
    accepted, infos = server.accepted, server.count("INFO")
    await manager.targets.apply([target("a", server.url, **quiet, labels={"team": "two"})])
    (after,) = manager.targets
    assert (after.client, after.prober, after.breaker) == (before.client, before.prober, before.breaker)
    assert after.target.labels == {"team": "two"}
    labels = [sample.labels for sample in all_samples(manager.metrics) if sample.name == "redis_target_info"]
    assert [label["team"] for label in labels] == ["two"]
    assert manager.up("a") == 1
    assert manager.store.age("a", "info") is not None
    pings = manager.pings
    await eventually(lambda: manager.pings >= pings + 3)
    assert (server.accepted, server.count("INFO")) == (accepted, infos)


async def test_moves_lose_no_ping_and_keep_the_phase(
    manager: ManagerHarness, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve moves within a second. Each PING leaves an interval after the one before."""
    probe = {"interval": 0.05, "timeout": 1}
    dues: list[float] = []
    scheduled = ProbeAccounting.scheduled

    def record(accounting: ProbeAccounting, count: int = 1) -> None:
        dues.extend([monotonic()] * count)
        scheduled(accounting, count)

    monkeypatch.setattr(ProbeAccounting, "scheduled", record)
    async with FakeServer() as other:
        await manager.targets.apply([target("a", server.url, probe=probe)])
        grid = manager.scheduler._callbacks["probe", "a"].grid
        for number in range(12):
            before = len(dues)
            await eventually(lambda before=before: len(dues) > before)  # type: ignore[misc]
            await manager.targets.apply([target("a", (other, server)[number % 2].url, probe=probe)])
        await eventually(lambda: len(dues) >= 20)
        assert manager.scheduler._callbacks["probe", "a"].grid is grid
        assert manager.pings == len(dues)
        monitored = manager.targets.get("a")
        assert monitored is not None
        assert monitored.prober.balanced
        await manager.targets.apply([])


async def test_poll_of_a_moved_target_keeps_its_moments(manager: ManagerHarness, server: FakeServer) -> None:
    await manager.targets.apply([target("a", "redis://127.0.0.1:1")])
    before = manager.scheduler._polls["poll", "a"].grid
    await manager.targets.apply([target("a", server.url)])
    assert manager.scheduler._polls["poll", "a"].grid is before
    await eventually(lambda: manager.store.age("a", "info") is not None)


async def test_two_targets_that_swap_addresses_keep_the_heartbeats_of_both(
    manager: ManagerHarness, server: FakeServer
) -> None:
    """A failover swaps a primary and a replica. Writes to an address are known while a target has it."""
    async with FakeServer() as other:
        await manager.targets.apply([target("a", server.url), target("b", other.url)])
        writes = manager.targets._heartbeats.writes_to(f"127.0.0.1:{other.port}")
        await manager.targets.apply([target("a", other.url), target("b", server.url)])
        assert manager.targets._heartbeats.writes_to(f"127.0.0.1:{other.port}") is writes
        await manager.targets.apply([])
        assert manager.targets._heartbeats.writes_to(f"127.0.0.1:{other.port}") is not writes
