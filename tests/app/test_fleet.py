"""Targets come, go and change while the daemon runs; those that did not change are not disturbed."""

from collections.abc import AsyncIterator
from time import monotonic

import pytest

from exporter.app.fleet import Fleet, difference
from exporter.collectors import load
from exporter.exposition import render
from exporter.instruments import Instruments
from exporter.schedule import Schedule
from exporter.store import Store
from exporter.targets import Server, Target
from tests.fakes import FakeServer
from tests.watching import eventually, every, settings, value


def target(name: str, url: str = "redis://127.0.0.1:1", **changes: object) -> Target:
    return Target.of(settings(url, name=name, **changes))


def test_an_unchanged_target_neither_goes_nor_comes() -> None:
    running = {name: target(name) for name in ("a", "b", "c")}
    moved = target("b", "redis://127.0.0.1:2")
    change = difference(running, [target("a"), moved, target("d")])
    assert change.gone == ("b", "c")
    assert change.come == (moved, target("d"))


class Running:
    """A fleet with everything it needs."""

    def __init__(self) -> None:
        self.instruments = Instruments("x")
        self.store = Store(render, monotonic)
        self.schedule = Schedule(monotonic, on_missed=lambda *_: None, on_error=lambda *_: None)
        self.fleet = Fleet(load(), self.store, self.instruments, self.schedule, clock=monotonic)

    def up(self, name: str) -> float:
        return value(self.instruments, "redis_up", target=name)


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
    assert value(running.instruments, "redis_operations_total", target="a") == 0
    assert running.store.age("a", "info") is None
    await eventually(lambda: server.connected == 0)


async def test_what_is_promised_of_a_target_is_published_from_the_start(running: Running, server: FakeServer) -> None:
    """Rules hold each target against its own objective: no setting may be read by nobody."""
    promised = target("b", server.url, slo={"latency": 0.01, "objective": 0.99})
    await running.fleet.apply([target("a", server.url), promised])
    found = [value(running.instruments, "redis_slo_objective_ratio", target=name) for name in ("a", "b")]
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
        for sample in every(running.instruments)
        if sample.name == "redis_operation_duration_seconds_bucket" and sample.labels["target"] == name
    }


async def test_a_target_whose_buckets_change_begins_a_new_histogram_and_the_others_go_on(
    running: Running, server: FakeServer
) -> None:
    """Counts cannot be moved from one set of edges to another; those of a target left alone must not be touched."""

    def probed(name: str, *buckets: float) -> Target:
        return target(name, server.url, probe={"interval": 0.05, "buckets": buckets}, slo={"latency": buckets[-1]})

    def count(name: str) -> float:
        return value(running.instruments, "redis_operation_duration_seconds_count", target=name, operation="ping")

    await running.fleet.apply([probed("kept", 0.01, 1.0), probed("changed", 0.01, 1.0)])
    await eventually(lambda: count("kept") >= 3 and count("changed") >= 10)
    kept = count("kept")
    await running.fleet.apply([probed("kept", 0.01, 1.0), probed("changed", 0.25, 2.0)])
    assert count("kept") >= kept
    assert edges(running, "kept") == {"0.01", "1.0", "+Inf"}
    assert edges(running, "changed") == {"0.25", "2.0", "+Inf"}
    assert count("changed") < 10, "it began anew"
    await eventually(lambda: count("changed") >= 2)


def operations(running: Running) -> set[str]:
    return {
        sample.labels["operation"] for sample in every(running.instruments) if sample.name == "redis_operations_total"
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
        await eventually(lambda: value(running.instruments, "redis_operations_total", operation="ping") >= 3)
        before = value(running.instruments, "redis_operations_total", operation="ping")
        await running.fleet.apply([target("a", other.url, probe=probe)])
        assert value(running.instruments, "redis_operations_total", operation="ping") >= before
        await eventually(lambda: value(running.instruments, "redis_operations_total", operation="ping") > before + 2)
        infos = [one.labels["address"] for one in every(running.instruments) if one.name == "redis_target_info"]
        assert infos == [other.url.removeprefix("redis://")]
        await running.fleet.apply([])  # nobody must be connecting anew when the server goes


async def test_a_target_that_moves_away_from_trouble_has_a_closed_breaker_and_keeps_the_time_it_was_open(
    running: Running, server: FakeServer
) -> None:
    probe, breaker = {"interval": 0.05, "timeout": 1}, {"failure_threshold": 2, "open_interval": 60}
    opened = "redis_circuit_breaker_open_seconds_total"
    await running.fleet.apply([target("a", probe=probe, breaker={**breaker, "open_interval_max": 60})])
    await eventually(lambda: value(running.instruments, "redis_circuit_breaker_state", state="open") == 1)
    await eventually(lambda: value(running.instruments, opened) > 0)
    before = value(running.instruments, opened)
    await running.fleet.apply([target("a", server.url, probe=probe, breaker={**breaker, "open_interval_max": 60})])
    await eventually(lambda: running.up("a") == 1)
    assert value(running.instruments, "redis_circuit_breaker_state", state="open") == 0
    assert value(running.instruments, "redis_circuit_breaker_state", state="closed") == 1
    assert value(running.instruments, opened) >= before


async def test_a_target_with_other_settings_counts_from_zero(running: Running, server: FakeServer) -> None:
    await running.fleet.apply([target("a", server.url, probe={"interval": 0.05, "timeout": 1})])
    await eventually(lambda: value(running.instruments, "redis_operations_total", operation="ping") >= 3)
    await running.fleet.apply([target("a", server.url, probe={"interval": 60, "timeout": 1})])
    assert value(running.instruments, "redis_operations_total", operation="ping") < 3
