"""Targets come, go and change while the daemon runs; those that did not change are not disturbed."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

import pytest

from redis_pulse.backoff import Backoff
from redis_pulse.client import TargetClient
from redis_pulse.collectors import load
from redis_pulse.daemon import target_manager, target_shutdown
from redis_pulse.daemon.target_manager import TargetManager, difference
from redis_pulse.exposition import render
from redis_pulse.sample_store import SampleStore
from redis_pulse.scheduling import Scheduler
from redis_pulse.server_info import Server, Target
from redis_pulse.telemetry import ExporterMetrics
from redis_pulse.web import PendingChange
from tests.fakes import FakeServer
from tests.harness import all_samples, eventually, metric_value, target_settings


def target(name: str, url: str = "redis://127.0.0.1:1", **changes: object) -> Target:
    return Target.of(target_settings(url, name=name, **changes))


def test_an_unchanged_target_neither_goes_nor_comes() -> None:
    running = {name: target(name) for name in ("a", "b", "c")}
    moved = target("b", "redis://127.0.0.1:2")
    change = difference(running, [target("a"), moved, target("d")])
    assert change.removed == ("b", "c")
    assert change.added == (moved, target("d"))


class Running:
    """A fleet with everything it needs."""

    def __init__(self) -> None:
        self.instruments = ExporterMetrics("x")
        self.store = SampleStore(render, monotonic)
        self.schedule = Scheduler(monotonic, on_missed=lambda *_: None, on_error=lambda *_: None)
        self.fleet = TargetManager(
            load(),
            self.store,
            self.instruments,
            self.schedule,
            clock=monotonic,
            make_backoff=lambda: Backoff(0.02, 0.02, floor=0.02),
        )

    @property
    def pings(self) -> float:
        return metric_value(self.instruments, "redis_operations_total", operation="ping")

    def up(self, name: str) -> float:
        return metric_value(self.instruments, "redis_up", target=name)


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    running = Running()
    running.schedule.start()
    yield running
    await running.schedule.stop(1)
    await running.fleet.stop()


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


async def test_a_target_that_comes_is_polled_at_once_and_probed(running: Running, server: FakeServer) -> None:
    await running.fleet.apply([target("a", server.url, probe={"interval": 0.05, "timeout": 1})])
    await eventually(lambda: running.up("a") == 1 and running.store.age("a", "info") is not None)
    assert [watch.target.name for watch in running.fleet] == ["a"]


async def test_a_target_that_goes_takes_its_series_and_connections_along(running: Running, server: FakeServer) -> None:
    await running.fleet.apply([target("a", server.url, probe={"interval": 0.05, "timeout": 1})])
    await eventually(lambda: running.up("a") == 1 and running.store.age("a", "info") is not None)
    await running.fleet.apply([])
    assert metric_value(running.instruments, "redis_operations_total", target="a") == 0
    assert running.store.age("a", "info") is None
    await eventually(lambda: server.connected == 0)


async def test_what_is_promised_of_a_target_is_published_from_the_start(running: Running, server: FakeServer) -> None:
    """Rules hold each target against its own objective: no setting may be read by nobody."""
    promised = target("b", server.url, slo={"latency": 0.01, "objective": 0.99})
    await running.fleet.apply([target("a", server.url), promised])
    found = [metric_value(running.instruments, "redis_slo_objective_ratio", target=name) for name in ("a", "b")]
    assert found == [0.999, 0.99]


async def test_an_unchanged_target_keeps_its_connections_over_a_change_of_another(
    running: Running, server: FakeServer
) -> None:
    kept = target("kept", server.url, probe={"interval": 0.05, "timeout": 1})
    await running.fleet.apply([kept, target("other")])
    await eventually(lambda: running.up("kept") == 1)
    (before, _) = running.fleet
    accepted = server.accepted
    await running.fleet.apply([target("new"), target("kept", server.url, probe={"interval": 0.05, "timeout": 1})])
    (_, after) = running.fleet
    assert after is before
    assert [watch.target.name for watch in running.fleet] == ["new", "kept"]
    assert server.accepted == accepted


def edges(running: Running, name: str) -> set[str]:
    return {
        sample.labels["le"]
        for sample in all_samples(running.instruments)
        if sample.name == "redis_operation_duration_seconds_bucket" and sample.labels["target"] == name
    }


async def test_a_target_whose_buckets_change_begins_a_new_histogram_and_the_others_go_on(
    running: Running, server: FakeServer
) -> None:
    """Counts cannot be moved from one set of edges to another; those of a target left alone must not be touched."""

    def probed(name: str, *buckets: float) -> Target:
        return target(name, server.url, probe={"interval": 0.05, "buckets": buckets}, slo={"latency": buckets[-1]})

    def count(name: str) -> float:
        return metric_value(
            running.instruments, "redis_operation_duration_seconds_count", target=name, operation="ping"
        )

    await running.fleet.apply([probed("kept", 0.01, 1.0), probed("changed", 0.01, 1.0)])
    await eventually(lambda: count("kept") >= 3 and count("changed") >= 10)
    kept = count("kept")
    await running.fleet.apply([probed("kept", 0.01, 1.0), probed("changed", 0.25, 2.0)])
    assert count("kept") >= kept
    assert edges(running, "kept") == {"0.01", "1.0", "+Inf"}
    assert edges(running, "changed") == {"0.25", "2.0", "+Inf"}
    assert count("changed") < 10, "it began anew"
    total = metric_value(running.instruments, "redis_operations_total", target="changed", operation="ping")
    assert total >= 10, "what has no buckets goes on"
    await eventually(lambda: count("changed") >= 2)


def operations(running: Running) -> set[str]:
    return {
        sample.labels["operation"]
        for sample in all_samples(running.instruments)
        if sample.name == "redis_operations_total"
    }


@pytest.mark.parametrize("wanted", [None, {"slowlog": {}}])
async def test_a_target_has_the_collectors_that_its_settings_name_and_its_server_can_have(
    running: Running, wanted: dict[str, dict[str, object]] | None
) -> None:
    """A server that is no Sentinel bears no series of what only a Sentinel has."""
    await running.fleet.apply([target("a", collectors=wanted)])
    assert operations(running) == {"ping", "connect"}
    able = {name for name, collector in load().items() if collector.default and collector.applies(Server())}
    expected = able if wanted is None else set(wanted)
    await eventually(lambda: operations(running) == {"ping", "connect", *expected})
    assert "sentinel" not in operations(running)


async def test_a_target_that_moves_to_another_address_keeps_its_counters(running: Running, server: FakeServer) -> None:
    probe = {"interval": 0.05, "timeout": 1}
    async with FakeServer() as other:
        await running.fleet.apply([target("a", server.url, probe=probe)])
        await eventually(lambda: metric_value(running.instruments, "redis_operations_total", operation="ping") >= 3)
        before = metric_value(running.instruments, "redis_operations_total", operation="ping")
        await running.fleet.apply([target("a", other.url, probe=probe)])
        assert metric_value(running.instruments, "redis_operations_total", operation="ping") >= before
        await eventually(
            lambda: metric_value(running.instruments, "redis_operations_total", operation="ping") > before + 2
        )
        infos = [one.labels["address"] for one in all_samples(running.instruments) if one.name == "redis_target_info"]
        assert infos == [other.url.removeprefix("redis://")]
        await running.fleet.apply([])  # nobody must be connecting anew when the server goes


async def test_a_target_that_moves_away_from_trouble_has_a_closed_breaker_and_keeps_the_time_it_was_open(
    running: Running, server: FakeServer
) -> None:
    probe, breaker = {"interval": 0.05, "timeout": 1}, {"failure_threshold": 2, "open_interval": 60}
    opened = "redis_circuit_breaker_open_seconds_total"
    await running.fleet.apply([target("a", probe=probe, breaker={**breaker, "open_interval_max": 60})])
    await eventually(lambda: metric_value(running.instruments, "redis_circuit_breaker_state", state="open") == 1)
    await eventually(lambda: metric_value(running.instruments, opened) > 0)
    before = metric_value(running.instruments, opened)
    await running.fleet.apply([target("a", server.url, probe=probe, breaker={**breaker, "open_interval_max": 60})])
    await eventually(lambda: running.up("a") == 1)
    assert metric_value(running.instruments, "redis_circuit_breaker_state", state="open") == 0
    assert metric_value(running.instruments, "redis_circuit_breaker_state", state="closed") == 1
    assert metric_value(running.instruments, opened) >= before


async def test_a_target_with_other_settings_goes_on_counting(running: Running, server: FakeServer) -> None:
    await running.fleet.apply([target("a", server.url, probe={"interval": 0.05, "timeout": 1})])
    await eventually(lambda: running.pings >= 3 and running.store.age("a", "info") is not None)
    before = running.pings
    await running.fleet.apply([target("a", server.url, probe={"interval": 60, "timeout": 1})])
    assert running.pings >= before
    assert running.up("a") == 1
    assert running.store.age("a", "info") is not None, "it is the same server"


async def test_collectors_that_a_target_does_not_have_any_more_leave_no_series(
    running: Running, server: FakeServer
) -> None:
    one: dict[str, object] = {"info": {}}
    both: dict[str, object] = {"info": {}, "slowlog": {}}
    canary = {"enabled": True, "interval": 0.05}
    await running.fleet.apply([target("a", server.url, collectors=both, canary=canary)])
    await eventually(lambda: {"info", "slowlog", "write", "read"} <= operations(running))
    await running.fleet.apply([target("a", server.url, collectors=one)])
    await eventually(lambda: operations(running) == {"ping", "connect", "info"})
    page = all_samples(running.instruments)
    assert not [sample for sample in page if {"slowlog", "write"} & set(sample.labels.values())]
    assert running.store.age("a", "slowlog") is None


async def test_other_labels_change_nothing_but_the_labels(running: Running, server: FakeServer) -> None:
    probe = {"interval": 0.05, "timeout": 1}
    await running.fleet.apply([target("a", server.url, probe=probe, labels={"team": "one"})])
    await eventually(lambda: running.up("a") == 1 and running.store.age("a", "info") is not None)
    (before,) = running.fleet
    accepted, infos = server.accepted, server.count("INFO")
    await running.fleet.apply([target("a", server.url, probe=probe, labels={"team": "two"})])
    (after,) = running.fleet
    assert (after.client, after.prober, after.breaker) == (before.client, before.prober, before.breaker)
    assert after.target.settings.labels == {"team": "two"}
    labels = [one.labels for one in all_samples(running.instruments) if one.name == "redis_target_info"]
    assert [one["team"] for one in labels] == ["two"]
    assert running.up("a") == 1
    assert running.store.age("a", "info") is not None
    pings = running.pings
    await eventually(lambda: running.pings >= pings + 3)
    assert (server.accepted, server.count("INFO")) == (accepted, infos)


async def test_moves_lose_no_slot_and_keep_the_phase(running: Running, server: FakeServer) -> None:
    """Twelve moves within a second; each PING leaves an interval after the one before."""
    probe, began = {"interval": 0.05, "timeout": 1}, 0.0
    dues: list[float] = []

    def listen() -> None:
        (watch,) = running.fleet
        prober = watch.prober
        came_due = prober._accounting.scheduled

        def heard(count: int = 1) -> None:
            dues.append(monotonic())
            came_due(count)

        prober._accounting.scheduled = heard  # type: ignore[method-assign]

    async with FakeServer() as other:
        await running.fleet.apply([target("a", server.url, probe=probe)])
        listen()
        began = running.schedule._members["probe", "a"]._members["a"].offset
        for number in range(12):
            seen = len(dues)
            await eventually(lambda seen=seen: len(dues) > seen)  # type: ignore[misc]
            await running.fleet.apply([target("a", (other, server)[number % 2].url, probe=probe)])
            listen()
        await eventually(lambda: len(dues) >= 20)
        assert running.schedule._members["probe", "a"]._members["a"].offset == began
        assert running.pings == len(dues)
        watch = running.fleet.get("a")
        assert watch is not None
        assert watch.prober.balanced
        await running.fleet.apply([])


async def test_the_poll_keeps_its_moments_over_a_move(running: Running, server: FakeServer) -> None:
    await running.fleet.apply([target("a", "redis://127.0.0.1:1")])
    before = running.schedule._jobs["poll", "a"].grid
    await running.fleet.apply([target("a", server.url)])
    assert running.schedule._jobs["poll", "a"].grid is before
    await eventually(lambda: running.store.age("a", "info") is not None)


class Broken:
    """A client whose closing raises or hangs until it is mended."""

    def __init__(self, client: TargetClient, trouble: Exception | None) -> None:
        self.calls = 0
        self._close = client.aclose
        self._trouble: Exception | None = trouble
        self._hangs = trouble is None
        client.aclose = self.aclose  # type: ignore[method-assign]

    def mend(self) -> None:
        self._trouble, self._hangs = None, False

    async def aclose(self) -> None:
        self.calls += 1
        if self._hangs:
            await asyncio.Event().wait()
        if self._trouble is not None:
            raise self._trouble
        await self._close()


def failures(running: Running, step: str) -> float:
    return metric_value(running.instruments, "redis_exporter_target_apply_failures_total", step=step)


@pytest.mark.parametrize("trouble", [TimeoutError("Timed out closing connection"), RuntimeError("a fault"), None])
@pytest.mark.parametrize("how", ["removed", "moved"])
async def test_a_target_that_cannot_be_closed_harms_no_other(
    running: Running, server: FakeServer, trouble: Exception | None, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hung TLS server: nothing was started, dropped or moved any more."""
    monkeypatch.setattr(target_shutdown, "CLOSE_WITHIN", 0.2)
    probe = {"interval": 0.05, "timeout": 1}
    async with FakeServer() as other:
        await running.fleet.apply([target(name, server.url, probe=probe) for name in ("bad", "moves")])
        await eventually(lambda: running.up("bad") == 1 and running.up("moves") == 1)
        bad = running.fleet.get("bad")
        assert bad is not None
        broken = Broken(bad.client, trouble)
        kept = [target("bad", other.url, probe=probe)] if how == "moved" else []
        wanted = [*kept, target("moves", other.url, probe=probe), target("new", other.url, probe=probe)]
        async with asyncio.timeout(1):
            await running.fleet.apply(wanted)
        assert [watch.target.name for watch in running.fleet] == [one.name for one in wanted]
        await eventually(lambda: all(running.up(one.name) == 1 for one in wanted))
        await eventually(lambda: failures(running, "close") >= 1 and bool(running.fleet.pending))
        assert ("bad", "close") in {(one.target, one.step) for one in running.fleet.pending}
        named = {sample.labels.get("target") for sample in all_samples(running.instruments)}
        assert ("bad" in named) is (how == "moved")
        assert (running.store.age("bad", "info") is None) is (how == "removed")
        broken.mend()
        await eventually(lambda: not running.fleet.pending)
        await eventually(lambda: server.connected == 0)
        await running.fleet.apply([])


@pytest.mark.parametrize("step", ["open", "move"])
async def test_a_target_that_cannot_be_made_harms_no_other_and_is_tried_again(
    running: Running, server: FakeServer, step: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It works at last although nobody asks for it any more: the answer of the sources stays the same."""
    probe = {"interval": 0.05, "timeout": 1}
    is_mended = False
    make = TargetClient

    def fail(target: Target, *arguments: Any, **more: Any) -> TargetClient:
        if target.name == "bad" and not is_mended and target.address != "127.0.0.1:1":
            raise RuntimeError("it cannot be made: secret")
        return make(target, *arguments, **more)

    monkeypatch.setattr(target_manager, "TargetClient", fail)
    if step == "move":
        await running.fleet.apply([target("bad", probe=probe)])
        await eventually(lambda: running.pings >= 2)
    pings = running.pings
    wanted = [target("bad", server.url, probe=probe), target("good", server.url, probe=probe)]
    change = await running.fleet.apply(wanted)
    assert [one.name for one in change.added] == ["good"]
    await eventually(lambda: running.up("good") == 1)
    assert running.fleet.pending == [PendingChange("bad", step, "RuntimeError")]
    named = {sample.labels.get("target") for sample in all_samples(running.instruments)}
    assert ("bad" in named) is (step == "move"), "what cannot be opened has no series"
    await eventually(lambda: failures(running, step) >= 3)
    assert len([one for one in caplog.messages if "a change of a target failed" in one]) == 1, "one line a cause"
    is_mended = True
    await eventually(lambda: running.up("bad") == 1)
    assert running.fleet.pending == []
    assert running.pings >= pings
    assert [watch.target.name for watch in running.fleet] == ["bad", "good"]


async def test_a_target_that_could_not_be_made_and_is_not_wanted_any_more_is_not_pending(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> TargetClient:
        raise RuntimeError("it cannot be made")

    monkeypatch.setattr(target_manager, "TargetClient", fail)
    await running.fleet.apply([target("bad")])
    assert running.fleet.pending
    await running.fleet.apply([])
    assert running.fleet.pending == []


async def test_a_target_that_cannot_be_scheduled_is_dropped_whole_and_tried_again(
    running: Running, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It failed half way: the old prober gets no slots any more, so nothing may be left of it."""
    await running.fleet.apply([target("a", server.url)])
    every_job = running.schedule.add_async_job

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("not scheduled")

    monkeypatch.setattr(running.schedule, "add_async_job", fail)
    async with FakeServer() as other:
        await running.fleet.apply([target("a", other.url)])
        assert len(running.fleet) == 0
        assert "a" not in {sample.labels.get("target") for sample in all_samples(running.instruments)}
        monkeypatch.setattr(running.schedule, "add_async_job", every_job)
        await eventually(lambda: len(running.fleet) == 1)
        assert running.fleet.pending == []
        await running.fleet.apply([])


async def test_stopping_does_not_wait_for_what_cannot_be_closed(
    running: Running, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target_shutdown, "STOP_WITHIN", 0.05)
    await running.fleet.apply([target(name, server.url, probe={"interval": 0.05}) for name in ("good", "bad", "worse")])
    await eventually(lambda: all(running.up(name) == 1 for name in ("good", "bad", "worse")))
    broken = []
    for name, trouble in (("bad", None), ("worse", RuntimeError("a fault"))):
        watch = running.fleet.get(name)
        assert watch is not None
        broken.append(Broken(watch.client, trouble))
    await running.schedule.stop(1)
    async with asyncio.timeout(1):
        await running.fleet.stop()
    await eventually(lambda: server.connected <= 2)
    for one in broken:
        assert one.calls == 1
        one.mend()
        await one.aclose()


async def test_a_move_back_and_forth_of_two_targets_keeps_the_heartbeat_of_both(
    running: Running, server: FakeServer
) -> None:
    """A failover swaps a master and a replica: what was written at an address is known as long as it is watched."""
    async with FakeServer() as other:
        await running.fleet.apply([target("a", server.url), target("b", other.url)])
        writer = running.fleet._heartbeats.writer(f"127.0.0.1:{other.port}")
        await running.fleet.apply([target("a", other.url), target("b", server.url)])
        assert running.fleet._heartbeats.writer(f"127.0.0.1:{other.port}") is writer
        await running.fleet.apply([])
        assert running.fleet._heartbeats.writer(f"127.0.0.1:{other.port}") is not writer
